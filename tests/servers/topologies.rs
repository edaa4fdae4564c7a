//! Pairs, rings and third tiers of real servers, by each format of log and each kind of position: what was planted is
//! found, and nothing else; it is mended; and then all is identical.

use super::masters::{Masters, Positions, Shape};
use super::server::Program;
use crate::cluster::TextRows;
use crate::commands::said;
use crate::live::{ColdKey, found, plant};
use crate::workload::{Random, create_tables, full, region, seeds};
use serde_json::Value;
use std::collections::BTreeSet;

/// Rows that nobody but the tests writes.
const COLD_ROWS: u64 = 2_000;
/// Divergences planted behind replication's back for each way of replicating.
const PLANTED: u64 = 25;
const FORMATS: [&str; 3] = ["ROW", "MIXED", "STATEMENT"];

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Checks, with digests made here or there; the exit code, and what was found.
fn check(masters: &Masters, digest: &str, context: &str) -> (i32, BTreeSet<ColdKey>) {
    let arguments = ["check", "--tables", "live.*", "--json", "--digest", digest];
    let (code, out, err) = said(&masters.evensum(&arguments));
    assert!(!out.is_empty(), "{code} {err} {context}");
    (code, found(&json(&out)))
}

fn mend(masters: &Masters, context: &str) {
    let arguments =
        ["sync", "--tables", "live.*", "--policy", "prefer=n1", "--execute", "--yes", "--settle", "60s"];
    let (code, out, err) = said(&masters.evensum(&arguments));
    assert_eq!(code, 0, "{out} {err} {context}");
}

/// The cold rows of every node, byte for byte.
fn contents(masters: &Masters) -> Vec<TextRows> {
    let sql = "SELECT region, id, HEX(name), price, born FROM live.cold ORDER BY region, id";
    (1..=masters.len()).map(|n| masters.ask(n, sql)).collect()
}

fn at(id: u64) -> (ColdKey, String) {
    let region = region(id);
    (format!("{region}/{id}"), format!("WHERE region = '{region}' AND id = {id}"))
}

/// What goes wrong in life, once each; the rows that differ then.
fn go_wrong(masters: &Masters, round: u64) -> BTreeSet<ColdKey> {
    let base = 1_500 + round * 10;
    // the last link leaves a transaction out
    let (left_out, row) = at(base);
    let n = masters.len();
    let source = if n == 3 { 2 } else { 1 };
    masters.leave_out(source, n, &format!("UPDATE live.cold SET price = price + 1 {row}"));
    assert_ne!(contents(masters)[n - 1], contents(masters)[source - 1], "nothing was left out");
    // both masters write a row before either has heard of the other: they change sides
    let (crossed, row) = at(base + 1);
    let set = |price: u32| format!("UPDATE live.cold SET price = {price} {row}");
    masters.cross(&set(1_001), &set(1_002));
    let price = |n| masters.ask(n, &format!("SELECT price FROM live.cold {row}"));
    assert_ne!(price(1), price(2), "the updates did not cross");
    BTreeSet::from([left_out, crossed])
}

/// One way of replicating, from identical to identical.
fn one_way(masters: &Masters, format: &str, positions: Positions, round: u64) {
    let seed = seeds(1)[0];
    let context = format!("{format} {positions:?} EVENSUM_SEED={seed}");
    masters.tune(format, positions);
    assert_eq!(check(masters, "stream", &context), (0, BTreeSet::new()), "{context}");
    let ids = round * 200..(round + 1) * 200;
    let mut planted = plant(masters, &mut Random::new(seed * 100 + round), PLANTED, &ids, 1);
    planted.extend(go_wrong(masters, round));
    for digest in ["server", "stream"] {
        assert_eq!(check(masters, digest, &context), (1, planted.clone()), "{context} {digest}");
    }
    mend(masters, &context);
    assert_eq!(check(masters, "auto", &context), (0, BTreeSet::new()), "{context}");
    let contents = contents(masters);
    assert!(contents.windows(2).all(|pair| pair[0] == pair[1]), "{context}");
    for n in 1..=masters.len() {
        for (column, expected) in
            [("Slave_IO_Running", "Yes"), ("Slave_SQL_Running", "Yes"), ("Last_SQL_Errno", "0")]
        {
            assert_eq!(masters.link(n, column), expected, "n{n} {column} {context}");
        }
    }
    println!("{} nodes, {context}: planted, found, mended, identical", masters.len());
}

/// The servers whose transactions stand in a node's log.
fn origins(masters: &Masters, n: usize) -> BTreeSet<String> {
    let state = masters.ask(n, "SELECT @@global.gtid_binlog_state")[0][0].clone().unwrap_or_default();
    state.split(',').filter_map(|gtid| Some(gtid.split('-').nth(1)?.to_owned())).collect()
}

/// Checks as a user with these rights and no others.
fn check_as(masters: &Masters, user: &str, grants: &[&str]) -> (i32, String, String) {
    masters.run(1, &format!("CREATE USER {user}@'127.0.0.1'"));
    for grant in grants {
        masters.run(1, &format!("GRANT {grant} TO {user}@'127.0.0.1'"));
    }
    masters.settle();
    let urls: Vec<String> =
        (1..=masters.len()).map(|n| format!("{}?name=n{n}", masters.url(n).replace("root", user))).collect();
    let arguments: Vec<&str> = ["check", "--tables", "live.*", "--json", "--settle", "5s"]
        .into_iter()
        .chain(urls.iter().map(String::as_str))
        .collect();
    said(&masters.evensum_plain(&arguments))
}

fn every_way(program: Option<Program>, shape: Shape, ways: &[(&str, Positions)]) {
    let Some(program) = program else { return };
    let masters = Masters::start(&program, shape);
    create_tables(&mut masters.session(1), COLD_ROWS);
    for (round, (format, positions)) in (0..).zip(ways) {
        one_way(&masters, format, *positions, round);
    }
}

/// Every format with every kind of position, or some of them.
fn ways(some: &[(&'static str, Positions)]) -> Vec<(&'static str, Positions)> {
    let all = FORMATS.iter().flat_map(|&format| [(format, Positions::Gtid), (format, Positions::File)]);
    if full() { all.collect() } else { some.to_vec() }
}

#[test]
fn a_mariadb_pair_is_checked_and_mended_whatever_it_logs() {
    let some = [("ROW", Positions::Gtid), ("MIXED", Positions::File), ("STATEMENT", Positions::Gtid)];
    every_way(Program::mariadb(), Shape::Pair, &ways(&some));
}

#[test]
fn a_mariadb_ring_of_three_is_checked_and_mended_whatever_it_logs() {
    let some = [("ROW", Positions::File), ("STATEMENT", Positions::Gtid)];
    every_way(Program::mariadb(), Shape::Ring, &ways(&some));
}

#[test]
fn a_mysql_pair_is_checked_and_mended_by_both_kinds_of_position() {
    let ways = [("ROW", Positions::Gtid), ("ROW", Positions::File), ("STATEMENT", Positions::Gtid)];
    every_way(Program::mysql(), Shape::Pair, &ways);
}

/// A read-only replica takes part as it is: nothing is written there, and no mark of it is waited for.
#[test]
fn a_read_only_third_tier_is_a_node_like_others_and_is_not_written() {
    let Some(program) = Program::mariadb() else { return };
    let masters = Masters::start(&program, Shape::ThirdTier);
    create_tables(&mut masters.session(1), COLD_ROWS);
    let some = [("ROW", Positions::Gtid), ("STATEMENT", Positions::File)];
    for (round, (format, positions)) in (0..).zip(ways(&some)) {
        one_way(&masters, format, positions, round);
    }
    assert_eq!(origins(&masters, 3), BTreeSet::from(["1".into(), "2".into()]), "the replica was written");
    // a user who could not write there if he wanted to
    let planted = plant(&masters, &mut Random::new(7), PLANTED, &(1_200..1_400), 1);
    let ledger = "SELECT, INSERT, CREATE ON evensum.*";
    let (code, out, err) = check_as(&masters, "watcher", &["SELECT ON *.*", ledger, "SLAVE MONITOR ON *.*"]);
    assert_eq!((code, found(&json(&out))), (1, planted), "{err}");
    // and one who may not see who feeds whom: then a mark is asked of all, and that it cannot be written is said
    let (code, out, err) = check_as(&masters, "blind", &["SELECT ON *.*", ledger]);
    assert!(matches!(code, 2 | 3) && err.contains("grant SLAVE MONITOR"), "{code} {out} {err}");
    mend(&masters, "a third tier");
}

/// A master that is read-only for a while feeds the others all the same.
#[test]
fn a_read_only_master_of_a_pair_still_marks_its_log() {
    let Some(program) = Program::mariadb() else { return };
    let masters = Masters::start(&program, Shape::Pair);
    create_tables(&mut masters.session(1), COLD_ROWS);
    masters.settle();
    masters.run(2, "SET GLOBAL read_only = 1");
    let planted = plant(&masters, &mut Random::new(8), PLANTED, &(0..1_000), 1);
    assert_eq!(check(&masters, "auto", ""), (1, planted));
    let marks = masters.ask(1, "SELECT COUNT(*) FROM evensum.watermarks WHERE writer = 'n2'");
    assert_ne!(marks[0][0].as_deref(), Some("0"), "n2 wrote no mark");
}

/// What is on its way and does not arrive is neither a difference nor an agreement.
#[test]
fn a_stopped_link_of_real_masters_decides_nothing() {
    let Some(program) = Program::mariadb() else { return };
    let masters = Masters::start(&program, Shape::Pair);
    create_tables(&mut masters.session(1), COLD_ROWS);
    masters.settle();
    for thread in ["IO_THREAD", "SQL_THREAD"] {
        masters.stop_link(2, thread);
        let (_, row) = at(7);
        masters.run(1, &format!("UPDATE live.cold SET price = price + 1 {row}"));
        let (code, out, err) =
            said(&masters.evensum(&["check", "--tables", "live.*", "--json", "--settle", "2s"]));
        let report = json(&out);
        assert_eq!((code, report["verdict"].as_str()), (2, Some("unsettled")), "{thread} {err}");
        assert_eq!(report["unsettled"].as_array().map(Vec::len), Some(1), "{thread} {report:#}");
        masters.start_link(2, thread);
        masters.settle();
        assert_eq!(check(&masters, "auto", thread), (0, BTreeSet::new()));
    }
}
