//! What this session may see, by its own grants.
//!
//! `information_schema` shows a user only what it has a right on, and says nothing of the rest. So the absence of a
//! trigger or of a foreign key there proves something only to a user whose rights reach over all that could be there.
//!
//! Invariant: a line that is not understood proves nothing, and a line that takes something away (MySQL's partial
//! revokes) ends every right over all databases. Rights that come by a role count where the server lists them with the
//! user's own, as MariaDB does for the role in use.

use crate::table::Table;

/// The answer to `SHOW GRANTS`, as far as it says what is visible.
#[derive(Debug, Default)]
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
            grants.lines.push((scope.replace("\\_", "_").replace("\\%", "%"), rights));
        }
        grants
    }

    fn has(&self, scopes: &[&str], right: &str) -> bool {
        let mut lines = self.lines.iter().filter(|(scope, _)| scopes.contains(&scope.as_str()));
        lines.any(|(_, rights)| rights.iter().any(|known| known == right || known == "ALL PRIVILEGES"))
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
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        let database = format!("{}.*", quoted(&table.database));
        let own = format!("{}.{}", quoted(&table.database), quoted(&table.name));
        self.has(&[&database, &own], "TRIGGER") || (!self.restricted && self.has(&["*.*"], "TRIGGER"))
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
        for scope in ["*.*", "`my\\_shop`.*", "`my_shop`.`or``ders`"] {
            assert!(of(scope).show_triggers(&table("my_shop", "or`ders")), "{scope}");
        }
        for scope in ["`my_shop`.`other`", "`shop`.*", "`my\\_shop`.`orders`"] {
            assert!(!of(scope).show_triggers(&table("my_shop", "or`ders")), "{scope}");
        }
        let select = Grants::new(["GRANT SELECT ON `my_shop`.* TO `u`@`%`"].into_iter());
        assert!(!select.show_triggers(&table("my_shop", "orders")));
    }
}
