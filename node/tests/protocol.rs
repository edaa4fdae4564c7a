//! The protocol as a client meets it: logins, limits, large packets, commands that are not known.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

mod cluster;

use cluster::{Client, Member, Refused, config, wait};
use node::config::User;
use node::{Config, Node, StartError};

fn refused(result: Result<Client, Refused>) -> Refused {
    match result {
        Ok(_) => panic!("the client was let in"),
        Err(error) => error,
    }
}

#[test]
fn only_who_knows_the_password_comes_in() {
    let dir = tempfile::tempdir().unwrap();
    let users = vec![User { name: "app".into(), password: "secret".to_owned().into() }];
    let node = Node::start(Config { users, ..config(dir.path(), 1, 1) }).unwrap();
    let mut client = Client::login(node.address(), "app", "secret").unwrap();
    assert_eq!(client.text("SELECT 1"), "1");
    let wrong = refused(Client::login(node.address(), "app", "Secret"));
    assert_eq!(wrong, Refused(1045, "Access denied for user 'app'@'localhost' (using password: YES)".into()));
    let none = refused(Client::login(node.address(), "app", ""));
    assert_eq!(none, Refused(1045, "Access denied for user 'app'@'localhost' (using password: NO)".into()));
    assert_eq!(refused(Client::login(node.address(), "root", "")).0, 1045);
}

#[test]
fn one_client_too_many_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(Config { max_connections: 1, ..config(dir.path(), 1, 1) }).unwrap();
    let first = Client::root(node.address());
    assert_eq!(refused(Client::login(node.address(), "root", "")).0, 1040);
    drop(first);
    wait(|| Client::login(node.address(), "root", "").is_ok(), || "the place was not given back".into());
}

#[test]
fn packets_beyond_sixteen_mebibytes_travel_both_ways() {
    let mut node = Member::new(1, 1);
    let long = "x".repeat(20 << 20);
    let answer = node.client.text(&format!("SELECT '{long}'"));
    assert!(answer == long, "{} bytes came back", answer.len());
    assert_eq!(
        node.client.text(&format!("SELECT LENGTH('{}')", "y".repeat((1 << 24) - 30))),
        ((1 << 24) - 30).to_string()
    );
}

#[test]
fn a_packet_beyond_the_limit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(Config { max_allowed_packet: 100_000, ..config(dir.path(), 1, 1) }).unwrap();
    let mut client = Client::root(node.address());
    assert_eq!(client.text(&format!("SELECT LENGTH('{}')", "x".repeat(90_000))), "90000");
    assert_eq!(client.query(&format!("SELECT '{}'", "x".repeat(100_000))).unwrap_err().0, 1153);
}

#[test]
fn what_is_not_known_is_an_error_and_not_the_end() {
    let mut node = Member::new(1, 1);
    assert_eq!(node.client.command(&[0x05]).unwrap_err().0, 1047);
    assert_eq!(node.client.query("  ; -- nothing").unwrap_err().0, 1065);
    assert_eq!(node.client.query("SELECT 1; SELECT 2").unwrap_err().0, 1064);
    assert_eq!(node.client.query("KILL 999").unwrap_err().0, 1094);
    assert_eq!(node.client.text("SELECT 1"), "1");
}

#[test]
fn a_killed_client_loses_its_transaction_and_nobody_elses() {
    let mut node = Member::new(1, 1);
    node.client.run(&["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"]);
    let mut victim = Client::root(node.node.address());
    let id = victim.text("SELECT CONNECTION_ID()");
    victim.run(&["BEGIN", "INSERT INTO shop.t VALUES (1)"]);
    node.client.run(&[&format!("KILL {id}")]);
    assert_eq!(victim.query("COMMIT").unwrap_err().0, 2013);
    node.client.run(&["INSERT INTO shop.t VALUES (2)"]);
    assert_eq!(node.client.text("SELECT id FROM shop.t"), "2");
}

#[test]
fn a_second_node_on_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Node::start(config(dir.path(), 1, 1)).unwrap();
    assert!(matches!(Node::start(config(dir.path(), 1, 1)), Err(StartError::Datadir(_))));
}

#[test]
fn a_running_statement_can_be_killed_and_the_list_shows_it() {
    let mut node = Member::new(1, 1);
    let mut busy = Client::root(node.node.address());
    let id = busy.text("SELECT CONNECTION_ID()");
    let rows: Vec<String> = (0..1000).map(|n| format!("({n})")).collect();
    node.client.run(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY)",
        &format!("INSERT INTO shop.t VALUES {}", rows.join(", ")),
    ]);
    let long =
        "SELECT COUNT(*) FROM shop.t a, shop.t b, shop.t c, shop.t d WHERE a.id + b.id + c.id + d.id < 0";
    let running = std::thread::spawn(move || (busy.query(long), busy.text("SELECT 'still here'")));
    let list = "SHOW FULL PROCESSLIST";
    wait(|| node.client.text(list).contains("shop.t d WHERE"), || "the statement is not shown".into());
    node.client.run(&[&format!("KILL QUERY {id}")]);
    let (result, after) = running.join().unwrap();
    assert_eq!(result.unwrap_err().0, 1317);
    assert_eq!(after, "still here");
}

/// Kills a client that sleeps in a transaction, by that form of KILL; what its SLEEP answers, and the statement after it.
fn killed_asleep(node: &mut Member, form: &str) -> (u16, Result<String, u16>) {
    let mut sleeper = Client::root(node.node.address());
    let id = sleeper.text("SELECT CONNECTION_ID()");
    sleeper.run(&["BEGIN", "INSERT INTO shop.t VALUES (1)"]);
    let running = std::thread::spawn(move || {
        let slept = sleeper.query("SELECT SLEEP(100)").unwrap_err().0;
        let after = sleeper.query("SELECT COUNT(*) FROM shop.t").map_err(|refused| refused.0);
        (slept, after.map(|_| sleeper.text("SELECT COUNT(*) FROM shop.t")))
    });
    let list = "SHOW FULL PROCESSLIST";
    wait(|| node.client.text(list).contains("SLEEP(100)"), || "the sleeper is not shown".into());
    node.client.run(&[&format!("{form} {id}")]);
    running.join().unwrap()
}

#[test]
fn a_sleeper_is_woken_with_its_transaction_or_ended_with_it() {
    let mut node = Member::new(1, 1);
    node.client.run(&["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"]);
    assert_eq!(killed_asleep(&mut node, "KILL QUERY"), (1317, Ok("1".to_owned())));
    assert_eq!(killed_asleep(&mut node, "KILL CONNECTION"), (2013, Err(2013)));
    assert_eq!(killed_asleep(&mut node, "kill"), (2013, Err(2013)));
    // nothing of the three is left, and nobody waits for them
    node.client.run(&["INSERT INTO shop.t VALUES (2)"]);
    assert_eq!(node.client.text("SELECT id FROM shop.t"), "2");
}

#[test]
fn who_kills_himself_is_told_so() {
    let mut node = Member::new(1, 1);
    let id = node.client.text("SELECT CONNECTION_ID()");
    assert_eq!(node.client.query(&format!("KILL QUERY {id}")).unwrap_err().0, 1317);
    assert_eq!(node.client.text("SELECT 1"), "1");
    let mut other = Client::root(node.node.address());
    let id = other.text("SELECT CONNECTION_ID()");
    assert_eq!(other.query(&format!("KILL {id}")).unwrap_err().0, 1927);
    assert_eq!(other.query("SELECT 1").unwrap_err().0, 2013);
    let list = "SHOW PROCESSLIST";
    wait(|| !node.client.text(list).contains(&format!("{id},root")), || "he is still here".into());
}
