//! An application that writes on every node at once, and remembers what was acknowledged.
//!
//! Each node's writer owns the hot rows whose id leaves its number over when divided by the number of nodes, so that two
//! writers never cross, and whatever differs in the end was lost or made up by somebody else. It inserts, updates, deletes and
//! flips (a fifth of its rows go back and forth between two contents), and every transaction also appends a row to a journal
//! table, which shows a transaction that was applied twice (a duplicate key stops the applier) or not at all.
//!
//! A write whose answer did not come (the node was killed) is looked up when the node is back: it must be there whole or
//! not at all.

use crate::cluster::{POLL, Session, WAIT};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The rows that are written all the time.
pub const HOT_ROWS: u64 = 1_000;

/// xorshift64*: small, and the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}

/// The seeds of a test: so many, or the one that `EVENSUM_SEED` names.
pub fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("EVENSUM_SEED") {
        Ok(seed) => vec![seed.parse().expect("EVENSUM_SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}

/// Whether the promised counts are to be run, and not a tenth of them.
pub fn full() -> bool {
    std::env::var("EVENSUM_TEST_FULL").is_ok_and(|value| value == "1")
}

/// Makes the tables, and fills them: the hot rows, and `cold` rows that nobody writes, through the first node.
pub fn create_tables(session: &mut Session, cold: u64) {
    for sql in [
        "CREATE DATABASE live",
        "CREATE TABLE live.hot (id INT PRIMARY KEY, n BIGINT NOT NULL, note VARCHAR(60), amount DECIMAL(10,2), at DATETIME(6))",
        "CREATE TABLE live.journal (writer INT, number BIGINT, id INT NOT NULL, PRIMARY KEY (writer, number))",
        "CREATE TABLE live.cold (region VARCHAR(8), id INT, name VARCHAR(40), price DECIMAL(10,2), born DATE, PRIMARY KEY (region, id))",
    ] {
        session.run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let hot = (0..HOT_ROWS).map(|id| format!("({id},0,'note {id}',{id}.25,'2026-11-20 10:00:00.000001')"));
    let cold = (0..cold).map(|id| format!("('{}',{id},'näme {id}',{}.50,NULL)", region(id), id % 97));
    for (table, rows) in [("hot", hot.collect::<Vec<_>>()), ("cold", cold.collect())] {
        for rows in rows.chunks(500) {
            let sql = format!("INSERT INTO live.{table} VALUES {}", rows.join(","));
            session.run(&sql).unwrap_or_else(|error| panic!("{table}: {error}"));
        }
    }
}

/// The first half of a cold row's key.
pub fn region(id: u64) -> &'static str {
    if id.is_multiple_of(2) { "south" } else { "north" }
}

/// What the owners were told is committed.
#[derive(Default)]
struct Acknowledged {
    /// The hot rows: id and content; none: deleted.
    hot: BTreeMap<u64, Option<i64>>,
    /// The journal: writer and number.
    journal: BTreeSet<(u64, u64)>,
}

type Ledger = Arc<Mutex<Acknowledged>>;

fn lock(ledger: &Ledger) -> MutexGuard<'_, Acknowledged> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writers at work.
pub struct Workload {
    ports: Vec<u16>,
    ledger: Ledger,
    over: Arc<AtomicBool>,
    committed: Arc<AtomicU64>,
    started: Instant,
    writers: Vec<JoinHandle<()>>,
}

impl Workload {
    /// Starts one writer per node, `rate` transactions a second together.
    pub fn start(ports: &[u16], rate: u64, seed: u64) -> Workload {
        let ledger = Ledger::default();
        lock(&ledger).hot.extend((0..HOT_ROWS).map(|id| (id, Some(0))));
        let (over, committed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let nodes = ports.len() as u64;
        let writers = (0..nodes).zip(ports).map(|(node, &port)| {
            let writer = Writer {
                port,
                node,
                nodes,
                pause: Duration::from_micros(1_000_000 * nodes / rate),
                random: Random::new(seed * 31 + node),
                number: 0,
                ledger: ledger.clone(),
            };
            let (over, committed) = (over.clone(), committed.clone());
            std::thread::spawn(move || writer.work(&over, &committed))
        });
        let writers = writers.collect();
        Workload { ports: ports.to_vec(), ledger, over, committed, started: Instant::now(), writers }
    }

    /// Waits until so many transactions more are committed: a test that is to see a load sees it on a machine of any speed.
    pub fn until_more(&self, count: u64) {
        let (before, begun) = (self.committed.load(Ordering::Relaxed), Instant::now());
        while self.committed.load(Ordering::Relaxed) < before + count {
            assert!(begun.elapsed() < WAIT, "the writers do not come forward");
            std::thread::sleep(POLL);
        }
    }

    /// Ends the writers; how many transactions were committed, and how many that is a second.
    pub fn stop(&mut self) -> (u64, u64) {
        self.over.store(true, Ordering::Relaxed);
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap().max(1);
        self.writers.drain(..).for_each(|writer| writer.join().expect("a writer ends well"));
        let committed = self.committed.load(Ordering::Relaxed);
        (committed, committed * 1_000 / millis)
    }

    /// Every node holds what was acknowledged: no more, no less.
    pub fn assert_nothing_lost(&self, context: &str) {
        for (n, &port) in (1..).zip(&self.ports) {
            let (hot, journal) = contents(port);
            let acknowledged = lock(&self.ledger);
            for (id, wanted) in &acknowledged.hot {
                assert_eq!(hot.get(id), wanted.as_ref(), "hot row {id} on n{n} {context}");
            }
            let lost: Vec<_> = acknowledged.journal.difference(&journal).take(5).collect();
            assert!(lost.is_empty(), "lost on n{n}: {lost:?} {context}");
            let made_up: Vec<_> = journal.difference(&acknowledged.journal).take(5).collect();
            assert!(made_up.is_empty(), "on n{n} though never acknowledged: {made_up:?} {context}");
        }
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn contents(port: u16) -> (BTreeMap<u64, i64>, BTreeSet<(u64, u64)>) {
    let mut session = Session::open(port, "root", "").expect("the node is up");
    let mut ask = |sql: &str| -> Vec<(i64, i64)> {
        let number =
            |value: &Option<String>| value.as_deref().and_then(|text| text.parse().ok()).expect("a number");
        session.ask(sql).expect(sql).iter().map(|row| (number(&row[0]), number(&row[1]))).collect()
    };
    let hot = ask("SELECT id, n FROM live.hot").into_iter().map(|(id, n)| (id.cast_unsigned(), n)).collect();
    let journal = ask("SELECT writer, number FROM live.journal");
    (
        hot,
        journal
            .into_iter()
            .map(|(writer, number)| (writer.cast_unsigned(), number.cast_unsigned()))
            .collect(),
    )
}

struct Writer {
    port: u16,
    node: u64,
    nodes: u64,
    pause: Duration,
    random: Random,
    number: u64,
    ledger: Ledger,
}

impl Writer {
    fn work(mut self, over: &AtomicBool, committed: &AtomicU64) {
        let mut session = None;
        let mut next = Instant::now();
        while !over.load(Ordering::Relaxed) {
            next += self.pause;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            let id = self.random.below(HOT_ROWS / self.nodes) * self.nodes + self.node;
            let before = lock(&self.ledger).hot.get(&id).copied().flatten();
            let after = match (before, id % 5, self.random.below(8)) {
                (Some(_), 1.., 0) => None,
                // these flip, and so look still while they move
                (before, 0, _) => Some(1 - before.unwrap_or(0).clamp(0, 1)),
                (..) => Some(self.random.below(1_000_000).cast_signed()),
            };
            self.number += 1;
            let done = self.write(&mut session, id, before, after);
            if let Err(error) = &done {
                session = None;
                if !self.happened(error, id, before, after) {
                    continue;
                }
            }
            let mut acknowledged = lock(&self.ledger);
            acknowledged.hot.insert(id, after);
            acknowledged.journal.insert((self.node, self.number));
            drop(acknowledged);
            committed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn write(
        &self,
        session: &mut Option<Session>,
        id: u64,
        before: Option<i64>,
        after: Option<i64>,
    ) -> Result<(), sqlx::Error> {
        let session = match session {
            Some(session) => session,
            None => session.insert(self.reconnect()),
        };
        let change = match (before, after) {
            (None, Some(n)) => format!("INSERT INTO live.hot VALUES ({id},{n},'back',1.00,NOW(6))"),
            (Some(_), Some(n)) => format!("UPDATE live.hot SET n={n}, at=NOW(6) WHERE id={id}"),
            (_, None) => format!("DELETE FROM live.hot WHERE id={id}"),
        };
        let append = format!("INSERT INTO live.journal VALUES ({},{},{id})", self.node, self.number);
        for sql in ["BEGIN", &change, &append, "COMMIT"] {
            session.run(sql)?;
        }
        Ok(())
    }

    fn reconnect(&self) -> Session {
        let deadline = Instant::now() + WAIT;
        loop {
            match Session::open(self.port, "root", "") {
                Ok(session) => return session,
                Err(error) => assert!(Instant::now() < deadline, "port {}: {error}", self.port),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether the transaction that brought `error` was committed all the same. It must be there whole or not at all.
    fn happened(&self, error: &sqlx::Error, id: u64, before: Option<i64>, after: Option<i64>) -> bool {
        // an ended session may still hold its transaction for a moment
        std::thread::sleep(Duration::from_millis(20));
        let mut session = self.reconnect();
        let sql = format!(
            "SELECT COUNT(*) FROM live.journal WHERE writer={} AND number={}",
            self.node, self.number
        );
        let journal = session.ask(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let row = session.ask(&format!("SELECT n FROM live.hot WHERE id={id}")).expect("the hot row");
        let committed = journal[0][0].as_deref() == Some("1");
        let n: Option<i64> = row.first().and_then(|row| row[0].as_deref()?.parse().ok());
        let wanted = if committed { after } else { before };
        assert_eq!(n, wanted, "n{} row {id}, journal says {committed}, after {error}", self.node + 1);
        committed
    }
}
