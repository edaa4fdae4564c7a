//! What this session may see and do, by its own grants.
//!
//! `information_schema` shows a user only what it has a right on, and says nothing of the rest. So the absence of a
//! trigger or of a foreign key there proves something only to a user whose rights reach over all that could be there.
//!
//! Invariant: a line that is not understood proves nothing, and a line that takes something away (MySQL's partial
//! revokes) ends every right over all databases. Rights that come by a role count where the server lists them with the
//! user's own, as MariaDB does for the role in use.

use crate::dialect::identifier;
use crate::table::Table;

/// The answer to `SHOW GRANTS`, as far as it says what is visible and allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Grants {
    /// The scope, such as `*.*`, and the rights in it.
    lines: Vec<(String, Vec<String>)>,
    /// Whether something is taken away again.
    restricted: bool,
}

impl Grants {
    /// Reads the lines.
    pub(super) fn new<'a>(lines: impl Iterator<Item = &'a str>) -> Grants {
        let mut grants = Grants::default();
        for line in lines {
            let Some(rest) = line.strip_prefix("GRANT ") else {
                grants.restricted |= !line.starts_with("SET DEFAULT ROLE");
                continue;
            };
            // a role that is granted has no scope
            let Some((rights, rest)) = rest.split_once(" ON ") else { continue };
            let Some((scope, _)) = rest.split_once(" TO ") else { continue };
            let rights = rights.split(',').map(|right| right.trim().to_ascii_uppercase()).collect();
            grants.lines.push((scope.to_owned(), rights));
        }
        grants
    }

    fn has(&self, scopes: &[&str], right: &str) -> bool {
        let mut lines = self.lines.iter().filter(|(scope, _)| scopes.contains(&scope.as_str()));
        lines.any(|(_, rights)| rights.iter().any(|known| known == right || known == "ALL PRIVILEGES"))
    }

    /// Whether one of these rights is there on everything.
    pub(super) fn allow(&self, rights: &[&str]) -> bool {
        !self.restricted && rights.iter().any(|right| self.has(&["*.*"], right))
    }

    /// Whether a right is there on a whole database: for it, for a pattern that it meets, or for all.
    pub(super) fn allow_in(&self, database: &str, right: &str) -> bool {
        if self.allow(&[right]) {
            return true;
        }
        // of the scopes that name a database a server takes the narrowest alone
        let of_databases = self.lines.iter().filter_map(|(scope, rights)| {
            let pattern = Pattern::new(scope.strip_suffix(".*").filter(|scope| *scope != "*")?);
            pattern.matches(database).then_some((pattern.narrowness(), rights))
        });
        let all: Vec<_> = of_databases.collect();
        let narrowest = all.iter().map(|(narrowness, _)| *narrowness).max();
        let mut taken = all.iter().filter(|(narrowness, _)| Some(*narrowness) == narrowest);
        taken.any(|(_, rights)| rights.iter().any(|known| known == right || known == "ALL PRIVILEGES"))
    }

    /// Whether a right is there on a table, or on more than it.
    pub(super) fn allow_on(&self, database: &str, table: &str, right: &str) -> bool {
        let own = format!("{}.{}", identifier(database), identifier(table));
        self.has(&[&own], right) || self.allow_in(database, right)
    }

    /// Whether foreign keys of all tables, in all databases, are listed. MariaDB does not list them for SELECT.
    pub(super) fn show_all_foreign_keys(&self) -> bool {
        !self.restricted && self.has(&["*.*"], "REFERENCES")
    }

    /// Whether InnoDB's own tables can be read.
    pub(super) fn show_innodb(&self) -> bool {
        self.has(&["*.*"], "PROCESS")
    }

    /// Whether the triggers of a table are listed.
    pub(super) fn show_triggers(&self, table: &Table) -> bool {
        let (database, own) = (identifier(&table.database), identifier(&table.name));
        // no pattern proves anything here: whether a server takes it as one is its own business
        let escaped = database.replace('_', "\\_").replace('%', "\\%");
        let scopes = [format!("{database}.*"), format!("{escaped}.*"), format!("{database}.{own}")];
        self.has(&scopes.each_ref().map(String::as_str), "TRIGGER") || self.allow(&["TRIGGER"])
    }
}

/// The databases that a quoted scope names: `%` and `_` stand for other characters unless a backslash is before them.
struct Pattern(Vec<Part>);

#[derive(PartialEq, Eq)]
enum Part {
    Is(char),
    Any,
    Some,
}

impl Pattern {
    fn new(scope: &str) -> Pattern {
        let bare = scope.strip_prefix('`').and_then(|scope| scope.strip_suffix('`'));
        let text = bare.map_or_else(|| scope.to_owned(), |bare| bare.replace("``", "`"));
        let mut characters = text.chars().peekable();
        let mut parts = Vec::new();
        while let Some(character) = characters.next() {
            parts.push(match character {
                '%' => Part::Some,
                '_' => Part::Any,
                '\\' => Part::Is(characters.next_if(|next| matches!(next, '_' | '%')).unwrap_or('\\')),
                character => Part::Is(character),
            });
        }
        Pattern(parts)
    }

    /// How many characters stand before the first that stands for others.
    fn narrowness(&self) -> usize {
        let literal = |part: &Part| matches!(part, Part::Is(_));
        self.0.iter().position(|part| !literal(part)).unwrap_or(usize::MAX)
    }

    fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut place, mut back) = (0, 0, None);
        while place < name.len() {
            match self.0.get(at) {
                Some(Part::Some) => {
                    back = Some((at, place));
                    at += 1;
                }
                Some(part) if *part == Part::Any || *part == Part::Is(name[place]) => {
                    at += 1;
                    place += 1;
                }
                // the last `%` takes in one character more
                _ => match &mut back {
                    Some((from, taken)) => {
                        *taken += 1;
                        (at, place) = (*from + 1, *taken);
                    }
                    None => return false,
                },
            }
        }
        self.0[at..].iter().all(|part| *part == Part::Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(database: &str, name: &str) -> Table {
        Table {
            database: database.into(),
            name: name.into(),
            columns: Vec::new(),
            key: Vec::new(),
            key_name: "PRIMARY".into(),
            rows_estimate: 0,
            filter: None,
        }
    }

    #[test]
    fn only_rights_over_everything_prove_that_nothing_is_hidden() {
        for (lines, keys, innodb) in [
            (&["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"][..], true, true),
            (&["GRANT REFERENCES, PROCESS ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*0'"], true, true),
            (&["GRANT PROCESS ON *.* TO `u`@`%`", "GRANT ALL PRIVILEGES ON `a`.* TO `u`@`%`"], false, true),
            (&["GRANT USAGE ON *.* TO `u`@`%`", "GRANT REFERENCES ON `a`.* TO `u`@`%`"], false, false),
            (&["GRANT SELECT ON *.* TO `u`@`%`"], false, false),
            (
                &["GRANT REFERENCES ON *.* TO `u`@`%`", "REVOKE REFERENCES ON `a`.* FROM `u`@`%`"],
                false,
                false,
            ),
            (&["GRANT `SELECT` TO `u`@`%`", "SET DEFAULT ROLE `SELECT` FOR `u`@`%`"], false, false),
            (&[], false, false),
        ] {
            let grants = Grants::new(lines.iter().copied());
            assert_eq!((grants.show_all_foreign_keys(), grants.show_innodb()), (keys, innodb), "{lines:?}");
        }
    }

    #[test]
    fn triggers_are_shown_to_who_has_that_right_on_their_table() {
        let of = |scope: &str| {
            Grants::new([format!("GRANT SELECT, TRIGGER ON {scope} TO `u`@`%`").as_str()].into_iter())
        };
        for scope in ["*.*", "`my\\_shop`.*", "`my_shop`.*", "`my_shop`.`or``ders`"] {
            assert!(of(scope).show_triggers(&table("my_shop", "or`ders")), "{scope}");
        }
        for scope in ["`my_shop`.`other`", "`shop`.*", "`my\\_shop`.`orders`", "`my%`.*", "`my__hop`.*"] {
            assert!(!of(scope).show_triggers(&table("my_shop", "or`ders")), "{scope}");
        }
        let select = Grants::new(["GRANT SELECT ON `my_shop`.* TO `u`@`%`"].into_iter());
        assert!(!select.show_triggers(&table("my_shop", "orders")));
    }

    #[test]
    fn of_several_scopes_the_narrowest_counts() {
        let grants = Grants::new(
            [
                "GRANT USAGE ON *.* TO `u`@`%`",
                "GRANT SELECT, UPDATE ON `my%`.* TO `u`@`%`",
                "GRANT SELECT ON `my\\_shop`.* TO `u`@`%`",
                "GRANT UPDATE ON `my_shop`.`orders` TO `u`@`%`",
                "GRANT SELECT (`a`) ON `other`.`t` TO `u`@`%`",
            ]
            .into_iter(),
        );
        for (database, right, there) in [
            ("my_shop", "SELECT", true),
            ("my_shop", "UPDATE", false),
            ("my", "UPDATE", true),
            ("myXshop", "UPDATE", true),
            ("our_shop", "SELECT", false),
            ("other", "SELECT", false),
        ] {
            assert_eq!(grants.allow_in(database, right), there, "{right} in {database}");
        }
        assert!(grants.allow_on("my_shop", "orders", "UPDATE"));
        assert!(!grants.allow_on("my_shop", "lines", "UPDATE") && !grants.allow(&["SELECT"]));
        assert!(Pattern::new("`%a%a%a%a%a%a%a%a%a%a%a%a%b`").matches(&format!("{}b", "a".repeat(60))));
    }
}
