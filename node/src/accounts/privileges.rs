//! Privileges by name, and sets of them.
//!
//! The names are MySQL's, with MariaDB's names of the same rights as second names. Some are kept and shown although
//! nothing here asks for them (there are no routines, views or files to guard), so that a GRANT that was written for
//! another server says the same here. Invariant: a set that is written and read again is the same set.

use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Where a privilege can be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// On a table, a database, or everything.
    Table,
    /// On a database or everything.
    Database,
    /// On everything only.
    Global,
}

macro_rules! privileges {
    ($($name:ident = $text:literal at $level:ident $(or $other:literal)*;)*) => {
        /// One privilege.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // the names are MySQL's own
        pub enum Privilege { $($name,)* }

        impl Privilege {
            /// All of them, in the order in which MySQL lists them.
            pub const ALL: &'static [Privilege] = &[$(Privilege::$name,)*];

            /// Its name in GRANT and SHOW GRANTS.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Privilege::$name => $text,)* }
            }

            /// Where it can be granted.
            #[must_use]
            pub const fn level(self) -> Level {
                match self { $(Privilege::$name => Level::$level,)* }
            }

            /// The privilege of that name, which is in capital letters.
            #[must_use]
            pub fn of_name(name: &str) -> Option<Privilege> {
                match name {
                    $($text $(| $other)* => Some(Privilege::$name),)*
                    _ => None,
                }
            }
        }
    };
}

privileges! {
    Select = "SELECT" at Table;
    Insert = "INSERT" at Table;
    Update = "UPDATE" at Table;
    Delete = "DELETE" at Table;
    Create = "CREATE" at Table;
    Drop = "DROP" at Table;
    Reload = "RELOAD" at Global;
    Shutdown = "SHUTDOWN" at Global;
    Process = "PROCESS" at Global;
    File = "FILE" at Global;
    References = "REFERENCES" at Table;
    Index = "INDEX" at Table;
    Alter = "ALTER" at Table;
    ShowDatabases = "SHOW DATABASES" at Global;
    Super = "SUPER" at Global;
    CreateTemporaryTables = "CREATE TEMPORARY TABLES" at Database;
    LockTables = "LOCK TABLES" at Database;
    Execute = "EXECUTE" at Database;
    ReplicationSlave = "REPLICATION SLAVE" at Global or "REPLICATION REPLICA";
    ReplicationClient = "REPLICATION CLIENT" at Global or "BINLOG MONITOR";
    CreateView = "CREATE VIEW" at Table;
    ShowView = "SHOW VIEW" at Table;
    CreateRoutine = "CREATE ROUTINE" at Database;
    AlterRoutine = "ALTER ROUTINE" at Database;
    CreateUser = "CREATE USER" at Global;
    Event = "EVENT" at Database;
    Trigger = "TRIGGER" at Table;
    BackupAdmin = "BACKUP_ADMIN" at Global;
    CloneAdmin = "CLONE_ADMIN" at Global;
    BinlogAdmin = "BINLOG_ADMIN" at Global or "BINLOG ADMIN";
    ConnectionAdmin = "CONNECTION_ADMIN" at Global or "CONNECTION ADMIN" or "READ_ONLY ADMIN";
    ReplicationSlaveAdmin = "REPLICATION_SLAVE_ADMIN" at Global
        or "REPLICATION SLAVE ADMIN" or "REPLICATION REPLICA ADMIN" or "REPLICA MONITOR" or "SLAVE MONITOR";
    SystemVariablesAdmin = "SYSTEM_VARIABLES_ADMIN" at Global;
    SessionVariablesAdmin = "SESSION_VARIABLES_ADMIN" at Global;
    GrantOption = "GRANT OPTION" at Table;
}

/// A set of privileges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", from = "Vec<String>")]
pub struct Privileges(u64);

impl From<Privileges> for Vec<String> {
    fn from(set: Privileges) -> Vec<String> {
        set.iter().map(|privilege| privilege.name().to_owned()).collect()
    }
}

impl From<Vec<String>> for Privileges {
    fn from(names: Vec<String>) -> Privileges {
        // A name of a later version gives no right here.
        names.iter().filter_map(|name| Privilege::of_name(name)).collect()
    }
}

impl FromIterator<Privilege> for Privileges {
    fn from_iter<I: IntoIterator<Item = Privilege>>(privileges: I) -> Privileges {
        privileges.into_iter().fold(Privileges::default(), |set, privilege| set.with(privilege))
    }
}

const fn bit(privilege: Privilege) -> u64 {
    1 << privilege as u32
}

impl Privileges {
    /// No privilege: USAGE.
    pub const NONE: Privileges = Privileges(0);

    /// What ALL PRIVILEGES means there; the GRANT OPTION is not part of it.
    #[must_use]
    pub fn all(level: Level) -> Privileges {
        let fits = |privilege: &Privilege| privilege.level() <= level && *privilege != Privilege::GrantOption;
        Privilege::ALL.iter().copied().filter(fits).collect()
    }

    /// Everything: what the accounts of the configuration have.
    #[must_use]
    pub fn everything() -> Privileges {
        Privileges::all(Level::Global).with(Privilege::GrantOption)
    }

    /// The set with one more.
    #[must_use]
    pub const fn with(self, privilege: Privilege) -> Privileges {
        Privileges(self.0 | bit(privilege))
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Privileges) -> Privileges {
        Privileges(self.0 | other.0)
    }

    /// The set without those.
    #[must_use]
    pub const fn without(self, other: Privileges) -> Privileges {
        Privileges(self.0 & !other.0)
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn has(self, privilege: Privilege) -> bool {
        self.0 & bit(privilege) != 0
    }

    /// Whether all of those are in the set.
    #[must_use]
    pub const fn has_all(self, others: Privileges) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether any of those is in the set.
    #[must_use]
    pub const fn has_any(self, others: Privileges) -> bool {
        self.0 & others.0 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members, in MySQL's order.
    pub fn iter(self) -> impl Iterator<Item = Privilege> {
        Privilege::ALL.iter().copied().filter(move |privilege| self.has(*privilege))
    }

    /// The list as GRANT takes it; the GRANT OPTION stands elsewhere there.
    #[must_use]
    pub fn text(self, level: Level) -> String {
        let set = self.without(Privileges::NONE.with(Privilege::GrantOption));
        if set.is_empty() {
            return "USAGE".to_owned();
        }
        if set.has_all(Privileges::all(level)) {
            return "ALL PRIVILEGES".to_owned();
        }
        let mut text = String::new();
        for privilege in set.iter() {
            let _ = write!(text, "{}{}", if text.is_empty() { "" } else { ", " }, privilege.name());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_the_same_after_a_journey() {
        for set in [Privileges::NONE, Privileges::everything(), Privileges::all(Level::Table)] {
            let text = serde_json::to_string(&set).unwrap();
            assert_eq!(serde_json::from_str::<Privileges>(&text).unwrap(), set, "{text}");
        }
        assert!(Privilege::ALL.len() <= 64);
    }

    #[test]
    fn a_list_is_written_as_grant_takes_it() {
        let few: Privileges = [Privilege::Insert, Privilege::Select].into_iter().collect();
        assert_eq!(few.text(Level::Table), "SELECT, INSERT");
        assert_eq!(Privileges::NONE.with(Privilege::GrantOption).text(Level::Global), "USAGE");
        assert_eq!(Privileges::all(Level::Database).text(Level::Database), "ALL PRIVILEGES");
        assert!(Privileges::all(Level::Database).text(Level::Global).starts_with("SELECT, INSERT"));
    }

    #[test]
    fn both_servers_names_are_known() {
        assert_eq!(Privilege::of_name("BINLOG MONITOR"), Some(Privilege::ReplicationClient));
        assert_eq!(Privilege::of_name("REPLICATION SLAVE ADMIN"), Some(Privilege::ReplicationSlaveAdmin));
        assert_eq!(Privilege::of_name("FLY"), None);
    }
}
