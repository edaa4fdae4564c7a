//! Statements that are as deep or as long as they may be, on a thread like a client's.

use super::{Inside, Kept, error, rows, run};
use crate::session::ExecError;

/// The stack of a client's thread.
const STACK_BYTES: usize = 16 << 20;

#[test]
fn the_deepest_statement_that_is_parsed_does_not_end_the_node() {
    let deep = || {
        let inside = Inside::new();
        let mut s = inside.session();
        run(&mut s, "CREATE TABLE t (a INT PRIMARY KEY, b INT)");
        assert_eq!(rows(&mut s, &format!("SELECT 1{}", "+1".repeat(50))), ["51"]);
        for (first, more, times) in [
            ("SELECT 1", "+1", 12_000),
            ("SELECT 1", " UNION SELECT 1", 500),
            ("SELECT 1 FROM t WHERE a = 0", " OR a = 1", 5_999),
            ("UPDATE t SET b = 1", "-a", 11_999),
            ("SET @a = 1", " AND 1", 11_999),
            ("SELECT 1", " COLLATE utf8mb4_bin", 12_000),
            ("SELECT 1", " IS NULL", 12_000),
            ("SELECT 'a'", " LIKE 'a'", 12_000),
        ] {
            let sql = format!("{first}{}", more.repeat(times));
            // SQLite and this node have narrower bounds of their own: an answer is all that is asked for.
            match s.execute(sql.as_bytes(), &mut Kept::default()) {
                Ok(()) => {}
                Err(ExecError::Sql(error)) => assert!(!error.message.contains("chains"), "{more}"),
                Err(other) => panic!("{other}"),
            }
            let told = error(&mut s, &format!("{first}{}", more.repeat(20_000)));
            assert!(told.code == 1436 && told.message.contains("chains"), "{more}: {told}");
        }
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(deep).unwrap().join().unwrap();
}

#[test]
fn long_lists_are_not_deep() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (a INT PRIMARY KEY, b INT)");
    let values: Vec<String> = (0..5_000).map(|n| format!("({n}, -1 - {n})")).collect();
    run(&mut s, &format!("INSERT INTO t VALUES {}", values.join(", ")));
    let list: Vec<String> = (0..40_000).map(|n| (n - 20_000).to_string()).collect();
    assert_eq!(rows(&mut s, &format!("SELECT count(*) FROM t WHERE a IN ({})", list.join(","))), ["5000"]);
}
