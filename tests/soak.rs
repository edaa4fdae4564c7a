//! The promises under load: writers on every node, slow links, kills; no false difference, no miss, no lost write.
//!
//! Each writer owns rows, so that no true conflict arises, and keeps a ledger of what its node acknowledged; at the end the
//! ledger is compared with what every node holds. What is planted is planted behind the log. A short dose runs always,
//! the whole of it with `EVENSUM_TEST_FULL=1` (`tests/run --full`). `EVENSUM_SEED=7` runs one seed again.

use crate::cluster::Cluster;
use crate::commands::said;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Rows that the writers write all the time.
const HOT_ROWS: usize = 1_000;
/// Rows that nobody writes.
const COLD_ROWS: usize = 3_000;
/// Keys of rows that are planted where there was none.
const EXTRA_FROM: usize = 1_000_000;

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }
}

fn full() -> bool {
    std::env::var_os("EVENSUM_TEST_FULL").is_some()
}

fn seeds(short: u64, whole: u64) -> Vec<u64> {
    match std::env::var("EVENSUM_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=if full() { whole } else { short }).collect(),
    }
}

/// A cluster with hot rows (`0..HOT_ROWS`), cold rows after them, and a table of acknowledged inserts.
fn loaded(nodes: usize) -> Cluster {
    let cluster = Cluster::start(nodes);
    cluster.run(1, "CREATE DATABASE bank");
    cluster.run(
        1,
        "CREATE TABLE bank.acc (id INT NOT NULL PRIMARY KEY, n BIGINT NOT NULL, flag INT, pad VARCHAR(40))",
    );
    cluster.run(1, "CREATE TABLE bank.acks (id BIGINT NOT NULL PRIMARY KEY, writer INT NOT NULL)");
    for start in (0..HOT_ROWS + COLD_ROWS).step_by(500) {
        let rows: Vec<String> =
            (start..start + 500).map(|id| format!("({id}, 0, 0, 'p{}')", id % 7)).collect();
        cluster.run(1, &format!("INSERT INTO bank.acc VALUES {}", rows.join(",")));
    }
    cluster.settle();
    cluster
}

/// What the nodes acknowledged.
struct Ledger {
    /// How often each hot row was incremented.
    increments: Vec<AtomicU64>,
    /// How many inserts of each node stand.
    inserts: Vec<AtomicU64>,
    transactions: AtomicU64,
    over: AtomicBool,
}

impl Ledger {
    fn new(nodes: usize) -> Ledger {
        let zeros = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Ledger {
            increments: zeros(HOT_ROWS),
            inserts: zeros(nodes),
            transactions: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }
}

/// One writer: increments, flips, inserts and deletes on rows of its node until told to stop, or its node dies.
fn write(cluster: &Cluster, n: usize, seed: u64, ledger: &Ledger) {
    let (mut session, mut random, nodes) =
        (cluster.session(n), Random::new(seed * 31 + n as u64), cluster.len());
    let mut flip = 0;
    while !ledger.over.load(Ordering::Relaxed) {
        let id = random.below(HOT_ROWS / nodes) * nodes + (n - 1);
        let next = ledger.inserts[n - 1].load(Ordering::Relaxed);
        let (sql, done): (String, Option<&AtomicU64>) = match random.below(10) {
            0..=4 => (format!("UPDATE bank.acc SET n = n + 1 WHERE id = {id}"), Some(&ledger.increments[id])),
            5..=7 => {
                flip = 1 - flip;
                (format!("UPDATE bank.acc SET flag = {flip} WHERE id = {id}"), None)
            }
            8 => {
                let key = next as usize * nodes + (n - 1);
                (format!("INSERT INTO bank.acks VALUES ({key}, {n})"), Some(&ledger.inserts[n - 1]))
            }
            // a row that comes and goes
            _ => (format!("REPLACE INTO bank.acc VALUES ({}, 1, {flip}, NULL)", 500_000 + n), None),
        };
        match session.run(&sql) {
            Ok(_) => {
                done.map(|count| count.fetch_add(1, Ordering::Relaxed));
                ledger.transactions.fetch_add(1, Ordering::Relaxed);
            }
            Err(sqlx::Error::Database(error)) => panic!("n{n}: {sql}: {error}"),
            // the node is gone
            Err(_) => return,
        }
        if random.below(10) == 0 {
            let _ = session.run(&format!("DELETE FROM bank.acc WHERE id = {}", 500_000 + n));
        }
    }
}

/// Runs `during` while every node is written.
fn under_load<T>(cluster: &Cluster, seed: u64, ledger: &Ledger, during: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        for n in 1..=cluster.len() {
            scope.spawn(move || write(cluster, n, seed, ledger));
        }
        struct Over<'a>(&'a AtomicBool);
        // also where `during` panics: else the writers would be waited for without an end
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _over = Over(&ledger.over);
        during()
    })
}

/// Plants so many differences on a node, a third of each kind, on rows that nobody writes; their keys.
fn plant(cluster: &Cluster, n: usize, count: usize, random: &mut Random) -> BTreeSet<String> {
    let (mut planted, mut session) = (BTreeSet::new(), cluster.session(n));
    session.run("SET sql_log_bin = 0").unwrap();
    while planted.len() < count {
        let cold = HOT_ROWS + random.below(COLD_ROWS);
        let (key, sql) = match planted.len() % 3 {
            0 => (cold, format!("UPDATE bank.acc SET pad = CONCAT('x', pad) WHERE id = {cold}")),
            1 => (cold, format!("DELETE FROM bank.acc WHERE id = {cold}")),
            _ => {
                let extra = EXTRA_FROM + random.below(1_000_000);
                (extra, format!("INSERT IGNORE INTO bank.acc VALUES ({extra}, 1, NULL, '')"))
            }
        };
        if !planted.contains(&key.to_string()) && session.run(&sql).unwrap() == 1 {
            planted.insert(key.to_string());
        }
    }
    planted
}

fn found(report: &Value) -> BTreeSet<String> {
    let divergences = report["divergences"].as_array().unwrap();
    divergences.iter().map(|d| d["key"]["id"].as_str().unwrap().to_owned()).collect()
}

fn json(text: &str, err: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}{err}"))
}

const CHECK: [&str; 4] = ["check", "--tables", "bank.*", "--json"];
const SYNC: [&str; 8] =
    ["sync", "--tables", "bank.*", "--policy", "prefer=n1", "--execute", "--yes", "--json"];

/// Every node holds what was acknowledged, and all the same.
fn compare_with_ledger(cluster: &Cluster, ledger: &Ledger, doubtful: u64) {
    for n in 1..=cluster.len() {
        let rows = cluster.ask(n, &format!("SELECT id, n FROM bank.acc WHERE id < {HOT_ROWS} ORDER BY id"));
        assert_eq!(rows.len(), HOT_ROWS, "n{n}");
        let mut surplus = 0;
        for (id, row) in rows.iter().enumerate() {
            let (held, said): (u64, u64) =
                (row[1].as_deref().unwrap().parse().unwrap(), ledger.increments[id].load(Ordering::Relaxed));
            assert!(held >= said, "n{n} lost {} of {said} acknowledged increments of row {id}", said - held);
            surplus += held - said;
        }
        // an increment that was committed, and whose answer died with the node
        assert!(surplus <= doubtful, "n{n} applied {surplus} increments too often");
        for (writer, inserts) in ledger.inserts.iter().enumerate() {
            let rows =
                cluster.ask(n, &format!("SELECT COUNT(*) FROM bank.acks WHERE writer = {}", writer + 1));
            let (held, said): (u64, u64) =
                (rows[0][0].as_deref().unwrap().parse().unwrap(), inserts.load(Ordering::Relaxed));
            assert!(
                held >= said && held <= said + doubtful,
                "n{n} holds {held} of {said} inserts of n{}",
                writer + 1
            );
        }
    }
    for table in ["acc", "acks"] {
        let rows = |n| cluster.ask(n, &format!("SELECT * FROM bank.{table} ORDER BY id"));
        let first = rows(1);
        (2..=cluster.len())
            .for_each(|n| assert!(first == rows(n), "bank.{table} differs between n1 and n{n}"));
    }
}

#[test]
fn no_check_calls_a_moving_row_different_and_none_misses_a_planted_one() {
    let (checks, planted_rows) = if full() { (5, 100) } else { (3, 30) };
    let mut total = 0;
    for seed in seeds(1, 20) {
        for nodes in [2, 3] {
            let cluster = loaded(nodes);
            (1..=nodes).for_each(|n| cluster.delay(n, if full() { "0:2000" } else { "0:300" }));
            let (ledger, mut random) = (Ledger::new(nodes), Random::new(seed));
            let planted = plant(&cluster, 1 + random.below(nodes), planted_rows, &mut random);
            let start = Instant::now();
            under_load(&cluster, seed, &ledger, || {
                for check in 0..checks {
                    let (code, out, err) = said(&cluster.evensum(&CHECK));
                    let report = json(&out, &err);
                    let place = format!("seed {seed}, {nodes} nodes, check {check}");
                    assert_eq!(found(&report), planted, "{place}: {:#}", report["unsettled"]);
                    assert_eq!(code, 1, "{place}");
                    total += 1;
                }
            });
            let rate = ledger.transactions.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
            eprintln!(
                "seed {seed}, {nodes} nodes: {checks} checks without a false difference at {rate:.0} transactions/s"
            );
        }
    }
    eprintln!("{total} checks, no false difference, nothing missed");
}

/// Changes hot rows on one node behind the log: rows that are being written while they are mended.
fn plant_hot(cluster: &Cluster, n: usize, count: usize, random: &mut Random) {
    let mut session = cluster.session(n);
    session.run("SET sql_log_bin = 0").unwrap();
    for _ in 0..count {
        let id = random.below(HOT_ROWS);
        session.run(&format!("UPDATE bank.acc SET pad = CONCAT('y', id) WHERE id = {id}")).unwrap();
    }
}

#[test]
fn no_repair_loses_a_write_or_stops_a_link() {
    let wanted = if full() { 1_000 } else { 60 };
    for seed in seeds(1, 3) {
        for nodes in [2, 3] {
            let cluster = loaded(nodes);
            (1..=nodes).for_each(|n| cluster.delay(n, "0:100"));
            let (ledger, mut random) = (Ledger::new(nodes), Random::new(seed));
            let (mut mended, mut left_alone) = (0, 0);
            let start = Instant::now();
            under_load(&cluster, seed, &ledger, || {
                while mended < wanted {
                    assert!(start.elapsed() < Duration::from_secs(900), "only {mended} mended");
                    plant(&cluster, nodes, 15, &mut random);
                    plant_hot(&cluster, nodes, 30, &mut random);
                    let (_, out, err) = said(&cluster.evensum(&SYNC));
                    let execution = &json(&out, &err)["execution"];
                    mended += execution["mended"].as_u64().unwrap_or_else(|| panic!("{out}{err}"));
                    left_alone +=
                        execution["moved"].as_u64().unwrap() + execution["called_off"].as_u64().unwrap();
                    assert_eq!(execution["refused"], 0, "{out}");
                }
            });
            let rate = ledger.transactions.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
            for n in 1..=nodes {
                assert_eq!(
                    cluster.link(n, "Slave_SQL_Running"),
                    "Yes",
                    "{}",
                    cluster.link(n, "Last_SQL_Error")
                );
            }
            cluster.settle();
            // what was left alone because it moved, and what was planted on rows that nobody wrote again
            let (_, out, err) = said(&cluster.evensum(&SYNC));
            json(&out, &err);
            assert_eq!(said(&cluster.evensum(&CHECK)).0, 0);
            compare_with_ledger(&cluster, &ledger, 0);
            eprintln!(
                "seed {seed}, {nodes} nodes: {mended} mended, {left_alone} left alone, {rate:.0} transactions/s"
            );
        }
    }
}

/// Starts a repair that may be killed.
fn start_sync(cluster: &Cluster) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_evensum"))
        .args(SYNC)
        .args(["--settle", "5s", "--config"])
        .arg(cluster.path("evensum.toml"))
        .env("EVENSUM_STATE", cluster.path("state"))
        .env("HOME", cluster.folder())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn whatever_is_killed_all_nodes_come_to_the_same_rows() {
    let rounds = if full() { 100 } else { 6 };
    let seed = seeds(1, 1)[0];
    let (mut cluster, mut random) = (loaded(2), Random::new(seed));
    let (ledger, mut kills) = (Ledger::new(2), 0);
    for round in 0..rounds {
        let victim = random.below(3);
        let after = Duration::from_millis(random.below(1_500) as u64);
        ledger.over.store(false, Ordering::Relaxed);
        let mut sync = under_load(&cluster, seed * 1_000 + round, &ledger, || {
            plant(&cluster, 2, 6, &mut random);
            plant_hot(&cluster, 2, 6, &mut random);
            let mut sync = start_sync(&cluster);
            std::thread::sleep(after);
            match victim {
                0 => drop(sync.kill()),
                // by the process id that the node says, so that the writers see their node die under them
                n => cluster.kill_running(n),
            }
            kills += 1;
            sync
        });
        if victim > 0 {
            cluster.kill(victim);
            cluster.restart(victim);
        }
        let _ = sync.wait();
        cluster.settle();
        let place = format!("seed {seed}, round {round}, victim {victim} after {after:?}");
        let (_, out, err) = said(&cluster.evensum(&SYNC));
        json(&out, &format!("{place}: {err}"));
        let (code, out, err) = said(&cluster.evensum(&CHECK));
        assert_eq!(code, 0, "{place}: {out}{err}");
        for n in 1..=2 {
            assert_eq!(
                cluster.link(n, "Slave_SQL_Running"),
                "Yes",
                "{place}: {}",
                cluster.link(n, "Last_SQL_Error")
            );
        }
        // one statement of a node that died may have been committed and never acknowledged
        compare_with_ledger(&cluster, &ledger, kills);
        forget_doubtful(&cluster, &ledger);
    }
    eprintln!("{kills} kills, the same rows everywhere after each");
}

/// Takes into the ledger what was committed without an answer, so that the next round begins exact.
fn forget_doubtful(cluster: &Cluster, ledger: &Ledger) {
    let rows = cluster.ask(1, &format!("SELECT n FROM bank.acc WHERE id < {HOT_ROWS} ORDER BY id"));
    for (row, count) in rows.iter().zip(&ledger.increments) {
        count.store(row[0].as_deref().unwrap().parse().unwrap(), Ordering::Relaxed);
    }
    for (writer, count) in ledger.inserts.iter().enumerate() {
        let rows = cluster.ask(1, &format!("SELECT COUNT(*) FROM bank.acks WHERE writer = {}", writer + 1));
        count.store(rows[0][0].as_deref().unwrap().parse().unwrap(), Ordering::Relaxed);
    }
}
