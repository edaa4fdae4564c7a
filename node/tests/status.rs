//! What the status of replication says while an applier stands, waits or passes over an error: it is what one continues from.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

mod cluster;

use cluster::{Client, Refused};
use node::{Config, Node};
use std::time::Duration;
use tempfile::TempDir;

/// A node with these keys besides its number, and a client.
fn start(number: u32, keys: &str) -> (TempDir, Node, Client) {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("[mysqld]\nserver-id = {number}\nlog_bin = mysql-bin\n{keys}");
    let config = Config::from_my_cnf(&text).unwrap();
    let config =
        Config { datadir: dir.path().to_owned(), port: 0, innodb_flush_log_at_trx_commit: 2, ..config };
    let node = Node::start(config).unwrap();
    let client = Client::root(node.address());
    (dir, node, client)
}

/// File and position of a node's log.
fn place(client: &mut Client) -> (String, String) {
    let row = client.query("SHOW MASTER STATUS").unwrap().remove(0);
    (row[0].clone().unwrap(), row[1].clone().unwrap())
}

fn follow(client: &mut Client, source: &Node, (file, position): &(String, String), more: &str) {
    let port = source.address().port();
    client.run(&[
        &format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='root', \
             MASTER_LOG_FILE='{file}', MASTER_LOG_POS={position}{more}"
        ),
        "START SLAVE",
    ]);
}

/// Where a replica says that its applier stands.
fn executed(client: &mut Client) -> (String, String) {
    (client.replica("Relay_Master_Log_File"), client.replica("Exec_Master_Log_Pos"))
}

const TABLE: [&str; 2] = ["CREATE DATABASE d", "CREATE TABLE d.k (id INT PRIMARY KEY, v VARCHAR(9))"];

/// Two nodes with the same table; the second follows the first from where that is.
fn pair(keys: &str, more: &str) -> (Vec<TempDir>, [Node; 2], [Client; 2]) {
    let (one_dir, one, mut on_one) = start(1, "");
    let (two_dir, two, mut on_two) = start(2, keys);
    for client in [&mut on_one, &mut on_two] {
        client.run(&TABLE);
    }
    on_two.run(&["SET sql_log_bin = 0", "INSERT INTO d.k VALUES (2, 'own')"]);
    let from = place(&mut on_one);
    follow(&mut on_two, &one, &from, more);
    on_two.wait_for_replica("Slave_IO_Running", "Yes");
    (vec![one_dir, two_dir], [one, two], [on_one, on_two])
}

#[test]
fn an_applier_that_stops_shows_the_place_before_what_it_stopped_at() {
    let (_dirs, nodes, [mut one, mut two]) = pair("", "");
    let before = place(&mut one);
    assert_eq!(executed(&mut two), before);
    one.run(&["INSERT INTO d.k VALUES (2, 'x')"]);
    two.wait_for_replica("Last_SQL_Errno", "1062");
    let notice = nodes[1].next_notice(Duration::from_secs(60)).unwrap();
    assert!(notice.contains("the SQL thread stops: error 1062: Could not execute Write_rows"), "{notice}");
    assert_eq!(executed(&mut two), before);
    let read = two.replica("Read_Master_Log_Pos");
    assert_eq!(read, place(&mut one).1);
    // what it shows is where it goes on
    two.run(&["STOP SLAVE", "DELETE FROM d.k WHERE id = 2"]);
    assert_eq!(executed(&mut two), before);
    two.run(&["START SLAVE"]);
    two.wait_for("SELECT v FROM d.k", "x");
    two.wait_for_replica("Exec_Master_Log_Pos", &read);
}

#[test]
fn a_delay_is_shown_as_long_as_it_lasts() {
    let (_dirs, _nodes, [mut one, mut two]) = pair("", ", MASTER_DELAY=600");
    let before = place(&mut one);
    assert_eq!(two.replica("SQL_Remaining_Delay"), "NULL");
    one.run(&["INSERT INTO d.k VALUES (3, 'x')"]);
    two.wait_for_replica(
        "Slave_SQL_Running_State",
        "Waiting until SOURCE_DELAY seconds after source executed event",
    );
    let left: u64 = two.replica("SQL_Remaining_Delay").parse().unwrap();
    assert!((1..=600).contains(&left), "{left}");
    assert_eq!(executed(&mut two), before);
    let listed = two.query("SHOW PROCESSLIST").unwrap();
    let states: Vec<&str> = listed.iter().filter_map(|row| row[6].as_deref()).collect();
    assert!(states.iter().any(|state| state.starts_with("Waiting until SOURCE_DELAY")), "{states:?}");
    assert!(states.contains(&"Waiting for source to send event"), "{states:?}");
}

#[test]
fn only_the_rows_that_fail_are_passed_over() {
    let (_dirs, _nodes, [mut one, mut two]) = pair("slave_skip_errors = 1062,1032\n", "");
    two.run(&["INSERT INTO d.k VALUES (9, 'own')"]);
    one.run(&["SET sql_log_bin = 0", "INSERT INTO d.k VALUES (8, 'a'), (9, 'a')", "SET sql_log_bin = 1"]);
    one.run(&[
        "BEGIN",
        "INSERT INTO d.k VALUES (1, 'x')",
        "INSERT INTO d.k VALUES (2, 'x')",
        "INSERT INTO d.k VALUES (3, 'x')",
        "UPDATE d.k SET v = 'y' WHERE id IN (8, 9)",
        "COMMIT",
    ]);
    two.wait_for("SELECT GROUP_CONCAT(id, v ORDER BY id) FROM d.k", "1x,2own,3x,9y");
    assert_eq!(two.replica("Last_SQL_Errno"), "0");
    assert_eq!(executed(&mut two), place(&mut one));
}

#[test]
fn the_skip_counter_is_of_events_and_ends_with_a_transaction() {
    let (_dirs, _nodes, [mut one, mut two]) = pair("", "");
    one.run(&["BEGIN", "INSERT INTO d.k VALUES (1, 'x')", "INSERT INTO d.k VALUES (2, 'x')", "COMMIT"]);
    for id in 3..=6 {
        one.run(&[&format!("INSERT INTO d.k VALUES ({id}, 'x')")]);
    }
    two.wait_for_replica("Last_SQL_Errno", "1062");
    // an insert alone is five events
    two.run(&["SET GLOBAL sql_slave_skip_counter = 7", "START SLAVE"]);
    two.wait_for("SELECT GROUP_CONCAT(id, v ORDER BY id) FROM d.k", "2own,4x,5x,6x");
    assert_eq!(two.replica("Skip_Counter"), "0");
}

#[test]
fn a_file_that_is_not_there_is_named_so() {
    let (_dirs, nodes, [_, mut two]) = pair("", "");
    two.run(&["STOP SLAVE"]);
    follow(&mut two, &nodes[0], &("mysql-bin.000099".into(), "4".into()), "");
    two.wait_for_replica("Last_IO_Errno", "1236");
    assert!(two.replica("Last_IO_Error").contains("Could not find first log file name"));
}

#[test]
fn a_client_may_ask_for_new_log_files_without_sql() {
    const REFRESH: u8 = 7;
    let (_dir, _node, mut client) = start(1, "");
    let before = place(&mut client);
    assert!(client.outcome(&[REFRESH, 2]).is_ok());
    assert_ne!(place(&mut client).0, before.0);
    assert!(client.outcome(&[REFRESH, 1]).is_ok());
    assert!(matches!(client.outcome(&[REFRESH, 128]), Err(Refused(1235, _))));
}
