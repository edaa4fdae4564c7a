//! STATEMENT, ROW and MIXED between real nodes: what diverges and what does not, passing on, errors, the log's own words.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

mod cluster;

use cluster::{Member, config, ring, settle};
use node::Node;

fn shop(members: &mut [Member], format: &str) {
    members[0].client.run(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(100))",
    ]);
    settle(members);
    for member in members {
        member.client.run(&[&format!("SET SESSION binlog_format = {format}"), "USE shop"]);
    }
}

fn same(members: &mut [Member], sql: &str) -> bool {
    let answers: Vec<String> = members.iter_mut().map(|member| member.client.text(sql)).collect();
    answers.iter().all(|answer| *answer == answers[0])
}

const ALL: &str = "SELECT * FROM shop.t ORDER BY id";

#[test]
fn statement_diverges_by_uuid_and_row_and_mixed_do_not() {
    for (format, equal) in [("STATEMENT", false), ("ROW", true), ("MIXED", true)] {
        let mut nodes = ring(2);
        shop(&mut nodes, format);
        nodes[0].client.run(&["INSERT INTO t (v) VALUES (NOW(6)), (CONNECTION_ID()), (RAND())"]);
        settle(&mut nodes);
        assert!(same(&mut nodes, ALL), "{format}");
        nodes[0].client.run(&["INSERT INTO t (v) VALUES (UUID())"]);
        settle(&mut nodes);
        assert_eq!(same(&mut nodes, ALL), equal, "{format}");
        assert!(same(&mut nodes, "SELECT id FROM shop.t ORDER BY id"), "{format}");
        // both ends go on
        for node in &mut nodes {
            assert_eq!(node.client.replica("Last_SQL_Errno"), "0");
        }
    }
}

#[test]
fn mixed_sends_rows_where_a_text_names_what_is_not_sent() {
    let mut nodes = ring(2);
    shop(&mut nodes, "MIXED");
    nodes[0].client.run(&[
        "SET NAMES latin1",
        "INSERT INTO t (v) VALUES (@@character_set_client), (@@character_set_connection)",
    ]);
    settle(&mut nodes);
    assert!(same(&mut nodes, ALL), "{}", nodes[1].client.text(ALL));
}

#[test]
fn a_statement_goes_round_a_ring_as_it_was_written_whatever_the_nodes_log() {
    let mut nodes = ring(3);
    shop(&mut nodes, "STATEMENT");
    nodes[1].client.run(&["SET GLOBAL binlog_format = ROW"]);
    nodes[2].client.run(&["SET GLOBAL binlog_format = MIXED"]);
    nodes[0].client.run(&[
        "BEGIN",
        "INSERT INTO t (v) VALUES ('a'), ('b')",
        "UPDATE t SET v = CONCAT(v, @@server_id)",
        "COMMIT",
    ]);
    settle(&mut nodes);
    for node in &mut nodes {
        assert_eq!(node.client.text(ALL), "1,a1;4,b1");
        let events = node.client.text("SHOW BINLOG EVENTS");
        assert!(events.contains("INSERT INTO t (v) VALUES ('a'), ('b')"), "{events}");
        assert!(events.contains("UPDATE t SET v = CONCAT(v, @@server_id)"), "{events}");
    }
    // each counted it once
    let executed = nodes[0].executed();
    assert_eq!(executed.split(',').count(), 1, "{executed}");
    assert!(same(&mut nodes, "SELECT @@gtid_executed"));
}

#[test]
fn a_statement_that_fails_stops_the_link_in_mysqls_words() {
    let mut nodes = ring(2);
    shop(&mut nodes, "STATEMENT");
    nodes[1].client.run(&["SET sql_log_bin = 0", "INSERT INTO t VALUES (7, 'here')", "SET sql_log_bin = 1"]);
    nodes[0].client.run(&["INSERT INTO t VALUES (7, 'there')", "INSERT INTO t VALUES (9, 'next')"]);
    nodes[1].client.wait_for_replica("Last_SQL_Errno", "1062");
    assert_eq!(
        nodes[1].client.replica("Last_SQL_Error"),
        "Error 'Duplicate entry '7' for key 'PRIMARY'' on query. Default database: 'shop'. Query: \
         'INSERT INTO t VALUES (7, 'there')'"
    );
    assert_eq!(nodes[1].client.replica("Slave_SQL_Running"), "No");
    nodes[1].client.run(&["SET GLOBAL SQL_SLAVE_SKIP_COUNTER = 1", "START SLAVE"]);
    settle(&mut nodes);
    assert_eq!(nodes[1].client.text(ALL), "7,here;9,next");
    // a missing row is no error, and the statement finds the rows that are there
    nodes[0]
        .client
        .run(&["UPDATE t SET v = 'changed' WHERE v = 'there'", "DELETE FROM t WHERE id = 9 AND v = 'next'"]);
    settle(&mut nodes);
    assert_eq!(nodes[1].client.text(ALL), "7,here");
    assert_eq!(nodes[0].client.text(ALL), "7,changed");
    assert_eq!(nodes[1].client.replica("Last_SQL_Errno"), "0");
}

#[test]
fn listed_errors_of_statements_are_passed_over() {
    let mut first = Member::new(1, 2);
    let dir = tempfile::tempdir().unwrap();
    let node =
        Node::start(node::Config { slave_skip_errors: vec![1062], ..config(dir.path(), 2, 2) }).unwrap();
    let client = cluster::Client::root(node.address());
    let mut second = Member { dir, node, client };
    second.follow(first.node.address());
    first.client.run(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(100))",
        "USE shop",
        "SET binlog_format = STATEMENT",
    ]);
    let mut nodes = [first, second];
    settle(&mut nodes);
    nodes[1].client.run(&["SET sql_log_bin = 0", "INSERT INTO shop.t VALUES (7, 'here')"]);
    nodes[0].client.run(&["INSERT INTO t VALUES (7, 'there')", "INSERT INTO t VALUES (9, 'next')"]);
    settle(&mut nodes);
    assert_eq!(nodes[1].client.text(ALL), "7,here;9,next");
    // of a transaction only the statement that failed is left out, here and behind this node
    nodes[1].client.run(&["INSERT INTO shop.t VALUES (20, 'here')"]);
    nodes[0].client.run(&[
        "BEGIN",
        "INSERT INTO t VALUES (19, 'before')",
        "INSERT INTO t VALUES (20, 'there'), (21, 'with it')",
        "INSERT INTO t VALUES (22, 'behind')",
        "COMMIT",
    ]);
    settle(&mut nodes);
    assert_eq!(nodes[1].client.text(&format!("{ALL} LIMIT 2, 9")), "19,before;20,here;22,behind");
    let events = nodes[1].client.text("SHOW BINLOG EVENTS");
    assert!(events.contains("'behind'") && !events.contains("'with it'"), "{events}");
}

#[test]
fn the_log_tells_which_keys_a_statement_changed_on_each_node() {
    let mut nodes = ring(2);
    shop(&mut nodes, "STATEMENT");
    nodes[0].client.run(&["INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')"]);
    settle(&mut nodes);
    nodes[1].client.run(&[
        "SET sql_log_bin = 0",
        "UPDATE t SET v = 'mine' WHERE id = 1",
        "SET sql_log_bin = 1",
    ]);
    let mut places = Vec::new();
    for node in &mut nodes {
        let status = node.client.query("SHOW MASTER STATUS").unwrap();
        let [file, pos] = [0, 1].map(|at| status[0][at].clone().unwrap());
        places.push(format!("SHOW BINLOG CHANGES FOR shop.t FROM '{file}' {pos}"));
    }
    nodes[0].client.run(&["UPDATE t SET v = 'x' WHERE v < 'c'"]);
    settle(&mut nodes);
    assert_eq!(nodes[0].client.text(&places[0]), "1;2");
    assert_eq!(nodes[1].client.text(&places[1]), "2");
    assert_eq!(nodes[1].client.text(&format!("{} LOCAL", places[1])), "");
    nodes[1].client.run(&["DELETE FROM t WHERE id = 3"]);
    assert_eq!(nodes[1].client.text(&format!("{} LOCAL", places[1])), "3");
}

#[test]
fn the_configuration_gives_new_sessions_their_format() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("[mysqld]\ndatadir = {}\nport = 0\nbinlog-format = mixed\n", dir.path().display());
    let node = Node::start(node::Config::from_my_cnf(&text).unwrap()).unwrap();
    let mut client = cluster::Client::root(node.address());
    assert_eq!(client.text("SELECT @@binlog_format, @@global.binlog_format"), "MIXED,MIXED");
    client.run(&["SET GLOBAL binlog_format = STATEMENT"]);
    assert_eq!(client.text("SELECT @@binlog_format, @@global.binlog_format"), "MIXED,STATEMENT");
    let mut other = cluster::Client::root(node.address());
    assert_eq!(other.text("SELECT @@binlog_format"), "STATEMENT");
    let error = node::Config::from_my_cnf("[mysqld]\nbinlog_format = rows\n").unwrap_err();
    assert!(error.0.contains("'rows' is not ROW, STATEMENT or MIXED"), "{error}");
}
