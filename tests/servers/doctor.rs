//! The doctor on real servers: a healthy pair by its words, and one with everything wrong.

use super::masters::{Masters, Shape};
use super::server::Program;
use crate::commands::said;
use serde_json::Value;

/// A pair as it should be. The fixture saves itself the waiting for disks.
fn healthy(program: &Program) -> Masters {
    let masters = Masters::start(program, Shape::Pair);
    for n in 1..=2 {
        masters.run(n, "SET GLOBAL sync_binlog = 1");
        masters.run(n, "SET GLOBAL innodb_flush_log_at_trx_commit = 1");
    }
    masters.run(1, "CREATE DATABASE shop");
    masters.run(1, "CREATE TABLE shop.orders (id INT PRIMARY KEY, v INT)");
    masters.settle();
    masters
}

/// The text without what is each server's own.
fn neutral(masters: &Masters, text: &str) -> String {
    let version = masters.ask(1, "SELECT VERSION()")[0][0].clone().unwrap();
    let mut text = text.replace(&version, "VERSION");
    for n in 1..=masters.len() {
        text = text.replace(&format!(":{}", masters.port(n)), &format!(":PORT{n}"));
    }
    text
}

/// Read it aloud before you change it.
const HEALTHY: &str = "\
fit: 47 checks are fine on n1, n2

fine
  server_id                               1 on n1; 2 on n2
  versions agree                          VERSION
  clocks agree                            within a second
  time zones agree                        UTC
  read_only                               OFF
  log_bin                                 ON
  binlog_format                           ROW
  binlog_row_image                        FULL
  slave_skip_errors                       OFF
  slave_exec_mode                         STRICT
  slave_type_conversions                  (empty)
  slave_run_triggers_for_rbr              NO
  sync_binlog                             1
  innodb_flush_log_at_trx_commit          1
  innodb_doublewrite                      ON
  binlog_expire_logs_seconds              0
  sql_mode is strict                      yes
  binlog_format agrees                    ROW
  binlog_row_image agrees                 FULL
  character sets agree                    utf8mb4_general_ci
  lower_case_table_names agrees           0
  default_storage_engine agrees           InnoDB
  explicit_defaults_for_timestamp agrees  ON
  max_allowed_packet agrees               16777216
  gtid_strict_mode agrees                 OFF
  sql_mode agrees                         the same words
  auto_increment                          increment 2, offset 1 on n1; increment 2, offset 2 on n2
  links run                               from 127.0.0.1:PORT2 on n1; from 127.0.0.1:PORT1 on n2
  lag                                     0 s
  skip counter                            0
  link encryption                         encrypted, or on this machine
  filters                                 none
  ledger replicates                       evensum
  this connection                         not encrypted, on this machine
  writes arrive everywhere                by links from node to node
  log_slave_updates                       ON
  gtid_domain_id                          1 on n1; 2 on n2
  tables have keys                        2 tables
  tables are InnoDB                       2 tables
  tables are everywhere                   2 tables
  definitions agree                       2 tables
  indexes agree                           2 tables
  triggers agree                          2 tables
  rights to see replication               root@127.0.0.1
  rights to check                         root@127.0.0.1
  rights to mend                          root@127.0.0.1
  rights to forget old runs               root@127.0.0.1
";

#[test]
fn a_healthy_pair_reads_well() {
    let Some(program) = Program::mariadb() else { return };
    let masters = healthy(&program);
    let (code, out, err) = said(&masters.evensum(&["doctor"]));
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(neutral(&masters, &out), HEALTHY, "{out}");
    let (code, out, _) = said(&masters.evensum_plain(&["doctor", &masters.url(1)]));
    assert_eq!(code, 0, "{out}");
    assert!(out.starts_with("fit: "), "{out}");
}

/// What is set wrong on the second node.
const WRONG: [&str; 13] = [
    "SET GLOBAL auto_increment_offset = 1",
    "SET GLOBAL binlog_format = 'STATEMENT'",
    "SET GLOBAL binlog_row_image = 'MINIMAL'",
    "SET GLOBAL slave_exec_mode = 'IDEMPOTENT'",
    "SET GLOBAL slave_type_conversions = 'ALL_LOSSY'",
    "SET GLOBAL slave_run_triggers_for_rbr = 'YES'",
    "SET GLOBAL sync_binlog = 0",
    "SET GLOBAL innodb_flush_log_at_trx_commit = 2",
    "SET GLOBAL gtid_domain_id = 1",
    "SET GLOBAL replicate_ignore_db = 'evensum'",
    "SET GLOBAL sql_mode = ''",
    "SET GLOBAL time_zone = '+02:00'",
    "SET GLOBAL collation_server = 'latin1_swedish_ci'",
];

/// What the doctor says of it: the check, how bad it is, and a part of what was seen.
const NAMED: [(&str, &str, &str); 23] = [
    ("auto_increment", "critical", "increment 2, offset 1"),
    ("binlog_format", "warning", "STATEMENT"),
    ("binlog_format agrees", "warning", "ROW on n1; STATEMENT on n2"),
    ("binlog_row_image", "warning", "MINIMAL"),
    ("slave_exec_mode", "critical", "IDEMPOTENT"),
    ("slave_type_conversions", "warning", "ALL_LOSSY"),
    ("slave_run_triggers_for_rbr", "warning", "YES"),
    ("sync_binlog", "warning", "0"),
    ("innodb_flush_log_at_trx_commit", "warning", "2"),
    ("gtid_domain_id", "warning", "1"),
    ("links run", "critical", "IO No, SQL No"),
    ("filters", "warning", "replicate_ignore_db = evensum"),
    ("ledger replicates", "warning", "evensum is left out by replicate_ignore_db = evensum"),
    ("sql_mode is strict", "note", "no"),
    ("sql_mode agrees", "warning", "STRICT_TRANS_TABLES on n1; nothing more on n2"),
    ("time zones agree", "warning", "+02:00 on n2"),
    ("character sets agree", "warning", "latin1_swedish_ci on n2"),
    ("tables have keys", "warning", "shop.log"),
    ("tables are InnoDB", "warning", "shop.log"),
    ("tables are everywhere", "warning", "shop.log"),
    ("definitions agree", "warning", "shop.orders (v: int NULL | bigint NULL)"),
    ("triggers", "note", "shop.orders"),
    ("triggers agree", "warning", "shop.orders (t)"),
];

#[test]
fn each_thing_that_is_wrong_is_named() {
    let Some(program) = Program::mariadb() else { return };
    let masters = healthy(&program);
    masters.run(2, "STOP SLAVE");
    for sql in WRONG {
        masters.run(2, sql);
    }
    let mut apart = masters.session(2);
    for sql in [
        "SET sql_log_bin = 0",
        "ALTER TABLE shop.orders MODIFY v BIGINT",
        "CREATE TABLE shop.log (v INT) ENGINE=MyISAM",
        "CREATE TRIGGER shop.t AFTER INSERT ON shop.orders FOR EACH ROW INSERT INTO shop.log VALUES (NEW.v)",
    ] {
        apart.run(sql).unwrap();
    }
    let (code, out, err) = said(&masters.evensum(&["doctor", "--json"]));
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&document["schema_version"], &document["verdict"]), (&1.into(), &"critical".into()));
    let findings = document["findings"].as_array().unwrap();
    let found = |check: &str| {
        let of_check = |finding: &&Value| finding["check"] == check && finding["severity"] != "ok";
        let finding = findings.iter().find(of_check).unwrap_or_else(|| panic!("{check}: {out}"));
        let text = |key: &str| finding[key].as_str().unwrap().to_owned();
        assert!(!text("why").is_empty() && !text("do").is_empty(), "{finding}");
        (text("severity"), text("seen"))
    };
    for (check, severity, seen) in NAMED {
        let (is, what) = found(check);
        assert!(is == severity && what.contains(seen), "{check}: {is}: {what}");
    }
    // what is wrong comes first, the worst before the rest
    let ranks: Vec<usize> = findings
        .iter()
        .map(|finding| {
            ["critical", "warning", "note", "ok"]
                .iter()
                .position(|word| finding["severity"] == *word)
                .unwrap()
        })
        .collect();
    assert!(ranks.is_sorted() && ranks[0] == 0, "{ranks:?}");
    let (code, text, _) = said(&masters.evensum(&["doctor"]));
    assert!(code == 1 && text.starts_with("not fit: 3 critical, "), "{text}");
}
