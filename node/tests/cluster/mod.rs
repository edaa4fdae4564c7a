//! Nodes in temporary folders, and a small client of their protocol, for the tests of this crate.
#![allow(dead_code)] // each test file uses its own part
#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

pub mod mariadb;

use node::accounts::password::sha2_proof;
use node::protocol::handshake;
use node::protocol::packets::{PacketReader, PacketWriter};
use node::protocol::wire::Fields;
use node::{Config, Node};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for something that has to happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An error of the server: number and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub u16, pub String);

pub type Rows = Vec<Vec<Option<String>>>;

/// What a statement answers where it is not refused: how many rows it changed, or the rows it found.
pub enum Reply {
    Done(u64),
    Rows(Rows),
}

/// A client in text form. It panics where the protocol is broken and returns what the server refuses.
pub struct Client {
    reader: PacketReader<TcpStream>,
    writer: PacketWriter<TcpStream>,
    /// What stood above the columns of the last rows.
    pub titles: Vec<String>,
}

impl Client {
    pub fn login(address: SocketAddr, user: &str, password: &str) -> Result<Client, Refused> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut client = Client {
            reader: PacketReader::new(stream.try_clone().unwrap(), 1 << 30),
            writer: PacketWriter::new(stream),
            titles: Vec::new(),
        };
        let greeting = handshake::read_greeting(&client.packet()?).unwrap();
        let proof = handshake::proof(&database::Secret::new(password), &greeting.salt);
        client.writer.set_sequence(1);
        client.send(&handshake::login(user, &proof));
        let mut answer = client.packet()?;
        if answer[0] == 0xfe {
            // Asked for caching_sha2_password; the salt is that of the greeting.
            client.reply(&sha2_proof(&database::Secret::new(password), &greeting.salt));
            answer = client.packet()?;
        }
        if answer == [1, 4] {
            // Without TLS a client asks for the key of RSA instead of sending the password.
            client.reply(&[2]);
            answer = client.packet()?;
        }
        assert!(answer == [1, 3] || answer[0] == 0, "{answer:?}");
        Ok(client)
    }

    pub fn root(address: SocketAddr) -> Client {
        Client::login(address, "root", "").unwrap()
    }

    fn reply(&mut self, payload: &[u8]) {
        self.writer.set_sequence(self.reader.sequence());
        self.send(payload);
    }

    /// Sends a statement, and does not wait for its answer.
    pub fn begin(&mut self, sql: &str) {
        self.writer.set_sequence(0);
        self.send(&[b"\x03", sql.as_bytes()].concat());
    }

    fn send(&mut self, payload: &[u8]) {
        self.writer.packet(payload).unwrap();
        self.writer.flush().unwrap();
        self.reader.set_sequence(self.writer.sequence());
    }

    /// The next packet, or the error that it is.
    fn packet(&mut self) -> Result<Vec<u8>, Refused> {
        let packet = match self.reader.read() {
            Ok(Some(packet)) => packet.to_vec(),
            Ok(None) => return Err(Refused(2013, "the connection is closed".into())),
            Err(error) => return Err(Refused(2013, error.to_string())),
        };
        match handshake::read_error(&packet) {
            Some((code, message)) => Err(Refused(code, message)),
            None => Ok(packet),
        }
    }

    pub fn command(&mut self, payload: &[u8]) -> Result<Rows, Refused> {
        match self.outcome(payload)? {
            Reply::Done(_) => Ok(Vec::new()),
            Reply::Rows(rows) => Ok(rows),
        }
    }

    /// What a command gives: rows, or how many it changed.
    pub fn outcome(&mut self, payload: &[u8]) -> Result<Reply, Refused> {
        self.titles.clear();
        self.writer.set_sequence(0);
        self.send(payload);
        let first = self.packet()?;
        if first[0] == 0 {
            return Ok(Reply::Done(Fields::new(&first[1..]).length().unwrap()));
        }
        let columns = Fields::new(&first).length().unwrap();
        for _ in 0..columns {
            let packet = self.packet()?;
            let mut fields = Fields::new(&packet);
            // catalog, database, table, the table's own name, and what is asked for
            let title = (0..5).map(|_| fields.counted().unwrap().to_vec()).last().unwrap();
            self.titles.push(String::from_utf8_lossy(&title).into_owned());
        }
        self.packet()?;
        let mut rows = Vec::new();
        loop {
            let packet = self.packet()?;
            if packet[0] == 0xfe && packet.len() == 5 {
                return Ok(Reply::Rows(rows));
            }
            let mut fields = Fields::new(&packet);
            let row = (0..columns).map(|_| {
                if fields.remaining()[0] == 0xfb {
                    fields.u8().unwrap();
                    return None;
                }
                Some(String::from_utf8_lossy(fields.counted().unwrap()).into_owned())
            });
            rows.push(row.collect());
        }
    }

    pub fn query(&mut self, sql: &str) -> Result<Rows, Refused> {
        let mut payload = vec![3];
        payload.extend_from_slice(sql.as_bytes());
        self.command(&payload)
    }

    /// Another handle of the connection.
    pub fn stream(&self) -> TcpStream {
        self.writer.inner().try_clone().unwrap()
    }

    /// Runs statements that have to succeed.
    pub fn run(&mut self, statements: &[&str]) {
        for sql in statements {
            if let Err(error) = self.query(sql) {
                panic!("{sql}: {error:?}");
            }
        }
    }

    /// How many transactions the log holds.
    pub fn logged(&mut self) -> usize {
        let mut count = 0;
        for file in self.query("SHOW BINARY LOGS").unwrap() {
            let sql = format!("SHOW BINLOG EVENTS IN '{}'", file[0].clone().unwrap());
            let events = self.query(&sql).unwrap();
            count += events.iter().filter(|event| event[2].as_deref() == Some("Gtid")).count();
        }
        count
    }

    /// A result as one text: `1,a;2,NULL`.
    pub fn text(&mut self, sql: &str) -> String {
        let rows = self.query(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let row = |row: Vec<Option<String>>| {
            row.into_iter().map(|value| value.unwrap_or("NULL".into())).collect::<Vec<_>>().join(",")
        };
        rows.into_iter().map(row).collect::<Vec<_>>().join(";")
    }

    /// Waits until the query gives this text.
    pub fn wait_for(&mut self, sql: &str, text: &str) {
        wait(
            || self.query(sql).is_ok() && self.text(sql) == text,
            || format!("{sql} is not {text} but {:?}", "see above"),
        );
    }

    /// A column of SHOW SLAVE STATUS.
    pub fn replica(&mut self, column: &str) -> String {
        let rows = self.query("SHOW SLAVE STATUS").unwrap();
        let at = self.titles.iter().position(|title| title == column).unwrap();
        rows[0][at].clone().unwrap_or("NULL".into())
    }

    pub fn wait_for_replica(&mut self, column: &str, value: &str) {
        let mut last = String::new();
        let deadline = Instant::now() + PATIENCE;
        while last != value {
            assert!(Instant::now() < deadline, "{column} is {last} and not {value}");
            std::thread::sleep(Duration::from_millis(10));
            last = self.replica(column);
        }
    }
}

pub fn wait(mut what: impl FnMut() -> bool, why: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < deadline, "{}", why());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A configuration for tests: a free port, no waiting for the disk.
pub fn config(dir: &Path, server_id: u32, nodes: u16) -> Config {
    Config {
        datadir: dir.to_owned(),
        port: 0,
        server_id,
        auto_increment_increment: nodes,
        auto_increment_offset: u16::try_from(server_id).unwrap(),
        innodb_flush_log_at_trx_commit: 2,
        ..Config::default()
    }
}

/// A node with its folder and a client.
pub struct Member {
    pub dir: tempfile::TempDir,
    pub node: Node,
    pub client: Client,
}

impl Member {
    pub fn new(server_id: u32, nodes: u16) -> Member {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::start(config(dir.path(), server_id, nodes)).unwrap();
        let client = Client::root(node.address());
        Member { dir, node, client }
    }

    pub fn follow(&mut self, source: SocketAddr) {
        self.client.run(&[
            &format!(
                "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='root', MASTER_AUTO_POSITION=1",
                source.port()
            ),
            "START SLAVE",
        ]);
    }

    pub fn executed(&mut self) -> String {
        self.client.text("SELECT @@gtid_executed")
    }
}

/// Inserts names into `shop.t` until the connection breaks or it is over; those that were acknowledged.
pub fn insert_until_the_end(
    address: SocketAddr,
    client: usize,
    acknowledged: &AtomicUsize,
    over: &AtomicBool,
) -> Vec<String> {
    let mut connection = Client::root(address);
    let mut names = Vec::new();
    for n in 0.. {
        let name = format!("{client}-{n}");
        let sql = format!("INSERT INTO shop.t (name) VALUES ('{name}')");
        if over.load(Ordering::SeqCst) || connection.query(&sql).is_err() {
            break;
        }
        names.push(name);
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
    names
}

/// Nodes in a ring: each follows the one before it.
pub fn ring(nodes: u16) -> Vec<Member> {
    let mut members: Vec<Member> = (1..=nodes).map(|n| Member::new(u32::from(n), nodes)).collect();
    for n in 0..members.len() {
        let source = members[(n + members.len() - 1) % members.len()].node.address();
        members[n].follow(source);
    }
    members
}

/// Waits until every node has executed what any node has executed.
pub fn settle(members: &mut [Member]) {
    let mut sets = Vec::new();
    wait(
        || {
            sets = members.iter_mut().map(Member::executed).collect::<Vec<_>>();
            sets.windows(2).all(|pair| pair[0] == pair[1])
        },
        || "the nodes did not settle".into(),
    );
}
