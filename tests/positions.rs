//! Checks that write nothing: positions of the nodes' logs stand in for watermark rows.

use crate::cluster::Cluster;
use crate::commands::said;
use crate::live::{ColdKey, found, plant};
use crate::workload::{Random, Workload, create_tables, full, seeds};
use serde_json::Value;
use std::collections::BTreeSet;

/// Rows that nobody writes.
const COLD_ROWS: u64 = 2_000;
/// Divergences planted.
const PLANTED: u64 = 60;
/// Transactions a second on all nodes together.
const RATE: u64 = 300;

/// One check beside writers: exactly what was planted is found. The number of rows that were on their way, and that stayed
/// unsettled.
pub fn silent_check(
    cluster: &Cluster,
    planted: &BTreeSet<ColdKey>,
    config: &str,
    context: &str,
) -> (u64, u64) {
    let config = cluster.path(config);
    let arguments = [
        "check",
        "--no-ledger",
        "--tables",
        "live.*",
        "--json",
        "--settle",
        "8s",
        "--config",
        config.to_str().unwrap(),
    ];
    let (code, out, err) = said(&cluster.evensum_plain(&arguments));
    let report: Value =
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error} in {out} {err} {context}"));
    assert_eq!(code, 1, "{context} {err}");
    assert_eq!(&found(&report), planted, "{context}");
    assert_eq!(report["without_ledger"].as_array().expect("what is given up").len(), 3);
    let sum = |name: &str| {
        let tables = report["tables"].as_array().expect("tables");
        tables.iter().map(|table| table[name].as_u64().expect("a count")).sum()
    };
    (sum("rows_lagging"), sum("rows_unsettled"))
}

/// Nothing of evensum's is on any node.
pub fn assert_nothing_written(cluster: &Cluster) {
    for n in 1..=cluster.len() {
        let sql = "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'evensum'";
        assert_eq!(cluster.ask(n, sql), [[Some("0".to_owned())]], "n{n}");
    }
}

fn live_checks(nodes: usize, checks: u64) {
    let cluster = Cluster::start(nodes);
    create_tables(&mut cluster.session(1), COLD_ROWS);
    cluster.settle();
    (1..=nodes).for_each(|n| cluster.delay(n, "0:1500"));
    let ports: Vec<u16> = (1..=nodes).map(|n| cluster.port(n)).collect();
    let (seed, mut lagging, mut unsettled) = (seeds(1)[0], 0, 0);
    let context = format!("{nodes} nodes, EVENSUM_SEED={seed}");
    let mut workload = Workload::start(&ports, RATE, seed);
    let planted = plant(&cluster, &mut Random::new(seed), PLANTED, &(0..COLD_ROWS), 1);
    for _ in 0..checks {
        workload.until_more(100);
        let (l, u) = silent_check(&cluster, &planted, "evensum.toml", &context);
        (lagging, unsettled) = (lagging + l, unsettled + u);
    }
    let (committed, rate) = workload.stop();
    println!(
        "{nodes} nodes without a ledger: {checks} checks beside {committed} transactions ({rate}/s); all {PLANTED} planted were \
         found each time; {lagging} rows were on their way, {unsettled} unsettled, 0 false"
    );
    assert!(lagging > checks, "only {lagging} rows were on their way in {checks} checks: no delay, no test");
    (1..=nodes).for_each(|n| cluster.delay(n, "0:0"));
    cluster.settle();
    workload.assert_nothing_lost(&context);
    assert_nothing_written(&cluster);
}

#[test]
fn a_pair_is_checked_under_writes_without_a_ledger() {
    live_checks(2, if full() { 30 } else { 2 });
}

#[test]
fn a_ring_of_three_is_checked_under_writes_without_a_ledger() {
    live_checks(3, if full() { 30 } else { 2 });
}

#[test]
fn a_stopped_link_leaves_rows_unsettled_and_what_is_given_up_is_said() {
    let cluster = Cluster::start(2);
    create_tables(&mut cluster.session(1), 100);
    cluster.settle();
    let check = |more: &[&str]| {
        said(
            &cluster
                .evensum(&[&["check", "--no-ledger", "--tables", "live.*", "--settle", "2s"], more].concat()),
        )
    };
    let (code, out, err) = check(&[]);
    assert_eq!(code, 0, "{out} {err}");
    assert!(out.contains("without a ledger:") && out.contains("no checksum rows"), "{out}");
    cluster.partition(2);
    cluster.run(1, "UPDATE live.cold SET price = 7777 WHERE region = 'south' AND id = 2");
    let (code, out, err) = check(&[]);
    assert_eq!(code, 2, "{out} {err}");
    assert!(out.contains("unsettled") && !out.contains("different:"), "{out}");
    cluster.heal(2);
    cluster.settle();
    let (code, out, err) = check(&["--json"]);
    assert_eq!(code, 0, "{out} {err}");
    let (code, _, err) = check(&["--ledger", "elsewhere"]);
    assert_eq!(code, 3, "{err}");
    assert_nothing_written(&cluster);
}
