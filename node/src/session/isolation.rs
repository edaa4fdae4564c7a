//! Isolation levels: how long a transaction reads from one snapshot.
//!
//! REPEATABLE READ keeps its snapshot until it ends or writes; READ COMMITTED takes one for each statement. READ UNCOMMITTED does the same: a
//! node shows nothing that is not committed, which every level allows. SERIALIZABLE is refused. Once a transaction has written it is the only
//! writer, and reads what is committed beside its own rows, at each level: there MySQL's REPEATABLE READ goes on with the snapshot.

use super::Session;
use crate::SqlError;

/// The two names of the variable.
pub const NAMES: [&str; 2] = ["transaction_isolation", "tx_isolation"];

/// What SET TRANSACTION said of the next transaction alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Next {
    /// It may only read.
    pub read_only: bool,
    /// Its level.
    pub level: Option<&'static str>,
}

/// A level as its variable shows it.
pub fn level(name: &str) -> Result<&'static str, SqlError> {
    match name.to_ascii_uppercase().replace(' ', "-").as_str() {
        "REPEATABLE-READ" => Ok("REPEATABLE-READ"),
        "READ-COMMITTED" => Ok("READ-COMMITTED"),
        "READ-UNCOMMITTED" => Ok("READ-UNCOMMITTED"),
        "SERIALIZABLE" => Err(SqlError::unsupported("SERIALIZABLE")),
        _ => Err(SqlError::new(
            1231,
            "42000",
            format!("Variable 'tx_isolation' can't be set to the value of '{name}'"),
        )),
    }
}

impl Session {
    /// Whether a transaction that begins now takes a snapshot for each statement.
    pub(super) fn will_read_committed(&self) -> bool {
        let level = || self.variables.get(NAMES[0]).is_ok_and(|level| level != "REPEATABLE-READ");
        self.next.level.map_or_else(level, |level| level != "REPEATABLE-READ")
    }
}

#[cfg(test)]
mod tests {
    use crate::session::tests::{Inside, error, rows, run};

    #[test]
    fn read_committed_sees_what_others_commit_meanwhile_and_repeatable_read_does_not() {
        let inside = Inside::new();
        let (mut a, mut b) = (inside.session(), inside.session());
        run(&mut a, "CREATE TABLE t (n INT PRIMARY KEY)");
        let mut n = 0;
        let mut sees = |a: &mut crate::session::Session| {
            n += 1;
            let before = rows(a, "SELECT COUNT(*) FROM t");
            run(&mut b, &format!("INSERT INTO t VALUES ({n})"));
            rows(a, "SELECT COUNT(*) FROM t") != before
        };
        for (set, begin, wanted) in [
            ("SELECT 1", "BEGIN", false),
            ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN", true),
            ("SELECT 1", "BEGIN", false),
            ("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN", true),
            ("SELECT 1", "START TRANSACTION WITH CONSISTENT SNAPSHOT", true),
            ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "BEGIN", false),
            ("SET tx_isolation = 'read-uncommitted'", "BEGIN", true),
            ("SET autocommit = 0", "SELECT 1", true),
            ("SET transaction_isolation = 'REPEATABLE-READ'", "SELECT 1", false),
        ] {
            run(&mut a, "COMMIT");
            run(&mut a, set);
            run(&mut a, begin);
            assert_eq!(sees(&mut a), wanted, "{set}; {begin}");
        }
        run(&mut a, "COMMIT");
        assert_eq!(
            rows(&mut a, "SELECT @@tx_isolation, @@transaction_isolation"),
            ["REPEATABLE-READ|REPEATABLE-READ"]
        );
        run(&mut a, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
        assert_eq!(
            rows(&mut a, "SELECT @@tx_isolation, @@transaction_isolation"),
            ["READ-COMMITTED|READ-COMMITTED"]
        );
        run(&mut a, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
        // a level for one transaction lasts as long as that, also where it began by itself
        for statement in ["SET autocommit = 0", "COMMIT", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"] {
            run(&mut a, statement);
        }
        for _ in 0..3 {
            assert!(sees(&mut a));
        }
        run(&mut a, "COMMIT");
        assert!(!sees(&mut a));
        assert_eq!(error(&mut a, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").code, 1235);
        assert_eq!(error(&mut a, "SET tx_isolation = 'chaos'").code, 1231);
    }
}
