//! The checker against a cluster in memory that is being written to while it is checked.
//!
//! The world runs beside the check: every node writes the rows that it owns (so that no true conflict arises), some of
//! which flip between two contents all the time, and links carry entries one by one, at random. What was planted behind
//! the log's back must be found, exactly, and nothing else may be called different. Every seed can be run again:
//! `EVENSUM_SEED=7 cargo test -p checker`.

#![allow(clippy::expect_used, reason = "a test stops at its first surprise")]

use checker::{Member, Options, Report, Selection, Silent, Stop, Verdict, check};
use database::memory::Cluster;
use database::{Column, Key, Kind, Row, Table, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const ROWS: u64 = 1_500;
const HOT_ROWS: u64 = 60;

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}

fn table() -> Table {
    let column = |name: &str| Column {
        name: name.into(),
        definition: "int".into(),
        kind: Kind::Integer,
        generated: false,
        restamped: false,
    };
    Table {
        database: "shop".into(),
        name: "stock".into(),
        columns: vec![column("id"), column("n")],
        key: vec![0],
        key_name: "PRIMARY".into(),
        rows_estimate: 0,
        filter: None,
    }
}

fn key(id: u64) -> Key {
    Key::new(&[Value::Int(id.cast_signed())])
}

fn row(id: u64, n: u64) -> Row {
    Row::new(&[Value::Int(id.cast_signed()), Value::Int(n.cast_signed())])
}

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("EVENSUM_SEED") {
        Ok(seed) => vec![seed.parse().expect("EVENSUM_SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}

async fn run_check(cluster: &Cluster, nodes: usize, run: &str) -> Report {
    let members = (0..nodes)
        .map(|n| Member {
            name: format!("n{}", n + 1).into(),
            reader: cluster.connect(n),
            ledger: cluster.connect(n),
        })
        .collect();
    let options =
        Options { run: run.into(), selection: Selection::default(), settle_bound: Duration::from_secs(20) };
    check(members, cluster.connect(0), &options, &Silent, &Stop::new()).await.expect("a check of memory")
}

/// Writes and deliveries, until told to stop; counts what it did.
fn world(cluster: Cluster, nodes: usize, seed: u64, over: Arc<AtomicBool>, writes: Arc<AtomicU64>) {
    let (table, mut random) = (table(), Random(seed | 1));
    while !over.load(Ordering::Relaxed) {
        for _ in 0..random.below(4) {
            let id = random.below(HOT_ROWS);
            let owner = usize::try_from(id).expect("small") % nodes;
            // a third of the hot rows flip between two contents, and so look still while they move
            let after = match (id % 3, random.below(8)) {
                (0, roll) => Some(row(id, roll % 2)),
                (_, 0) => None,
                _ => Some(row(id, random.below(1_000_000))),
            };
            cluster.write(owner, &table, &key(id), after);
            writes.fetch_add(1, Ordering::Relaxed);
        }
        for _ in 0..random.below(12) {
            let link = usize::try_from(random.below(cluster.links() as u64)).expect("small");
            cluster.deliver(link);
        }
        std::thread::sleep(Duration::from_micros(random.below(300)));
    }
}

/// Plants changed, missing and extra rows on random nodes, and returns their keys.
fn plant(cluster: &Cluster, nodes: usize, random: &mut Random, count: u64) -> BTreeSet<Key> {
    let (table, mut planted) = (table(), BTreeSet::new());
    for n in 0..count {
        let node = usize::try_from(random.below(nodes as u64)).expect("small");
        let (id, after) = match n % 3 {
            0 => (HOT_ROWS + random.below(ROWS - HOT_ROWS), Some(u64::MAX >> 1)),
            1 => (HOT_ROWS + random.below(ROWS - HOT_ROWS), None),
            _ => (10 * ROWS + n, Some(1)),
        };
        if planted.insert(key(id)) {
            cluster.corrupt(node, &table, &key(id), after.map(|n| row(id, n)).as_ref());
        }
    }
    planted
}

async fn live_check(nodes: usize, seed: u64) -> (u64, u64) {
    let (cluster, table, mut random) = (Cluster::ring(nodes), table(), Random(seed.wrapping_mul(77) | 1));
    (0..nodes).for_each(|node| cluster.define(node, &table));
    for id in 0..ROWS {
        cluster.write(usize::try_from(id).expect("small") % nodes, &table, &key(id), Some(row(id, id)));
    }
    cluster.deliver_all();
    let planted = plant(&cluster, nodes, &mut random, 30);
    let (over, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let world = {
        let (cluster, over, writes) = (cluster.clone(), over.clone(), writes.clone());
        std::thread::spawn(move || world(cluster, nodes, seed, over, writes))
    };
    std::thread::sleep(Duration::from_millis(5));
    let report = run_check(&cluster, nodes, &format!("live{seed}")).await;
    over.store(true, Ordering::Relaxed);
    world.join().expect("the world ends");
    let found: BTreeSet<Key> = report.divergences.iter().map(|divergence| divergence.key.clone()).collect();
    assert_eq!(found, planted, "{nodes} nodes, EVENSUM_SEED={seed}");
    cluster.deliver_all();
    for divergence in &report.divergences {
        let held: Vec<_> =
            (0..nodes).map(|n| cluster.contents(n, &table).get(&divergence.key).cloned()).collect();
        assert!(held.windows(2).any(|pair| pair[0] != pair[1]), "{} agrees after all", divergence.key);
    }
    (writes.load(Ordering::Relaxed), report.tables[0].rows_lagging)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_nodes_give_no_false_difference_and_hide_no_planted_one() {
    let (mut writes, mut lagging) = (0, 0);
    for seed in seeds(12) {
        for nodes in [2, 3] {
            let (w, l) = live_check(nodes, seed).await;
            writes += w;
            lagging += l;
        }
    }
    // the fault that this test is about must have happened
    assert!(writes > 500, "only {writes} writes ran beside the checks");
    assert!(lagging > 20, "only {lagging} rows were on their way when they were read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quiet_nodes_have_equal_fingerprints_and_checksum_rows_everywhere() {
    let (cluster, table) = (Cluster::ring(3), table());
    (0..3).for_each(|node| cluster.define(node, &table));
    (0..ROWS).for_each(|id| cluster.write(0, &table, &key(id), Some(row(id, id))));
    cluster.deliver_all();
    let report = run_check(&cluster, 3, "quiet").await;
    assert_eq!(report.verdict(), Verdict::Identical);
    let table_report = &report.tables[0];
    assert_eq!(table_report.rows, ROWS);
    assert!(table_report.chunks >= 2);
    assert!(table_report.fingerprints.windows(2).all(|pair| pair[0].root == pair[1].root));
    cluster.deliver_all();
    for node in 0..3 {
        assert_eq!(cluster.checksums(node).len() as u64, 3 * table_report.chunks, "node {node}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_link_makes_differences_unsettled_and_never_identical() {
    let (cluster, table) = (Cluster::ring(2), table());
    (0..2).for_each(|node| cluster.define(node, &table));
    cluster.write(0, &table, &key(1), Some(row(1, 1)));
    let members = (0..2)
        .map(|n| Member {
            name: format!("n{}", n + 1).into(),
            reader: cluster.connect(n),
            ledger: cluster.connect(n),
        })
        .collect();
    let options = Options {
        run: "stopped".into(),
        selection: Selection::default(),
        settle_bound: Duration::from_millis(50),
    };
    let report = check(members, cluster.connect(0), &options, &Silent, &Stop::new()).await.expect("memory");
    assert_eq!(report.verdict(), Verdict::Unsettled);
    assert!(report.divergences.is_empty());
    assert!(report.unsettled[0].reason.contains("n1 to n2"), "{}", report.unsettled[0].reason);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_only_the_second_node_holds_are_all_found() {
    let (cluster, table) = (Cluster::ring(2), table());
    (0..2).for_each(|node| cluster.define(node, &table));
    let count = 30_000;
    (0..count).for_each(|id| cluster.corrupt(1, &table, &key(id), Some(&row(id, id))));
    let carrier = {
        let (cluster, over) = (cluster.clone(), Arc::new(AtomicBool::new(false)));
        let flag = over.clone();
        (
            std::thread::spawn(move || {
                while !flag.load(Ordering::Relaxed) {
                    cluster.deliver_all()
                }
            }),
            over,
        )
    };
    let report = run_check(&cluster, 2, "one-sided").await;
    carrier.1.store(true, Ordering::Relaxed);
    carrier.0.join().expect("the carrier ends");
    assert_eq!(report.tables[0].rows_different, count);
    assert_eq!(report.tables[0].rows, count);
}
