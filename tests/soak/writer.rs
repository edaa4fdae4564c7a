//! Somebody who writes on one node and remembers what was acknowledged.
//!
//! Each transaction leaves a receipt. Where the answer to a COMMIT did not come, the receipt tells whether it was committed, when the node
//! is back: so the account is exact. Writers have rows of their own, so whatever is otherwise in the end was lost or made up.

use crate::cluster::{Session, WAIT};
use crate::workload::Random;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The most rows that one statement inserts.
const ROWS: u64 = 200;
/// The most rows that a writer has; above, it deletes.
const MOST: usize = 20_000;

pub const TABLES: [&str; 4] = [
    "CREATE DATABASE soak",
    "CREATE TABLE soak.things (writer INT, id BIGINT, n BIGINT NOT NULL, note VARCHAR(40), PRIMARY KEY (writer, id))",
    "CREATE TABLE soak.numbered (id BIGINT AUTO_INCREMENT PRIMARY KEY, writer INT NOT NULL, tag BIGINT NOT NULL, UNIQUE KEY (writer, tag))",
    "CREATE TABLE soak.receipts (writer INT, number BIGINT, PRIMARY KEY (writer, number))",
];

/// What all writers share.
#[derive(Default)]
pub struct Shared {
    /// Row changes that were acknowledged.
    pub changes: AtomicU64,
    /// Answers that did not come, and of them those that were committed.
    pub unanswered: AtomicU64,
    pub unanswered_committed: AtomicU64,
    /// The writers are to end.
    pub over: AtomicBool,
}

enum Step {
    Insert { from: u64, count: u64 },
    Add { from: u64, to: u64 },
    Delete { from: u64, to: u64 },
    Number { tag: u64 },
}

pub struct Writer {
    writer: usize,
    port: u16,
    random: Random,
    shared: Arc<Shared>,
    things: BTreeMap<u64, i64>,
    tags: u64,
    next: u64,
    receipts: u64,
}

impl Writer {
    pub fn new(writer: usize, port: u16, seed: u64, shared: &Arc<Shared>) -> Writer {
        let random = Random::new(seed.wrapping_mul(31).wrapping_add(writer as u64));
        let shared = Arc::clone(shared);
        Writer { writer, port, random, shared, things: BTreeMap::new(), tags: 0, next: 0, receipts: 0 }
    }

    /// Writes until it is to end.
    pub fn run(mut self) -> Writer {
        let mut session = None;
        while !self.shared.over.load(Ordering::SeqCst) {
            let steps = self.choose();
            if self.attempt(&mut session, &steps).is_none() {
                session = None;
                self.shared.unanswered.fetch_add(1, Ordering::SeqCst);
                if self.find_receipt() {
                    self.shared.unanswered_committed.fetch_add(1, Ordering::SeqCst);
                    self.book(&steps);
                }
            } else {
                self.book(&steps);
            }
        }
        self
    }

    fn choose(&mut self) -> Vec<Step> {
        let count = 1 + self.random.below(3);
        // one of its kind each: a later one would not see what the earlier does
        let mut steps = vec![Step::Number { tag: self.tags + 1 }];
        for _ in 1..count {
            let span = 1 + self.random.below(ROWS);
            let from = self.random.below(self.next.max(1));
            steps.push(match self.random.below(10) {
                0..=3 => Step::Insert { from: self.next, count: span },
                4..=6 if self.things.len() < MOST => Step::Add { from, to: from + span },
                _ if self.things.len() > MOST / 2 => Step::Delete { from, to: from + span },
                _ => Step::Add { from, to: from + span },
            });
            if let Some(Step::Insert { count, .. }) = steps.last() {
                self.next += count;
            }
        }
        steps
    }

    /// One transaction; none if an answer did not come.
    fn attempt(&mut self, session: &mut Option<Session>, steps: &[Step]) -> Option<()> {
        if session.is_none() {
            *session = Some(self.open()?);
        }
        let session = session.as_mut()?;
        let writer = self.writer;
        session.run("BEGIN").ok()?;
        for step in steps {
            let sql = match step {
                Step::Insert { from, count } => {
                    let rows: Vec<String> = (*from..from + count)
                        .map(|id| format!("({writer},{id},{},'thing {id} é')", id % 1000))
                        .collect();
                    format!("INSERT INTO soak.things VALUES {}", rows.join(","))
                }
                Step::Add { from, to } => format!(
                    "UPDATE soak.things SET n = n + 1 WHERE writer = {writer} AND id >= {from} AND id < {to}"
                ),
                Step::Delete { from, to } => {
                    format!("DELETE FROM soak.things WHERE writer = {writer} AND id >= {from} AND id < {to}")
                }
                Step::Number { tag } => {
                    format!("INSERT INTO soak.numbered (writer, tag) VALUES ({writer}, {tag})")
                }
            };
            session.run(&sql).ok()?;
        }
        let number = self.receipts + 1;
        session.run(&format!("INSERT INTO soak.receipts VALUES ({writer}, {number})")).ok()?;
        session.run("COMMIT").ok().map(drop)
    }

    fn open(&self) -> Option<Session> {
        let begun = Instant::now();
        loop {
            match Session::open(self.port, "root", "") {
                Ok(session) => return Some(session),
                Err(error) => assert!(begun.elapsed() < WAIT, "node {} stays away: {error}", self.writer),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether the transaction whose answer did not come was committed.
    fn find_receipt(&self) -> bool {
        let sql = format!(
            "SELECT number FROM soak.receipts WHERE writer = {} AND number = {}",
            self.writer,
            self.receipts + 1
        );
        let begun = Instant::now();
        loop {
            if let Some(mut session) = self.open()
                && let Ok(rows) = session.ask(&sql)
            {
                return !rows.is_empty();
            }
            assert!(begun.elapsed() < WAIT);
        }
    }

    fn book(&mut self, steps: &[Step]) {
        self.receipts += 1;
        self.tags += 1;
        let changes = apply(&mut self.things, steps) + 1;
        self.shared.changes.fetch_add(changes, Ordering::SeqCst);
    }

    /// Compares a node with the account.
    pub fn compare(&self, n: usize, session: &mut Session) {
        let writer = self.writer;
        let rows = session
            .ask(&format!("SELECT id, n FROM soak.things WHERE writer = {writer} ORDER BY id"))
            .unwrap();
        let number = |text: &Option<String>| text.as_ref().unwrap().parse::<i64>().unwrap();
        let there: Vec<(i64, i64)> = rows.iter().map(|row| (number(&row[0]), number(&row[1]))).collect();
        let own: Vec<(i64, i64)> =
            self.things.iter().map(|(&id, &n)| (i64::try_from(id).unwrap(), n)).collect();
        let differs = own.iter().zip(&there).find(|(own, there)| own != there);
        assert!(
            own == there,
            "node {n}, writer {writer}: {} rows of {}, {differs:?}",
            there.len(),
            own.len()
        );
        for (sql, wanted) in [
            (
                format!("SELECT COUNT(*), COALESCE(MAX(tag), 0) FROM soak.numbered WHERE writer = {writer}"),
                self.tags,
            ),
            (
                format!(
                    "SELECT COUNT(*), COALESCE(MAX(number), 0) FROM soak.receipts WHERE writer = {writer}"
                ),
                self.receipts,
            ),
        ] {
            let wanted = Some(wanted.to_string());
            assert_eq!(session.ask(&sql).unwrap(), [[wanted.clone(), wanted]], "node {n}: {sql}");
        }
    }
}

/// Carries out the steps on the account; how many rows they change.
fn apply(things: &mut BTreeMap<u64, i64>, steps: &[Step]) -> u64 {
    let mut changes = 0;
    for step in steps {
        changes += match step {
            Step::Insert { from, count } => {
                things.extend((*from..from + count).map(|id| (id, i64::try_from(id % 1000).unwrap_or(0))));
                *count
            }
            Step::Add { from, to } => things.range_mut(from..to).map(|(_, n)| *n += 1).count() as u64,
            Step::Delete { from, to } => {
                let before = things.len();
                things.retain(|id, _| !(from..to).contains(&id));
                (before - things.len()) as u64
            }
            Step::Number { .. } => 1,
        };
    }
    changes
}
