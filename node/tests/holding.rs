//! FLUSH TABLES WITH READ LOCK and LOCK TABLES between real clients and nodes: who waits, who does not, and what lets go.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

mod cluster;

use cluster::{Client, Member, Refused, ring, settle, wait};
use std::time::{Duration, Instant};

fn shop(node: &mut Member) {
    node.client.run(&["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY, n INT)"]);
    node.client.run(&["INSERT INTO shop.t VALUES (1, 0)"]);
}

fn code(result: Result<cluster::Rows, Refused>) -> u16 {
    result.unwrap_err().0
}

#[test]
fn writes_wait_and_reads_do_not_and_the_position_stands_still() {
    let mut node = Member::new(1, 1);
    shop(&mut node);
    let mut holder = Client::root(node.node.address());
    let mut other = Client::root(node.node.address());
    holder.run(&["FLUSH LOCAL TABLES", "FLUSH TABLES WITH READ LOCK", "FLUSH TABLES WITH READ LOCK"]);
    let place = holder.text("SHOW MASTER STATUS");
    other.run(&["SET lock_wait_timeout = 1"]);
    for sql in [
        "INSERT INTO shop.t VALUES (2, 0)",
        "CREATE TABLE shop.u (id INT)",
        "DELETE FROM shop.t",
        "DROP DATABASE shop",
    ] {
        let started = Instant::now();
        assert_eq!(code(other.query(sql)), 1205, "{sql}");
        assert!(started.elapsed() >= Duration::from_millis(900), "{sql} did not wait");
        let refused = holder.query(sql).unwrap_err();
        let conflict = "Can't execute the query because you have a conflicting read lock";
        assert_eq!(refused, Refused(1223, conflict.into()), "{sql}");
    }
    assert_eq!(other.text("SELECT COUNT(*) FROM shop.t"), "1");
    assert_eq!(holder.text("SHOW MASTER STATUS"), place);
    // the holder has been idle for longer than the lease of a transaction, and still holds
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(code(other.query("INSERT INTO shop.t VALUES (2, 0)")), 1205);
    assert_eq!(holder.text("SHOW MASTER STATUS"), place);
    holder.run(&["UNLOCK TABLES"]);
    other.run(&["INSERT INTO shop.t VALUES (2, 0)"]);
    holder.run(&["INSERT INTO shop.t VALUES (3, 0)"]);
}

#[test]
fn an_open_transaction_stays_open_and_its_commit_waits() {
    let mut node = Member::new(1, 1);
    shop(&mut node);
    let mut holder = Client::root(node.node.address());
    node.client.run(&["BEGIN", "UPDATE shop.t SET n = 1"]);
    // it does not wait for a transaction that is idle
    holder.run(&["FLUSH TABLES WITH READ LOCK"]);
    let place = holder.text("SHOW MASTER STATUS");
    std::thread::scope(|scope| {
        let client = &mut node.client;
        let commit = scope.spawn(move || client.query("COMMIT"));
        std::thread::sleep(Duration::from_millis(500));
        assert!(!commit.is_finished());
        assert_eq!(holder.text("SELECT n FROM shop.t"), "0");
        assert_eq!(holder.text("SHOW MASTER STATUS"), place);
        holder.run(&["UNLOCK TABLES"]);
        assert_eq!(commit.join().unwrap(), Ok(Vec::new()));
    });
    assert_eq!(holder.text("SELECT n FROM shop.t"), "1");
    assert_ne!(holder.text("SHOW MASTER STATUS"), place);
}

#[test]
fn a_session_that_ends_lets_go_and_a_waiting_one_can_be_killed() {
    let mut node = Member::new(1, 1);
    shop(&mut node);
    let mut holder = Client::root(node.node.address());
    holder.run(&["FLUSH TABLES WITH READ LOCK"]);
    let mut waiting = Client::root(node.node.address());
    let id = waiting.text("SELECT CONNECTION_ID()");
    std::thread::scope(|scope| {
        let insert = scope.spawn(move || waiting.query("INSERT INTO shop.t VALUES (2, 0)"));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!insert.is_finished());
        node.client.run(&[&format!("KILL QUERY {id}")]);
        assert_eq!(code(insert.join().unwrap()), 1317);
        let insert = scope.spawn(|| node.client.query("INSERT INTO shop.t VALUES (2, 0)"));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!insert.is_finished());
        drop(holder);
        assert_eq!(insert.join().unwrap(), Ok(Vec::new()));
    });
}

#[test]
fn the_applier_waits_too_without_an_error_and_can_be_stopped() {
    let mut nodes = ring(2);
    shop(&mut nodes[0]);
    settle(&mut nodes);
    let mut holder = Client::root(nodes[1].node.address());
    holder.run(&["FLUSH TABLES WITH READ LOCK"]);
    nodes[0].client.run(&["INSERT INTO shop.t VALUES (2, 0)"]);
    let state = |client: &mut Client| {
        let rows = client.query("SHOW SLAVE STATUS").unwrap();
        rows[0][44].clone().unwrap()
    };
    wait(|| state(&mut holder) == "Waiting for global read lock", || "the applier does not wait".into());
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(holder.replica("Last_SQL_Errno"), "0");
    assert_eq!(holder.text("SELECT COUNT(*) FROM shop.t"), "1");
    holder.run(&["STOP SLAVE", "START SLAVE"]);
    assert_eq!(holder.text("SELECT COUNT(*) FROM shop.t"), "1");
    holder.run(&["UNLOCK TABLES"]);
    settle(&mut nodes);
    assert_eq!(nodes[1].client.text("SELECT COUNT(*) FROM shop.t"), "2");
    nodes[1].client.run(&["FLUSH TABLES WITH READ LOCK"]);
}

#[test]
fn who_waits_for_the_right_to_write_does_not_keep_the_commit_from_it() {
    let mut node = Member::new(1, 1);
    shop(&mut node);
    let [mut queued, mut holder] = [(); 2].map(|()| Client::root(node.node.address()));
    node.client.run(&["BEGIN", "INSERT INTO shop.t VALUES (2, 0)"]);
    std::thread::scope(|scope| {
        let insert = scope.spawn(move || queued.query("INSERT INTO shop.t VALUES (3, 0)"));
        std::thread::sleep(Duration::from_millis(300));
        let hold = scope.spawn(move || {
            holder.run(&["FLUSH TABLES WITH READ LOCK"]);
            holder
        });
        std::thread::sleep(Duration::from_millis(300));
        assert!(!insert.is_finished() && !hold.is_finished());
        let started = Instant::now();
        node.client.run(&["UPDATE shop.t SET n = 1 WHERE id = 2", "COMMIT"]);
        assert_eq!(insert.join().unwrap(), Ok(Vec::new()));
        let mut holder = hold.join().unwrap();
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        assert_eq!(holder.text("SELECT COUNT(*), SUM(n) FROM shop.t"), "3,1");
    });
}

#[test]
fn the_holder_begins_a_new_file_although_a_commit_waits_for_it() {
    let mut node = Member::new(1, 1);
    shop(&mut node);
    let mut holder = Client::root(node.node.address());
    node.client.run(&["BEGIN", "INSERT INTO shop.t VALUES (2, 0)"]);
    holder.run(&["FLUSH TABLES WITH READ LOCK"]);
    let files = |client: &mut Client| client.query("SHOW BINARY LOGS").unwrap().len();
    let before = files(&mut holder);
    std::thread::scope(|scope| {
        let client = &mut node.client;
        let commit = scope.spawn(move || client.query("COMMIT"));
        std::thread::sleep(Duration::from_millis(200));
        let started = Instant::now();
        holder.run(&["FLUSH LOGS"]);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        assert!(!commit.is_finished());
        holder.run(&["UNLOCK TABLES"]);
        assert_eq!(commit.join().unwrap(), Ok(Vec::new()));
    });
    assert_eq!(files(&mut holder), before + 1);
    let place = holder.text("SHOW MASTER STATUS");
    assert!(place.starts_with("mysql-bin.000002,"), "{place}");
    let events = holder.text("SHOW BINLOG EVENTS IN 'mysql-bin.000002'");
    assert!(events.contains("Xid"), "the waiting transaction is not in the new file: {events}");
    holder.run(&["INSERT INTO shop.t VALUES (3, 0)"]);
    assert_eq!(files(&mut holder), before + 1);
}

#[test]
fn nobody_resets_the_log_or_copies_a_node_into_it_while_it_is_held() {
    let mut node = Member::new(1, 1);
    shop(&mut node);
    let mut holder = Client::root(node.node.address());
    holder.run(&["FLUSH TABLES WITH READ LOCK"]);
    let executed = holder.text("SELECT @@gtid_executed");
    let clone = "CLONE INSTANCE FROM 'root'@'127.0.0.1':1 IDENTIFIED BY ''";
    for sql in ["RESET MASTER", clone] {
        node.client.run(&["SET lock_wait_timeout = 1"]);
        assert_eq!(code(node.client.query(sql)), 1205, "{sql}");
        assert_eq!(code(holder.query(sql)), 1223, "{sql}");
    }
    assert_eq!(holder.text("SELECT @@gtid_executed"), executed);
    // what somebody else's FLUSH LOGS begins holds no transaction
    node.client.run(&["FLUSH LOGS"]);
    holder.run(&["UNLOCK TABLES"]);
    node.client.run(&["RESET MASTER"]);
    assert_eq!(holder.text("SELECT @@gtid_executed"), "");
}

#[test]
fn a_commit_of_nothing_needs_no_leave_and_one_outside_the_log_does() {
    let mut node = Member::new(1, 1);
    shop(&mut node);
    let mut holder = Client::root(node.node.address());
    holder.run(&["FLUSH TABLES WITH READ LOCK"]);
    let read = "SELECT n FROM shop.t FOR UPDATE";
    holder.run(&["BEGIN", read, "COMMIT", "UNLOCK TABLES"]);
    node.client.run(&["SET lock_wait_timeout = 1", "BEGIN", read]);
    holder.run(&["FLUSH TABLES WITH READ LOCK"]);
    node.client.run(&["COMMIT"]);
    holder.run(&["UNLOCK TABLES"]);
    node.client.run(&["SET sql_log_bin = 0", "BEGIN", "UPDATE shop.t SET n = 9"]);
    holder.run(&["FLUSH TABLES WITH READ LOCK"]);
    assert_eq!(code(node.client.query("COMMIT")), 1205);
}

#[test]
fn a_reader_waits_for_a_locked_table_until_its_client_or_the_locker_is_gone() {
    let mut node = Member::new(1, 1);
    shop(&mut node);
    let address = node.node.address();
    let mut locker = Client::root(address);
    locker.run(&["LOCK TABLES shop.t WRITE", "UPDATE shop.t SET n = 1"]);
    let shown = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT n%'";
    let mut waiting = Client::root(address);
    std::thread::scope(|scope| {
        let read = scope.spawn(move || waiting.query("SELECT n FROM shop.t"));
        node.client.wait_for(shown, "1");
        // another one that waits hangs up: the node does not wait for it to the end
        let mut raw = Client::root(address);
        raw.begin("SELECT n FROM shop.t");
        node.client.wait_for(shown, "2");
        drop(raw);
        node.client.wait_for(shown, "1");
        let id =
            node.client.text("SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT n%'");
        node.client.run(&[&format!("KILL QUERY {id}")]);
        assert_eq!(code(read.join().unwrap()), 1317);
        let mut other = Client::root(address);
        let read = scope.spawn(move || other.text("SELECT n FROM shop.t"));
        node.client.wait_for(shown, "1");
        assert!(!read.is_finished());
        drop(locker);
        assert_eq!(read.join().unwrap(), "1");
    });
}

#[test]
fn an_applier_waits_for_a_locked_table_and_goes_on() {
    let mut nodes = ring(2);
    shop(&mut nodes[0]);
    settle(&mut nodes);
    let mut locker = Client::root(nodes[1].node.address());
    locker.run(&["LOCK TABLES shop.t WRITE"]);
    nodes[0].client.run(&[
        "SET binlog_format = STATEMENT",
        "INSERT INTO shop.t VALUES (2, 0)",
        "CREATE TABLE shop.u (id INT PRIMARY KEY)",
        "INSERT INTO shop.u SELECT id FROM shop.t",
    ]);
    locker.run(&["UPDATE shop.t SET n = n + 1"]);
    assert_eq!(locker.text("SELECT COUNT(*) FROM shop.t"), "1");
    locker.run(&["UNLOCK TABLES"]);
    settle(&mut nodes);
    for node in &mut nodes {
        assert_eq!(node.client.text("SELECT COUNT(*) FROM shop.u"), "2");
    }
}
