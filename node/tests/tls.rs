//! TLS on the port and on links, with the stock client where it is installed.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

mod cluster;

use cluster::{Client, Member, PATIENCE, config, wait};
use node::{Config, Node, StartError};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// What the stock client says, out and err together; none if it is not installed.
fn stock(address: SocketAddr, user: &str, password: &str, more: &[&str], sql: &str) -> Option<String> {
    let output = Command::new("mariadb")
        .args(["--no-defaults", "-h127.0.0.1", &format!("-P{}", address.port()), &format!("-u{user}")])
        .args(["-N", "-B"])
        .env("MYSQL_PWD", password)
        .args(more)
        .args(["-e", sql])
        .output();
    let output = match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    Some(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

/// Points the node's link to the source, as that user and with these options, and starts it.
fn follow(node: &mut Member, source: SocketAddr, user: &str, more: &str) {
    node.client.run(&[
        &format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='{user}', MASTER_PASSWORD='secret', \
             MASTER_AUTO_POSITION=1{more}",
            source.port()
        ),
        "START SLAVE",
    ]);
}

#[test]
fn the_stock_client_speaks_tls_and_both_plugins() {
    let mut node = Member::new(1, 1);
    let address = node.node.address();
    node.client.run(&[
        "CREATE USER 'plain'@'localhost' IDENTIFIED WITH mysql_native_password BY 'secret'",
        "CREATE USER 'sure'@'%' IDENTIFIED BY 'secret' REQUIRE SSL",
        "CREATE USER 'sha2'@'127.0.0.1' IDENTIFIED WITH caching_sha2_password BY 'secret'",
        "CREATE USER 'shown'@'%' IDENTIFIED BY 'secret' REQUIRE X509",
    ]);
    let question = "SELECT CURRENT_USER(); SHOW STATUS LIKE 'Ssl_version'";
    let Some(plain) = stock(address, "plain", "secret", &["--skip-ssl"], question) else { return };
    assert_eq!(plain, "plain@localhost\nSsl_version\t\n");
    let tls =
        |user: &str, password: &str, sql: &str| stock(address, user, password, &["--ssl"], sql).unwrap();
    assert_eq!(tls("plain", "secret", question), "plain@localhost\nSsl_version\tTLSv1.3\n");
    assert_eq!(tls("sure", "secret", "SELECT CURRENT_USER()"), "sure@%\n");
    let denied = "Access denied for user 'sure'@'localhost' (using password: YES)";
    assert!(stock(address, "sure", "secret", &["--skip-ssl"], "SELECT 1").unwrap().contains(denied));
    assert!(tls("sure", "wrong", "SELECT 1").contains(denied));
    assert!(tls("shown", "secret", "SELECT 1").contains("ERROR 1045"));

    // The short proof can be checked only after the password was seen once, which takes TLS.
    let needs_tls = stock(address, "sha2", "secret", &["--skip-ssl"], "SELECT 1").unwrap();
    assert!(needs_tls.contains("ERROR 2061"), "{needs_tls}");
    assert!(tls("sha2", "wrong", "SELECT 1").contains("ERROR 1045"));
    assert_eq!(tls("sha2", "secret", "SELECT CURRENT_USER()"), "sha2@127.0.0.1\n");
    assert_eq!(stock(address, "sha2", "secret", &["--skip-ssl"], "SELECT 1").unwrap(), "1\n");
    // A wrong short proof is no end: the password could have been changed, and who is not there is asked the same.
    assert!(stock(address, "sha2", "wrong", &["--skip-ssl"], "SELECT 1").unwrap().contains("ERROR 2061"));
    assert!(tls("sha2", "wrong", "SELECT 1").contains("ERROR 1045"));
    for n in 0..8 {
        assert!(tls(&format!("nobody{n}"), "wrong", "SELECT 1").contains("ERROR 1045"));
    }
    let ca = format!("--ssl-ca={}", node.dir.path().join("ca.pem").display());
    let verified = stock(address, "sure", "secret", &[&ca, "--ssl-verify-server-cert"], "SELECT 1").unwrap();
    assert_eq!(verified, "1\n");
    let long = "SELECT LENGTH(REPEAT('x', 3000000)), REPEAT('y', 3000000)";
    assert_eq!(tls("sure", "secret", long).len(), "3000000\t\n".len() + 3_000_000);
}

#[test]
fn a_link_with_tls_logs_in_where_tls_is_required() {
    let mut source = Member::new(1, 3);
    source.client.run(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY)",
        "CREATE USER 'repl'@'%' IDENTIFIED BY 'secret'",
        "GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%' REQUIRE SSL",
        "CREATE USER 'sha2'@'%' IDENTIFIED WITH caching_sha2_password BY 'secret'",
        "GRANT REPLICATION SLAVE ON *.* TO 'sha2'@'%'",
        "INSERT INTO shop.t VALUES (1)",
    ]);
    let address = source.node.address();
    let mut replica = Member::new(2, 3);
    follow(&mut replica, address, "repl", "");
    replica.client.wait_for_replica("Last_IO_Errno", "1045");
    assert!(replica.client.replica("Last_IO_Error").contains("Access denied for user 'repl'@'localhost'"));
    replica.client.run(&["STOP SLAVE"]);
    follow(&mut replica, address, "sha2", "");
    replica.client.wait_for_replica("Last_IO_Errno", "2061");
    replica.client.run(&["STOP SLAVE"]);
    follow(&mut replica, address, "sha2", ", MASTER_SSL=1");
    replica.client.wait_for("SELECT id FROM shop.t", "1");
    replica.client.run(&["STOP SLAVE"]);

    let ca = source.dir.path().join("ca.pem").display().to_string();
    let verified = format!(", MASTER_SSL=1, MASTER_SSL_CA='{ca}', MASTER_SSL_VERIFY_SERVER_CERT=1");
    follow(&mut replica, address, "repl", &verified);
    source.client.run(&["INSERT INTO shop.t VALUES (2)"]);
    replica.client.wait_for("SELECT id FROM shop.t", "1;2");
    let status = replica.client.query("SHOW SLAVE STATUS").unwrap().concat();
    assert!(status.contains(&Some(ca)), "{status:?}");

    // An authority that has not signed the source's certificate.
    replica.client.run(&["STOP SLAVE"]);
    let other = replica.dir.path().join("ca.pem").display().to_string();
    follow(&mut replica, address, "repl", &format!(", MASTER_SSL_CA='{other}'"));
    replica.client.wait_for_replica("Last_IO_Errno", "2026");
    replica.client.run(&["STOP SLAVE"]);

    // What was set is kept.
    let Member { dir, node, client } = replica;
    drop((client, node));
    let node = Node::start(config(dir.path(), 2, 3)).unwrap();
    let mut client = Client::root(node.address());
    assert!(client.query("SHOW SLAVE STATUS").unwrap().concat().contains(&Some(other)));
}

#[test]
fn a_client_of_tls_can_be_killed_and_a_silent_one_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(Config { max_connections: 2, ..config(dir.path(), 1, 1) }).unwrap();
    let mut root = Client::root(node.address());
    // It asks for TLS and then says nothing, but for a byte now and then.
    let mut silent = TcpStream::connect(node.address()).unwrap();
    let mut greeting = [0; 256];
    assert!(silent.read(&mut greeting).unwrap() > 0);
    let mut request = vec![32, 0, 0, 1];
    request.extend_from_slice(&node::protocol::handshake::tls_request());
    silent.write_all(&request).unwrap();
    silent.write_all(&[0x16, 3, 1]).unwrap();
    wait(|| root.query("SHOW PROCESSLIST").unwrap().len() == 2, || "it is not there".into());
    let began = Instant::now();
    while silent.write_all(&[2]).is_ok() {
        assert!(began.elapsed() < PATIENCE, "it is still there");
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(root.query("SHOW PROCESSLIST").unwrap().len() == 1);

    let port = node.address().port().to_string();
    let sleeping = Command::new("mariadb")
        .args(["--no-defaults", "--ssl", "-h127.0.0.1", "-P", &port, "-uroot", "-e", "SELECT SLEEP(60)"])
        .output_in_background();
    let Some(mut sleeping) = sleeping else { return };
    let list = "SHOW PROCESSLIST";
    wait(|| root.text(list).contains("SLEEP(60)"), || "the client does not sleep".into());
    let id = root.query(list).unwrap().into_iter().find(|row| row.concat_text().contains("SLEEP(60)"));
    root.run(&[&format!("KILL {}", id.unwrap()[0].clone().unwrap())]);
    assert!(!sleeping.wait().unwrap().success());
}

/// Small words that the test above is read more easily with.
trait InBackground {
    fn output_in_background(&mut self) -> Option<std::process::Child>;
}

impl InBackground for Command {
    fn output_in_background(&mut self) -> Option<std::process::Child> {
        self.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().ok()
    }
}

trait ConcatText {
    fn concat_text(&self) -> String;
}

impl ConcatText for Vec<Option<String>> {
    fn concat_text(&self) -> String {
        self.iter().flatten().map(String::as_str).collect()
    }
}

#[test]
fn transport_can_be_required_and_wrong_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(Config { require_secure_transport: true, ..config(dir.path(), 1, 1) }).unwrap();
    let refused = Client::login(node.address(), "root", "").map(drop).unwrap_err();
    assert_eq!(refused.0, 3159);
    if let Some(answer) = stock(node.address(), "root", "", &["--ssl"], "SELECT @@require_secure_transport") {
        assert_eq!(answer, "ON\n");
    }
    drop(node);
    let missing = Config {
        ssl_cert: Some("no.pem".into()),
        ssl_key: Some("no.pem".into()),
        ..config(dir.path(), 1, 1)
    };
    match Node::start(missing) {
        Err(StartError::Tls(why)) => assert!(why.contains("no.pem"), "{why}"),
        other => panic!("{:?}", other.map(|_| "it started")),
    }
}
