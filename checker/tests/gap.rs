//! A range of rows that one node has lost, in memory: the node that says where chunks end sees nothing of it, so it is one chunk, and
//! all of it differs. It is found whole all the same, and settled in parts, so that nobody must hold all of it at once.

#![allow(clippy::expect_used, reason = "a test stops at its first surprise")]

use checker::progress::{Progress, Step};
use checker::walk::CANDIDATES_MAX;
use checker::{Member, Options, Selection, Stop, Verdict, check};
use database::memory::Cluster;
use database::{Column, Key, Kind, Row, Table, Value};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const ROWS: u64 = 400_000;
/// What the first node has of them, at either end.
const LEFT: u64 = 50;

fn table() -> Table {
    Table {
        database: "shop".into(),
        name: "orders".into(),
        columns: vec![Column {
            name: "id".into(),
            definition: "int".into(),
            kind: Kind::Integer,
            generated: false,
            restamped: false,
        }],
        key: vec![0],
        key_name: "PRIMARY".into(),
        rows_estimate: 0,
        filter: None,
    }
}

/// The most that a reading of one chunk brings.
const READ_MOST: usize = 200_000;

/// Notes how many rows are settled at once.
#[derive(Default)]
struct Most {
    settled: AtomicUsize,
    times: AtomicUsize,
}

impl Progress for Most {
    fn step(&self, step: Step<'_>) {
        if let Step::Settling { keys, .. } = step {
            self.settled.fetch_max(keys, Ordering::Relaxed);
            self.times.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_one_node_has_lost_is_found_in_parts() {
    let cluster = Cluster::ring(2);
    for node in 0..2 {
        cluster.define(node, &table());
        for id in (0..ROWS).filter(|id| node == 1 || !(LEFT..ROWS - LEFT).contains(id)) {
            let values = [Value::Int(id.cast_signed())];
            cluster.corrupt(node, &table(), &Key::new(&values), Some(&Row::new(&values)));
        }
    }
    let carrier = cluster.clone();
    let carrier = tokio::spawn(async move {
        loop {
            carrier.deliver_all();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let member = |n: usize| Member {
        name: format!("n{}", n + 1).into(),
        reader: cluster.connect(n),
        ledger: cluster.connect(n),
    };
    let options =
        Options { run: "gap".into(), selection: Selection::default(), settle_bound: Duration::from_secs(20) };
    let most = Most::default();
    let members = vec![member(0), member(1)];
    let report =
        check(members, cluster.connect(0), &options, &most, &Stop::new()).await.expect("a check of memory");
    carrier.abort();
    assert_eq!((report.tables[0].verdict, report.tables[0].rows), (Verdict::Different, ROWS));
    assert_eq!(report.tables[0].rows_different, ROWS - 2 * LEFT, "{:?}", report.tables[0]);
    let (settled, times) = (most.settled.into_inner(), most.times.into_inner());
    assert!(settled <= CANDIDATES_MAX + READ_MOST, "{settled} rows were settled at once");
    assert!(times > 1, "all was settled at once");
}
