//! Hostile bytes on the port and from a source: 100,000 inputs that nobody should send.
//!
//! Every input follows from the seed and its number, so that `EVENSUM_SEED=<seed> cargo test -p node --test hostile`
//! does the same again. Each one has a deadline. What has to hold: no thread panics (a hook counts), memory stays
//! bounded, what comes before a login changes and shows nothing and reaches no statement, and at the end the node
//! serves as before. What is sent to the node after a login has to reach its statements, or the test fails: it is
//! no test of a closed door.
//!
//! A tenth of the inputs is sent unless `EVENSUM_TEST_FULL` is set.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

#[path = "../cluster/mod.rs"]
mod cluster;
mod commands;
mod grammar;
mod logins;
mod memory;
mod random;
mod source;
mod wire;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use node::config::User;
use node::{Config, Node};

const USER: &str = "fuzz";
const PASSWORD: &str = "a long secret that is not guessed";
/// What nobody may see who has not logged in.
const SECRET: &str = "canary-7e57-5ec2e7";

static PANICS: AtomicUsize = AtomicUsize::new(0);
static FIRST_PANIC: Mutex<String> = Mutex::new(String::new());

/// How many inputs of a kind there are: `full`, or a tenth.
fn inputs(full: u64) -> u64 {
    if std::env::var_os("EVENSUM_TEST_FULL").is_some() { full } else { full / 10 }
}

fn seed() -> u64 {
    let seed = std::env::var("EVENSUM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121);
    println!("EVENSUM_SEED={seed}");
    seed
}

/// Counts the panics of the node's threads; the test's own are told as always.
fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        if ["client", "listener", "receiver", "applier", "here"].iter().any(|own| name.starts_with(own)) {
            PANICS.fetch_add(1, Ordering::SeqCst);
            let mut first = FIRST_PANIC.lock().unwrap();
            if first.is_empty() {
                *first = format!("{name}: {info}");
            }
        }
        before(info);
    }));
}

fn no_panics(seed: u64, nth: u64) {
    let (count, first) = (PANICS.load(Ordering::SeqCst), FIRST_PANIC.lock().unwrap().clone());
    assert!(count == 0, "EVENSUM_SEED={seed}, about input {nth}: {count} panics, the first: {first}");
}

/// A node with one user and a table that only that user may see.
struct Target {
    node: Node,
    _dir: tempfile::TempDir,
}

impl Target {
    fn new() -> Target {
        Target::with_packets_of(Config::default().max_allowed_packet)
    }

    fn with_packets_of(max_allowed_packet: usize) -> Target {
        let dir = tempfile::tempdir().unwrap();
        let users = vec![User { name: USER.into(), password: PASSWORD.to_owned().into() }];
        let config =
            Config { users, max_allowed_packet, max_connections: 1_000, ..cluster::config(dir.path(), 1, 1) };
        let target = Target { node: Node::start(config).unwrap(), _dir: dir };
        target.client().run(&[
            "CREATE DATABASE canary",
            "CREATE TABLE canary.t (id INT PRIMARY KEY, v VARCHAR(50))",
            &format!("INSERT INTO canary.t VALUES (1, '{SECRET}')"),
        ]);
        target
    }

    fn address(&self) -> SocketAddr {
        self.node.address()
    }

    fn client(&self) -> cluster::Client {
        cluster::Client::login(self.address(), USER, PASSWORD).unwrap()
    }

    /// The table is as it was, and an ordinary client is served.
    fn is_well(&self) {
        let mut client = self.client();
        assert_eq!(client.text("SELECT id, v FROM canary.t"), format!("1,{SECRET}"));
        client.run(&["CREATE TABLE canary.still (id INT)", "DROP TABLE canary.still"]);
    }
}

#[test]
fn hostile_bytes_do_no_harm() {
    let seed = seed();
    count_panics();
    // first, and alone: it measures the memory of the process
    memory::check();
    let sent = std::thread::scope(|scope| {
        let strangers = scope.spawn(move || logins::check(seed) + source::check(seed));
        let users = scope.spawn(move || commands::check(seed));
        [strangers, users].map(|part| part.join().unwrap()).iter().sum::<u64>()
    });
    no_panics(seed, sent);
    println!("{sent} inputs");
    assert_eq!(sent, inputs(100_000));
}
