//! A replica that is killed again and again applies every transaction exactly once, and a node that is killed under eight
//! clients has all that it acknowledged.
//!
//! The node that is killed is this test program once more, in a process of its own, so that it can be killed as `kill -9` does.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

mod cluster;

use cluster::{Client, Member, config, insert_until_the_end, wait};
use node::Node;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const FOLDER: &str = "EVENSUM_TEST_CRASH_FOLDER";
const KILLS: usize = 4;
const ROWS_BETWEEN_KILLS: usize = 60;
const CLIENTS: usize = 8;
/// A node is killed when it has acknowledged this many commits.
const COMMITS_BETWEEN_KILLS: usize = 300;

/// Not a test: the replica's process.
#[test]
#[ignore = "started by the test below"]
fn the_replica() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let node = Node::start(config(folder, 2, 2)).unwrap();
    std::fs::write(folder.join("port.new"), node.address().to_string()).unwrap();
    std::fs::rename(folder.join("port.new"), folder.join("port")).unwrap();
    node.wait();
}

fn start(folder: &Path) -> (Child, SocketAddr) {
    let _ = std::fs::remove_file(folder.join("port"));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "the_replica"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut address = None;
    wait(
        || {
            address = std::fs::read_to_string(folder.join("port")).ok().and_then(|text| text.parse().ok());
            address.is_some()
        },
        || "the replica does not start".into(),
    );
    (child, address.unwrap())
}

#[test]
fn a_replica_that_is_killed_applies_each_transaction_once() {
    let mut source = Member::new(1, 2);
    source
        .client
        .run(&["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT AUTO_INCREMENT PRIMARY KEY, n INT)"]);
    source.client.run(&["INSERT INTO shop.t (n) VALUES (0)"]);
    let folder = tempfile::tempdir().unwrap();
    let (mut replica, address) = start(folder.path());
    Client::root(address).run(&[
        &format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='root', MASTER_AUTO_POSITION=1",
            source.node.address().port()
        ),
        "START SLAVE",
    ]);
    let mut address = address;
    for kill in 0..KILLS {
        for _ in 0..ROWS_BETWEEN_KILLS {
            // Neither statement may be applied twice: one would be a duplicate, the other would count wrong.
            source
                .client
                .run(&["INSERT INTO shop.t (n) VALUES (1)", "UPDATE shop.t SET n = n + 1 WHERE id = 1"]);
        }
        let mut client = Client::root(address);
        // At first the table itself has still to arrive.
        wait(
            || {
                client
                    .query("SELECT COUNT(*) FROM shop.t")
                    .is_ok_and(|rows| rows[0][0].as_deref() != Some("0"))
            },
            || "nothing arrives".into(),
        );
        replica.kill().unwrap();
        replica.wait().unwrap();
        (replica, address) = start(folder.path());
        assert!(kill < KILLS);
    }
    let mut client = Client::root(address);
    let all = "SELECT COUNT(*), SUM(n), MAX(n) FROM shop.t";
    let expected = source.client.text(all);
    client.wait_for(all, &expected);
    let logged = client.logged();
    assert_eq!(logged, 3 + 2 * KILLS * ROWS_BETWEEN_KILLS);
    assert_eq!(client.text("SELECT @@gtid_executed"), source.executed());
    assert_eq!(client.replica("Last_SQL_Errno"), "0");
    replica.kill().unwrap();
    replica.wait().unwrap();
}

#[test]
fn a_node_that_is_killed_under_eight_clients_has_all_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (mut node, mut address) = start(folder.path());
    Client::root(address).run(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20))",
    ]);
    let mut names = Vec::new();
    for kill in 0..KILLS {
        let acknowledged = Arc::<AtomicUsize>::default();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let acknowledged = Arc::clone(&acknowledged);
                thread::spawn(move || {
                    let never = AtomicBool::new(false);
                    insert_until_the_end(address, kill * CLIENTS + client, &acknowledged, &never)
                })
            })
            .collect();
        wait(
            || acknowledged.load(Ordering::SeqCst) >= COMMITS_BETWEEN_KILLS,
            || "the clients do not come forward".into(),
        );
        node.kill().unwrap();
        node.wait().unwrap();
        names.extend(clients.into_iter().flat_map(|client| client.join().unwrap()));
        (node, address) = start(folder.path());
    }
    let mut client = Client::root(address);
    let rows = client.query("SELECT name FROM shop.t").unwrap();
    let kept: Vec<&str> = rows.iter().map(|row| row[0].as_deref().unwrap()).collect();
    for name in &names {
        assert_eq!(kept.iter().filter(|kept| *kept == name).count(), 1, "{name} was acknowledged");
    }
    // One more for each client and kill may have been committed without an answer, and all of them are in the log.
    assert!(kept.len() <= names.len() + KILLS * CLIENTS, "{} of {}", kept.len(), names.len());
    assert_eq!(client.logged(), 2 + kept.len());
    node.kill().unwrap();
    node.wait().unwrap();
}
