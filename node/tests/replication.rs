//! Replication between real nodes in this process: convergence, conflicts, rings, delays, restarts.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

mod cluster;

use cluster::{Client, Member, config, ring, settle, wait};
use node::Node;
use std::time::{Duration, Instant};

const TABLE: &str = "CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(50))";

fn shop(members: &mut [Member]) {
    members[0].client.run(&["CREATE DATABASE shop", TABLE]);
    settle(members);
}

#[test]
fn two_masters_converge_and_number_their_rows_apart() {
    let mut nodes = ring(2);
    shop(&mut nodes);
    for n in 0..20 {
        for node in &mut nodes {
            node.client.run(&[&format!("INSERT INTO shop.orders (note) VALUES ('n{n}')")]);
        }
    }
    nodes[0].client.run(&[
        "UPDATE shop.orders SET note = 'changed' WHERE id = 1",
        "DELETE FROM shop.orders WHERE id = 2",
    ]);
    settle(&mut nodes);
    let all = "SELECT * FROM shop.orders ORDER BY id";
    let rows = nodes[0].client.text(all);
    assert_eq!(rows, nodes[1].client.text(all));
    assert!(rows.starts_with("1,changed;3,"), "{rows}");
    assert_eq!(nodes[0].client.text("SELECT COUNT(*) FROM shop.orders"), "39");
    for node in &mut nodes {
        node.client.wait_for_replica("Seconds_Behind_Master", "0");
        assert_eq!(node.client.replica("Last_SQL_Errno"), "0");
    }
}

#[test]
fn a_ring_of_three_passes_on_and_applies_nothing_twice() {
    let mut nodes = ring(3);
    shop(&mut nodes);
    for node in &mut nodes {
        node.client.run(&[
            "INSERT INTO shop.orders (note) VALUES ('a'), ('b')",
            "UPDATE shop.orders SET note = 'c'",
        ]);
    }
    settle(&mut nodes);
    let executed = nodes[0].executed();
    assert_eq!(executed.split(',').count(), 3, "{executed}");
    let logged: Vec<usize> = nodes.iter_mut().map(|node| node.client.logged()).collect();
    // Two statements that define, and two transactions of each node: once each, on every node.
    assert_eq!(logged, [8, 8, 8]);
    // Nothing goes round for ever: a moment later nothing was added.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(nodes[0].executed(), executed);
}

#[test]
fn crossing_updates_diverge_silently() {
    let mut nodes = ring(2);
    shop(&mut nodes);
    nodes[0].client.run(&["INSERT INTO shop.orders VALUES (1, 'old')"]);
    settle(&mut nodes);
    for node in &mut nodes {
        node.client.run(&["STOP SLAVE SQL_THREAD"]);
    }
    nodes[0].client.run(&["UPDATE shop.orders SET note = 'from one' WHERE id = 1"]);
    nodes[1].client.run(&["UPDATE shop.orders SET note = 'from two' WHERE id = 1"]);
    for node in &mut nodes {
        node.client.run(&["START SLAVE SQL_THREAD"]);
    }
    settle(&mut nodes);
    assert_eq!(nodes[0].client.text("SELECT note FROM shop.orders"), "from two");
    assert_eq!(nodes[1].client.text("SELECT note FROM shop.orders"), "from one");
    assert_eq!(nodes[0].client.replica("Slave_SQL_Running"), "Yes");
}

#[test]
fn a_duplicate_key_stops_the_link_and_the_skip_counter_passes_it() {
    let mut nodes = ring(2);
    shop(&mut nodes);
    nodes[1].client.run(&[
        "SET sql_log_bin = 0",
        "INSERT INTO shop.orders VALUES (7, 'here')",
        "SET sql_log_bin = 1",
    ]);
    nodes[0]
        .client
        .run(&["INSERT INTO shop.orders VALUES (7, 'there')", "INSERT INTO shop.orders VALUES (9, 'next')"]);
    nodes[1].client.wait_for_replica("Last_SQL_Errno", "1062");
    let message = nodes[1].client.replica("Last_SQL_Error");
    assert!(
        message.starts_with(
            "Could not execute Write_rows_v1 event on table shop.orders; Duplicate entry '7' for key 'PRIMARY', \
             Error_code: 1062; handler error HA_ERR_FOUND_DUPP_KEY; the event's source log mysql-bin.000001, end_log_pos "
        ),
        "{message}"
    );
    assert_eq!(nodes[1].client.replica("Slave_SQL_Running"), "No");
    assert_eq!(nodes[1].client.replica("Slave_IO_Running"), "Yes");
    assert_eq!(nodes[1].client.replica("Seconds_Behind_Master"), "NULL");
    nodes[1].client.run(&["SET GLOBAL SQL_SLAVE_SKIP_COUNTER = 1", "START SLAVE"]);
    settle(&mut nodes);
    assert_eq!(nodes[1].client.text("SELECT * FROM shop.orders ORDER BY id"), "7,here;9,next");
    assert_eq!(nodes[0].client.text("SELECT * FROM shop.orders ORDER BY id"), "7,there;9,next");
}

#[test]
fn a_missing_row_stops_the_link() {
    let mut nodes = ring(2);
    shop(&mut nodes);
    nodes[0].client.run(&["INSERT INTO shop.orders VALUES (1, 'x')"]);
    settle(&mut nodes);
    nodes[1].client.run(&["SET sql_log_bin = 0", "DELETE FROM shop.orders"]);
    nodes[0].client.run(&["UPDATE shop.orders SET note = 'y'"]);
    nodes[1].client.wait_for_replica("Last_SQL_Errno", "1032");
    let message = nodes[1].client.replica("Last_SQL_Error");
    assert!(
        message.contains("Update_rows_v1 event on table shop.orders; Can't find record in 'orders'"),
        "{message}"
    );
}

#[test]
fn a_delay_is_seen_as_lag_and_a_wait_for_gtids_bridges_it() {
    let mut nodes = ring(2);
    shop(&mut nodes);
    nodes[1].client.run(&["SET GLOBAL evensum_link_delay_ms = '10000:10000'"]);
    nodes[0].client.run(&["INSERT INTO shop.orders VALUES (1, 'late')"]);
    let set = nodes[0].executed();
    assert_eq!(nodes[1].client.text(&format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{set}', 0.2)")), "1");
    let behind = |node: &mut Member| node.client.replica("Seconds_Behind_Master").parse().unwrap_or(0);
    wait(|| behind(&mut nodes[1]) >= 1, || "it is never behind".into());
    assert_eq!(nodes[1].client.text("SELECT COUNT(*) FROM shop.orders"), "0");
    let address = nodes[1].node.address();
    let waiting = std::thread::spawn(move || {
        Client::root(address).text(&format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{set}', 60)"))
    });
    nodes[1].client.run(&["SET GLOBAL evensum_link_delay_ms = '0'"]);
    assert_eq!(waiting.join().unwrap(), "0");
    assert_eq!(nodes[1].client.text("SELECT COUNT(*) FROM shop.orders"), "1");
}

#[test]
fn a_node_that_restarts_goes_on_where_it_was() {
    let mut nodes = ring(2);
    shop(&mut nodes);
    let second = nodes.pop().unwrap();
    let (dir, port) = (second.dir, second.node.address().port());
    drop(second.client);
    drop(second.node);
    nodes[0].client.run(&["INSERT INTO shop.orders VALUES (1, 'meanwhile')"]);
    let mut again = config(dir.path(), 2, 2);
    again.port = port;
    let node = Node::start(again).unwrap();
    let client = Client::root(node.address());
    nodes.push(Member { dir, node, client });
    nodes[1].client.wait_for("SELECT note FROM shop.orders", "meanwhile");
    nodes[1].client.run(&["INSERT INTO shop.orders VALUES (2, 'back')"]);
    settle(&mut nodes);
    assert_eq!(nodes[0].client.text("SELECT COUNT(*) FROM shop.orders"), "2");
}

#[test]
fn a_file_and_position_can_be_followed_too() {
    let mut source = Member::new(1, 2);
    source.client.run(&["CREATE DATABASE shop", TABLE, "INSERT INTO shop.orders VALUES (1, 'before')"]);
    let status = source.client.query("SHOW MASTER STATUS").unwrap().remove(0);
    let (file, pos) = (status[0].clone().unwrap(), status[1].clone().unwrap());
    source.client.run(&["INSERT INTO shop.orders VALUES (2, 'after')"]);
    let mut replica = Member::new(2, 2);
    replica.client.run(&[
        "CREATE DATABASE shop",
        TABLE,
        &format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='root', MASTER_LOG_FILE='{file}', \
             MASTER_LOG_POS={pos}",
            source.node.address().port()
        ),
        "START SLAVE",
    ]);
    replica.client.wait_for("SELECT * FROM shop.orders", "2,after");
}

#[test]
fn what_cannot_be_sent_is_said() {
    let mut source = Member::new(1, 1);
    source.client.run(&[
        "CREATE DATABASE shop",
        "FLUSH LOGS",
        TABLE,
        "PURGE BINARY LOGS TO 'mysql-bin.000002'",
    ]);
    let mut replica = Member::new(2, 2);
    replica.follow(source.node.address());
    replica.client.wait_for_replica("Last_IO_Errno", "1236");
    assert!(replica.client.replica("Last_IO_Error").contains("purged required binary logs"));
    let mut twin = Member::new(1, 1);
    twin.follow(source.node.address());
    twin.client.wait_for_replica("Last_IO_Errno", "1593");
    assert_eq!(twin.client.replica("Slave_IO_Running"), "No");
    let mut stranger = Member::new(3, 3);
    stranger.client.run(&[
        &format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='root', MASTER_PASSWORD='wrong'",
            source.node.address().port()
        ),
        "START SLAVE",
    ]);
    stranger.client.wait_for_replica("Last_IO_Errno", "1045");
    assert_eq!(stranger.client.replica("Slave_IO_Running"), "Connecting");
}

#[test]
fn changed_keys_are_those_of_the_sessions_snapshot() {
    let mut node = Member::new(1, 1);
    node.client.run(&["CREATE DATABASE shop", TABLE, "INSERT INTO shop.orders VALUES (1, 'a'), (2, 'b')"]);
    let status = node.client.query("SHOW MASTER STATUS").unwrap().remove(0);
    let (file, pos) = (status[0].clone().unwrap(), status[1].clone().unwrap());
    let mut other = Client::root(node.node.address());
    other.run(&["START TRANSACTION WITH CONSISTENT SNAPSHOT", "SELECT COUNT(*) FROM shop.orders"]);
    node.client.run(&[
        "UPDATE shop.orders SET id = 5 WHERE id = 2",
        "UPDATE shop.orders SET note = 'z' WHERE id = 5",
    ]);
    let ask = format!("SHOW BINLOG CHANGES FOR shop.orders FROM '{file}' {pos}");
    assert_eq!(other.text(&ask), "");
    assert_eq!(node.client.text(&ask), "2;5");
    other.run(&["COMMIT"]);
    assert_eq!(other.text(&ask), "2;5");
}

#[test]
fn a_transaction_that_came_two_ways_is_applied_once() {
    let mut nodes = ring(3);
    shop(&mut nodes);
    // The third node follows the second already; now it follows the first directly too.
    let first = nodes[0].node.address().port();
    nodes[2].client.run(&[
        &format!("CHANGE MASTER 'direct' TO MASTER_HOST='127.0.0.1', MASTER_PORT={first}, MASTER_USER='root', MASTER_AUTO_POSITION=1"),
        "START SLAVE 'direct'",
    ]);
    for n in 0..50 {
        nodes[0].client.run(&[&format!("INSERT INTO shop.orders (note) VALUES ('n{n}')")]);
    }
    settle(&mut nodes);
    assert_eq!(nodes[2].client.text("SELECT COUNT(*) FROM shop.orders"), "50");
    assert_eq!(nodes[2].client.logged(), 52);
    let rows = nodes[2].client.query("SHOW ALL SLAVES STATUS").unwrap();
    assert!(rows.iter().all(|row| row[11].as_deref() == Some("Yes")), "{rows:?}");
}

#[test]
fn stopping_is_quick_even_with_clients_and_links_at_work() {
    let mut nodes = ring(2);
    shop(&mut nodes);
    let _open = Client::root(nodes[0].node.address()).query("BEGIN");
    let started = Instant::now();
    nodes[0].node.stop();
    nodes[0].node.wait();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    nodes[1].client.wait_for_replica("Slave_IO_Running", "Connecting");
    wait(|| nodes[1].client.replica("Last_IO_Errno") != "0", || "no error is shown".into());
}

#[test]
fn what_is_received_and_not_applied_is_told_as_events() {
    let (mut source, mut replica) = (Member::new(1, 2), Member::new(2, 2));
    replica.follow(source.node.address());
    source.client.run(&["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"]);
    replica
        .client
        .wait_for("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop'", "1");
    replica.client.run(&["STOP SLAVE SQL_THREAD"]);
    source.client.run(&["INSERT INTO shop.t VALUES (1)", "DELETE FROM shop.t"]);
    let mut kinds = Vec::new();
    wait(
        || {
            let events = replica.client.query("SHOW RELAYLOG EVENTS").unwrap();
            kinds = events.iter().map(|event| event[2].clone().unwrap()).collect::<Vec<_>>();
            kinds.iter().any(|kind| kind == "Delete_rows")
        },
        || "the two changes are received".to_owned(),
    );
    let wanted = [
        "Gtid",
        "Query",
        "Table_map",
        "Write_rows",
        "Xid",
        "Gtid",
        "Query",
        "Table_map",
        "Delete_rows",
        "Xid",
    ];
    assert!(kinds.ends_with(&wanted.map(String::from)), "{kinds:?}");
    let file = replica.client.query("SHOW RELAYLOG EVENTS LIMIT 1").unwrap()[0][0].clone().unwrap();
    let two = replica.client.query(&format!("SHOW RELAYLOG EVENTS IN '{file}' LIMIT 1, 2")).unwrap();
    assert_eq!(two.len(), 2);
    assert_eq!(replica.client.query("SHOW RELAYLOG EVENTS IN 'nosuch'").unwrap_err().0, 1220);
    assert!(source.client.query("SHOW RELAYLOG EVENTS").unwrap().is_empty());
}
