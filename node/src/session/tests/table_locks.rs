//! LOCK TABLES between sessions: who waits for whom, and what a lock lets its own session do.

use std::time::{Duration, Instant};

use super::{Inside, error, rows, run};

#[test]
fn a_read_lock_holds_writers_of_its_table_and_nobody_else() {
    let inside = Inside::new();
    let (mut locker, mut other) = (inside.session(), inside.session());
    run(&mut locker, "CREATE TABLE a (id INT PRIMARY KEY)");
    run(&mut locker, "CREATE TABLE b (id INT PRIMARY KEY)");
    run(&mut locker, "LOCK TABLES a READ /*!32311 LOCAL */");
    run(&mut other, "SET lock_wait_timeout = 1");
    run(&mut other, "INSERT INTO b VALUES (1)");
    assert_eq!(rows(&mut other, "SELECT COUNT(*) FROM a"), ["0"]);
    for sql in ["INSERT INTO a VALUES (1)", "DROP TABLE a", "ALTER TABLE a ADD c INT", "DROP DATABASE shop"] {
        assert_eq!(error(&mut other, sql).code, 1205, "{sql}");
    }
    // who waits for a table has not the turn to write: another one writes meanwhile
    run(&mut other, "SET lock_wait_timeout = 60");
    let waiting = std::thread::spawn(move || run(&mut other, "INSERT INTO a VALUES (2)"));
    let mut third = inside.session();
    for n in 2..50 {
        run(&mut third, &format!("INSERT INTO b VALUES ({n})"));
    }
    assert!(!waiting.is_finished());
    assert_eq!(rows(&mut locker, "SELECT COUNT(*) FROM a"), ["0"]);
    run(&mut locker, "UNLOCK TABLES");
    waiting.join().unwrap();
    assert_eq!(rows(&mut locker, "SELECT id FROM a"), ["2"]);
}

#[test]
fn the_session_itself_sees_what_it_has_locked() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE a (id INT PRIMARY KEY)");
    run(&mut s, "CREATE TABLE b (id INT PRIMARY KEY)");
    assert_eq!(error(&mut s, "LOCK TABLES nosuch READ").code, 1146);
    run(&mut s, "LOCK TABLES a AS x READ, b LOW_PRIORITY WRITE");
    assert_eq!(error(&mut s, "INSERT INTO a VALUES (1)").code, 1099);
    assert_eq!(error(&mut s, "CREATE TABLE c (id INT)").code, 1100);
    assert_eq!(error(&mut s, "CREATE DATABASE d").code, 1192);
    run(&mut s, "INSERT INTO b VALUES (1)");
    assert_eq!(rows(&mut s, "SELECT COUNT(*) FROM a, b"), ["0"]);
    assert_eq!(rows(&mut s, "SELECT COUNT(*) FROM information_schema.VIEWS"), ["0"]);
    run(&mut s, "LOCK TABLES b WRITE");
    assert_eq!(error(&mut s, "SELECT * FROM a").message, "Table 'a' was not locked with LOCK TABLES");
    run(&mut s, "ALTER TABLE b DISABLE KEYS");
    assert_eq!(
        rows(&mut s, "SHOW WARNINGS"),
        ["Note|1031|Table storage engine for 'b' doesn't have this option"]
    );
    run(&mut s, "DROP TABLE b");
    // a transaction gives the locks back
    run(&mut s, "BEGIN");
    assert_eq!(rows(&mut s, "SELECT COUNT(*) FROM a"), ["0"]);
    run(&mut s, "COMMIT");
}

#[test]
fn what_ends_a_session_ends_its_locks_and_what_locks_commits() {
    let inside = Inside::new();
    let (mut locker, mut other) = (inside.session(), inside.session());
    run(&mut locker, "CREATE TABLE a (id INT PRIMARY KEY)");
    run(&mut locker, "BEGIN");
    run(&mut locker, "INSERT INTO a VALUES (1)");
    run(&mut locker, "LOCK TABLES a WRITE");
    run(&mut other, "SET lock_wait_timeout = 1");
    assert_eq!(error(&mut other, "SELECT id FROM a").code, 1205);
    assert_eq!(error(&mut other, "LOCK TABLES a READ").code, 1205);
    run(&mut locker, "SET autocommit = 0");
    run(&mut locker, "INSERT INTO a VALUES (2)");
    run(&mut locker, "UNLOCK TABLES");
    assert_eq!(rows(&mut other, "SELECT id FROM a"), ["1", "2"]);
    run(&mut locker, "LOCK TABLES a WRITE");
    locker.reset();
    run(&mut other, "INSERT INTO a VALUES (3)");
    run(&mut locker, "LOCK TABLES a WRITE");
    drop(locker);
    run(&mut other, "INSERT INTO a VALUES (4)");
}

#[test]
fn a_transaction_that_has_written_waits_no_longer_than_for_its_turn_and_can_be_stopped() {
    let inside = Inside::new();
    let (mut locker, mut other) = (inside.session(), inside.session());
    run(&mut locker, "CREATE TABLE a (id INT PRIMARY KEY)");
    run(&mut locker, "CREATE TABLE b (id INT PRIMARY KEY)");
    run(&mut locker, "LOCK TABLES a READ");
    run(&mut other, "SET innodb_lock_wait_timeout = 1");
    run(&mut other, "BEGIN");
    run(&mut other, "INSERT INTO b VALUES (1)");
    let begun = Instant::now();
    assert_eq!(error(&mut other, "INSERT INTO a VALUES (1)").code, 1205);
    assert!(begun.elapsed() < Duration::from_secs(20));
    run(&mut other, "COMMIT");
    assert_eq!(rows(&mut locker, "SELECT COUNT(*) FROM a"), ["0"]);
    let stopper = other.stopper();
    let waiting = std::thread::spawn(move || error(&mut other, "INSERT INTO a VALUES (1)").code);
    while !waiting.is_finished() {
        std::thread::sleep(Duration::from_millis(20));
        stopper.stop();
    }
    assert_eq!(waiting.join().unwrap(), 1317);
}

#[test]
fn a_write_lock_holds_readers_until_it_is_given_back() {
    let inside = Inside::new();
    let (mut locker, mut other) = (inside.session(), inside.session());
    run(&mut locker, "CREATE TABLE a (id INT PRIMARY KEY)");
    run(&mut locker, "CREATE TABLE b (id INT PRIMARY KEY)");
    run(&mut locker, "INSERT INTO b VALUES (1)");
    run(&mut locker, "LOCK TABLES a WRITE, b READ");
    run(&mut other, "SET lock_wait_timeout = 1");
    for sql in [
        "SELECT COUNT(*) FROM a",
        "SELECT 1 FROM b WHERE id IN (SELECT id FROM a)",
        "SELECT id FROM b UNION SELECT id FROM a",
        "INSERT INTO b SELECT * FROM a",
        "SET @x = (SELECT COUNT(*) FROM a)",
    ] {
        assert_eq!(error(&mut other, sql).code, 1205, "{sql}");
    }
    // what tells of tables does not read them, and others may read what is locked for reading
    assert_eq!(rows(&mut other, "SELECT id FROM b"), ["1"]);
    assert_eq!(rows(&mut other, "SHOW COLUMNS FROM a LIKE 'id'").len(), 1);
    assert_eq!(
        rows(&mut other, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_NAME = 'a'"),
        ["a"]
    );
    let prepared = other.prepare(b"SELECT id FROM a").unwrap();
    assert_eq!(prepared.columns.len(), 1);
    // half of what is written under the lock is never seen, also not by a snapshot that is taken while one waits
    run(&mut other, "SET lock_wait_timeout = 60");
    run(&mut other, "BEGIN");
    let before = rows(&mut other, "SHOW STATUS LIKE 'Com_select'");
    let waiting = std::thread::spawn(move || {
        let read = rows(&mut other, "SELECT id FROM a ORDER BY id");
        (read, before, rows(&mut other, "SHOW STATUS LIKE 'Com_select'"))
    });
    run(&mut locker, "INSERT INTO a VALUES (1)");
    std::thread::sleep(Duration::from_millis(150));
    assert!(!waiting.is_finished());
    run(&mut locker, "INSERT INTO a VALUES (2)");
    run(&mut locker, "UNLOCK TABLES");
    let (read, before, after) = waiting.join().unwrap();
    assert_eq!(read, ["1", "2"]);
    let count = |rows: &[String]| rows[0].split_once('|').unwrap().1.parse::<u64>().unwrap();
    assert_eq!(count(&after), count(&before) + 1, "a statement that waits is counted once");
}

#[test]
fn a_reader_that_waits_keeps_nobody_from_writing_and_can_be_stopped() {
    let inside = Inside::new();
    let (mut locker, mut other) = (inside.session(), inside.session());
    run(&mut locker, "CREATE TABLE a (id INT PRIMARY KEY)");
    run(&mut locker, "CREATE TABLE b (id INT PRIMARY KEY)");
    run(&mut locker, "LOCK TABLES a WRITE");
    let stopper = other.stopper();
    let waiting = std::thread::spawn(move || {
        let code = error(&mut other, "INSERT INTO b SELECT id FROM a").code;
        (code, other)
    });
    // the other one has its turn to write when it meets the lock, and gives it back
    for n in 0..20 {
        run(&mut locker, &format!("INSERT INTO a VALUES ({n})"));
    }
    while !waiting.is_finished() {
        std::thread::sleep(Duration::from_millis(20));
        stopper.stop();
    }
    let (code, mut other) = waiting.join().unwrap();
    assert_eq!(code, 1317);
    // one that has written waits no longer than for its turn, and goes on
    run(&mut other, "SET innodb_lock_wait_timeout = 1");
    other.ready();
    run(&mut other, "BEGIN");
    run(&mut other, "INSERT INTO b VALUES (100)");
    let begun = Instant::now();
    assert_eq!(error(&mut other, "SELECT * FROM a").code, 1205);
    assert!(begun.elapsed() < Duration::from_secs(20));
    run(&mut other, "COMMIT");
    run(&mut locker, "UNLOCK TABLES");
    assert_eq!(rows(&mut other, "SELECT id FROM b"), ["100"]);
}

#[test]
fn who_waits_for_a_table_notices_that_the_client_is_gone() {
    let inside = Inside::new();
    let (mut locker, mut other) = (inside.session(), inside.session());
    run(&mut locker, "CREATE TABLE a (id INT PRIMARY KEY)");
    run(&mut locker, "LOCK TABLES a WRITE");
    other.watch(Box::new(|| true));
    assert_eq!(error(&mut other, "SELECT * FROM a").code, 1317);
}
