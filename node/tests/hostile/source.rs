//! The replica's side: a source that says what it likes.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use database::Secret;
use node::replication::client::{LogRequest, Registration, SILENCE, SourceClient};
use node::replication::encoding;
use node::replication::record::{self, Message};
use node::tls::link::LinkTls;

use crate::cluster::Member;
use crate::logins::captured;
use crate::random::Random;
use crate::{PASSWORD, Target, USER, inputs, memory, no_panics};

const FULL: u64 = 5_000;
/// How many times a whole link meets the hostile source.
const LINKS: u64 = 5;
/// Messages that one conversation may hold.
const MESSAGES: usize = 10_000;

fn request() -> LogRequest {
    LogRequest {
        server_id: 99,
        from: None,
        reads_on: false,
        known: "".parse().unwrap(),
        replica: Registration::default(),
    }
}

/// A client that follows a source, until it breaks. The number of transactions that it was sent.
fn follow(address: std::net::SocketAddr, most: usize) -> usize {
    let stream = SourceClient::open_stream("127.0.0.1", address.port()).unwrap();
    let Ok(mut client) =
        SourceClient::login(stream, "127.0.0.1", USER, &Secret::new(PASSWORD), &LinkTls::default(), SILENCE)
    else {
        return 0;
    };
    if client.identify().is_err() || client.request_log(&request()).is_err() {
        return 0;
    }
    let mut transactions = 0;
    for _ in 0..MESSAGES {
        match client.next_message() {
            Ok(Message::Transaction(record)) => {
                transactions += 1;
                // what the applier does with it first
                let _ = (encoding::decode(&record.payload), record.transaction());
            }
            Ok(Message::Heartbeat(_)) => {}
            Err(_) => break,
        }
        if transactions >= most {
            break;
        }
    }
    transactions
}

/// What a node says to a replica: its greeting, who it is, and its log.
fn conversation() -> Vec<u8> {
    let target = Target::new();
    let mut client = target.client();
    client.run(&["CREATE TABLE canary.log (id INT PRIMARY KEY, d DECIMAL(10,2), t TEXT, b BLOB)"]);
    client.run(&["INSERT INTO canary.log VALUES (1, 1.5, 'é', x'00ff'), (2, NULL, NULL, NULL)"]);
    client.run(&["SET SESSION binlog_format = 'STATEMENT'", "SET @u = 'x'"]);
    client.run(&[
        "UPDATE canary.log SET t = CONCAT(@u, t) WHERE id = 1",
        "DELETE FROM canary.log WHERE id = 2",
    ]);
    let mut got = 0;
    let (_, answered) = captured(target.address(), |between| got = follow(between, 6));
    assert!(got >= 6 && answered.len() > 500, "{got} transactions in {} bytes", answered.len());
    answered
}

fn damaged(random: &mut Random, whole: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    match random.below(8) {
        0 => bytes = random.bytes(400),
        1 => {
            // a packet of 16 MiB that does not come, somewhere
            let at = random.below(bytes.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&[0xff, 0xff, 0xff, random.below(8).to_le_bytes()[0]]);
        }
        _ => random.damage(&mut bytes),
    }
    bytes
}

pub fn check(seed: u64) -> u64 {
    let whole = conversation();
    let all = inputs(FULL);
    let links = LINKS.min(all);
    let watch = memory::Watch::begin();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for nth in 0..all - links {
                let mut random = Random::of(seed, (2 << 32) + nth);
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.write_all(&damaged(&mut random, &whole)); // the replica may have left
                let _ = stream.shutdown(std::net::Shutdown::Write);
                drain(stream);
            }
        });
        let here = std::thread::Builder::new().name("here".into());
        here.spawn_scoped(scope, || {
            for nth in 0..all - links {
                let begun = Instant::now();
                follow(address, MESSAGES);
                assert!(begun.elapsed() < Duration::from_secs(30), "EVENSUM_SEED={seed}, input {nth} hangs");
                watch.bounded(seed, nth);
            }
        })
        .unwrap()
        .join()
        .unwrap();
    });
    messages(seed, &whole);
    for nth in 0..links {
        link(&mut Random::of(seed, (3 << 32) + nth), &whole);
    }
    no_panics(seed, all);
    watch.bounded(seed, all);
    all
}

/// Reads until the replica is gone, so that it is not reset before it has read.
fn drain(mut stream: std::net::TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let _ = std::io::copy(&mut stream, &mut std::io::sink()); // a reset is an end too
}

/// Log messages by themselves, where damage is not stopped by a packet's frame.
fn messages(seed: u64, whole: &[u8]) {
    let mut payloads = Vec::new();
    let mut rest = whole;
    while let [a, b, c, _, tail @ ..] = rest {
        let length = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
        let Some((payload, after)) = tail.split_at_checked(length) else { break };
        payloads.push(payload.to_vec());
        rest = after;
    }
    for nth in 0..inputs(FULL) {
        let mut random = Random::of(seed, (4 << 32) + nth);
        let mut payload = random.pick(&payloads).clone();
        random.damage(&mut payload);
        if let Ok(Message::Transaction(record)) = record::read_message(payload.get(1..).unwrap_or_default()) {
            let _ = (encoding::decode(&record.payload), record.transaction());
        }
        let _ = (encoding::decode(&payload), LogRequest::read(&payload));
    }
}

/// A node whose link meets the hostile source again and again, for a second.
fn link(random: &mut Random, whole: &[u8]) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut member = Member::new(7, 7);
    member.client.run(&[
        &format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='{USER}', \
             MASTER_PASSWORD='x', MASTER_AUTO_POSITION=1, MASTER_CONNECT_RETRY=1"
        ),
        "START SLAVE",
    ]);
    let until = Instant::now() + Duration::from_millis(1_500);
    while Instant::now() < until {
        match listener.accept() {
            Ok((mut stream, _)) => {
                let _ = stream.set_nonblocking(false);
                let _ = stream.write_all(&damaged(random, whole)); // the replica may have left
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    member.client.run(&["STOP SLAVE"]);
    assert_eq!(member.client.text("SELECT 1"), "1");
}
