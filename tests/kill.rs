//! kill -9 of any process at any moment: nothing acknowledged is lost, nothing is applied twice, and all nodes come together.
//!
//! Beside writers on every node, a check or a repair runs; after a random time one of the nodes, or evensum itself, is killed.
//! A node is started again at once. Rows are wronged before each round, so that repairs have work to be killed in. At the end:
//! the writers' own account of what was acknowledged, row by row on every node, and one fingerprint.

use crate::cluster::Cluster;
use crate::commands::said;
use crate::workload::{Random, Workload, create_tables, full, seeds};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;

const COLD_ROWS: u64 = 2_000;
const RATE: u64 = 300;

/// What was killed, and in the middle of what.
#[derive(Default, Debug)]
struct Killed {
    nodes: u32,
    checks: u32,
    repairs: u32,
    /// Kills that came too late: the process had ended.
    late: u32,
}

fn wrong_some_rows(cluster: &Cluster, random: &mut Random) {
    for _ in 0..20 {
        let node = 2 + usize::try_from(random.below(cluster.len() as u64 - 1)).unwrap();
        let mut session = cluster.session(node);
        session.run("SET sql_log_bin=0").unwrap();
        let id = random.below(COLD_ROWS);
        let sql = match random.below(3) {
            0 => format!("UPDATE live.cold SET price = price + 1 WHERE id={id}"),
            1 => format!("DELETE FROM live.cold WHERE id={id}"),
            _ => format!("REPLACE INTO live.cold VALUES ('west',{id},'extra',0.01,NULL)"),
        };
        session.run(&sql).unwrap();
    }
}

fn a_node(cluster: &Cluster, random: &mut Random) -> usize {
    1 + usize::try_from(random.below(cluster.len() as u64)).unwrap()
}

/// One round: a run of evensum, and a kill in the middle of it.
///
/// Of three rounds one kills a node, one evensum, held by an applier that stands still, so that it cannot have ended; and
/// one anybody.
fn round(cluster: &mut Cluster, random: &mut Random, n: u32, killed: &mut Killed) {
    wrong_some_rows(cluster, random);
    let held = (n % 3 == 1).then(|| a_node(cluster, random));
    if let Some(held) = held {
        cluster.run(held, "STOP SLAVE SQL_THREAD");
    }
    let config = cluster.path("evensum.toml");
    let repairs = random.below(3) > 0;
    let mut command = Command::new(env!("CARGO_BIN_EXE_evensum"));
    match repairs {
        true => command.args(["sync", "--policy", "prefer=n1", "--execute", "--yes", "--max-rows", "100000"]),
        false => command.arg("check"),
    };
    let mut child = command
        .args(["--tables", "live.*", "--settle", "20s", "--config"])
        .arg(&config)
        .env("EVENSUM_STATE", cluster.path("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(5 + random.below(500)));
    if n.is_multiple_of(3) || n % 3 == 2 && random.below(2) == 0 {
        let victim = a_node(cluster, random);
        killed.nodes += 1;
        cluster.kill(victim);
        std::thread::sleep(Duration::from_millis(random.below(300)));
        cluster.restart(victim);
        // evensum must end by itself, in whatever way
        child.wait().unwrap();
    } else {
        let ended = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        child.wait().unwrap();
        if let Some(held) = held {
            assert!(!ended, "it ended although n{held} did not answer");
            cluster.run(held, "START SLAVE SQL_THREAD");
        }
        match (ended, repairs) {
            (true, _) => killed.late += 1,
            (false, true) => killed.repairs += 1,
            (false, false) => killed.checks += 1,
        }
    }
}

fn kills(nodes: usize, count: u32, seed: u64) {
    println!("EVENSUM_SEED={seed}, {nodes} nodes");
    let mut cluster = Cluster::start(nodes);
    create_tables(&mut cluster.session(1), COLD_ROWS);
    cluster.settle();
    let ports: Vec<u16> = (1..=nodes).map(|n| cluster.port(n)).collect();
    (1..=nodes).for_each(|n| cluster.delay(n, "0:100"));
    let mut workload = Workload::start(&ports, RATE, seed);
    let (mut random, mut killed) = (Random::new(seed), Killed::default());
    (0..count).for_each(|n| round(&mut cluster, &mut random, n, &mut killed));
    let (committed, _) = workload.stop();
    (1..=nodes).for_each(|n| cluster.delay(n, "0:0"));
    cluster.settle();
    for n in 1..=nodes {
        assert_eq!(
            (cluster.link(n, "Slave_SQL_Running"), cluster.link(n, "Last_SQL_Error")),
            ("Yes".into(), String::new())
        );
    }
    let arguments =
        ["sync", "--tables", "live.*", "--policy", "prefer=n1", "--execute", "--yes", "--max-rows", "100000"];
    let (code, out, err) = said(&cluster.evensum(&arguments));
    assert_eq!(code, 0, "{out} {err}");
    let (code, out, err) = said(&cluster.evensum(&["check", "--tables", "live.*", "--json"]));
    assert_eq!(code, 0, "{out} {err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    for table in report["tables"].as_array().unwrap() {
        let prints: Vec<&Value> = table["fingerprint"].as_object().unwrap().values().collect();
        assert!(prints.len() == nodes && prints.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
    }
    workload.assert_nothing_lost(&format!("after {killed:?}, EVENSUM_SEED={seed}"));
    println!(
        "{nodes} nodes: {killed:?} beside {committed} transactions; one fingerprint, nothing lost, nothing twice"
    );
    assert!(
        killed.nodes > 0 && killed.repairs + killed.checks > 0,
        "{killed:?}: not every kind of kill happened"
    );
}

#[test]
fn any_process_of_a_pair_may_be_killed_at_any_moment() {
    kills(2, if full() { 100 } else { 14 }, seeds(1)[0]);
}

#[test]
fn any_process_of_a_ring_of_three_may_be_killed_at_any_moment() {
    kills(3, if full() { 100 } else { 10 }, seeds(2)[seeds(2).len() - 1]);
}
