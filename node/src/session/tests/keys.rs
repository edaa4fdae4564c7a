//! Automatic keys that are never given twice, wherever the row with the greatest one has gone.

use super::{Inside, rows, run};
use crate::change::{Body, Change, Transaction};
use database::Gtid;
use rusqlite::types::Value as Stored;

#[test]
fn a_key_that_was_given_is_not_given_again() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT, UNIQUE KEY v (v))");
    let mut next = 0;
    for way in [
        "SELECT 1",
        "DELETE FROM t WHERE id = {last}",
        "DELETE FROM t",
        "UPDATE t SET id = -1 WHERE id = {last}",
        "REPLACE INTO t (id, v) SELECT 500 + {last}, v FROM t WHERE id = {last}",
        "DELETE FROM t WHERE id > 500",
        "INSERT IGNORE INTO t (v) SELECT v FROM t WHERE id = {last}",
        "INSERT INTO t (v) SELECT v FROM t WHERE id = {last} ON DUPLICATE KEY UPDATE v = v + 10000",
    ] {
        run(&mut s, &format!("INSERT INTO t (v) VALUES ({})", 10 + next));
        let last: i64 = rows(&mut s, "SELECT LAST_INSERT_ID()")[0].parse().unwrap();
        assert!(last > next, "{way}: {last} behind {next}");
        run(&mut s, &way.replace("{last}", &last.to_string()));
        next = last + if way.contains("500 +") { 500 } else { 0 };
        if way.starts_with("INSERT") {
            next += 1;
        }
    }
    run(&mut s, "INSERT INTO t (v) VALUES (0)");
    assert_eq!(rows(&mut s, "SELECT LAST_INSERT_ID()"), [(next + 1).to_string()]);
}

#[test]
fn a_key_whose_row_another_node_deleted_is_not_given_again() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE t (v INT PRIMARY KEY, id BIGINT UNSIGNED AUTO_INCREMENT, KEY id (id))");
    run(&mut s, "INSERT INTO t VALUES (1, 7), (2, 9)");
    let change = Change {
        database: "shop".into(),
        table: "t".into(),
        before: Some(vec![Stored::Integer(2), Stored::Integer(9)]),
        after: None,
    };
    let transaction = Transaction {
        gtid: Gtid { origin: "other".into(), sequence: 1 },
        server_id: 2,
        committed_at_ms: 0,
        body: Body::Rows(vec![change]),
    };
    s.apply(&transaction, &|_| Ok(())).unwrap();
    run(&mut s, "INSERT INTO t (v) VALUES (3)");
    assert_eq!(rows(&mut s, "SELECT id FROM t ORDER BY v"), ["7", "10"]);
}
