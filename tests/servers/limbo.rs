//! A transaction that is in the log and cannot be seen: with semi-synchronous replication a master waits between the two for
//! a replica's answer, while the replica has long applied it. That is no difference, whatever vouches for the row.

use super::masters::{Masters, Shape};
use super::server::Program;
use crate::commands::said;
use serde_json::Value;
use std::thread::JoinHandle;

/// How long the master waits, in milliseconds.
const WAIT_MS: u32 = 3_000;
const TABLES: [&str; 3] = ["keyed", "loose", "other"];

fn values(masters: &Masters, n: usize, table: &str) -> Option<String> {
    masters.ask(n, &format!("SELECT SUM(v) FROM shop.{table}"))[0][0].clone()
}

/// Writes a row of each of these tables in one transaction on the first node, which then waits; until the second node has it.
fn write_in_limbo(masters: &Masters, tables: &[&str]) -> JoinHandle<()> {
    for sql in ["enabled = 0", "wait_point = AFTER_SYNC", &format!("timeout = {WAIT_MS}"), "enabled = 1"] {
        masters.run(1, &format!("SET GLOBAL rpl_semi_sync_master_{sql}"));
    }
    let before: Vec<Option<String>> = tables.iter().map(|table| values(masters, 1, table)).collect();
    let mut session = masters.session(1);
    session.run("BEGIN").unwrap();
    for table in tables {
        assert_eq!(session.run(&format!("UPDATE shop.{table} SET v = v + 1 LIMIT 1")).unwrap(), 1);
    }
    let writer = std::thread::spawn(move || assert!(session.run("COMMIT").is_ok()));
    for (table, before) in tables.iter().zip(before) {
        let after: u64 = before.as_deref().unwrap().parse::<u64>().unwrap() + 1;
        masters.until(2, &format!("SELECT SUM(v) FROM shop.{table}"), &after.to_string());
        assert_eq!(
            values(masters, 1, table),
            before,
            "{table}: the master shows it too, so nothing is tested"
        );
    }
    writer
}

#[test]
fn what_waits_for_a_replica_s_answer_is_no_difference() {
    let Some(program) = Program::mariadb() else { return };
    let masters = Masters::start(&program, Shape::Pair);
    masters.run(1, "CREATE DATABASE shop");
    for table in TABLES {
        let key = if table == "loose" { "" } else { " PRIMARY KEY" };
        masters.run(1, &format!("CREATE TABLE shop.{table} (id INT{key}, v INT NOT NULL)"));
        masters.run(1, &format!("INSERT INTO shop.{table} SELECT seq, 1 FROM shop.seq_1_to_50"));
    }
    masters.settle();
    let (code, out, err) = said(&masters.evensum(&["check", "--tables", "shop.*"]));
    assert_eq!(code, 0, "{out} {err}");
    // where nothing marks the log, what has no key is not decided while it is written
    for (arguments, tables) in [(&[][..], &TABLES[..]), (&["--no-ledger"], &["keyed", "other"])] {
        let writer = write_in_limbo(&masters, tables);
        let check = [&["check", "--tables", "shop.*", "--json", "--settle", "20s"], arguments].concat();
        let (code, out, err) = said(&masters.evensum(&check));
        let report: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error} {out} {err}"));
        assert_eq!(
            (code, report["verdict"].as_str()),
            (0, Some("identical")),
            "{arguments:?} {report:#} {err}"
        );
        let all = report["tables"].as_array().unwrap();
        let lagging: u64 = all.iter().map(|table| table["rows_lagging"].as_u64().unwrap()).sum();
        assert!(lagging >= tables.len() as u64, "{arguments:?}: only {lagging} rows were seen to differ");
        writer.join().unwrap();
        masters.settle();
    }
}
