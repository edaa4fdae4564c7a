//! What scripts and monitoring of pt-table-checksum find: its columns, its bits, and `percona.checksums`.

use super::masters::{Masters, Shape};
use super::server::Program;
use crate::commands::said;
use crate::workload::{Workload, create_tables};

/// What monitoring asks for.
const DIFFERING: &str = "SELECT COUNT(*) FROM percona.checksums WHERE master_cnt <> this_cnt OR master_crc <> this_crc \
                         OR ISNULL(master_crc) <> ISNULL(this_crc)";

fn check(masters: &Masters, more: &[&str]) -> (i32, Vec<String>, String) {
    let arguments = [&["check", "--tables", "live.*", "--format=pt", "--exit-code=pt"], more].concat();
    let (code, out, err) = said(&masters.evensum(&arguments));
    (code, out.lines().map(str::to_owned).collect(), err)
}

#[test]
fn scripts_and_monitoring_of_pt_table_checksum_find_what_they_look_for() {
    let Some(program) = Program::mariadb() else { return };
    let masters = Masters::start(&program, Shape::Pair);
    create_tables(&mut masters.session(1), 1_000);
    masters.settle();
    let (code, lines, err) = check(&masters, &["--ledger-view", "percona.checksums"]);
    assert_eq!(code, 0, "{lines:?} {err}");
    let header = "            TS ERRORS  DIFFS     ROWS  DIFF_ROWS  CHUNKS SKIPPED    TIME TABLE";
    assert_eq!(
        (lines[0].as_str(), lines[2].as_str()),
        ("Checking if all tables can be checksummed ...", header)
    );
    assert!(lines.last().unwrap().ends_with(" live.journal") && lines.len() == 6, "{lines:?}");
    (1..=2).for_each(|n| masters.until(n, DIFFERING, "0"));
    masters.until(2, "SELECT SUM(this_cnt) FROM percona.checksums WHERE tbl = 'cold'", "1000");

    masters.corrupt(2, &["UPDATE live.cold SET price = 0 WHERE region = 'south' AND id = 2"]);
    masters.corrupt(2, &["DELETE FROM live.cold WHERE region = 'south' AND id = 4"]);
    let (code, lines, err) = check(&masters, &["--ledger-view", "percona.checksums"]);
    assert_eq!(code, 16, "{lines:?} {err}");
    let cold: Vec<&str> = lines[3].split_whitespace().collect();
    assert_eq!((cold[1], cold[2], cold[4], cold[6], cold[8]), ("0", "1", "2", "0", "live.cold"), "{lines:?}");
    (1..=2).for_each(|n| masters.until(n, DIFFERING, "1"));
    let sql = format!("SELECT DISTINCT CONCAT(db, '.', tbl) {}", &DIFFERING["SELECT COUNT(*) ".len()..]);
    assert_eq!(masters.ask(2, &sql), [[Some("live.cold".to_owned())]]);
    masters.until(
        1,
        "SELECT SUM(this_cnt) - SUM(master_cnt) IN (1, -1) FROM percona.checksums WHERE tbl = 'cold'",
        "1",
    );

    // a table of that name is not ours to replace
    masters.run(1, "CREATE TABLE percona.own (id INT PRIMARY KEY)");
    let (code, lines, err) = check(&masters, &["--ledger-view", "percona.own"]);
    assert_eq!((code, lines.len()), (255, 0), "{err}");
    assert!(err.contains("no view of this ledger"), "{err}");

    masters.run(2, "STOP SLAVE");
    let (code, lines, err) = check(&masters, &["--settle", "2s"]);
    // what differs cannot be told from what is on its way
    assert_eq!(code, 32 | 128, "{lines:?} {err}");
    assert!(err.contains("are unsettled"), "{err}");
}

#[test]
fn what_is_only_on_its_way_is_no_difference_for_monitoring() {
    let Some(program) = Program::mariadb() else { return };
    let masters = Masters::start(&program, Shape::Pair);
    create_tables(&mut masters.session(1), 200);
    masters.settle();
    // so that what is read on the second is late for certain
    masters.relink(2, "MASTER_DELAY=1");
    let ports: Vec<u16> = (1..=masters.len()).map(|n| masters.port(n)).collect();
    let mut workload = Workload::start(&ports, 400, 1);
    let (mut mismatched, mut looks) = (0, 0);
    for round in 0..3 {
        let view =
            ["check", "--tables", "live.*", "--settle", "5s", "--json", "--ledger-view", "percona.checksums"];
        let (code, out, err) = said(&masters.evensum(&view));
        assert!(code == 0 || code == 2, "{round}: {out} {err}");
        let report: serde_json::Value = serde_json::from_str(&out).unwrap();
        let tables = report["tables"].as_array().unwrap();
        mismatched += tables.iter().map(|table| table["chunks_mismatched"].as_u64().unwrap()).sum::<u64>();
        for n in 1..=2 {
            assert_eq!(masters.ask(n, DIFFERING), [[Some("0".to_owned())]], "n{n}");
            looks += 1;
        }
    }
    workload.stop();
    assert!(mismatched > 0, "no chunk was read unequal: no test");
    println!(
        "{mismatched} chunks were unequal when they were read, and none of them in {looks} looks at the view"
    );
}
