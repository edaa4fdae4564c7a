//! The trap of a row that looks still while it moves (ABA).
//!
//! An adversary sits in the ledger: whenever the checker waits for its watermarks, everything that is on its way
//! arrives, the row goes to 1 on both nodes and back to 0 on the first. So every reading that the checker ever makes shows
//! 0 on one node and 1 on the other, with all watermarks in place, and yet replication is about to make them agree.

#![allow(clippy::expect_used, reason = "a test stops at its first surprise")]
#![allow(clippy::cast_possible_wrap, reason = "the numbers are small")]

use checker::{Member, Options, Selection, Silent, Stop, Verdict, check};
use database::memory::{Cluster, Connection};
use database::{Checksum, Column, Key, Kind, Ledger, Result, Row, Table, Value, Watermark};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
        name: "flags".into(),
        columns: vec![column("id"), column("flag")],
        key: vec![0],
        key_name: "PRIMARY".into(),
        rows_estimate: 0,
        filter: None,
    }
}

fn row(flag: i64) -> Row {
    Row::new(&[Value::Int(1), Value::Int(flag)])
}

struct Flipping {
    inner: Connection,
    cluster: Cluster,
    flips: Arc<AtomicUsize>,
}

fn flip(cluster: &Cluster) {
    let (table, key) = (table(), Key::new(&[Value::Int(1)]));
    cluster.write(0, &table, &key, Some(row(1)));
    cluster.deliver_all();
    cluster.write(0, &table, &key, Some(row(0)));
}

impl Ledger for Flipping {
    async fn prepare(&mut self) -> Result<()> {
        self.inner.prepare().await
    }

    async fn push(&mut self, checksums: &[Checksum]) -> Result<()> {
        self.inner.push(checksums).await
    }

    async fn mark(&mut self, run: &str, watermark: &Watermark) -> Result<()> {
        self.inner.mark(run, watermark).await
    }

    async fn marks(&mut self, run: &str, number: u64) -> Result<Vec<Watermark>> {
        self.cluster.deliver_all();
        flip(&self.cluster);
        self.flips.fetch_add(1, Ordering::Relaxed);
        self.inner.marks(run, number).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_flips_in_step_with_the_checker_is_never_called_different() {
    let (cluster, flips) = (Cluster::ring(2), Arc::new(AtomicUsize::new(0)));
    (0..2).for_each(|node| cluster.define(node, &table()));
    flip(&cluster);
    let members = (0..2)
        .map(|n| Member {
            name: format!("n{}", n + 1).into(),
            reader: cluster.connect(n),
            ledger: Flipping { inner: cluster.connect(n), cluster: cluster.clone(), flips: flips.clone() },
        })
        .collect();
    let options =
        Options { run: "flip".into(), selection: Selection::default(), settle_bound: Duration::from_secs(5) };
    let report = check(members, cluster.connect(0), &options, &Silent, &Stop::new()).await.expect("memory");
    assert!(flips.load(Ordering::Relaxed) > 10, "the adversary hardly acted");
    assert_eq!(report.verdict(), Verdict::Unsettled, "{report:?}");
}

/// A ledger beside which both nodes flip their own flag, out of step, and nothing is carried.
struct OutOfStep {
    inner: Connection,
    cluster: Cluster,
    flips: Arc<AtomicUsize>,
}

impl Ledger for OutOfStep {
    async fn prepare(&mut self) -> Result<()> {
        self.inner.prepare().await
    }

    async fn push(&mut self, checksums: &[Checksum]) -> Result<()> {
        self.inner.push(checksums).await
    }

    async fn mark(&mut self, run: &str, watermark: &Watermark) -> Result<()> {
        self.inner.mark(run, watermark).await
    }

    async fn marks(&mut self, run: &str, number: u64) -> Result<Vec<Watermark>> {
        let flip = self.flips.fetch_add(1, Ordering::Relaxed).cast_signed() as i64;
        let (table, key) = (table(), Key::new(&[Value::Int(1)]));
        for node in 0..2 {
            self.cluster.write(node, &table, &key, Some(row((flip + node as i64) % 2)));
        }
        self.inner.marks(run, number).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_show_each_others_contents_in_turn_are_never_called_identical() {
    let (cluster, flips) = (Cluster::ring(2), Arc::new(AtomicUsize::new(0)));
    for node in 0..2 {
        cluster.define(node, &table());
        cluster.write(node, &table(), &Key::new(&[Value::Int(1)]), Some(row(node as i64)));
    }
    let members = (0..2)
        .map(|n| Member {
            name: format!("n{}", n + 1).into(),
            reader: cluster.connect(n),
            ledger: OutOfStep { inner: cluster.connect(n), cluster: cluster.clone(), flips: flips.clone() },
        })
        .collect();
    let options = Options {
        run: "out".into(),
        selection: Selection::default(),
        settle_bound: Duration::from_millis(300),
    };
    let report = check(members, cluster.connect(0), &options, &Silent, &Stop::new()).await.expect("memory");
    assert!(flips.load(Ordering::Relaxed) > 5, "they hardly flipped");
    assert_eq!(report.verdict(), Verdict::Unsettled, "{report:?}");
}

/// A ledger beside which the first node writes its row again whenever marks go round, so that no exchange ever finds it still.
struct Restless {
    inner: Connection,
    cluster: Cluster,
    second: bool,
    writes: Arc<AtomicUsize>,
}

impl Ledger for Restless {
    async fn prepare(&mut self) -> Result<()> {
        self.inner.prepare().await
    }

    async fn push(&mut self, checksums: &[Checksum]) -> Result<()> {
        self.inner.push(checksums).await
    }

    async fn mark(&mut self, run: &str, watermark: &Watermark) -> Result<()> {
        if self.second {
            let content = self.writes.fetch_add(1, Ordering::Relaxed) as i64;
            self.cluster.write(0, &table(), &Key::new(&[Value::Int(1)]), Some(row(content)));
        }
        self.inner.mark(run, watermark).await
    }

    async fn marks(&mut self, run: &str, number: u64) -> Result<Vec<Watermark>> {
        self.cluster.deliver_all();
        self.inner.marks(run, number).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_one_node_writes_in_every_exchange_is_decided_by_a_cut() {
    for lost in [false, true] {
        let (cluster, writes) = (Cluster::ring(2), Arc::new(AtomicUsize::new(7)));
        let key = Key::new(&[Value::Int(1)]);
        (0..2).for_each(|node| cluster.define(node, &table()));
        cluster.write(0, &table(), &key, Some(row(1)));
        // a row beside it that really differs must be named all the same
        let other = Row::new(&[Value::Int(2), Value::Int(0)]);
        if lost {
            cluster.corrupt(1, &table(), &Key::new(&[Value::Int(2)]), Some(&other));
        }
        let members = (0..2)
            .map(|n| Member {
                name: format!("n{}", n + 1).into(),
                reader: cluster.connect(n),
                ledger: Restless {
                    inner: cluster.connect(n),
                    cluster: cluster.clone(),
                    second: n == 1,
                    writes: writes.clone(),
                },
            })
            .collect();
        let options = Options {
            run: "cut".into(),
            selection: Selection::default(),
            settle_bound: Duration::from_secs(5),
        };
        let report =
            check(members, cluster.connect(0), &options, &Silent, &Stop::new()).await.expect("memory");
        assert!(writes.load(Ordering::Relaxed) > 7, "the row was never written while marks went round");
        assert!(report.unsettled.is_empty(), "{report:?}");
        let expected = if lost { Verdict::Different } else { Verdict::Identical };
        assert_eq!((report.verdict(), report.divergences.len()), (expected, usize::from(lost)), "{report:?}");
    }
}
