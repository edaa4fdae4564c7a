//! Tables without a key, in memory: contents with copies on two and three nodes, some of which differ in all the ways there
//! are, while other contents are on their way. What was planted must be found, exactly. Every seed can be run again:
//! `EVENSUM_SEED=7 cargo test -p checker`.

#![allow(clippy::expect_used, reason = "a test stops at its first surprise")]

use checker::{Member, Options, Report, Selection, Silent, Stop, Verdict, check};
use database::memory::Cluster;
use database::{Column, Key, Kind, Row, Table, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// More than are counted at once, so that groups of buckets are halved and buckets are cut.
const CONTENTS: u64 = 4_000;

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
        name: "log".into(),
        columns: vec![column("who"), column("what")],
        key: Vec::new(),
        key_name: "".into(),
        rows_estimate: 0,
        filter: None,
    }
}

fn content(n: u64) -> Key {
    Key::new(&[Value::Int((n % 7).cast_signed()), Value::Int(n.cast_signed())])
}

fn row(n: u64, copies: u64) -> Option<Row> {
    let values = [content(n).values(), vec![Value::Int(copies.cast_signed())]].concat();
    (copies > 0).then(|| Row::new(&values))
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

/// Carries the log from node to node, until told to stop.
fn carry(cluster: &Cluster, over: &Arc<AtomicBool>) -> tokio::task::JoinHandle<()> {
    let (cluster, over) = (cluster.clone(), over.clone());
    tokio::spawn(async move {
        while !over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            cluster.deliver_all();
        }
    })
}

async fn one_seed(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let nodes = 2 + usize::try_from(seed % 2).expect("small");
    let cluster = Cluster::ring(nodes);
    let counted = table().as_multiset();
    (0..nodes).for_each(|node| cluster.define(node, &table()));
    let mut held: BTreeMap<u64, u64> = BTreeMap::new();
    for n in 0..CONTENTS {
        let copies = 1 + random.below(4);
        held.insert(n, copies);
        (0..nodes).for_each(|node| cluster.corrupt(node, &counted, &content(n), row(n, copies).as_ref()));
    }
    let over = Arc::new(AtomicBool::new(false));
    let carrier = carry(&cluster, &over);
    let report = run_check(&cluster, nodes, "equal").await;
    assert_eq!(report.verdict(), Verdict::Identical, "EVENSUM_SEED={seed}");
    assert_eq!(report.tables[0].rows, held.values().sum::<u64>());
    // one more or one less, none, or a content that nobody else has; many, so that reading has to be done in pieces
    let mut planted = BTreeMap::new();
    for _ in 0..1 + random.below(900) {
        let n = random.below(CONTENTS + 500);
        let (now, node) = (held.get(&n).copied().unwrap_or(0), random.below(nodes as u64));
        let then = [now + 1, now.saturating_sub(1), 0][usize::try_from(random.below(3)).expect("small")];
        if then != now && planted.insert(content(n), ()).is_none() {
            let node = usize::try_from(node).expect("small");
            cluster.corrupt(node, &counted, &content(n), row(n, then).as_ref());
        }
    }
    // and what is only on its way
    for n in 0..50 {
        let n = CONTENTS + 1_000 + n;
        cluster.write(usize::try_from(n).expect("small") % nodes, &counted, &content(n), row(n, 2));
    }
    let report = run_check(&cluster, nodes, "planted").await;
    over.store(true, Ordering::Relaxed);
    carrier.await.expect("the carrier ends");
    let found: BTreeMap<Key, ()> = report.divergences.iter().map(|of| (of.key.clone(), ())).collect();
    assert_eq!(found, planted, "EVENSUM_SEED={seed}");
    assert!(report.unsettled.is_empty(), "EVENSUM_SEED={seed}: {:?}", report.unsettled);
    let fingerprints = &report.tables[0].fingerprints;
    assert!(fingerprints.windows(2).any(|pair| pair[0].root != pair[1].root), "EVENSUM_SEED={seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_that_differ_are_found_exactly() {
    let seeds = match std::env::var("EVENSUM_SEED") {
        Ok(seed) => vec![seed.parse().expect("EVENSUM_SEED is a number")],
        Err(_) => (1..=8).collect(),
    };
    for seed in seeds {
        one_seed(seed).await;
    }
}
