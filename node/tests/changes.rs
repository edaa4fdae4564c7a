//! SHOW BINLOG CHANGES where the log does not hold all that was written: it says so, and never that there was nothing.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

mod cluster;

use cluster::{Client, Member, Refused, config, settle};
use node::{Config, Node};
use tempfile::TempDir;

/// A node with settings of its own.
fn member(server_id: u32, set: impl FnOnce(&mut Config)) -> Member {
    let dir = TempDir::new().unwrap();
    let mut config = config(dir.path(), server_id, 2);
    set(&mut config);
    let node = Node::start(config).unwrap();
    let client = Client::root(node.address());
    Member { client, node, dir }
}

/// The question about a table, from the end of the log on.
fn question(client: &mut Client, table: &str) -> String {
    let place = client.text("SHOW MASTER STATUS");
    let mut place = place.split(',');
    let (file, pos) = (place.next().unwrap(), place.next().unwrap());
    format!("SHOW BINLOG CHANGES FOR {table} FROM '{file}' {pos}")
}

fn refused(client: &mut Client, sql: &str) -> String {
    match client.query(sql) {
        Err(Refused(1105, why)) => why,
        other => panic!("{sql}: {other:?}"),
    }
}

const TABLE: &str = "CREATE TABLE shop.t (id INT PRIMARY KEY, n INT)";

#[test]
fn what_a_link_brought_and_the_log_has_not_is_no_silence() {
    let mut nodes = [member(1, |_| ()), member(2, |config| config.log_slave_updates = false)];
    let source = nodes[0].node.address();
    nodes[1].follow(source);
    nodes[0].client.run(&["CREATE DATABASE shop", TABLE]);
    settle(&mut nodes);
    nodes[1].client.run(&["INSERT INTO shop.t VALUES (1, 0)"]);
    let asked = question(&mut nodes[1].client, "shop.t");
    assert_eq!(nodes[1].client.query(&asked), Ok(Vec::new()));
    nodes[0].client.run(&["INSERT INTO shop.t VALUES (2, 0)"]);
    let executed = nodes[0].client.text("SELECT @@gtid_executed");
    nodes[1].client.run(&[&format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{executed}', 20)")]);
    assert_eq!(nodes[1].client.text("SELECT COUNT(*) FROM shop.t"), "2");
    assert!(refused(&mut nodes[1].client, &asked).contains("log_slave_updates"));
    // of what began here the log has all
    assert_eq!(nodes[1].client.query(&format!("{asked} LOCAL")), Ok(Vec::new()));
    nodes[1].client.run(&["UPDATE shop.t SET n = 1 WHERE id = 1"]);
    refused(&mut nodes[1].client, &asked);
    let later = question(&mut nodes[1].client, "shop.t");
    nodes[1].client.run(&["UPDATE shop.t SET n = 2 WHERE id = 1"]);
    assert_eq!(nodes[1].client.text(&later), "1");
}

#[test]
fn what_a_filter_of_the_log_leaves_out_is_no_silence() {
    let mut node = member(1, |config| config.binlog_do_db = vec!["shop".to_owned()]);
    let client = &mut node.client;
    client.run(&["CREATE DATABASE shop", "CREATE DATABASE other", "USE shop", TABLE]);
    client.run(&["CREATE TABLE other.t (id INT PRIMARY KEY)", "INSERT INTO shop.t VALUES (1, 0)"]);
    let out = question(client, "other.t");
    assert!(refused(client, &out).contains("binlog_do_db"));
    let asked = question(client, "shop.t");
    client.run(&["INSERT INTO other.t VALUES (1)", "USE other", "CREATE TABLE u (id INT)"]);
    assert_eq!(client.query(&asked), Ok(Vec::new()));
    // a statement counts by the default database, whatever it writes
    client.run(&["SET SESSION binlog_format = STATEMENT", "UPDATE shop.t SET n = 1"]);
    refused(client, &asked);
    client.run(&["USE shop", "UPDATE shop.t SET n = 2"]);
    refused(client, &asked);
    let later = question(client, "shop.t");
    assert_eq!(client.query(&later), Ok(Vec::new()));
}
