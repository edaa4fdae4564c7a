//! Short transactions that are committed together: who shares a commit, and what becomes of all when one fails.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use database::Gtid;
use rusqlite::types::Value as Stored;

use super::{ExecError, Inside, Kept, error, rows, run};
use crate::SqlError;
use crate::change::{Body, Change, Transaction};
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
            let done = match sql.strip_prefix("APPLY ") {
                Some(id) => {
                    session.apply(&insert_of(id.parse().unwrap()), &|_| Ok(())).map_err(ExecError::Sql)
                }
                None => session.execute(explicit.unwrap_or(sql).as_bytes(), &mut Kept::default()),
            };
            if explicit.is_some() {
                run(&mut session, "COMMIT");
            }
            let failed = match done {
                Ok(()) => return None,
                Err(ExecError::Sql(error)) => error,
                Err(ExecError::Client(error)) => panic!("{error}"),
            };
            if failed.code == 1062 {
                // who was refused for the sake of another's row can read that row
                let id: String = sql
                    .chars()
                    .skip_while(|c| !c.is_ascii_digit())
                    .take_while(char::is_ascii_digit)
                    .collect();
                assert_eq!(
                    rows(&mut session, &format!("SELECT COUNT(*) FROM t WHERE id = {id}")),
                    ["1"],
                    "{sql}"
                );
            }
            Some(failed)
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

/// A transaction of another node with one row.
fn insert_of(id: i64) -> Transaction {
    let after = Some(vec![Stored::Integer(id), Stored::Text("theirs".to_owned())]);
    let change = Change { database: "shop".into(), table: "t".into(), before: None, after };
    Transaction {
        gtid: Gtid { origin: "other".into(), sequence: id.unsigned_abs() },
        server_id: 2,
        committed_at_ms: 0,
        body: Body::Rows(vec![change]),
    }
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
fn a_transaction_that_comes_on_two_ways_is_there_when_the_second_is_refused() {
    let (inside, mut s) = table();
    let statements =
        ["APPLY 5", "APPLY 5", "INSERT INTO t VALUES (6, 'f')", "INSERT INTO t VALUES (5, 'no')"];
    assert_eq!(codes(together(&inside, &mut s, "COMMIT", &statements)), [0, 1062, 0, 1062]);
    assert_eq!(rows(&mut s, "SELECT * FROM t ORDER BY id"), ["1|held", "5|theirs", "6|f"]);
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
