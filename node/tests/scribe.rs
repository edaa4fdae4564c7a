//! Many clients that write one row each, at once: the thread that writes for them, and what must not stop it.
//!
//! Each test counts how many statements it ran, and how many it set aside, and fails where there were none.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

mod cluster;

use cluster::{Client, Member, Refused, Reply, wait};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

const CLIENTS: u64 = 8;

fn shop() -> Member {
    let mut node = Member::new(1, 1);
    node.client.run(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY, n INT NOT NULL)",
        "CREATE TABLE shop.u (id INT PRIMARY KEY, n INT NOT NULL)",
        "CREATE TABLE shop.names (name VARCHAR(700) PRIMARY KEY)",
        "CREATE TABLE shop.keys (id INT AUTO_INCREMENT PRIMARY KEY, who INT NOT NULL)",
    ]);
    node
}

/// What SHOW STATUS counts of the scribe.
fn counted(client: &mut Client, what: &str) -> u64 {
    let rows = client.query(&format!("SHOW GLOBAL STATUS LIKE 'Evensum_scribe_{what}'")).unwrap();
    rows[0][1].as_deref().unwrap().parse().unwrap()
}

fn changed(client: &mut Client, sql: &str) -> Result<u64, Refused> {
    let payload = [b"\x03", sql.as_bytes()].concat();
    match client.outcome(&payload)? {
        Reply::Done(rows) => Ok(rows),
        Reply::Rows(_) => panic!("{sql} has rows"),
    }
}

/// Clients that write rows of a table until it is over, each its own, and read back what they wrote; and how often they did.
struct Writers<'s> {
    over: &'s AtomicBool,
    written: &'s AtomicU64,
    clients: u64,
}

impl<'s> Writers<'s> {
    fn start(
        &self,
        scope: &'s std::thread::Scope<'s, '_>,
        address: SocketAddr,
        table: &'static str,
    ) -> Vec<ScopedJoinHandle<'s, u64>> {
        let (over, written) = (self.over, self.written);
        let work = move |who: u64| {
            let mut client = Client::root(address);
            let mut rows = 0;
            while !over.load(Ordering::SeqCst) {
                let id = who * 1_000_000 + rows;
                assert_eq!(
                    changed(&mut client, &format!("INSERT INTO shop.{table} VALUES ({id}, 0)")),
                    Ok(1)
                );
                let refused = changed(&mut client, &format!("INSERT INTO shop.{table} VALUES ({id}, 1)"));
                assert_eq!(refused.unwrap_err().0, 1062);
                let update = format!("UPDATE shop.{table} SET n = n + 1 WHERE id = {id}");
                assert_eq!(changed(&mut client, &update), Ok(1));
                assert_eq!(client.text(&format!("SELECT n FROM shop.{table} WHERE id = {id}")), "1");
                rows += 1;
                written.fetch_add(1, Ordering::SeqCst);
            }
            rows
        };
        (1..=self.clients).map(|who| scope.spawn(move || work(who))).collect()
    }
}

/// Ends what goes on until it is over, also where a test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn total(handles: Vec<ScopedJoinHandle<'_, u64>>) -> u64 {
    handles.into_iter().map(|handle| handle.join().unwrap()).sum()
}

#[test]
fn each_client_is_told_what_became_of_its_own_statement() {
    let mut node = shop();
    let address = node.node.address();
    let before = node.client.logged() as u64;
    let (over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let rows = std::thread::scope(|scope| {
        let ends = Ends(&over);
        let handles = Writers { over: &over, written: &written, clients: CLIENTS }.start(scope, address, "t");
        let keys = (1..=CLIENTS).map(|who| scope.spawn(move || own_keys(address, who))).collect::<Vec<_>>();
        keys.into_iter().for_each(|keys| keys.join().unwrap());
        wait(|| written.load(Ordering::SeqCst) > 400, || "nobody writes".into());
        drop(ends);
        total(handles)
    });
    assert_eq!(node.client.text("SELECT COUNT(*), SUM(n) FROM shop.t"), format!("{rows},{rows}"));
    assert_eq!(node.client.text("SELECT COUNT(*) FROM shop.keys"), (CLIENTS * KEYS).to_string());
    assert_eq!(node.client.logged() as u64 - before, 2 * rows + CLIENTS * KEYS);
    let by_scribe = counted(&mut node.client, "statements");
    assert!(by_scribe > rows, "the scribe ran only {by_scribe} of {} statements", 3 * rows);
}

/// So many rows with an automatic key each client inserts.
const KEYS: u64 = 50;

/// Each row that a client inserts has the key that the client is told, by the answer and by LAST_INSERT_ID().
fn own_keys(address: SocketAddr, who: u64) {
    let mut client = Client::root(address);
    for _ in 0..KEYS {
        client.run(&[&format!("INSERT INTO shop.keys (who) VALUES ({who})")]);
        assert_eq!(client.text("SELECT ROW_COUNT()"), "1");
        assert_eq!(
            client.text("SELECT who FROM shop.keys WHERE id = LAST_INSERT_ID()"),
            who.to_string(),
            "not the client's own key"
        );
    }
}

#[test]
fn a_locked_table_stops_who_writes_to_it_and_nobody_else() {
    let mut node = shop();
    let address = node.node.address();
    let (over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let (over_u, written_u) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (ends, ends_u) = (Ends(&over), Ends(&over_u));
        let t = Writers { over: &over, written: &written, clients: CLIENTS }.start(scope, address, "t");
        let u = Writers { over: &over_u, written: &written_u, clients: CLIENTS }.start(scope, address, "u");
        let mut locked = 0;
        while locked < 5 || counted(&mut node.client, "set_aside") == 0 {
            assert!(locked < 50, "no statement was set aside");
            node.client.run(&["LOCK TABLES shop.t WRITE"]);
            let (stands, goes_on) =
                (node.client.text("SELECT COUNT(*), SUM(n) FROM shop.t"), written_u.load(Ordering::SeqCst));
            wait(
                || written_u.load(Ordering::SeqCst) > goes_on + 20,
                || "who writes to another table waits".into(),
            );
            assert_eq!(node.client.text("SELECT COUNT(*), SUM(n) FROM shop.t"), stands);
            node.client.run(&["UNLOCK TABLES"]);
            let before = written.load(Ordering::SeqCst);
            wait(|| written.load(Ordering::SeqCst) > before + 20, || "who waited does not go on".into());
            locked += 1;
        }
        drop(ends);
        drop(ends_u);
        assert!(total(t) > 0 && total(u) > 0);
    });
    assert!(counted(&mut node.client, "statements") > 0);
}

#[test]
fn under_a_global_read_lock_nothing_is_committed() {
    let mut node = shop();
    let address = node.node.address();
    let (over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let ends = Ends(&over);
        let handles = Writers { over: &over, written: &written, clients: CLIENTS }.start(scope, address, "t");
        for _ in 0..30 {
            node.client.run(&["FLUSH TABLES WITH READ LOCK"]);
            let place = node.client.text("SHOW MASTER STATUS");
            std::thread::sleep(Duration::from_millis(5));
            assert_eq!(node.client.text("SHOW MASTER STATUS"), place);
            node.client.run(&["UNLOCK TABLES"]);
            let before = written.load(Ordering::SeqCst);
            wait(|| written.load(Ordering::SeqCst) > before, || "nobody goes on".into());
        }
        drop(ends);
        total(handles);
    });
    assert!(counted(&mut node.client, "statements") > 0);
    assert!(counted(&mut node.client, "set_aside") > 0);
}

#[test]
fn an_open_transaction_makes_writers_wait_and_ends_their_wait_with_1205() {
    let mut node = shop();
    let address = node.node.address();
    let (over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let ends = Ends(&over);
        let handles = Writers { over: &over, written: &written, clients: CLIENTS }.start(scope, address, "t");
        wait(|| written.load(Ordering::SeqCst) > 100, || "nobody writes".into());
        let mut impatient: Vec<Client> = (0..60).map(|_| Client::root(address)).collect();
        impatient.iter_mut().for_each(|client| client.run(&["SET innodb_lock_wait_timeout = 1"]));
        node.client.run(&["BEGIN", "INSERT INTO shop.u VALUES (1, 1)"]);
        let began = Instant::now();
        let insert = |client: &mut Client| client.query("INSERT INTO shop.u VALUES (2, 2)").unwrap_err().0;
        let waits: Vec<_> =
            impatient.into_iter().map(|mut client| scope.spawn(move || insert(&mut client))).collect();
        assert!(waits.into_iter().all(|wait| wait.join().unwrap() == 1205));
        // they wait side by side, and not one after the other
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let stands = written.load(Ordering::SeqCst);
        node.client.run(&["COMMIT"]);
        wait(|| written.load(Ordering::SeqCst) > stands + 50, || "who waited does not go on".into());
        drop(ends);
        total(handles);
    });
    assert_eq!(node.client.text("SELECT id FROM shop.u"), "1");
    assert!(counted(&mut node.client, "statements") > 0);
}

#[test]
fn who_does_not_read_its_answers_keeps_nobody_waiting() {
    let mut node = shop();
    let address = node.node.address();
    let (over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let ends = Ends(&over);
        let handles = Writers { over: &over, written: &written, clients: CLIENTS }.start(scope, address, "t");
        let (mut deaf, mut since) = (Deaf::start(address, &mut node.client), Instant::now());
        let began = since;
        while counted(&mut node.client, "set_aside") == 0 {
            assert!(began.elapsed() < Duration::from_secs(100), "no answer was set aside");
            if since.elapsed() > Duration::from_secs(3) {
                (deaf, since) = (Deaf::start(address, &mut node.client), Instant::now()); // it was its own thread that met the full socket
            }
            let before = written.load(Ordering::SeqCst);
            wait(|| written.load(Ordering::SeqCst) > before + 10, || "the others wait".into());
        }
        let before = written.load(Ordering::SeqCst);
        wait(|| written.load(Ordering::SeqCst) > before + 200, || "the others wait".into());
        drop(ends);
        total(handles);
        drop(deaf);
    });
    // their connections are gone, and so are their places
    wait(|| node.client.query("SHOW PROCESSLIST").unwrap().len() == 1, || "a client is still there".into());
}

/// A client that sends statements and reads no answer.
struct Deaf {
    stream: std::net::TcpStream,
    sends: Option<std::thread::JoinHandle<()>>,
}

impl Deaf {
    /// Fills its socket with answers of the connection's own thread until they just fit, and then goes on with what the scribe answers.
    fn start(address: SocketAddr, looks: &mut Client) -> Deaf {
        let mut client = Client::root(address);
        let id = client.text("SELECT CONNECTION_ID()");
        let mut stream = client.stream();
        let select = packet("SELECT REPEAT('x', 300000)");
        loop {
            stream.write_all(&select).unwrap();
            if !rests(looks, &id) {
                break;
            }
        }
        while !rests(looks, &id) {
            let _ = stream.read(&mut [0; 1 << 16]).unwrap();
        }
        let insert = packet(&format!("INSERT INTO shop.names VALUES ('{}')", "a name ".repeat(100)));
        let mut out = stream.try_clone().unwrap();
        let sends = Some(std::thread::spawn(move || while out.write_all(&insert).is_ok() {}));
        Deaf { stream, sends }
    }
}

/// A command with a statement.
fn packet(sql: &str) -> Vec<u8> {
    let length = u16::try_from(sql.len() + 1).unwrap().to_le_bytes();
    [&[length[0], length[1], 0, 0, 3], sql.as_bytes()].concat()
}

/// Whether a client's statement is soon done and its answer gone.
fn rests(looks: &mut Client, id: &str) -> bool {
    let sql = format!("SELECT COMMAND FROM information_schema.PROCESSLIST WHERE ID = {id}");
    (0..30).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        looks.text(&sql) == "Sleep"
    })
}

impl Drop for Deaf {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        if let Some(sends) = self.sends.take() {
            sends.join().unwrap();
        }
    }
}

#[test]
fn who_is_killed_loses_its_statement_or_has_it_and_takes_nobody_with_it() {
    let mut node = shop();
    let address = node.node.address();
    let (over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let killed = AtomicU64::new(0);
    let rows = std::thread::scope(|scope| {
        let ends = Ends(&over);
        let handles = Writers { over: &over, written: &written, clients: CLIENTS }.start(scope, address, "t");
        for who in 0..4_u64 {
            let (over, killed) = (&over, &killed);
            scope.spawn(move || {
                let mut n = 0;
                while !over.load(Ordering::SeqCst) {
                    let mut client = Client::root(address);
                    let id = client.text("SELECT CONNECTION_ID()");
                    let mut killer = Client::root(address);
                    let kill = scope.spawn(move || killer.query(&format!("KILL {id}")));
                    let insert = |n| format!("INSERT INTO shop.u VALUES ({}, 0)", who * 1_000_000 + n);
                    while client.query(&insert(n)).is_ok() {
                        n += 1;
                    }
                    n += 1; // the last one is there, or not
                    kill.join().unwrap().unwrap();
                    killed.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        wait(|| killed.load(Ordering::SeqCst) > 40, || "nobody is killed".into());
        drop(ends);
        total(handles)
    });
    assert_eq!(node.client.text("SELECT COUNT(*), SUM(n) FROM shop.t"), format!("{rows},{rows}"));
    assert!(counted(&mut node.client, "statements") > 0);
}
