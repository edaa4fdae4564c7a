//! Checks and repairs of clusters that are being written to: no false difference, no miss, no lost write.
//!
//! Plain `tests/run` runs a tenth; `tests/run --full` the counts that are promised. Each test prints its seed and runs again
//! with `EVENSUM_SEED`.

use crate::cluster::{Cluster, TextRows};
use crate::commands::said;
use crate::workload::{HOT_ROWS, Random, Workload, create_tables, full, region, seeds};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ops::Range;

/// Cold rows, where divergence is planted and nobody writes.
const COLD_ROWS: u64 = 4_000;
/// Divergences planted for each seed, of all kinds.
const PLANTED: u64 = 100;
/// Transactions a second, on all nodes together. The promise is 300; a little more, so that a slow moment does not break it.
const RATE: u64 = 400;
/// How long a check may take to settle: rows that are written more often than marks travel stay unsettled, and waiting
/// longer does not change that.
const SETTLE: &str = "8s";
/// After how many seeds the cluster is a new one: the writers' journal grows, and is compared too.
const SEEDS_PER_CLUSTER: usize = 2;
/// How late a link may be.
const DELAY_MS: &str = "0:2000";

/// A key as the report prints it: `region/id`.
pub type ColdKey = String;

/// The nodes' ports, in order.
fn ports(cluster: &Cluster) -> Vec<u16> {
    (1..=cluster.len()).map(|n| cluster.port(n)).collect()
}

fn delay_all(cluster: &Cluster, millis: &str) {
    (1..=cluster.len()).for_each(|n| cluster.delay(n, millis));
}

fn number(n: u64) -> usize {
    usize::try_from(n).unwrap()
}

/// Plants changed, missing and extra cold rows among `ids`, each on one node from `first` on.
pub fn plant(
    cluster: &Cluster,
    random: &mut Random,
    count: u64,
    ids: &Range<u64>,
    first: u64,
) -> BTreeSet<ColdKey> {
    let mut planted = BTreeSet::new();
    let nodes = cluster.len() as u64;
    while (planted.len() as u64) < count {
        let (node, kind) = (first + random.below(nodes + 1 - first), random.below(4));
        let id = ids.start + random.below(ids.end - ids.start) + if kind == 3 { 10 * COLD_ROWS } else { 0 };
        let region = region(id);
        if !planted.insert(format!("{region}/{id}")) {
            continue;
        }
        let (set, at) = ("UPDATE live.cold SET", format!("WHERE region='{region}' AND id={id}"));
        let sql = match kind {
            0 => format!("{set} price = price + 0.01 {at}"),
            1 => format!("{set} name = CONCAT(name, ' '), born = '2001-02-03' {at}"),
            2 => format!("DELETE FROM live.cold {at}"),
            _ => format!("INSERT INTO live.cold VALUES ('{region}',{id},NULL,0.00,'1001-01-01')"),
        };
        cluster.corrupt(number(node), &[&sql]);
    }
    planted
}

pub fn found(report: &Value) -> BTreeSet<ColdKey> {
    let divergences = report["divergences"].as_array().expect("divergences");
    divergences
        .iter()
        .map(|divergence| {
            let key = &divergence["key"];
            assert_eq!(divergence["table"], "cold", "a false difference: {divergence}");
            format!("{}/{}", key["region"].as_str().expect("region"), key["id"].as_str().expect("id"))
        })
        .collect()
}

/// One live check: exactly what was planted is found. The number of rows that were on their way.
pub fn live_check(cluster: &Cluster, planted: &BTreeSet<ColdKey>, context: &str) -> (u64, u64) {
    let (code, out, err) =
        said(&cluster.evensum(&["check", "--tables", "live.*", "--json", "--settle", SETTLE]));
    let report: Value =
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error} in {out} {err} {context}"));
    assert_eq!(code, 1, "{context} {err} {:#}", report["unsettled"][0]);
    assert_eq!(&found(&report), planted, "{context} {:#}", report["unsettled"][0]);
    let sum = |name: &str| {
        let tables = report["tables"].as_array().expect("tables");
        tables.iter().map(|table| table[name].as_u64().expect("a count")).sum()
    };
    (sum("rows_lagging"), sum("rows_unsettled"))
}

fn live_checks(nodes: usize, seed_count: u64, checks_per_seed: u64) {
    for seeds in seeds(seed_count).chunks(SEEDS_PER_CLUSTER) {
        checks_of_one_cluster(nodes, seeds, checks_per_seed);
    }
}

fn checks_of_one_cluster(nodes: usize, seeds: &[u64], checks_per_seed: u64) {
    let cluster = Cluster::start(nodes);
    create_tables(&mut cluster.session(1), COLD_ROWS);
    cluster.settle();
    delay_all(&cluster, DELAY_MS);
    let (mut checks, mut lagging, mut unsettled, mut planted) = (0, 0, 0, BTreeSet::new());
    let mut workload = Workload::start(&ports(&cluster), RATE, 1);
    for &seed in seeds {
        let context = format!("{nodes} nodes, EVENSUM_SEED={seed}");
        tidy_up(&cluster, &mut planted);
        // a repair may have made a row go away everywhere, so each seed has rows of its own
        let ids = (seed - 1) % 20 * (COLD_ROWS / 20)..((seed - 1) % 20 + 1) * (COLD_ROWS / 20);
        planted = plant(&cluster, &mut Random::new(seed), PLANTED, &ids, 1);
        for _ in 0..checks_per_seed {
            workload.until_more(100);
            let (l, u) = live_check(&cluster, &planted, &context);
            (checks, lagging, unsettled) = (checks + 1, lagging + l, unsettled + u);
        }
    }
    let (committed, rate) = workload.stop();
    println!(
        "{nodes} nodes: {checks} checks beside {committed} transactions ({rate}/s); of {PLANTED} planted in each of \
         {} seeds all were found each time; {lagging} rows were on their way, {unsettled} unsettled, 0 false",
        seeds.len()
    );
    assert!(lagging > checks, "only {lagging} rows were on their way in {checks} checks: no delay, no test");
    assert!(rate >= 300 || !full(), "only {rate} transactions a second");
    delay_all(&cluster, "0:0");
    cluster.settle();
    workload.assert_nothing_lost(&format!("{nodes} nodes"));
}

/// Mends what was planted, by the first node's version.
fn tidy_up(cluster: &Cluster, planted: &mut BTreeSet<ColdKey>) {
    if !planted.is_empty() {
        let arguments = [
            "sync",
            "--tables",
            "live.cold",
            "--policy",
            "prefer=n1",
            "--execute",
            "--yes",
            "--settle",
            "60s",
        ];
        let (code, out, err) = said(&cluster.evensum(&arguments));
        assert_eq!(code, 0, "{out} {err}");
        planted.clear();
    }
}

#[test]
fn a_pair_under_writes_gives_no_false_difference_and_hides_none() {
    let (seeds, checks) = if full() { (20, 5) } else { (2, 2) };
    live_checks(2, seeds, checks);
}

#[test]
fn a_ring_of_three_under_writes_gives_no_false_difference_and_hides_none() {
    let (seeds, checks) = if full() { (20, 5) } else { (1, 2) };
    live_checks(3, seeds, checks);
}

/// Wrongs hot rows on nodes that do not own them. Rows are only changed: an update that finds no row stops replication, and
/// that would be the planting's doing.
fn wrong_hot_rows(cluster: &Cluster, random: &mut Random, count: u64) {
    let nodes = cluster.len() as u64;
    for _ in 0..count {
        // never on the first node, which is right, and never on the owner
        let (id, node) = (random.below(HOT_ROWS), 2 + random.below(nodes - 1));
        if id % nodes + 1 != node {
            let mut session = cluster.session(number(node));
            session.run("SET sql_log_bin=0").unwrap();
            let sql =
                format!("UPDATE live.hot SET n = {}, amount = -1 WHERE id={id}", random.below(1_000_000));
            session.run(&sql).unwrap();
        }
    }
}

/// Runs a repair, or what `more` makes of it; the run and how many rows it changed.
fn execute(cluster: &Cluster, more: &[&str]) -> (String, u64) {
    let summary = cluster.repair(&[&["--settle", "60s"], more].concat());
    let run = summary["run"].as_str().unwrap_or_else(|| panic!("{summary}"));
    (run.to_owned(), summary["execution"]["mended"].as_u64().unwrap_or_else(|| panic!("{summary}")))
}

/// Runs a repair by the first node's version.
fn repair(cluster: &Cluster) -> (String, u64) {
    execute(cluster, &["--tables", "live.*", "--policy", "prefer=n1"])
}

/// The cold rows of every node, byte for byte: nobody but we write them.
fn cold_rows(cluster: &Cluster) -> Vec<TextRows> {
    let sql = "SELECT region, id, HEX(name), price, born FROM live.cold ORDER BY region, id";
    (1..=cluster.len()).map(|n| cluster.ask(n, sql)).collect()
}

/// Mends, puts back what was there before, byte for byte, and mends again; how many rows were put back.
///
/// Of the hot rows some were written by their owners since they were mended, and those are left as they are: what is lost there
/// would be seen at the end.
fn repair_and_undo(cluster: &Cluster) -> u64 {
    let before = cold_rows(cluster);
    let (run, mended) = repair(cluster);
    let after = cold_rows(cluster);
    assert_ne!(after, before, "{run} mended {mended} rows, and the cold ones are as they were");
    let (undo, undone) = execute(cluster, &["--undo", &run]);
    assert!(cold_rows(cluster) == before, "{undo} put back {undone} rows of {run}, and not as they were");
    repair(cluster);
    assert!(cold_rows(cluster) == after, "what {undo} put back was not mended again");
    undone
}

fn guarded_repairs(nodes: usize, wanted: u64) {
    let cluster = Cluster::start(nodes);
    create_tables(&mut cluster.session(1), COLD_ROWS);
    cluster.settle();
    delay_all(&cluster, "0:500");
    let mut workload = Workload::start(&ports(&cluster), RATE, 2);
    let (mut mended, mut undone, mut random, mut round) = (0, 0, Random::new(seeds(1)[0]), 0);
    while mended < wanted || undone == 0 {
        plant(&cluster, &mut random, 60, &(0..COLD_ROWS), 2);
        wrong_hot_rows(&cluster, &mut random, 60);
        match round % 6 {
            1 => undone += repair_and_undo(&cluster),
            _ => mended += repair(&cluster).1,
        }
        round += 1;
        assert!(round < 100, "only {mended} rows mended in {round} rounds");
    }
    let (committed, rate) = workload.stop();
    delay_all(&cluster, "0:0");
    cluster.settle();
    for n in 1..=nodes {
        assert_eq!(
            (cluster.link(n, "Slave_SQL_Running"), cluster.link(n, "Last_SQL_Errno")),
            ("Yes".into(), "0".into())
        );
    }
    // what moved every time it was looked at is mended now that it is quiet
    repair(&cluster);
    let (code, out, err) = said(&cluster.evensum(&["check", "--tables", "live.*"]));
    assert_eq!(code, 0, "{out} {err}");
    workload.assert_nothing_lost(&format!("{nodes} nodes after {mended} repairs"));
    println!(
        "{nodes} nodes: {mended} rows mended in {round} repairs beside {committed} transactions ({rate}/s), nothing lost; \
         {undone} put back, byte for byte"
    );
}

#[test]
fn repairs_of_a_pair_under_writes_lose_no_write() {
    guarded_repairs(2, if full() { 1_000 } else { 100 });
}

#[test]
fn repairs_of_a_ring_of_three_under_writes_lose_no_write() {
    guarded_repairs(3, if full() { 1_000 } else { 100 });
}
