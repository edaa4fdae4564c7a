//! What an account must be granted for evensum's work, what of it is missing, and the exact line that grants it.
//!
//! There are two ways to a missing right. Beforehand: what the work needs, less what `SHOW GRANTS` lists ([`Rights`]).
//! And from a refusal: the server says what it denied, in words that hold the right and most often the table
//! ([`line_for`]). Both end in a line that an administrator can run as it stands.
//!
//! Invariants:
//! * The account is the one by which the server judges (`CURRENT_USER()`), and not the one that its words name: these hold
//!   the host from which the client came, for which there may be no account.
//! * A line asks for no more than the work needs, on no more than the database in question, but for rights that a server knows on
//!   everything only.
//!
//! What is not verified: rights that come by a role count only as far as the server lists them with the user's own. So a missing
//! right here is a likely one, and a refusal is a proof.

use super::Connection;
use super::fault::Fault;
use super::grants::Grants;
use crate::dialect::identifier;
use crate::error::Result;

/// With more databases than this a right that is missing on all of them is asked for on everything.
const LINES_MOST: usize = 10;

/// For what a right is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// To see how replication stands: `status`, `doctor`, and waiting for lag.
    Look,
    /// To compare: `check`, and `sync` before it changes anything.
    Check,
    /// To mend: `sync --execute`.
    Repair,
    /// To forget old runs in the ledger.
    Forget,
}

/// Rights that are missing for one purpose in one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// For what.
    pub purpose: Purpose,
    /// The line that grants them.
    pub line: String,
}

/// An account and what it is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    account: String,
    lines: Vec<String>,
    grants: Grants,
    names: Names,
}

/// How a server calls the rights that MySQL and MariaDB name differently: any of them will do, and the first is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Names {
    links: &'static [&'static str],
    log: &'static [&'static str],
    outside_log: &'static [&'static str],
}

const MARIADB: Names = Names {
    links: &["SLAVE MONITOR", "SUPER"],
    log: &["BINLOG MONITOR", "SUPER"],
    outside_log: &["BINLOG ADMIN", "SUPER"],
};
/// MariaDB before 10.5.
const MARIADB_OLD: Names = Names {
    links: &["REPLICATION CLIENT", "SUPER"],
    log: &["REPLICATION CLIENT", "SUPER"],
    outside_log: &["SUPER"],
};
const MYSQL: Names = Names {
    links: &["REPLICATION CLIENT", "SUPER"],
    log: &["REPLICATION CLIENT", "SUPER"],
    outside_log: &["SESSION_VARIABLES_ADMIN", "SYSTEM_VARIABLES_ADMIN", "SUPER"],
};

impl Names {
    fn of(version: &str) -> Names {
        if !version.contains("MariaDB") {
            return MYSQL;
        }
        // old servers put a number before their own, for clients that are older still
        let version = version.strip_prefix("5.5.5-").unwrap_or(version);
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let old = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < (10, 5);
        if old { MARIADB_OLD } else { MARIADB }
    }
}

impl Rights {
    /// What `SHOW GRANTS` lists for the account of `CURRENT_USER()`.
    #[must_use]
    pub fn new<'a>(version: &str, account: &str, lines: impl Iterator<Item = &'a str>) -> Rights {
        // what follows is a hash of the password, or how it is checked
        let bare = |line: &str| line.split(" IDENTIFIED ").next().unwrap_or_default().to_owned();
        let lines: Vec<String> = lines.map(bare).collect();
        Rights {
            account: account.to_owned(),
            grants: Grants::new(lines.iter().map(String::as_str)),
            lines,
            names: Names::of(version),
        }
    }

    /// The account by which the server judges.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The lines, without hashes of passwords.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Whether it may read a table.
    #[must_use]
    pub fn reads(&self, database: &str, table: &str) -> bool {
        self.grants.allow_on(database, table, "SELECT")
    }

    /// Whether it may read all tables of a database, or of all databases.
    #[must_use]
    pub fn reads_all(&self, database: Option<&str>) -> bool {
        database.map_or_else(|| self.grants.allow(&["SELECT"]), |name| self.grants.allow_in(name, "SELECT"))
    }

    /// The line that lets it read a database, or all of them.
    #[must_use]
    pub fn reading(&self, database: Option<&str>) -> String {
        line("SELECT", &scope(database), &self.account)
    }

    /// What is missing for evensum's work on these tables (database and name, in order), with the ledger in that database.
    /// `outside_log` says that it was tried, and worked, to leave the log.
    #[must_use]
    pub fn missing(&self, tables: &[(&str, &str)], ledger: &str, outside_log: bool) -> Vec<Missing> {
        let mut missing = Vec::new();
        let mut add = |purpose, privileges: Vec<&str>, database: Option<&str>| {
            if !privileges.is_empty() {
                let line = line(&privileges.join(", "), &scope(database), &self.account);
                missing.push(Missing { purpose, line });
            }
        };
        let absent = |rights: &[&'static str]| -> Option<&'static str> {
            rights.first().copied().filter(|_| !self.grants.allow(rights))
        };
        let mut look: Vec<&str> = [self.names.links, self.names.log].into_iter().filter_map(absent).collect();
        look.dedup();
        add(Purpose::Look, look, None);
        let absent_in = |database: &str, rights: &[&'static str]| -> Vec<&'static str> {
            rights.iter().filter(|right| !self.grants.allow_in(database, right)).copied().collect()
        };
        // a right on each table of a database is as good as one on all of it
        let on_each = |tables: &[(&str, &str)], right: &str| {
            tables.iter().all(|(database, table)| self.grants.allow_on(database, table, right))
        };
        for (purpose, rights) in
            [(Purpose::Check, &["SELECT"][..]), (Purpose::Repair, &["INSERT", "UPDATE", "DELETE", "TRIGGER"])]
        {
            let of_database = tables.chunk_by(|a, b| a.0 == b.0).filter_map(|tables| {
                let absent = rights.iter().filter(|right| !on_each(tables, right)).copied();
                Some((tables.first()?.0, absent.collect::<Vec<_>>()))
            });
            let lacking: Vec<_> = of_database.collect();
            let alike = lacking.windows(2).all(|pair| pair[0].1 == pair[1].1);
            match lacking.first() {
                Some((_, first)) if alike && lacking.len() > LINES_MOST => add(purpose, first.clone(), None),
                _ => lacking.into_iter().for_each(|(name, lacking)| add(purpose, lacking, Some(name))),
            }
        }
        add(Purpose::Check, absent_in(ledger, &["SELECT", "INSERT", "CREATE"]), Some(ledger));
        let outside_log = absent(self.names.outside_log).filter(|_| !outside_log);
        let everywhere = [outside_log, absent(&["REFERENCES"])];
        add(Purpose::Repair, everywhere.into_iter().flatten().collect(), None);
        add(Purpose::Forget, absent_in(ledger, &["DELETE"]), Some(ledger));
        missing
    }
}

impl Connection {
    /// The account of this connection, and what it is granted.
    ///
    /// # Errors
    /// If the server does not say.
    pub async fn rights(&mut self) -> Result<Rights> {
        let what = "the list of its grants";
        let mut rights = Vec::new();
        for sql in ["SELECT VERSION()", "SELECT CURRENT_USER()"] {
            let answer = self.main.ask(sql).await.map_err(|fault| self.error(fault, what))?;
            rights.push(answer.rows.into_iter().flatten().flatten().next().unwrap_or_default());
        }
        let mut answer = self.main.ask("SHOW GRANTS").await.map_err(|fault| self.error(fault, what))?;
        // MySQL lists what comes by the roles in use only when asked to
        if let Ok(roles) = self.main.ask("SELECT CURRENT_ROLE()").await
            && let Some(Some(roles)) = roles.rows.first().and_then(|row| row.first())
            && roles.contains("`@`")
            && let Ok(all) = self.main.ask(&format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}")).await
        {
            answer = all;
        }
        let lines = answer.rows.iter().flatten().flatten().map(String::as_str);
        Ok(Rights::new(&rights[0], &rights[1], lines))
    }
}

fn scope(database: Option<&str>) -> String {
    database.map_or_else(|| "*.*".to_owned(), |name| format!("{}.*", identifier(name)))
}

fn line(privileges: &str, scope: &str, account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    format!("GRANT {privileges} ON {scope} TO {}@{};", identifier(user), identifier(host))
}

/// The line that grants what a server refused, if it refused a right. `database` is where the statement was at work, for servers whose
/// words do not name it.
pub(super) fn line_for(fault: &Fault, account: &str, database: Option<&str>) -> Option<String> {
    let Fault::Server { number, message } = fault else { return None };
    let (privileges, database) = match number {
        // Access denied for user … to database 'd': in our statements only CREATE DATABASE is refused so
        1044 => ("CREATE".to_owned(), Some(between(message, "to database '", "'")?)),
        // SELECT command denied to user … for table `d`.`t` | for table 't' | for column 'c' in table 't'
        1142 | 1143 => {
            let (command, rest) = message.split_once(" command denied to user ")?;
            let command = match command.strip_suffix(" with locking clause") {
                Some(command) => format!("{command}, LOCK TABLES"),
                None => command.to_owned(),
            };
            let named = rest.split_once("table `").and_then(|(_, rest)| rest.split_once("`.`"));
            let named = named.map(|(database, _)| database.replace("``", "`"));
            (command, Some(named.or_else(|| database.map(str::to_owned))?))
        }
        // you need (at least one of) the SUPER, BINLOG ADMIN privilege(s) for this operation
        1227 => {
            let rights = between(message, "(at least one of) the ", " privilege(s)")?.replace(" or ", ", ");
            // the last is the least
            (rights.rsplit(", ").find(|right| *right != "SUPER").unwrap_or("SUPER").to_owned(), None)
        }
        // execute command denied to user … for routine 'd.r'
        1370 => {
            let (command, rest) = message.split_once(" command denied to user ")?;
            let database = between(rest, "for routine '", ".")?;
            (command.to_ascii_uppercase(), Some(database))
        }
        _ => return None,
    };
    let known = |c: char| c.is_ascii_uppercase() || matches!(c, ' ' | ',' | '_');
    privileges.chars().all(known).then(|| line(&privileges, &scope(database.as_deref()), account))
}

/// The server's words, and the line that would let it pass.
pub(super) fn words(fault: &Fault, account: &str, database: &str) -> String {
    match line_for(fault, account, Some(database)) {
        Some(line) => format!("{}; to allow it: {line}", fault.words()),
        None => fault.words(),
    }
}

/// The line for a right of which the server said nothing, because it only shows less without it.
pub(super) fn line_on(privilege: &str, database: Option<&str>, account: &str) -> String {
    line(privilege, &scope(database), account)
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    Some(text.split_once(start)?.1.split_once(end)?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "10.11.19-MariaDB-0+deb12u1-log";

    fn rights(version: &str, lines: &[&str]) -> Rights {
        Rights::new(version, "c@10.0.%", lines.iter().copied())
    }

    fn lines(rights: &Rights, purpose: Purpose) -> Vec<String> {
        let missing =
            rights.missing(&[("shop", "a"), ("shop", "b"), ("blog", "c")], "evensum", false).into_iter();
        missing.filter(|missing| missing.purpose == purpose).map(|missing| missing.line).collect()
    }

    #[test]
    fn what_is_missing_is_one_line_per_scope() {
        let none = rights(NEW, &["GRANT USAGE ON *.* TO `c`@`10.0.%` IDENTIFIED BY PASSWORD '*0123'"]);
        assert_eq!(none.lines(), ["GRANT USAGE ON *.* TO `c`@`10.0.%`"]);
        assert_eq!(
            lines(&none, Purpose::Look),
            ["GRANT SLAVE MONITOR, BINLOG MONITOR ON *.* TO `c`@`10.0.%`;"]
        );
        assert_eq!(
            lines(&none, Purpose::Check),
            [
                "GRANT SELECT ON `shop`.* TO `c`@`10.0.%`;",
                "GRANT SELECT ON `blog`.* TO `c`@`10.0.%`;",
                "GRANT SELECT, INSERT, CREATE ON `evensum`.* TO `c`@`10.0.%`;",
            ]
        );
        assert_eq!(
            lines(&none, Purpose::Repair)[2],
            "GRANT BINLOG ADMIN, REFERENCES ON *.* TO `c`@`10.0.%`;"
        );
        let some = rights(
            "8.4.3",
            &[
                "GRANT SELECT, REPLICATION CLIENT ON *.* TO `c`@`10.0.%`",
                "GRANT SYSTEM_VARIABLES_ADMIN ON *.* TO `c`@`10.0.%`",
                "GRANT INSERT, CREATE ON `evensum`.* TO `c`@`10.0.%`",
            ],
        );
        assert!(lines(&some, Purpose::Look).is_empty() && lines(&some, Purpose::Check).is_empty());
        assert_eq!(lines(&some, Purpose::Repair)[2], "GRANT REFERENCES ON *.* TO `c`@`10.0.%`;");
        let single = [
            "GRANT SELECT ON `shop`.`a` TO `c`@`10.0.%`",
            "GRANT SELECT ON `shop`.`b` TO `c`@`10.0.%`",
            "GRANT SELECT, INSERT, CREATE ON `evensum`.* TO `c`@`10.0.%`",
        ];
        assert_eq!(
            lines(&rights(NEW, &single), Purpose::Check),
            ["GRANT SELECT ON `blog`.* TO `c`@`10.0.%`;"]
        );
        let all = rights(NEW, &["GRANT ALL PRIVILEGES ON *.* TO `c`@`10.0.%` WITH GRANT OPTION"]);
        assert_eq!(all.missing(&[("shop", "a")], "evensum", false), []);
        let many: Vec<String> = (0..20).map(|n| format!("d{n}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "t")).collect();
        assert_eq!(none.missing(&many, "e", false)[1].line, "GRANT SELECT ON *.* TO `c`@`10.0.%`;");
    }

    #[test]
    fn old_servers_have_other_names() {
        for (version, right) in [
            (NEW, "BINLOG ADMIN"),
            ("5.5.5-10.4.34-MariaDB", "SUPER"),
            ("8.0.36", "SESSION_VARIABLES_ADMIN"),
            ("11.8.2-MariaDB", "BINLOG ADMIN"),
        ] {
            let repair = lines(&rights(version, &[]), Purpose::Repair);
            assert_eq!(repair[2], format!("GRANT {right}, REFERENCES ON *.* TO `c`@`10.0.%`;"));
        }
    }

    #[test]
    fn a_refusal_says_which_line_is_missing() {
        for (number, message, line) in [
            (1044, "Access denied for user 'c'@'h' to database 'evensum'", "CREATE ON `evensum`.*"),
            (1142, "SELECT command denied to user 'c'@'h' for table `a``b`.`t`", "SELECT ON `a``b`.*"),
            (1142, "INSERT command denied to user 'c'@'h' for table 't'", "INSERT ON `here`.*"),
            (
                1142,
                "SELECT with locking clause command denied to user 'c'@'h' for table 't'",
                "SELECT, LOCK TABLES ON `here`.*",
            ),
            (1143, "SELECT command denied to user 'c'@'h' for column 'v' in table 't'", "SELECT ON `here`.*"),
            (
                1227,
                "Access denied; you need (at least one of) the SUPER, BINLOG ADMIN privilege(s) for this operation",
                "BINLOG ADMIN ON *.*",
            ),
            (
                1227,
                "Access denied; you need (at least one of) the SUPER, SYSTEM_VARIABLES_ADMIN or \
                 SESSION_VARIABLES_ADMIN privilege(s) for this operation",
                "SESSION_VARIABLES_ADMIN ON *.*",
            ),
            (1370, "execute command denied to user 'c'@'h' for routine 'shop.f'", "EXECUTE ON `shop`.*"),
        ] {
            let fault = Fault::Server { number, message: message.into() };
            let expected = format!("GRANT {line} TO `c`@`10.0.%`;");
            assert_eq!(line_for(&fault, "c@10.0.%", Some("here")), Some(expected));
        }
        for (number, message) in [(1045, "Access denied for user 'c'@'h'"), (1142, "odd"), (1227, "odd; x")] {
            let fault = Fault::Server { number, message: message.into() };
            assert_eq!(line_for(&fault, "c@h", Some("here")), None);
        }
    }
}
