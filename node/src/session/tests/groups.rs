//! Short transactions that are committed together: who shares a commit, and what becomes of all when one fails.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{ExecError, Inside, Kept, error, rows, run};
use crate::SqlError;
use crate::session::Session;

/// A table with row 1.
fn table() -> (Arc<Inside>, Session) {
    let inside = Arc::new(Inside::new());
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10))");
    run(&mut s, "INSERT INTO t VALUES (1, 'a')");
    inside.logged();
    (inside, s)
}

type Failed = Option<SqlError>;

/// Has `s` keep all others from writing until each statement waits for its turn in a session of its own, in this order; then `s` ends its transaction.
fn together(
    inside: &Arc<Inside>,
    s: &mut Session,
    end: &str,
    statements: &[&'static str],
) -> Vec<JoinHandle<Failed>> {
    let sessions: Vec<Session> = statements.iter().map(|_| inside.session()).collect();
    run(s, "BEGIN");
    run(s, "UPDATE t SET v = 'held'");
    let start = |(at, (mut session, &sql)): (usize, (Session, &&'static str))| {
        let thread = std::thread::spawn(move || {
            let explicit = sql.strip_prefix("BEGIN; ");
            if explicit.is_some() {
                run(&mut session, "BEGIN");
            }
            let failed = session.execute(explicit.unwrap_or(sql).as_bytes(), &mut Kept::default());
            if explicit.is_some() {
                run(&mut session, "COMMIT");
            }
            if failed.is_err() {
                // who was refused for the sake of another's row can read that row
                let seen = rows(&mut session, "SELECT COUNT(*) FROM t WHERE v IN ('c', 'held')");
                assert_ne!(seen, ["0"], "{sql}");
            }
            match failed {
                Ok(()) => None,
                Err(ExecError::Sql(error)) => Some(error),
                Err(ExecError::Client(error)) => panic!("{error}"),
            }
        });
        let began = Instant::now();
        while inside.engine.store.writer.waiting() <= at {
            assert!(began.elapsed() < Duration::from_secs(20), "{sql} does not wait for its turn");
            std::thread::yield_now();
        }
        thread
    };
    let threads = sessions.into_iter().zip(statements).enumerate().map(start).collect();
    run(s, end);
    threads
}

fn codes(threads: Vec<JoinHandle<Failed>>) -> Vec<u16> {
    threads.into_iter().map(|thread| thread.join().unwrap().map_or(0, |error| error.code)).collect()
}

/// How many commits there were since the sessions were made.
fn commits(inside: &Inside, before: u64, sessions: u64) -> u64 {
    inside.engine.store.disk.visible() - before - sessions
}

#[test]
fn short_transactions_that_wait_share_a_commit_and_keep_their_order_in_the_log() {
    let (inside, mut s) = table();
    let before = inside.engine.store.disk.visible();
    let statements = [
        "INSERT INTO t VALUES (2, 'b')",
        "INSERT INTO t VALUES (3, 'c')",
        "INSERT INTO t VALUES (3, 'no')",
        "UPDATE t SET v = 'd' WHERE id = 2",
        "DELETE FROM t WHERE id = 99",
    ];
    // one fails by itself, and takes nobody with it
    assert_eq!(codes(together(&inside, &mut s, "COMMIT", &statements)), [0, 0, 1062, 0, 0]);
    assert_eq!(
        commits(&inside, before, 5),
        3,
        "the one that held all, those up to the refusal, and the others"
    );
    assert_eq!(rows(&mut s, "SELECT * FROM t ORDER BY id"), ["1|held", "2|d", "3|c"]);
    let numbers: Vec<u64> = inside.logged().iter().map(|logged| logged.gtid.sequence).collect();
    assert_eq!(numbers.len(), 4 + statements.len());
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
}

#[test]
fn a_transaction_that_may_last_takes_nobody_with_it() {
    let (inside, mut s) = table();
    let before = inside.engine.store.disk.visible();
    let statements = [
        "INSERT INTO t VALUES (2, 'b')",
        "BEGIN; INSERT INTO t VALUES (3, 'c')",
        "INSERT INTO t VALUES (4, 'd')",
        "UPDATE t SET v = 'all'",
    ];
    assert_eq!(codes(together(&inside, &mut s, "COMMIT", &statements)), [0; 4]);
    assert_eq!(commits(&inside, before, 4), 5);
    assert_eq!(rows(&mut s, "SELECT * FROM t ORDER BY id"), ["1|all", "2|all", "3|all", "4|all"]);
}

#[test]
fn nobody_is_told_of_success_if_the_common_commit_fails() {
    let (inside, mut s) = table();
    let statements = ["INSERT INTO t VALUES (2, 'b')", "INSERT INTO t VALUES (3, 'c')"];
    assert_eq!(codes(together(&inside, &mut s, "ROLLBACK", &statements)), [0, 0]);
    // The next commits are those of making the sessions, that of the transaction that held all, and that of the group: SQLite makes a
    // rollback of it.
    let statements =
        ["INSERT INTO t VALUES (4, 'd')", "DELETE FROM t WHERE id = 3", "INSERT INTO t VALUES (1, 'no')"];
    let mut left = statements.len() + 1;
    let mut pen = inside.engine.store.take_pen().unwrap();
    let last = move || {
        left = left.wrapping_sub(1);
        left == usize::MAX
    };
    pen.conn.commit_hook(Some(last)).unwrap();
    inside.engine.store.pen.put(pen);
    let codes = codes(together(&inside, &mut s, "COMMIT", &statements));
    assert!(codes[0] != 0 && codes[1] != 0, "{codes:?}");
    // the row that stood in its way was there, but nobody could be sure of the others
    assert_eq!(codes[2], 1213);
    assert_eq!(rows(&mut s, "SELECT * FROM t ORDER BY id"), ["1|held", "2|held", "3|held"]);
    run(&mut s, "INSERT INTO t VALUES (5, 'e')");
    assert_eq!(error(&mut s, "INSERT INTO t VALUES (5, 'e')").code, 1062);
}
