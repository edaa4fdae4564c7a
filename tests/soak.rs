//! A ring of three that is left alone with writers, and with somebody who kills nodes, cuts wires and delays what travels.
//!
//! Everything is durable (what is answered survives), and everything is chosen by a seed. In the end all nodes have one
//! fingerprint and equal sets of GTIDs, and hold, row by row, what the writers were told is committed. Which answers come before a fault
//! is up to the machine: a seed replays the choices, not the order of the bytes.
//!
//! 50 small runs and a long one: with `EVENSUM_TEST_FULL=1` of 1,000,000 row changes; else of a tenth.
//! `EVENSUM_SEED` runs one seed.

mod writer;

use crate::cluster::{Cluster, POLL};
use crate::commands::said;
use crate::wire::{State, Wire};
use crate::workload::{Random, full, seeds};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use writer::{Shared, TABLES, Writer};

const NODES: usize = 3;
/// What is on its way when all wires are whole again may take so long.
const DRAIN: Duration = Duration::from_secs(300);
/// A run that is not done by then does not come forward.
const LONGEST: Duration = Duration::from_secs(3600);

/// How large a run is, and how long its faults.
#[derive(Clone, Copy)]
struct Size {
    changes: u64,
    /// The longest fault, and the longest rest between two.
    fault_ms: u64,
    rest_ms: u64,
}

const SMALL: Size = Size { changes: 40_000, fault_ms: 400, rest_ms: 100 };
const SMALLER: Size = Size { changes: 4_000, fault_ms: 200, rest_ms: 50 };
const LARGE: Size = Size { changes: 1_000_000, fault_ms: 4_000, rest_ms: 1_000 };

/// What really happened.
#[derive(Debug, Default)]
struct Faults {
    kills: u64,
    cuts: u64,
    silences: u64,
    delays: u64,
    unanswered: u64,
    unanswered_committed: u64,
    changes: u64,
}

impl Faults {
    fn add(&mut self, other: &Faults) {
        self.kills += other.kills;
        self.cuts += other.cuts;
        self.silences += other.silences;
        self.delays += other.delays;
        self.unanswered += other.unanswered;
        self.unanswered_committed += other.unanswered_committed;
        self.changes += other.changes;
    }
}

struct Ring {
    cluster: Cluster,
    /// The wire over which a node receives.
    wires: Vec<Wire>,
    /// The kinds of faults that are still to come before all come again.
    deck: Vec<u64>,
}

impl Ring {
    fn close() -> Ring {
        let cluster = Cluster::apart(NODES, "", "innodb_flush_log_at_trx_commit = 1\nsync_binlog = 1");
        let wires: Vec<Wire> =
            (1..=NODES).map(|n| Wire::to(cluster.port(if n == 1 { NODES } else { n - 1 }))).collect();
        for n in 1..=NODES {
            cluster.link_to(n, wires[n - 1].port);
        }
        cluster.settle();
        for sql in TABLES {
            cluster.run(1, sql);
        }
        cluster.settle();
        Ring { cluster, wires, deck: Vec::new() }
    }

    /// One fault, from its beginning to its end.
    fn fault(&mut self, random: &mut Random, size: Size, faults: &mut Faults) {
        let n = 1 + usize::try_from(random.below(NODES as u64)).unwrap();
        let time = Duration::from_millis(random.below(size.fault_ms) + 1);
        if self.deck.is_empty() {
            self.deck = (0..6).collect();
        }
        let kind = usize::try_from(random.below(self.deck.len() as u64)).unwrap();
        let wire = &self.wires[n - 1];
        match self.deck.swap_remove(kind) {
            0 | 1 => {
                self.cluster.kill(n);
                faults.kills += 1;
                std::thread::sleep(time / 2);
                self.cluster.restart(n);
            }
            2 => {
                faults.cuts += wire.put(State::Cut).min(1) as u64;
                std::thread::sleep(time);
                wire.put(State::Whole);
            }
            3 => {
                faults.silences += wire.put(State::Silent).min(1) as u64;
                std::thread::sleep(time);
                wire.put(State::Whole);
            }
            4 => {
                // two of three: a partition that leaves a node alone
                let other = n % NODES;
                faults.cuts += (wire.put(State::Cut) + self.wires[other].put(State::Cut)).min(1) as u64;
                std::thread::sleep(time);
                wire.put(State::Whole);
                self.wires[other].put(State::Whole);
            }
            _ => {
                let most = size.fault_ms;
                self.cluster.delay(n, &format!("{}:{most}", most / 4));
                faults.delays += 1;
                std::thread::sleep(time);
                self.cluster.delay(n, "0");
            }
        }
    }

    fn executed(&self, n: usize) -> String {
        self.cluster.ask(n, "SELECT @@GLOBAL.gtid_executed")[0][0].clone().unwrap_or_default()
    }

    /// Waits until all nodes have executed the same.
    fn drain(&self, seed: u64) {
        let begun = Instant::now();
        loop {
            let sets: Vec<String> = (1..=NODES).map(|n| self.executed(n)).collect();
            if sets.iter().all(|set| *set == sets[0]) {
                return;
            }
            let errors: Vec<String> = (1..=NODES).map(|n| self.cluster.link(n, "Last_SQL_Error")).collect();
            assert!(begun.elapsed() < DRAIN, "seed {seed}: {sets:?} {errors:?}");
            std::thread::sleep(POLL);
        }
    }
}

/// One run.
fn soak(seed: u64, size: Size) -> Faults {
    let mut random = Random::new(seed);
    let mut ring = Ring::close();
    let shared = Arc::new(Shared::default());
    let writers: Vec<_> = (1..=NODES)
        .map(|n| {
            let writer = Writer::new(n, ring.cluster.port(n), seed, &shared);
            std::thread::spawn(move || writer.run())
        })
        .collect();
    let mut faults = Faults::default();
    let begun = Instant::now();
    while shared.changes.load(Ordering::SeqCst) < size.changes {
        assert!(begun.elapsed() < LONGEST, "seed {seed}: {faults:?}");
        assert!(writers.iter().all(|writer| !writer.is_finished()), "seed {seed}: a writer has ended");
        std::thread::sleep(Duration::from_millis(random.below(size.rest_ms)));
        ring.fault(&mut random, size, &mut faults);
    }
    shared.over.store(true, Ordering::SeqCst);
    let writers: Vec<Writer> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    ring.drain(seed);
    for n in 1..=NODES {
        let mut session = ring.cluster.session(n);
        writers.iter().for_each(|writer| writer.compare(n, &mut session));
    }
    one_fingerprint(&ring.cluster, seed);
    faults.unanswered = shared.unanswered.load(Ordering::SeqCst);
    faults.unanswered_committed = shared.unanswered_committed.load(Ordering::SeqCst);
    faults.changes = shared.changes.load(Ordering::SeqCst);
    eprintln!("seed {seed}: {:.0?}, {faults:?}", begun.elapsed());
    faults
}

fn one_fingerprint(cluster: &Cluster, seed: u64) {
    let (code, out, err) = said(&cluster.evensum(&["check", "--tables", "soak.*", "--json"]));
    assert_eq!(code, 0, "seed {seed}: {out}{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let tables = report["tables"].as_array().unwrap();
    assert_eq!(tables.len(), TABLES.len() - 1);
    for table in tables {
        let prints = &table["fingerprint"];
        assert!(
            prints["n1"].is_string() && prints["n1"] == prints["n2"] && prints["n2"] == prints["n3"],
            "{table}"
        );
    }
}

#[test]
fn rings_come_together_after_many_small_storms() {
    let mut all = Faults::default();
    let size = if full() { SMALL } else { SMALLER };
    for seed in seeds(50) {
        all.add(&soak(seed, size));
    }
    eprintln!("together: {all:?}");
    // how many a seed brings is its own affair
    if std::env::var_os("EVENSUM_SEED").is_none() {
        assert!(all.kills > 0 && all.cuts > 0 && all.silences > 0 && all.delays > 0, "{all:?}");
        assert!(all.unanswered > 0, "no kill has hit a transaction: {all:?}");
    }
}

#[test]
fn a_ring_comes_together_after_a_long_storm() {
    let size = if full() { LARGE } else { Size { changes: LARGE.changes / 10, fault_ms: 800, rest_ms: 300 } };
    let seed = seeds(1)[0];
    let faults = soak(seed, size);
    assert!(faults.kills > 0 && faults.cuts > 0 && faults.silences > 0 && faults.delays > 0, "{faults:?}");
}
