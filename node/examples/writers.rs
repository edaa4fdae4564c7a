//! Writers of single-row transactions against any server of MySQL's protocol; `tests/bench-node` measures with it.
//!
//! ```text
//! writers commits PORT CLIENTS SECONDS insert|update     prints commits per second
//! writers lag SOURCE REPLICA CLIENTS SECONDS one|both    prints how far the replica is behind while the source is written to
//! ```
//! Each client is a thread with a connection as root without a password; it sends one statement, waits for the answer, and sends
//! the next. `lag` writes inserts and updates in turn, with `both` on both servers, and asks the replica each second: it prints
//! commits per second on the source, the most that the replica said of its `Seconds_Behind_Master`, the distance in transactions at
//! the end, and by how many seconds the lag grew in a second (the slope of the distance, in the source's seconds). The program
//! speaks the protocol by itself, so that both servers get the same bytes.

use std::error::Error;
use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How many rows there are to update: `bench.u` holds the ids from 1 on.
const ROWS: u64 = 10_000;
/// LONG_PASSWORD, CONNECT_WITH_DB (not set), PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH.
const CAPABILITIES: u32 = 1 | 1 << 9 | 1 << 15 | 1 << 19;
/// What a server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["commits", port, clients, seconds, statement] => {
            let writers = Writers::start(port.parse()?, clients.parse()?, Some(statement == "insert"), 0)?;
            std::thread::sleep(Duration::from_secs(seconds.parse()?));
            println!("{:.1}", writers.stop()?);
            Ok(())
        }
        ["lag", source, replica, clients, seconds, direction] => {
            lag(source.parse()?, replica.parse()?, clients.parse()?, seconds.parse()?, direction == "both")
        }
        _ => Err("see the head of writers.rs".into()),
    }
}

/// Clients that write until they are stopped.
struct Writers {
    stop: Arc<AtomicBool>,
    commits: Arc<AtomicU64>,
    since: Instant,
    threads: Vec<JoinHandle<Outcome<()>>>,
}

impl Writers {
    /// Connects and begins. `inserts`: only these or only updates, else both in turn. `side` parts the rows that are updated.
    fn start(port: u16, clients: u64, inserts: Option<bool>, side: u64) -> Outcome<Writers> {
        let stop = Arc::<AtomicBool>::default();
        let commits = Arc::<AtomicU64>::default();
        let connected: Vec<Client> = (0..clients).map(|_| Client::connect(port)).collect::<Outcome<_>>()?;
        let since = Instant::now();
        let threads = connected
            .into_iter()
            .zip(1..)
            .map(|(mut client, seed)| {
                let (stop, commits) = (Arc::clone(&stop), Arc::clone(&commits));
                std::thread::spawn(move || {
                    let mut random: u64 = seed;
                    while !stop.load(Ordering::Relaxed) {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        let (number, insert) = (random >> 33, inserts.unwrap_or(random >> 62 & 1 == 0));
                        let sql = if insert {
                            format!("INSERT INTO bench.t (k, c) VALUES ({number}, 'row {number} of a hundred bytes or so, {number}')")
                        } else {
                            format!("UPDATE bench.u SET k = {number} WHERE id = {}", 1 + (number % (ROWS / 2)) * 2 + side)
                        };
                        client.query(&sql)?;
                        commits.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        Ok(Writers { stop, commits, since, threads })
    }

    fn per_second(&self) -> f64 {
        let commits = u32::try_from(self.commits.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        f64::from(commits) / self.since.elapsed().as_secs_f64()
    }

    /// Stops and says how many commits there were in a second.
    fn stop(self) -> Outcome<f64> {
        let per_second = self.per_second();
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| "a writer panicked")??;
        }
        Ok(per_second)
    }
}

fn lag(source: u16, replica: u16, clients: u64, seconds: u64, both: bool) -> Outcome<()> {
    let (mut here, mut there) = (Client::connect(source)?, Client::connect(replica)?);
    let place = Place::of(&mut here)?;
    let writers = Writers::start(source, clients, None, 0)?;
    let others = both.then(|| Writers::start(replica, clients, None, 1)).transpose()?;
    let (mut distances, mut most_behind) = (Vec::new(), 0.0);
    let began = Instant::now();
    for second in 1..=seconds {
        std::thread::sleep((began + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
        let written = place.written(&mut here)?;
        let applied = place.applied(&mut there)?;
        distances.push((began.elapsed().as_secs_f64(), written - applied.min(written)));
        let behind = there.column("SHOW SLAVE STATUS", "Seconds_Behind_Master")?;
        most_behind = f64::max(most_behind, behind.ok_or("the link does not run")?.parse()?);
    }
    let last = distances.last().map_or(0.0, |&(_, distance)| distance);
    let per_second = writers.stop()?;
    others.map(Writers::stop).transpose()?;
    println!("{per_second:.0} {most_behind:.0} {last:.0} {:.4}", slope(&distances) / per_second.max(1.0));
    Ok(())
}

/// The slope of the line nearest to the points (least squares).
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = f64::from(u32::try_from(points.len()).unwrap_or(u32::MAX)).max(1.0);
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let up: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let along: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if along > 0.0 { up / along } else { 0.0 }
}

/// How the transactions of a server are counted, on it and on its replica.
enum Place {
    /// By the highest number under its uuid.
    Uuid(String),
    /// By the number in its domain, which is its server id.
    Domain(String),
}

impl Place {
    fn of(server: &mut Client) -> Outcome<Place> {
        let version = server.value("SELECT @@version")?;
        Ok(match version.contains("MariaDB") {
            true => Place::Domain(server.value("SELECT @@server_id")?),
            false => Place::Uuid(server.value("SELECT @@server_uuid")?),
        })
    }

    fn written(&self, server: &mut Client) -> Outcome<f64> {
        self.number(server, "SELECT @@gtid_binlog_pos")
    }

    fn applied(&self, server: &mut Client) -> Outcome<f64> {
        self.number(server, "SELECT @@gtid_slave_pos")
    }

    fn number(&self, server: &mut Client, position: &str) -> Outcome<f64> {
        let (text, origin, separator) = match self {
            Place::Uuid(uuid) => (server.value("SELECT @@gtid_executed")?, uuid, ':'),
            Place::Domain(domain) => (server.value(position)?, domain, '-'),
        };
        let mut parts = text.split(',').map(str::trim);
        let own = parts.find(|part| part.split(separator).next() == Some(origin.as_str()));
        let number = own.and_then(|part| part.rsplit([':', '-']).next()).unwrap_or("0");
        Ok(number.parse()?)
    }
}

/// A client of the text protocol, as small as it can be.
struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    sequence: u8,
}

impl Client {
    fn connect(port: u16) -> Outcome<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let reader = BufReader::new(stream.try_clone()?);
        let mut client = Client { stream, reader, sequence: 0 };
        client.packet()?;
        let mut login = CAPABILITIES.to_le_bytes().to_vec();
        login.extend_from_slice(&(1u32 << 24).to_le_bytes());
        login.push(45);
        login.extend_from_slice(&[0; 23]);
        login.extend_from_slice(b"root\0\0mysql_native_password\0");
        client.send(&login)?;
        while client.packet()?.first() == Some(&0xfe) {
            client.send(b"")?; // another salt, for a password that there is none of
        }
        Ok(client)
    }

    fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let [a, b, c, _] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
        let mut packet = vec![a, b, c, self.sequence];
        packet.extend_from_slice(payload);
        self.stream.write_all(&packet)
    }

    fn packet(&mut self) -> Outcome<Vec<u8>> {
        let mut head = [0; 4];
        self.reader.read_exact(&mut head)?;
        let [a, b, c, sequence] = head;
        self.sequence = sequence.wrapping_add(1);
        let mut payload = vec![0; usize::try_from(u32::from_le_bytes([a, b, c, 0]))?];
        self.reader.read_exact(&mut payload)?;
        match payload.first() {
            Some(0xff) => Err(String::from_utf8_lossy(payload.get(3..).unwrap_or_default()).into()),
            _ => Ok(payload),
        }
    }

    /// Runs a statement; its columns' names and its first row.
    fn query(&mut self, sql: &str) -> Outcome<(Vec<String>, Vec<Option<String>>)> {
        self.sequence = 0;
        self.send(&[b"\x03", sql.as_bytes()].concat())?;
        let first = self.packet()?;
        let columns = match first[..] {
            [0, ..] => return Ok(Default::default()),
            [columns, ..] => columns,
            [] => return Err("an empty packet".into()),
        };
        let mut names = Vec::new();
        for _ in 0..columns {
            let definition = self.packet()?;
            let mut rest = &definition[..];
            let texts = [(); 5].map(|()| text(&mut rest).flatten());
            names.push(texts[4].clone().unwrap_or_default());
        }
        self.packet()?;
        let mut row = Vec::new();
        loop {
            let packet = self.packet()?;
            if packet.first() == Some(&0xfe) && packet.len() < 9 {
                return Ok((names, row));
            }
            if row.is_empty() {
                let mut rest = &packet[..];
                row = std::iter::from_fn(|| text(&mut rest)).collect();
            }
        }
    }

    fn value(&mut self, sql: &str) -> Outcome<String> {
        self.query(sql)?.1.into_iter().next().flatten().ok_or_else(|| format!("{sql}: nothing").into())
    }

    fn column(&mut self, sql: &str, name: &str) -> Outcome<Option<String>> {
        let (names, row) = self.query(sql)?;
        let at = names.iter().position(|known| known == name).ok_or_else(|| format!("no column {name}"))?;
        Ok(row.into_iter().nth(at).flatten())
    }
}

/// The next length-encoded text of a row; NULL has none.
fn text(rest: &mut &[u8]) -> Option<Option<String>> {
    let (&first, mut after) = rest.split_first()?;
    let length = match first {
        0xfb => {
            *rest = after;
            return Some(None);
        }
        0xfc => {
            let (length, behind) = after.split_first_chunk::<2>()?;
            after = behind;
            usize::from(u16::from_le_bytes(*length))
        }
        short => usize::from(short),
    };
    let (text, behind) = after.split_at_checked(length)?;
    *rest = behind;
    Some(Some(String::from_utf8_lossy(text).into_owned()))
}
