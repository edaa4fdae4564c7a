//! Checks of real masters by a user who may only read: positions stand in for watermark rows, and nothing is written.

use super::masters::{Masters, Positions, Shape};
use super::server::Program;
use crate::commands::said;
use crate::live::{found, plant};
use crate::positions::{assert_nothing_written, silent_check};
use crate::workload::{Random, Workload, create_tables, full, seeds};
use serde_json::Value;

/// Rows that nobody writes.
const COLD_ROWS: u64 = 2_000;
/// Divergences planted.
const PLANTED: u64 = 60;
/// Transactions a second on both masters together.
const RATE: u64 = 400;

/// Makes a user who may read the tables, and one who may also ask for replication; a configuration for each.
fn readers(masters: &Masters) {
    for (user, more) in
        [("reader", ""), ("watcher", "GRANT SLAVE MONITOR, BINLOG MONITOR ON *.* TO watcher@'%'")]
    {
        masters.run(1, &format!("CREATE USER {user}@'%'"));
        masters.run(1, &format!("GRANT SELECT ON live.* TO {user}@'%'"));
        if !more.is_empty() {
            masters.run(1, more);
        }
        let url = |n: usize| masters.url(n).replace("root@", &format!("{user}@"));
        let nodes: Vec<String> =
            (1..=masters.len()).map(|n| format!("{{ url = \"{}\", name = \"n{n}\" }}", url(n))).collect();
        let text = format!("[cluster]\nnodes = [{}]\n", nodes.join(", "));
        std::fs::write(masters.path(&format!("{user}.toml")), text).unwrap();
    }
    masters.settle();
}

/// A check without a ledger by this user: the exit code, the report, and what went to stderr.
fn check(masters: &Masters, user: &str, settle: &str) -> (i32, Value, String) {
    let config = masters.path(&format!("{user}.toml"));
    let arguments = [
        "check",
        "--no-ledger",
        "--tables",
        "live.*",
        "--json",
        "--settle",
        settle,
        "--config",
        config.to_str().unwrap(),
    ];
    let (code, out, err) = said(&masters.evensum_plain(&arguments));
    let report = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error} in {out} {err}"));
    (code, report, err)
}

#[test]
fn a_reader_finds_what_differs_beside_writers_and_writes_nothing() {
    let Some(program) = Program::mariadb() else { return };
    let masters = Masters::start(&program, Shape::Pair);
    create_tables(&mut masters.session(1), COLD_ROWS);
    readers(&masters);
    let seed = seeds(1)[0];
    let planted = plant(&masters, &mut Random::new(seed), PLANTED, &(0..COLD_ROWS), 1);
    let ports: Vec<u16> = (1..=masters.len()).map(|n| masters.port(n)).collect();
    let (mut lagging, mut unsettled, checks) = (0, 0, if full() { 20 } else { 2 });
    for (positions, domains) in
        [(Positions::Gtid, [1, 2]), (Positions::File, [1, 2]), (Positions::File, [0, 0])]
    {
        let context = format!("{positions:?} domains {domains:?} EVENSUM_SEED={seed}");
        masters.tune("ROW", positions);
        masters.relink(2, "MASTER_DELAY=1");
        (1..=2).for_each(|n| _ = masters.run(n, &format!("SET GLOBAL gtid_domain_id = {}", domains[n - 1])));
        let tables = ["hot", "journal"].map(|table| format!("DELETE FROM live.{table}"));
        tables.iter().for_each(|sql| _ = masters.run(1, sql));
        masters.settle();
        let mut workload = Workload::start(&ports, RATE, seed);
        for _ in 0..checks {
            let (l, u) = silent_check(&masters, &planted, "reader.toml", &context);
            (lagging, unsettled) = (lagging + l, unsettled + u);
        }
        let (committed, rate) = workload.stop();
        println!("{context}: {checks} checks beside {committed} transactions ({rate}/s)");
        masters.settle();
    }
    println!(
        "{lagging} rows were on their way, {unsettled} unsettled, 0 false; all {PLANTED} planted were found each time"
    );
    assert!(lagging > 0, "nothing was on its way: no test");
    assert_nothing_written(&masters);
}

#[test]
fn numbers_that_were_forgotten_are_found_again_and_a_log_that_was_emptied_is_not_believed() {
    let Some(program) = Program::mariadb() else { return };
    let masters = Masters::start(&program, Shape::Pair);
    create_tables(&mut masters.session(1), 200);
    readers(&masters);
    masters.tune("ROW", Positions::File);
    let planted = plant(&masters, &mut Random::new(1), 5, &(0..200), 1);
    assert_eq!(check(&masters, "reader", "10s").0, 1);
    // the second master forgets all numbers, as one does that was set up from a dump; the first tells it where its file stands
    (1..=2).for_each(|n| _ = masters.run(n, "STOP SLAVE"));
    masters.run(2, "RESET MASTER");
    masters.run(2, "SET GLOBAL gtid_slave_pos = ''");
    masters.relink(1, "MASTER_LOG_FILE='bin.000001', MASTER_LOG_POS=4");
    masters.run(2, "START SLAVE");
    (1..=2).for_each(|n| masters.until_link(n, "Slave_SQL_Running", "Yes"));
    for user in ["reader", "watcher"] {
        let (code, report, err) = check(&masters, user, "20s");
        assert_eq!((code, found(&report)), (1, planted.clone()), "{user}: {err}");
    }
    // it counts from one again, and the first, which has not heard of that, has seen it count further
    (1..=2).for_each(|n| _ = masters.run(n, "STOP SLAVE"));
    masters.run(2, "RESET MASTER");
    masters.run(2, "SET GLOBAL gtid_slave_pos = ''");
    masters.run(2, "UPDATE live.cold SET price = price + 1 WHERE region = 'north' AND id = 1");
    let config = masters.path("reader.toml");
    let arguments = ["check", "--no-ledger", "--tables", "live.*", "--config", config.to_str().unwrap()];
    let (code, out, err) = said(&masters.evensum_plain(&arguments));
    assert_eq!(code, 2, "{out} {err}");
    assert!(err.contains("the log was emptied") && err.contains("Nothing was changed"), "{out} {err}");
    assert_nothing_written(&masters);
}
