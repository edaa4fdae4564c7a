//! What SHOW STATUS counts: for the server since it began, and for each session since its own beginning.
//!
//! Every number is counted where it happens. Counters that MySQL has and nothing here measures are not shown at all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The kinds of statements that are counted, as MySQL calls them behind `Com_`, in the order of their names.
const COMMANDS: [&str; 47] = [
    "admin_commands",
    "alter_table",
    "analyze",
    "begin",
    "change_db",
    "change_master",
    "check",
    "checksum",
    "commit",
    "create_db",
    "create_index",
    "create_table",
    "delete",
    "do",
    "drop_db",
    "drop_index",
    "drop_table",
    "explain_other",
    "flush",
    "insert",
    "kill",
    "lock_tables",
    "optimize",
    "purge",
    "release_savepoint",
    "rename_table",
    "replace",
    "reset",
    "rollback",
    "rollback_to_savepoint",
    "savepoint",
    "select",
    "set_option",
    "show_create_table",
    "show_databases",
    "show_fields",
    "show_keys",
    "show_processlist",
    "show_status",
    "show_tables",
    "show_variables",
    "show_warnings",
    "slave_start",
    "slave_stop",
    "truncate",
    "unlock_tables",
    "update",
];

/// The counters of the server or of one session.
pub struct Counters {
    since: Instant,
    /// Bytes that clients sent.
    pub bytes_received: AtomicU64,
    /// Bytes that clients were sent.
    pub bytes_sent: AtomicU64,
    /// Commands of clients.
    pub questions: AtomicU64,
    /// Clients that came, let in or not.
    pub connections: AtomicU64,
    /// The most clients that were there at once.
    pub max_used_connections: AtomicU64,
    /// Statements that the thread took up which writes for many clients.
    pub written_for: AtomicU64,
    /// Of these, those that had to wait, for a lock or for the client to read, and got a thread of their own.
    pub set_aside: AtomicU64,
    commands: [AtomicU64; COMMANDS.len()],
}

impl Default for Counters {
    fn default() -> Counters {
        Counters {
            since: Instant::now(),
            bytes_received: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            questions: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            max_used_connections: AtomicU64::new(0),
            written_for: AtomicU64::new(0),
            set_aside: AtomicU64::new(0),
            commands: [const { AtomicU64::new(0) }; COMMANDS.len()],
        }
    }
}

impl Counters {
    /// Counts a statement that begins with these words.
    pub fn command(&self, words: &[&str]) {
        let Some(kind) = kind(words) else { return };
        if let Ok(at) = COMMANDS.binary_search(&kind) {
            self.commands[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Seconds since the counting began.
    #[must_use]
    pub fn uptime(&self) -> u64 {
        self.since.elapsed().as_secs()
    }

    /// What a session has of its own.
    #[must_use]
    pub fn of_session(&self) -> Vec<(String, u64)> {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let commands = COMMANDS.iter().zip(&self.commands);
        let mut all: Vec<(String, u64)> =
            commands.map(|(name, counter)| (format!("Com_{name}"), number(counter))).collect();
        all.push(("Bytes_received".to_owned(), number(&self.bytes_received)));
        all.push(("Bytes_sent".to_owned(), number(&self.bytes_sent)));
        all.push(("Questions".to_owned(), number(&self.questions)));
        all
    }

    /// What only the server has.
    #[must_use]
    pub fn of_server(&self) -> Vec<(String, u64)> {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        vec![
            ("Connections".to_owned(), number(&self.connections)),
            ("Evensum_scribe_set_aside".to_owned(), number(&self.set_aside)),
            ("Evensum_scribe_statements".to_owned(), number(&self.written_for)),
            ("Max_used_connections".to_owned(), number(&self.max_used_connections)),
            ("Uptime".to_owned(), self.uptime()),
        ]
    }
}

/// MySQL's name of a statement's kind.
fn kind(words: &[&str]) -> Option<&'static str> {
    Some(match words {
        ["SELECT" | "WITH", ..] => "select",
        ["INSERT", ..] => "insert",
        ["REPLACE", ..] => "replace",
        ["UPDATE", ..] => "update",
        ["DELETE", ..] => "delete",
        ["BEGIN", ..] | ["START", "TRANSACTION", ..] => "begin",
        ["COMMIT", ..] => "commit",
        ["ROLLBACK", "TO", ..] | ["ROLLBACK", "WORK", "TO", ..] => "rollback_to_savepoint",
        ["ROLLBACK", ..] => "rollback",
        ["SAVEPOINT", ..] => "savepoint",
        ["RELEASE", ..] => "release_savepoint",
        ["USE", ..] => "change_db",
        ["SET", ..] => "set_option",
        ["DO", ..] => "do",
        ["LOCK", ..] => "lock_tables",
        ["UNLOCK", ..] => "unlock_tables",
        ["KILL", ..] => "kill",
        ["FLUSH", ..] => "flush",
        ["PURGE", ..] => "purge",
        ["RESET", ..] => "reset",
        ["TRUNCATE", ..] => "truncate",
        ["RENAME", ..] => "rename_table",
        ["ANALYZE", ..] => "analyze",
        ["CHECK", ..] => "check",
        ["CHECKSUM", ..] => "checksum",
        ["OPTIMIZE", ..] => "optimize",
        ["EXPLAIN", ..] => "explain_other",
        ["ALTER", "TABLE", ..] => "alter_table",
        ["CHANGE", ..] => "change_master",
        ["START", "SLAVE" | "REPLICA", ..] => "slave_start",
        ["STOP", "SLAVE" | "REPLICA", ..] => "slave_stop",
        ["CREATE", "TABLE", ..] => "create_table",
        ["CREATE", "DATABASE" | "SCHEMA", ..] => "create_db",
        ["CREATE", "INDEX" | "UNIQUE", ..] => "create_index",
        ["DROP", "TABLE", ..] => "drop_table",
        ["DROP", "DATABASE" | "SCHEMA", ..] => "drop_db",
        ["DROP", "INDEX", ..] => "drop_index",
        ["DESCRIBE" | "DESC", ..] => "show_fields",
        ["SHOW", "FULL" | "GLOBAL" | "SESSION", what, ..] | ["SHOW", what, ..] => return shown(what, words),
        _ => return None,
    })
}

fn shown(what: &str, words: &[&str]) -> Option<&'static str> {
    Some(match what {
        "TABLES" => "show_tables",
        "DATABASES" | "SCHEMAS" => "show_databases",
        "COLUMNS" | "FIELDS" => "show_fields",
        "INDEX" | "INDEXES" | "KEYS" => "show_keys",
        "STATUS" => "show_status",
        "VARIABLES" => "show_variables",
        "WARNINGS" => "show_warnings",
        "PROCESSLIST" => "show_processlist",
        "CREATE" if words.contains(&"TABLE") => "show_create_table",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_in_order_and_each_kind_is_one_of_them() {
        assert!(COMMANDS.is_sorted());
        let counters = Counters::default();
        for words in
            [&["SELECT"][..], &["SHOW", "FULL", "TABLES"], &["START", "TRANSACTION"], &["CREATE", "TABLE"]]
        {
            counters.command(words);
        }
        counters.command(&["NONSENSE"]);
        let counted: Vec<String> = counters
            .of_session()
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| format!("{name}={n}"))
            .collect();
        assert_eq!(counted, ["Com_begin=1", "Com_create_table=1", "Com_select=1", "Com_show_tables=1"]);
    }
}
