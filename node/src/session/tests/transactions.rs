//! Transactions, savepoints, the writer's turn, and applying what was committed elsewhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use database::Gtid;
use rusqlite::types::Value as Stored;

use super::{Inside, error, rows, run};
use crate::SqlError;
use crate::change::{Body, Change, Transaction};
use crate::session::transaction::Mode;

fn table(inside: &Inside) -> super::Session {
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10))");
    run(&mut s, "INSERT INTO t VALUES (1, 'a')");
    inside.logged();
    s
}

#[test]
fn a_rollback_leaves_nothing_in_the_tables_and_in_the_log() {
    let inside = Inside::new();
    let mut s = table(&inside);
    run(&mut s, "BEGIN");
    assert_eq!(s.status(), 3);
    run(&mut s, "INSERT INTO t VALUES (2, 'b')");
    run(&mut s, "SAVEPOINT x");
    run(&mut s, "UPDATE t SET v = 'z'");
    run(&mut s, "ROLLBACK TO SAVEPOINT x");
    assert_eq!(
        error(&mut s, "INSERT INTO t VALUES (3, 'c'), (1, 'd')").message,
        "Duplicate entry '1' for key 'PRIMARY'"
    );
    run(&mut s, "COMMIT");
    assert_eq!(s.status(), 2);
    assert_eq!(rows(&mut s, "SELECT * FROM t ORDER BY id"), ["1|a", "2|b"]);
    let logged = inside.logged();
    assert_eq!(logged.len(), 1);
    assert!(matches!(&logged[0].body, Body::Rows(changes) if changes.len() == 1));
    run(&mut s, "BEGIN");
    run(&mut s, "DELETE FROM t");
    run(&mut s, "ROLLBACK");
    assert_eq!(rows(&mut s, "SELECT count(*) FROM t"), ["2"]);
    assert!(inside.logged().is_empty());
}

#[test]
fn readers_keep_their_snapshot_and_never_wait() {
    let inside = Inside::new();
    let (mut a, mut b) = (table(&inside), inside.session());
    run(&mut a, "START TRANSACTION WITH CONSISTENT SNAPSHOT");
    run(&mut b, "BEGIN");
    run(&mut b, "UPDATE t SET v = 'b'");
    assert_eq!(rows(&mut a, "SELECT v FROM t"), ["a"]);
    run(&mut b, "COMMIT");
    assert_eq!(rows(&mut a, "SELECT v FROM t"), ["a"]);
    run(&mut a, "COMMIT");
    assert_eq!(rows(&mut a, "SELECT v FROM t"), ["b"]);
}

#[test]
fn an_idle_writer_is_rolled_back_for_those_who_wait() {
    let inside = Inside::new();
    let (mut a, mut b) = (table(&inside), inside.session());
    inside.logged();
    run(&mut a, "SET innodb_lock_wait_timeout = 1");
    run(&mut a, "BEGIN");
    run(&mut a, "UPDATE t SET v = 'lost'");
    let started = Instant::now();
    run(&mut b, "UPDATE t SET v = 'kept'");
    assert!(started.elapsed() < Duration::from_secs(4));
    let told = error(&mut a, "SELECT 1");
    assert_eq!(
        (told.code, told.state, told.message.as_str()),
        (1213, "40001", "Deadlock found when trying to get lock; try restarting transaction")
    );
    assert_eq!(a.status(), 3);
    // What was meant as the rest of the transaction does not happen alone.
    assert_eq!(error(&mut a, "INSERT INTO t VALUES (2, 'alone')").code, 1213);
    assert_eq!(error(&mut a, "CREATE TABLE u (a INT)").code, 1213);
    assert_eq!(error(&mut a, "ROLLBACK TO x").code, 1213);
    run(&mut a, "ROLLBACK");
    assert_eq!(a.status(), 2);
    assert_eq!(rows(&mut a, "SELECT v FROM t"), ["kept"]);
    assert_eq!(inside.logged().len(), 1);
}

/// A session whose open transaction has just been rolled back from outside.
fn relieved(inside: &Inside) -> super::Session {
    use crate::storage::writer_lock::Holder;
    let mut s = inside.session();
    run(&mut s, "BEGIN");
    run(&mut s, "UPDATE t SET v = 'lost'");
    let Mode::Writing(ticket) = s.desk.lock().mode else { panic!("not the writer") };
    assert!(s.desk.evict(ticket));
    s
}

#[test]
fn the_end_of_a_lost_transaction_is_never_ok_unless_its_loss_was_told() {
    let inside = Inside::new();
    let mut other = table(&inside);
    for (ends, after) in [("COMMIT", 2), ("COMMIT AND CHAIN", 3), ("BEGIN", 3), ("CREATE TABLE u (a INT)", 3)]
    {
        let mut s = relieved(&inside);
        assert_eq!(error(&mut s, ends).code, 1213, "{ends}");
        assert_eq!(s.status(), after, "{ends}");
    }
    let mut s = relieved(&inside);
    assert_eq!(error(&mut s, "UPDATE t SET v = 'alone'").code, 1213);
    run(&mut s, "COMMIT");
    let mut s = relieved(&inside);
    assert_eq!(error(&mut s, "SELECT 1").code, 1213);
    run(&mut s, "BEGIN");
    run(&mut s, "INSERT INTO t VALUES (5, 'anew')");
    run(&mut s, "COMMIT");
    assert_eq!(rows(&mut other, "SELECT * FROM t ORDER BY id"), ["1|a", "5|anew"]);
    let logged = inside.logged();
    assert_eq!(logged.iter().filter(|one| matches!(one.body, Body::Rows(_))).count(), 1);
}

#[test]
fn what_sqlite_gave_up_is_not_committed() {
    let inside = Inside::new();
    let mut s = table(&inside);
    for last in ["SELECT 1", "SHOW TABLES", "COMMIT"] {
        run(&mut s, "BEGIN");
        run(&mut s, "UPDATE t SET v = 'lost'");
        s.desk.lock().conn.execute_batch("ROLLBACK").unwrap();
        assert_eq!(error(&mut s, last).code, 1213, "{last}");
        run(&mut s, "COMMIT");
    }
    assert!(inside.logged().is_empty());
    run(&mut s, "UPDATE t SET v = 'kept'");
    assert_eq!(inside.logged().len(), 1);
}

#[test]
fn a_client_that_waits_for_long_may_not_idle_for_long() {
    let inside = Inside::new();
    let (mut a, mut b) = (table(&inside), inside.session());
    run(&mut b, "SET GLOBAL innodb_lock_wait_timeout = 1");
    run(&mut a, "SET innodb_lock_wait_timeout = 1000");
    run(&mut a, "BEGIN");
    run(&mut a, "UPDATE t SET v = 'lost'");
    let started = Instant::now();
    run(&mut b, "UPDATE t SET v = 'kept'");
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[test]
fn a_statement_that_goes_row_by_row_can_be_stopped() {
    let inside = Inside::new();
    let mut s = table(&inside);
    let values: Vec<String> = (10..20_000).map(|n| format!("({n},'x')")).collect();
    let insert = format!("INSERT INTO t VALUES {}", values.join(","));
    let stopper = s.stopper();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopping = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                stopper.stop();
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    run(&mut s, "BEGIN");
    let told = error(&mut s, &insert).code;
    let asleep = error(&mut s, "SELECT SLEEP(100)").code;
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    stopping.join().unwrap();
    assert_eq!((told, asleep), (1317, 1317));
}

#[test]
fn sql_log_bin_keeps_changes_out_of_the_log() {
    let inside = Inside::new();
    let mut s = table(&inside);
    run(&mut s, "SET sql_log_bin = 0");
    run(&mut s, "UPDATE t SET v = 'quiet'");
    run(&mut s, "CREATE TABLE u (a INT)");
    assert!(inside.logged().is_empty());
    run(&mut s, "BEGIN");
    assert_eq!(error(&mut s, "SET sql_log_bin = 1").code, 1694);
    run(&mut s, "COMMIT");
    run(&mut s, "SET @@SESSION.sql_log_bin = ON");
    run(&mut s, "UPDATE t SET v = 'loud'");
    assert_eq!(inside.logged().len(), 1);
}

fn transaction(before: Option<(i64, &str)>, after: Option<(i64, &str)>) -> Transaction {
    let row = |(id, v): (i64, &str)| vec![Stored::Integer(id), Stored::Text(v.into())];
    Transaction {
        gtid: Gtid { origin: "other".into(), sequence: 9 },
        server_id: 2,
        committed_at_ms: 1,
        body: Body::Rows(vec![Change {
            database: "shop".into(),
            table: "t".into(),
            before: before.map(row),
            after: after.map(row),
        }]),
    }
}

#[test]
fn a_transaction_from_elsewhere_is_applied_wholly_or_not_at_all() {
    let inside = Inside::new();
    let mut s = table(&inside);
    let book = |conn: &rusqlite::Connection| -> Result<(), SqlError> {
        Ok(conn.execute_batch("CREATE TABLE IF NOT EXISTS book (n); INSERT INTO book VALUES (1)")?)
    };
    s.apply(&transaction(None, Some((2, "b"))), &book).unwrap();
    // The last one applied wins, whatever stood there.
    s.apply(&transaction(Some((1, "not what is here")), Some((1, "z"))), &book).unwrap();
    assert_eq!(rows(&mut s, "SELECT * FROM t ORDER BY id"), ["1|z", "2|b"]);
    let code = |r: Result<(), SqlError>| r.unwrap_err().code;
    assert_eq!(code(s.apply(&transaction(None, Some((2, "c"))), &book)), 1062);
    assert_eq!(code(s.apply(&transaction(Some((5, "x")), None), &book)), 1032);
    assert_eq!(code(s.apply(&transaction(Some((5, "x")), Some((5, "y"))), &book)), 1032);
    let logged = inside.logged();
    assert_eq!(logged[0].gtid.to_string(), "other:9");
    assert_eq!(logged[0].server_id, 2);
    let conn = inside.engine.store.connect().unwrap();
    let count: i64 = conn.query_row("SELECT count(*) FROM book", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 2);
    let ddl = Transaction {
        body: Body::Statement {
            database: "shop".into(),
            sql: "ALTER TABLE t ADD COLUMN n INT NOT NULL DEFAULT 7".into(),
        },
        ..transaction(None, None)
    };
    s.apply(&ddl, &book).unwrap();
    assert_eq!(rows(&mut s, "SELECT * FROM t ORDER BY id"), ["1|z|7", "2|b|7"]);
    assert_eq!(code(s.apply(&transaction(None, Some((3, "c"))), &book)), 1677);
}

#[test]
fn writers_on_many_threads_lose_nothing() {
    let inside = Arc::new(Inside::new());
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE c (id INT PRIMARY KEY, n INT NOT NULL)");
    run(&mut s, "INSERT INTO c VALUES (1, 0)");
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let inside = Arc::clone(&inside);
            std::thread::spawn(move || {
                let mut s = inside.session();
                for _ in 0..25 {
                    run(&mut s, "BEGIN");
                    run(&mut s, "SELECT n FROM c WHERE id = 1 FOR UPDATE");
                    run(&mut s, "UPDATE c SET n = n + 1 WHERE id = 1");
                    run(&mut s, "COMMIT");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(rows(&mut s, "SELECT n FROM c"), ["100"]);
}
