//! A new node takes a copy of another one that is being written to, and is either complete or as empty as it was.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

mod cluster;

use cluster::{Client, Member, Refused, settle, wait};
use node::SqlError;
use node::protocol::packets::{PacketReader, PacketWriter};
use node::replication::binlog::Binlog;
use node::replication::client::LinkError;
use node::replication::clone::message::{Head, Tally};
use node::replication::clone::source::{Request, serve};
use node::replication::clone::target::{Own, Packets, check_empty, copy};
use node::replication::gtids::{self, EXECUTED, PURGED};
use node::storage::{Store, StoreOptions};
use rusqlite::Connection;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SHOP: [&str; 8] = [
    "CREATE DATABASE shop",
    "CREATE DATABASE `odd-ñame` COLLATE utf8mb4_bin",
    "CREATE DATABASE nothing",
    "CREATE TABLE shop.orders (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(40) DEFAULT 'x' COMMENT 'why', \
     amount DECIMAL(12,3), at DATETIME(6), UNIQUE KEY note (note), KEY amount (amount, at))",
    "CREATE TABLE shop.lines (o BIGINT UNSIGNED, line INT, body LONGBLOB, PRIMARY KEY (o, line))",
    "CREATE TABLE shop.heap (a TEXT, b DOUBLE)",
    "CREATE TABLE shop.empty (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY)",
    "CREATE TABLE `odd-ñame`.`t \"q\" x` (`a b` VARCHAR(10) PRIMARY KEY, k YEAR, v JSON)",
];
const TABLES: [&str; 5] = ["shop.orders", "shop.lines", "shop.heap", "shop.empty", "`odd-ñame`.`t \"q\" x`"];

fn shop(source: &mut Client) {
    source.run(&SHOP);
    source.run(&[
        "INSERT INTO shop.orders (note, amount, at) VALUES ('ä', -1.125, '2026-11-21 10:00:00.000001'), (NULL, NULL, NULL)",
        "INSERT INTO shop.orders (id, note) VALUES (900, 'gap')",
        "DELETE FROM shop.orders WHERE id = 900",
        "INSERT INTO shop.lines VALUES (18446744073709551615, -1, x'00ff00'), (1, 1, ''), (1, 2, NULL)",
        "INSERT INTO shop.heap VALUES ('same', 0.1), ('same', 0.1), (NULL, -1e300)",
        "INSERT INTO shop.empty VALUES (9446744073709551600)",
        "INSERT INTO shop.empty VALUES ()",
        "DELETE FROM shop.empty",
        "INSERT INTO `odd-ñame`.`t \"q\" x` VALUES ('x', 1999, '{\"a\": 1}'), ('X', NULL, NULL)",
    ]);
}

fn statement(source: SocketAddr) -> String {
    format!("CLONE INSTANCE FROM 'root'@'127.0.0.1':{} IDENTIFIED BY ''", source.port())
}

/// All that a client sees of the tables.
fn contents(client: &mut Client) -> Vec<String> {
    let mut all = Vec::new();
    for table in TABLES {
        all.push(client.text(&format!("SHOW CREATE TABLE {table}")));
        let order = if table == "shop.empty" { "1" } else { "1, 2" };
        all.push(client.text(&format!("SELECT * FROM {table} ORDER BY {order}")));
    }
    all
}

fn status(client: &mut Client, column: usize) -> String {
    client.query("SHOW CLONE STATUS").unwrap()[0][column].clone().unwrap_or("NULL".into())
}

#[test]
fn a_new_node_is_a_copy_and_joins_while_the_source_is_written_to() {
    let (mut source, mut target) = (Member::new(1, 2), Member::new(2, 2));
    shop(&mut source.client);
    source.client.run(&["CREATE USER copied@'%' IDENTIFIED BY 'pw'", "GRANT SELECT ON shop.* TO copied@'%'"]);
    let address = source.node.address();
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                let (mut client, mut n) = (Client::root(address), 0);
                while !over.load(Ordering::Relaxed) {
                    n += 1;
                    client.run(&[
                        &format!("INSERT INTO shop.orders (note, amount) VALUES ('w{writer} {n}', {n})"),
                        &format!("UPDATE shop.orders SET amount = amount + 1 WHERE id = {}", 1 + n % 40),
                    ]);
                }
                n
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    target.client.run(&[&statement(address)]);
    Client::login(target.node.address(), "copied", "pw").unwrap();
    assert_eq!(status(&mut target.client, 0), "Completed");
    assert_eq!(target.client.logged(), 0, "the copy is not in the log");
    let purged = target.executed();
    assert!(!purged.is_empty());
    assert_eq!(status(&mut target.client, 11), purged);
    target.follow(address);
    std::thread::sleep(Duration::from_millis(200));
    over.store(true, Ordering::Relaxed);
    let written: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
    assert!(written > 0);
    source.follow(target.node.address());
    target.client.run(&["INSERT INTO shop.orders (note) VALUES ('of the new node')"]);
    let mut members = [source, target];
    settle(&mut members);
    let [mut source, mut target] = members;
    assert_eq!(contents(&mut source.client), contents(&mut target.client));
    assert_eq!(source.client.text("SELECT COUNT(*) FROM shop.orders WHERE note = 'of the new node'"), "1");
    // the counters came along: what was given and deleted is not given again
    target.client.run(&["INSERT INTO shop.empty VALUES ()"]);
    assert_eq!(target.client.text("SELECT id > 9446744073709551601 FROM shop.empty"), "1");
    // so did the accounts, and they count at once
    let mut copied = Client::login(target.node.address(), "copied", "pw").unwrap();
    assert!(!copied.text("SELECT COUNT(*) FROM shop.orders").is_empty());
    assert!(Client::login(target.node.address(), "copied", "no").is_err());
    // a replica of the new node that lacks what was copied is told so
    let mut third = Member::new(3, 3);
    third.follow(target.node.address());
    third.client.wait_for_replica("Last_IO_Errno", "1236");
}

#[test]
fn what_cannot_be_cloned_is_refused_and_nothing_changes() {
    let (mut source, mut target) = (Member::new(1, 2), Member::new(2, 2));
    shop(&mut source.client);
    let sql = statement(source.node.address());
    let refused = |client: &mut Client, sql: &str, code: u16, words: &str| {
        let Err(Refused(number, message)) = client.query(sql) else { panic!("{sql} was not refused") };
        assert_eq!(number, code, "{message}");
        assert!(message.contains(words), "{message}");
    };
    refused(&mut target.client, &sql.replace("'root'", "'nobody'"), 3862, "1045");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    refused(&mut target.client, &statement(closed), 3862, "2003");
    let own = statement(target.node.address());
    refused(&mut target.client, &own, 3862, "same server_id");
    let mut twin = Member::new(1, 2);
    refused(&mut twin.client, &sql, 3862, "same server_id");
    target.follow(source.node.address());
    refused(&mut target.client, &sql, 3875, "STOP REPLICA");
    let executed = source.executed();
    target.client.wait_for("SELECT @@gtid_executed", &executed);
    target.client.run(&["STOP SLAVE", "RESET SLAVE ALL"]);
    refused(&mut target.client, &sql, 3875, "databases (nothing, odd-ñame, shop)");
    target.client.run(&["DROP DATABASE shop", "DROP DATABASE nothing", "DROP DATABASE `odd-ñame`"]);
    refused(&mut target.client, &sql, 3875, "executed transactions");
    assert_eq!(status(&mut target.client, 0), "Failed");
    target.client.run(&[
        "BEGIN",
        "CREATE DATABASE a",
        "RESET MASTER",
        "DROP DATABASE a",
        "RESET MASTER",
        &sql,
    ]);
    assert_eq!(contents(&mut source.client), contents(&mut target.client));
    assert_eq!(source.executed(), executed);
}

/// How long a narrow way takes for 16 KiB: what the test copies takes it a quarter of a minute.
const NARROW: Duration = Duration::from_millis(50);

/// A source on whose way to the target little gets through at a time.
struct Narrow {
    address: SocketAddr,
    passed: Arc<AtomicU64>,
}

impl Narrow {
    fn before(source: SocketAddr) -> Narrow {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let passed = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&passed);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (client, server) = (stream.unwrap(), TcpStream::connect(source).unwrap());
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass(from, to, Duration::ZERO, &AtomicU64::new(0)));
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || pass(server, client, NARROW, &counted));
            }
        });
        Narrow { address, passed }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, pause: Duration, count: &AtomicU64) {
    let mut buffer = [0; 16 << 10];
    while let Ok(bytes) = from.read(&mut buffer) {
        if bytes == 0 || to.write_all(&buffer[..bytes]).is_err() {
            break;
        }
        count.fetch_add(bytes as u64, Ordering::Relaxed);
        std::thread::sleep(pause);
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_clone_that_is_killed_or_left_leaves_the_node_empty() {
    let (mut source, target) = (Member::new(1, 2), Member::new(2, 2));
    shop(&mut source.client);
    for line in 0..40 {
        source.client.run(&[&format!("INSERT INTO shop.lines VALUES (7, {line}, REPEAT('{line} ', 50000))")]);
    }
    let narrow = Narrow::before(source.node.address());
    let sql = statement(narrow.address);
    let address = target.node.address();
    let mut other = Client::root(address);
    for way in ["KILL QUERY", "KILL", "leave", "the source goes away"] {
        let before = narrow.passed.load(Ordering::Relaxed);
        let mut client = Client::root(address);
        let id = client.text("SELECT CONNECTION_ID()");
        let copying = {
            let sql = sql.clone();
            std::thread::spawn(move || client.query(&sql))
        };
        wait(|| narrow.passed.load(Ordering::Relaxed) > before + 100_000, || "nothing comes".into());
        assert_eq!(status(&mut other, 0), "In Progress");
        let Err(Refused(3874, _)) = other.query(&sql) else { panic!("two clones at a time") };
        match way {
            "leave" => {
                // the statement's client is a thread of this test: a second client leaves in the middle
                other.run(&[&format!("KILL QUERY {id}")]);
                let _ = copying.join().unwrap();
                let mut leaving = TcpStream::connect(address).unwrap();
                leave_in_the_middle(&mut leaving, &sql, &narrow, address);
            }
            "the source goes away" => {
                let feeding = source.client.text("SHOW PROCESSLIST");
                let clone = feeding.split(';').find(|row| row.contains(",Clone,")).unwrap().to_owned();
                source.client.run(&[&format!("KILL {}", clone.split(',').next().unwrap())]);
                let Err(Refused(code, message)) = copying.join().unwrap() else { panic!("complete?") };
                assert!(code == 3862 && message.contains("2013"), "{code} {message}");
            }
            kill => {
                other.run(&[&format!("{kill} {id}")]);
                let Err(Refused(code, message)) = copying.join().unwrap() else { panic!("complete?") };
                assert!(code == 1317 || code == 2013, "{way}: {code} {message}");
            }
        }
        wait(|| status(&mut other, 0) == "Failed", || format!("{way}: it goes on"));
        assert_eq!(other.text("SELECT @@gtid_executed"), "", "{way}");
        // nobody is left with the right to write
        other.run(&["SET sql_log_bin = 0", "CREATE DATABASE a", "DROP DATABASE a", "SET sql_log_bin = 1"]);
    }
    other.run(&[&statement(source.node.address())]);
    assert_eq!(contents(&mut source.client), contents(&mut other));
}

/// Begins a clone as a client that closes its connection while it runs.
fn leave_in_the_middle(stream: &mut TcpStream, sql: &str, narrow: &Narrow, address: SocketAddr) {
    use node::protocol::handshake;
    let mut reader = PacketReader::new(stream.try_clone().unwrap(), 1 << 20);
    let mut writer = PacketWriter::new(stream.try_clone().unwrap());
    let salt = handshake::read_greeting(reader.read().unwrap().unwrap()).unwrap().salt;
    writer.set_sequence(1);
    writer.packet(&handshake::login("root", &handshake::proof(&database::Secret::new(""), &salt))).unwrap();
    writer.flush().unwrap();
    reader.set_sequence(2);
    reader.read().unwrap();
    let before = narrow.passed.load(Ordering::Relaxed);
    writer.set_sequence(0);
    writer.packet(&[&[3], sql.as_bytes()].concat()).unwrap();
    writer.flush().unwrap();
    wait(|| narrow.passed.load(Ordering::Relaxed) > before + 100_000, || "nothing comes".into());
    assert_eq!(status(&mut Client::root(address), 0), "In Progress");
    stream.shutdown(std::net::Shutdown::Both).unwrap();
}

/// What a source sent, message by message.
struct Sent(std::vec::IntoIter<Vec<u8>>, Vec<u8>);

impl Packets for Sent {
    fn next(&mut self) -> Result<&[u8], LinkError> {
        self.1 = self.0.next().ok_or_else(|| LinkError::passing(2013, "Lost connection to source"))?;
        Ok(&self.1[1..])
    }
}

fn file(dir: &Path) -> (Store, Connection, Binlog) {
    let store = Store::open(dir, &StoreOptions::default()).unwrap();
    let conn = store.connect().unwrap();
    let log = Binlog::open(&conn, "mysql-bin", 1 << 30).unwrap();
    (store, conn, log)
}

fn messages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut reader, mut all) = (PacketReader::new(bytes, 1 << 30), Vec::new());
    while let Some(packet) = reader.read().unwrap() {
        all.push(packet.to_vec());
    }
    all
}

fn take(conn: &Connection, log: &Binlog, sent: Vec<Vec<u8>>) -> Result<(Head, Tally), SqlError> {
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    let own = Own { server_id: 2, server_uuid: log.server_uuid() };
    let result = copy(conn, &mut Sent(sent.into_iter(), Vec::new()), own, &|_, _| Ok(()));
    conn.execute_batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" }).unwrap();
    result
}

/// The messages of a source's snapshot.
fn snapshot() -> Vec<Vec<u8>> {
    let mut source = Member::new(1, 2);
    shop(&mut source.client);
    source
        .client
        .run(&["INSERT INTO shop.lines VALUES (8, 1, REPEAT('x', 300000)), (8, 2, REPEAT('y', 100000))"]);
    source.node.stop();
    let (_, conn, log) = file(source.dir.path());
    let mut packets = PacketWriter::new(Vec::new());
    let request = Request::read(&Request::command(2)[1..]);
    serve(&conn, &log, 1, request, &mut packets, &|| false).unwrap();
    messages(packets.inner())
}

#[test]
fn a_stream_that_is_cut_anywhere_leaves_nothing_and_a_whole_one_everything() {
    let sent = snapshot();
    assert!(sent.len() > 10, "{} messages", sent.len());
    let dir = tempfile::tempdir().unwrap();
    let (_store, conn, log) = file(dir.path());
    for cut in 0..sent.len() {
        let error = take(&conn, &log, sent[..cut].to_vec()).unwrap_err();
        assert_eq!(error.code, 3862, "cut at {cut}: {error}");
        check_empty(&conn).unwrap();
        // the last one apart, which is a cut
        if cut + 1 < sent.len() {
            let left: Vec<_> = (0..sent.len()).filter(|n| *n != cut).map(|n| sent[n].clone()).collect();
            assert!(take(&conn, &log, left).is_err(), "{cut} left out");
            check_empty(&conn).unwrap();
        }
    }
    let (head, tally) = take(&conn, &log, sent).unwrap();
    assert_eq!((head.tables, tally.tables), (5, 5));
    assert_eq!(gtids::read(&conn, EXECUTED).unwrap(), head.executed);
    assert_eq!(gtids::read(&conn, PURGED).unwrap(), head.executed);
}

#[test]
fn a_hostile_source_breaks_nothing() {
    let sent = snapshot();
    let dir = tempfile::tempdir().unwrap();
    let (_store, conn, log) = file(dir.path());
    let seed =
        std::env::var("EVENSUM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121_u64);
    let mut state = seed | 1;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).unwrap()
    };
    let mut refused = 0;
    for round in 0..400 {
        let mut wrong = sent.clone();
        for _ in 0..=below(3) {
            let n = below(wrong.len());
            let at = 1 + below(wrong[n].len() - 1);
            match below(4) {
                0 => wrong[n][at] ^= 1 << below(8),
                1 => wrong[n].truncate(at.max(2)),
                2 => wrong.swap(n, 0),
                _ => {
                    let twice = wrong[n].clone();
                    wrong.insert(n, twice);
                }
            }
        }
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        let own = Own { server_id: 2, server_uuid: log.server_uuid() };
        let result = copy(&conn, &mut Sent(wrong.into_iter(), Vec::new()), own, &|_, _| Ok(()));
        refused += u32::from(result.is_err());
        if !conn.is_autocommit() {
            conn.execute_batch("ROLLBACK").unwrap();
        }
        check_empty(&conn).unwrap_or_else(|error| panic!("round {round} of seed {seed}: {error}"));
    }
    assert!(refused > 200, "{refused} of 400 were refused (seed {seed})");
    take(&conn, &log, sent).unwrap();
}

/// Writes to the source whenever the source sends something.
struct Meddler {
    client: Client,
    bytes: Vec<u8>,
    writes: u32,
    longest: Duration,
}

impl Write for Meddler {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        let begun = Instant::now();
        self.client.run(&[
            "BEGIN",
            "UPDATE bank.a SET amount = amount - 1 WHERE id = 1",
            "UPDATE bank.z SET amount = amount + 1 WHERE id = 1",
            "COMMIT",
            &format!("CREATE TABLE bank.new{} (id INT PRIMARY KEY)", self.writes),
        ]);
        self.writes += 1;
        self.longest = self.longest.max(begun.elapsed());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_snapshot_is_of_one_moment_and_holds_no_writer_up() {
    let mut source = Member::new(1, 2);
    source.client.run(&[
        "CREATE DATABASE bank",
        "CREATE TABLE bank.a (id INT PRIMARY KEY, amount INT)",
        "CREATE TABLE bank.m (id INT PRIMARY KEY, body LONGTEXT)",
        "CREATE TABLE bank.z (id INT PRIMARY KEY, amount INT)",
        "INSERT INTO bank.a VALUES (1, 1000)",
        "INSERT INTO bank.z VALUES (1, 0)",
    ]);
    for n in 0..30 {
        source.client.run(&[&format!("INSERT INTO bank.m VALUES ({n}, REPEAT('m', 70000))")]);
    }
    let executed = source.executed();
    let (_store, conn, log) = file(source.dir.path());
    let client = Client::root(source.node.address());
    let meddler = Meddler { client, bytes: Vec::new(), writes: 0, longest: Duration::ZERO };
    let mut packets = PacketWriter::new(meddler);
    serve(&conn, &log, 1, Request::read(&Request::command(2)[1..]), &mut packets, &|| false).unwrap();
    let meddler = packets.inner();
    assert!(meddler.writes >= 5, "{} writes", meddler.writes);
    assert!(meddler.longest < Duration::from_secs(3), "a writer waited for {:?}", meddler.longest);
    assert_ne!(source.executed(), executed);
    let dir = tempfile::tempdir().unwrap();
    let (_store, conn, log) = file(dir.path());
    let (head, tally) = take(&conn, &log, messages(&meddler.bytes)).unwrap();
    assert_eq!(head.executed.to_string(), executed);
    assert_eq!((tally.tables, tally.rows), (3, 32));
    let sum: i64 = conn
        .query_row("SELECT (SELECT amount FROM \"bank.a\") + (SELECT amount FROM \"bank.z\")", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(sum, 1000);
}
