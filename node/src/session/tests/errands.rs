//! Statements that sessions leave with one thread that writes for all: what may be left, who shares a commit, and what becomes of all when one fails.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use database::Gtid;
use rusqlite::types::Value as Stored;

use super::{Inside, Kept as Sunk, error, rows, run};
use crate::change::{Body, Change, Transaction};
use crate::results::{Cell, ColumnMeta, Done, Param, Sink};
use crate::session::errand::{Errand, Leaves, Ran};
use crate::session::{ExecError, Session};
use crate::storage::relay::Kept;

/// A table with row 1, and a session.
fn table() -> (Inside, Session) {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(10))");
    run(&mut s, "INSERT INTO t VALUES (1, 'a')");
    inside.logged();
    (inside, s)
}

/// What a session leaves of a statement.
fn left(session: &mut Session, sql: &str) -> Option<Errand> {
    session.may_leave(Leaves::Always);
    session.execute(sql.as_bytes(), &mut Sunk::default()).unwrap();
    session.errand()
}

/// Sessions, each with a statement that it has left.
fn leave(inside: &Inside, statements: &[&str]) -> Vec<(Session, Errand)> {
    let one = |sql: &&str| {
        let mut session = inside.session();
        let errand = left(&mut session, sql).unwrap_or_else(|| panic!("{sql} is not left"));
        (session, errand)
    };
    statements.iter().map(one).collect()
}

fn kept(inside: &Inside) -> Kept {
    Kept::new(Arc::clone(&inside.engine.store))
}

/// Runs them in one turn; each but the last leaves it to the next.
fn run_all(inside: &Inside, sessions: &mut [(Session, Errand)]) -> Vec<Ran> {
    let mut kept = kept(inside);
    let count = sessions.len();
    let run = |(n, (session, errand)): (usize, &mut (Session, Errand))| {
        session.run_in_turn(errand, &mut kept, n + 1 < count, &mut Sunk::default())
    };
    sessions.iter_mut().enumerate().map(run).collect()
}

/// The codes of errors: of the statement, or of what it depended on. 0 for none.
fn codes(sessions: &mut [(Session, Errand)], ran: Vec<Ran>) -> Vec<u16> {
    let code = |((session, errand), ran): (&mut (Session, Errand), Ran)| {
        let outcome = match (ran.outcome, ran.fate.map_or(Ok(0), |fate| fate.wait())) {
            (Ok(()), Err(error)) => Err(session.undone(errand, error)),
            (outcome, _) => outcome,
        };
        match outcome {
            Ok(()) => 0,
            Err(ExecError::Sql(error)) => error.code,
            Err(ExecError::Client(error)) => panic!("{error}"),
        }
    };
    sessions.iter_mut().zip(ran).map(code).collect()
}

#[test]
fn only_a_short_write_that_stands_alone_is_left() {
    let (inside, mut s) = table();
    run(&mut s, "SELECT * FROM t");
    for sql in
        ["INSERT INTO t VALUES (2, 'b')", "UPDATE t SET v = 'x' WHERE id = 1", "DELETE FROM t WHERE id = 1"]
    {
        assert!(left(&mut s, sql).is_some(), "{sql}");
    }
    for sql in ["SELECT * FROM t", "UPDATE t SET v = 'x'", "CREATE TABLE u (id INT)", "SET @a = 1", "COMMIT"]
    {
        assert!(left(&mut s, sql).is_none(), "{sql}");
    }
    let insert = "INSERT INTO t (v) VALUES ('z')";
    for (before, after) in [
        ("BEGIN", "ROLLBACK"),
        ("SET autocommit = 0", "SET autocommit = 1"),
        ("LOCK TABLES t WRITE", "UNLOCK TABLES"),
        ("SET insert_id = 77", "SELECT 1"),
    ] {
        run(&mut s, before);
        assert!(left(&mut s, insert).is_none(), "after {before}");
        run(&mut s, after);
        assert!(left(&mut s, insert).is_some(), "after {after}");
    }
    run(&mut s, "FLUSH TABLES WITH READ LOCK");
    s.may_leave(Leaves::Always);
    assert_eq!(error(&mut s, insert).code, 1223);
    run(&mut s, "UNLOCK TABLES");
    // where nobody writes there is nobody to wait for
    s.may_leave(Leaves::Behind);
    run(&mut s, insert);
    assert!(s.errand().is_none());
    // and where answers wait for the disk they wait for it together
    inside.engine.store.disk.set_durable(true);
    assert!(left(&mut s, insert).is_none());
    // nothing of all that was left has happened
    assert_eq!(rows(&mut s, "SELECT COUNT(*) FROM t WHERE id = 1 AND v = 'x'"), ["1"]);
}

#[test]
fn one_that_is_refused_for_its_values_ends_alone() {
    let (inside, mut s) = table();
    let greatest = "INSERT INTO t VALUES (9, 'i')";
    let mut sessions = leave(
        &inside,
        &[
            greatest,
            "INSERT INTO t VALUES (20, 1/0)",
            "UPDATE t SET v = '5x' + 1 WHERE id = 1",
            "UPDATE t SET id = 1 WHERE id = 9",
            "INSERT INTO t VALUES (30, 'j')",
        ],
    );
    let ran = run_all(&inside, &mut sessions);
    assert_eq!(codes(&mut sessions, ran), [0, 1365, 1292, 1062, 0]);
    assert_eq!(rows(&mut s, "SELECT id FROM t ORDER BY id"), ["1", "9", "30"]);
}

#[test]
fn those_of_one_turn_share_a_commit_and_are_seen_together() {
    let (inside, mut s) = table();
    let mut sessions = leave(
        &inside,
        &[
            "INSERT INTO t (v) VALUES ('b')",
            "UPDATE t SET v = 'c' WHERE id = 1",
            "DELETE FROM t WHERE id = 99",
        ],
    );
    let before = inside.engine.store.disk.visible();
    let mut kept = kept(&inside);
    let mut ran = Vec::new();
    for (n, (session, errand)) in sessions.iter_mut().enumerate() {
        ran.push(session.run_in_turn(errand, &mut kept, n < 2, &mut Sunk::default()));
        let seen: &[&str] = if n < 2 { &["1|a"] } else { &["1|c", "2|b"] };
        assert_eq!(rows(&mut s, "SELECT * FROM t ORDER BY id"), seen, "after {n}");
    }
    assert!(!kept.goes_on());
    assert_eq!(codes(&mut sessions, ran), [0, 0, 0]);
    assert_eq!(inside.engine.store.disk.visible() - before, 1);
    assert_eq!(rows(&mut sessions[0].0, "SELECT LAST_INSERT_ID(), ROW_COUNT()"), ["2|1"]);
    assert_eq!(rows(&mut sessions[2].0, "SELECT ROW_COUNT()"), ["0"]);
    let numbers: Vec<u64> = inside.logged().iter().map(|logged| logged.gtid.sequence).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
}

#[test]
fn a_turn_that_nobody_goes_on_with_is_committed_when_it_ends() {
    let (inside, mut s) = table();
    let mut sessions = leave(&inside, &["INSERT INTO t VALUES (2, 'b')"]);
    let mut kept = kept(&inside);
    let (session, errand) = &mut sessions[0];
    let ran = session.run_in_turn(errand, &mut kept, true, &mut Sunk::default());
    assert!(kept.goes_on());
    drop(kept);
    assert_eq!(codes(&mut sessions, vec![ran]), [0]);
    assert_eq!(rows(&mut s, "SELECT * FROM t ORDER BY id"), ["1|a", "2|b"]);
    run(&mut s, "INSERT INTO t VALUES (3, 'c')");
}

#[test]
fn who_is_refused_is_refused_alone_and_for_rows_that_are_there() {
    let (inside, mut s) = table();
    let mut sessions = leave(
        &inside,
        &["INSERT INTO t VALUES (2, 'b')", "INSERT INTO t VALUES (2, 'no')", "INSERT INTO t VALUES (3, 'c')"],
    );
    let ran = run_all(&inside, &mut sessions);
    assert_eq!(codes(&mut sessions, ran), [0, 1062, 0]);
    assert_eq!(rows(&mut s, "SELECT * FROM t ORDER BY id"), ["1|a", "2|b", "3|c"]);
    assert_eq!(rows(&mut sessions[1].0, "SHOW ERRORS").len(), 1);
}

#[test]
fn if_the_common_commit_fails_all_are_told_and_nothing_is_left_of_any() {
    let (inside, mut s) = table();
    let mut sessions =
        leave(&inside, &["INSERT INTO t (v) VALUES ('b')", "UPDATE t SET v = 'c' WHERE id = 1"]);
    let mut pen = inside.engine.store.take_pen().unwrap();
    let mut left = 1;
    pen.conn.commit_hook(Some(move || std::mem::take(&mut left) == 1)).unwrap();
    inside.engine.store.pen.put(pen);
    let ran = run_all(&inside, &mut sessions);
    assert!(ran[0].outcome.is_ok(), "the first one knows nothing of it");
    let codes = codes(&mut sessions, ran);
    assert!(codes.iter().all(|&code| code != 0), "{codes:?}");
    assert_eq!(rows(&mut s, "SELECT * FROM t"), ["1|a"]);
    assert_eq!(rows(&mut sessions[0].0, "SELECT LAST_INSERT_ID()"), ["0"]);
    for (session, _) in &mut sessions {
        run(session, "INSERT INTO t (v) VALUES ('later')");
    }
    assert_eq!(rows(&mut s, "SELECT COUNT(*) FROM t"), ["3"]);
}

#[test]
fn what_has_to_wait_leaves_no_trace_and_can_be_run_again() {
    let (inside, mut s) = table();
    let mut sessions = leave(&inside, &["INSERT INTO t VALUES (2, 'b')", "INSERT INTO t VALUES (3, 'c')"]);
    run(&mut s, "LOCK TABLES t WRITE");
    let ran = run_all(&inside, &mut sessions);
    assert!(ran.iter().all(Ran::has_to_wait));
    assert_eq!(rows(&mut s, "SELECT * FROM t"), ["1|a"]);
    run(&mut s, "UNLOCK TABLES");
    for (session, errand) in &mut sessions {
        session.run_patiently(errand, &mut Sunk::default()).unwrap();
    }
    assert_eq!(rows(&mut s, "SELECT * FROM t ORDER BY id"), ["1|a", "2|b", "3|c"]);
    // and who is in a transaction keeps nobody waiting for long
    let mut sessions = leave(&inside, &["INSERT INTO t VALUES (4, 'd')"]);
    run(&mut s, "BEGIN");
    run(&mut s, "UPDATE t SET v = 'held'");
    assert!(run_all(&inside, &mut sessions)[0].has_to_wait());
    run(&mut s, "COMMIT");
    let (session, errand) = &mut sessions[0];
    session.run_patiently(errand, &mut Sunk::default()).unwrap();
    assert_eq!(rows(&mut s, "SELECT COUNT(*) FROM t"), ["4"]);
}

/// Panics where it is to write the answer down.
struct Panics;

impl Sink for Panics {
    fn columns(&mut self, _: &[ColumnMeta]) -> io::Result<()> {
        Ok(())
    }
    fn row(&mut self, _: &[Cell<'_>]) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self, _: u16, _: u16) -> io::Result<()> {
        Ok(())
    }
    fn ok(&mut self, _: &Done, _: u16) -> io::Result<()> {
        panic!("on purpose")
    }
}

/// The first, the second or the last of three panics.
#[test]
fn a_session_that_panics_takes_nobody_with_it() {
    for who in 0..3 {
        let (inside, mut s) = table();
        let mut sessions = leave(
            &inside,
            &[
                "INSERT INTO t VALUES (2, 'b')",
                "INSERT INTO t VALUES (3, 'c')",
                "INSERT INTO t VALUES (4, 'd')",
            ],
        );
        let mut kept = kept(&inside);
        let (panics, bad) = sessions.remove(who);
        let mut panics = Some(panics);
        let mut ran = Vec::new();
        let mut others = sessions.iter_mut();
        for n in 0..3 {
            if n == who {
                let mut panics = panics.take().unwrap();
                let panicked = catch_unwind(AssertUnwindSafe(|| {
                    panics.run_in_turn(&bad, &mut kept, n < 2, &mut Panics);
                }));
                assert!(panicked.is_err());
                drop(panics);
            } else {
                let (session, errand) = others.next().unwrap();
                ran.push(session.run_in_turn(errand, &mut kept, n < 2, &mut Sunk::default()));
            }
        }
        drop(kept);
        assert_eq!(codes(&mut sessions, ran), [0, 0]);
        let bad_id = who + 2;
        assert_eq!(rows(&mut s, &format!("SELECT COUNT(*) FROM t WHERE id <> {bad_id}")), ["3"]);
        run(&mut s, "INSERT INTO t VALUES (9, 'goes on')");
        run(&mut s, "FLUSH TABLES WITH READ LOCK");
    }
}

#[test]
fn a_prepared_statement_is_left_with_its_values() {
    let (inside, mut s) = table();
    let prepared = s.prepare(b"INSERT INTO t VALUES (?, ?)").unwrap();
    s.may_leave(Leaves::Always);
    let values = [Param::Int(5), Param::Text("e".to_owned())];
    s.execute_prepared(prepared.id, &values, &mut Sunk::default()).unwrap();
    let errand = s.errand().unwrap();
    let ran = s.run_in_turn(&errand, &mut kept(&inside), false, &mut Sunk::default());
    assert!(ran.outcome.is_ok());
    assert_eq!(rows(&mut s, "SELECT * FROM t ORDER BY id"), ["1|a", "5|e"]);
}

/// A transaction of another node with one row.
fn theirs(id: i64) -> Transaction {
    let after = Some(vec![Stored::Integer(id), Stored::Text("theirs".to_owned())]);
    let change = Change { database: "shop".into(), table: "t".into(), before: None, after };
    let gtid = Gtid { origin: "other".into(), sequence: id.unsigned_abs() };
    Transaction { gtid, server_id: 2, committed_at_ms: 0, body: Body::Rows(vec![change]) }
}

#[test]
fn an_applier_keeps_its_turn_only_where_nobody_waits_for_it_or_for_a_commit() {
    let (inside, mut s) = table();
    let mut applier = inside.session();
    let mut kept = kept(&inside);
    let mut apply = |id| {
        let fate = applier.apply_in_turn(&theirs(id), &|_| Ok(()), &mut kept, true).unwrap();
        (fate.is_some(), kept.goes_on())
    };
    // nobody waits
    assert_eq!(apply(2), (true, true));
    assert_eq!(apply(3), (true, true));
    assert_eq!(rows(&mut s, "SELECT COUNT(*) FROM t"), ["1"]);
    // a client does
    std::thread::scope(|scope| {
        let client = scope.spawn(|| run(&mut s, "INSERT INTO t VALUES (4, 'd')"));
        let began = Instant::now();
        while inside.engine.store.writer.waiting() == 0 {
            assert!(began.elapsed() < Duration::from_secs(20), "the client does not wait");
        }
        assert_eq!(apply(5), (false, false));
        client.join().unwrap();
    });
    assert_eq!(rows(&mut s, "SELECT COUNT(*) FROM t"), ["5"]);
    // one waits for the commit of what it has handed in
    let mut pen = inside.engine.store.take_pen().unwrap();
    pen.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    let fate = pen.hand_in().unwrap();
    inside.engine.store.pen.put(pen);
    assert_eq!(apply(6), (false, false));
    assert!(fate.wait().is_ok());
    // and one that holds a table keeps nobody waiting
    run(&mut s, "LOCK TABLES t WRITE");
    let began = Instant::now();
    let refused = applier.apply_in_turn(&theirs(7), &|_| Ok(()), &mut kept, true).map(drop);
    assert_eq!(refused.unwrap_err().code, 1205);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    run(&mut s, "UNLOCK TABLES");
    assert_eq!(rows(&mut s, "SELECT COUNT(*) FROM t"), ["6"]);
}
