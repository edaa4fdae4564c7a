//! What a server does by itself with an edit, and what a user is not shown of it: such edits are refused.

use super::connect;
use super::server::Server;
use database::conformance::SqlFixture;
use database::mysql::{Connection, Options};
use database::{Chunk, Edit, Key, Mending, Reader, Row, RowsOf, Secret, Target, Value, Writer};
use std::sync::Arc;

pub async fn tables_with_versions_are_read_and_not_rewritten(server: &Server, fixture: &mut SqlFixture) {
    for sql in [
        "CREATE TABLE shop.past (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING",
        "INSERT INTO shop.past VALUES (1, 1), (2, 2), (3, 3)",
        "UPDATE shop.past SET v = 20 WHERE id = 2",
        "DELETE FROM shop.past WHERE id = 3",
        "CREATE TABLE shop.periods (id INT PRIMARY KEY, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START, \
         e TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
        "INSERT INTO shop.periods (id) VALUES (1)",
    ] {
        fixture.run(sql).await.unwrap();
    }
    let mut node = connect(server).await;
    let tables = node.tables().await.unwrap();
    let table = |name: &str| Arc::new(tables.iter().find(|table| &*table.name == name).unwrap().clone());
    let chunk = Chunk { table: table("periods"), lower: None, upper: None };
    assert_eq!(node.rows(&chunk, 10).await.unwrap().len(), 1);
    let row = |id, v| Row::new(&[Value::Int(id), Value::Int(v)]);
    let key = |id| Key::new(&[Value::Int(id)]);
    let chunk = Chunk { table: table("past"), lower: None, upper: None };
    let rows: Vec<Row> = node.rows(&chunk, 10).await.unwrap().iter().map(Row::from_bytes).collect();
    assert_eq!(rows, [row(1, 1), row(2, 20)]);
    let edit = |id, expected, wanted| Edit { table: table("past"), key: key(id), expected, wanted };
    let edits = [
        edit(1, Some(row(1, 1)), Some(row(1, 2))),
        edit(2, Some(row(2, 20)), None),
        edit(4, None, Some(row(4, 4))),
    ];
    let guard = node.guard(&edits).await.unwrap();
    let done = node.mend(&edits, &guard, &[true; 3]).await.unwrap();
    for done in &done[..2] {
        assert!(matches!(done, Mending::Refused(reason) if reason.contains("version")), "{done:?}");
    }
    assert_eq!(done[2], Mending::Mended);
    let rows = node.rows_by_key(&table("past"), &[key(1), key(2), key(4)]).await.unwrap();
    assert_eq!(rows, [Some(row(1, 1)), Some(row(2, 20)), Some(row(4, 4))]);
}

/// An edit that is called off after it was made is not undone by what would fire a trigger or cascade.
pub async fn what_is_taken_back_sets_nothing_off(server: &Server, fixture: &mut SqlFixture) {
    for sql in [
        "CREATE TABLE shop.stock_kept (id INT PRIMARY KEY, v INT)",
        "CREATE TABLE shop.trace (id INT PRIMARY KEY)",
        "CREATE TRIGGER shop.gone AFTER DELETE ON shop.stock_kept FOR EACH ROW INSERT INTO shop.trace VALUES (OLD.id)",
        "CREATE TABLE shop.child (id INT PRIMARY KEY, own INT, FOREIGN KEY (own) REFERENCES shop.trace (id) ON DELETE CASCADE)",
        "SET SESSION foreign_key_checks=0",
        "INSERT INTO shop.child VALUES (1, 7)",
        "SET SESSION foreign_key_checks=1",
    ] {
        fixture.run(sql).await.unwrap();
    }
    let mut node = connect(server).await;
    let tables = node.tables().await.unwrap();
    let table = |name: &str| Arc::new(tables.iter().find(|table| &*table.name == name).unwrap().clone());
    let key = |id| Key::new(&[Value::Int(id)]);
    let new = |name: &str, row: &[Value]| Edit {
        table: table(name),
        key: Key::new(&row[..1]),
        expected: None,
        wanted: Some(Row::new(row)),
    };
    for edits in [
        [
            new("stock_kept", &[Value::Int(1), Value::Int(1)]),
            new("stock_kept", &[Value::Int(2), Value::Int(2)]),
        ],
        [new("trace", &[Value::Int(7)]), new("trace", &[Value::Int(8)])],
    ] {
        let guard = node.guard(&edits).await.unwrap();
        let done = node.mend(&edits, &guard, &[false, true]).await.unwrap();
        assert_eq!(done, [Mending::CalledOff, Mending::Moved]);
        let keys = edits.each_ref().map(|edit| edit.key.clone());
        assert_eq!(node.rows_by_key(&edits[0].table, &keys).await.unwrap(), [None, None]);
        // what can be done without being taken back is done
        let guard = node.guard(&edits).await.unwrap();
        assert_eq!(node.mend(&edits, &guard, &[true; 2]).await.unwrap(), [Mending::Mended, Mending::Mended]);
    }
    let child = node.rows_by_key(&table("child"), &[key(1)]).await.unwrap();
    assert_eq!(child, [Some(Row::new(&[Value::Int(1), Value::Int(7)]))]);
    assert_eq!(node.rows_by_key(&table("trace"), &[key(1), key(2)]).await.unwrap(), [None, None]);
    for sql in ["DROP TABLE shop.child", "DROP TABLE shop.trace", "DROP TABLE shop.stock_kept"] {
        fixture.run(sql).await.unwrap();
    }
}

pub async fn side_effects_are_refused(server: &Server, fixture: &mut SqlFixture) {
    for sql in [
        "DROP DATABASE IF EXISTS family",
        "CREATE DATABASE family",
        "CREATE TABLE family.parent (id INT PRIMARY KEY, v INT)",
        "CREATE TABLE family.child (id INT PRIMARY KEY, p INT, \
         FOREIGN KEY (p) REFERENCES family.parent (id) ON DELETE CASCADE)",
        "INSERT INTO family.parent VALUES (1, 1), (2, 2), (3, 3), (4, 4)",
        "INSERT INTO family.child VALUES (1, 1), (4, 4)",
        "CREATE TRIGGER family.t AFTER INSERT ON family.child FOR EACH ROW DELETE FROM family.parent WHERE id = 2",
        "CREATE TABLE family.old (id INT PRIMARY KEY) ENGINE=MyISAM",
        "INSERT INTO family.old VALUES (1)",
    ] {
        fixture.run(sql).await.unwrap();
    }
    let mut node = connect(server).await;
    let tables = node.tables().await.unwrap();
    let table = |name: &str| Arc::new(tables.iter().find(|table| &*table.name == name).unwrap().clone());
    let row = |values: &[i64]| Row::new(&values.iter().map(|&value| Value::Int(value)).collect::<Vec<_>>());
    let key = |id| Key::new(&[Value::Int(id)]);
    let edits = [
        Edit { table: table("parent"), key: key(1), expected: Some(row(&[1, 1])), wanted: None },
        Edit {
            table: table("parent"),
            key: key(2),
            expected: Some(row(&[2, 2])),
            wanted: Some(row(&[2, 3])),
        },
        Edit { table: table("child"), key: key(2), expected: None, wanted: Some(row(&[2, 1])) },
        Edit { table: table("parent"), key: key(3), expected: Some(row(&[3, 3])), wanted: None },
        // the child goes first, so nothing is left that would follow its parent
        Edit { table: table("child"), key: key(4), expected: Some(row(&[4, 4])), wanted: None },
        Edit { table: table("parent"), key: key(4), expected: Some(row(&[4, 4])), wanted: None },
    ];
    let guard = node.guard(&edits).await.unwrap();
    let done = node.mend(&edits, &guard, &[true; 6]).await.unwrap();
    assert_eq!(done[3..], [Mending::Mended, Mending::Mended, Mending::Mended]);
    assert!(matches!(&done[0], Mending::Refused(reason) if reason.contains("foreign key")), "{done:?}");
    assert_eq!(done[1], Mending::Mended);
    assert!(matches!(&done[2], Mending::Refused(reason) if reason.contains("trigger t ")), "{done:?}");
    let rows = node.rows_by_key(&table("child"), &[key(1), key(2)]).await.unwrap();
    assert_eq!(rows, [Some(row(&[1, 1])), None]);
    // an engine without row locks: still as long as the log holds no change of the table, and never mended
    let (old, keys) = (table("old"), [key(1)]);
    let rows = [RowsOf { table: &old, keys: &keys }];
    for (sql, still) in [
        ("DO 0", true),
        ("UPDATE family.parent SET v = 9 WHERE id = 2", true),
        ("INSERT INTO family.old VALUES (2)", false),
        ("DO 0", true),
        ("ALTER TABLE family.child ADD x INT", false),
        ("FLUSH BINARY LOGS", false),
        ("DO 0", true),
    ] {
        let since = node.position().await.unwrap();
        let pin = node.pin(&rows).await.unwrap();
        assert_eq!(pin.rows, [Some(row(&[1]))]);
        fixture.run(sql).await.unwrap();
        assert_eq!(node.unwritten_since(&rows, &since).await.unwrap(), [still], "{sql}");
        assert_eq!(node.still(&rows, &pin).await.unwrap(), [false], "nothing is locked");
    }
    // locked rows beside it are still all the same
    let (parent, own) = (table("parent"), [key(2)]);
    let both = [RowsOf { table: &old, keys: &keys }, RowsOf { table: &parent, keys: &own }];
    let pin = node.pin(&both).await.unwrap();
    assert_eq!(pin.rows, [Some(row(&[1])), Some(row(&[2, 9]))]);
    fixture.run("DELETE FROM family.old WHERE id = 2").await.unwrap();
    assert_eq!(node.still(&both, &pin).await.unwrap(), [false, true]);
    let edit = Edit { table: table("old"), key: key(1), expected: Some(row(&[1])), wanted: None };
    let refusal = node.guard(&[edit]).await.unwrap_err().to_string();
    assert!(refusal.contains("does not lock rows"), "{refusal}");
}

/// The children are in a database on which the user has no right.
pub async fn what_is_hidden_is_not_taken_for_absent(server: &Server, fixture: &mut SqlFixture) {
    for sql in [
        "CREATE DATABASE own",
        "CREATE DATABASE hidden",
        "CREATE TABLE own.parent (id INT PRIMARY KEY, u INT, v INT, UNIQUE (u))",
        "CREATE TABLE hidden.child (id INT PRIMARY KEY, p INT, \
         FOREIGN KEY (p) REFERENCES own.parent (id) ON DELETE CASCADE)",
        "INSERT INTO own.parent VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
        "INSERT INTO hidden.child VALUES (1, 1)",
        "CREATE TABLE own.orphan (id INT PRIMARY KEY)",
        "INSERT INTO own.orphan VALUES (1)",
        "CREATE USER half@'127.0.0.1' IDENTIFIED BY 'x'",
        "GRANT BINLOG ADMIN ON *.* TO half@'127.0.0.1'",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON own.* TO half@'127.0.0.1'",
    ] {
        fixture.run(sql).await.unwrap();
    }
    let target: Target = format!("mysql://half@127.0.0.1:{}", server.target.port).parse().unwrap();
    let row = |values: &[i64]| Row::new(&values.iter().map(|&value| Value::Int(value)).collect::<Vec<_>>());
    let key = |id| Key::new(&[Value::Int(id)]);
    // per right: which of the edits below are refused
    let trigger = "GRANT TRIGGER ON `own`.* TO `half`@`127.0.0.1`;";
    let references = "GRANT REFERENCES ON *.* TO `half`@`127.0.0.1`;";
    for (change, refused, missing) in [
        ("DO 0", [true; 4], trigger),
        ("GRANT TRIGGER ON own.* TO", [true, true, false, true], references),
        ("GRANT PROCESS ON *.* TO", [true, true, false, false], references),
        ("GRANT SELECT ON *.* TO", [true, true, false, false], references),
        ("GRANT REFERENCES ON *.* TO", [true, false, false, false], "foreign key"),
        ("REVOKE SELECT ON *.* FROM", [true, false, false, false], "denied"),
    ] {
        let user = if change == "DO 0" { "" } else { "half@'127.0.0.1'" };
        fixture.run(&format!("{change} {user}")).await.unwrap();
        fixture.run("REPLACE INTO own.orphan VALUES (1)").await.unwrap();
        fixture.run("UPDATE own.parent SET u = id, v = id").await.unwrap();
        let secret = Secret::new("x");
        let mut node = Connection::connect(&target, Some(&secret), &Options::default()).await.unwrap();
        let tables = node.tables().await.unwrap();
        let table =
            |name: &str| Arc::new(tables.iter().find(|table| table.to_string() == name).unwrap().clone());
        let parent = |id, wanted| Edit {
            table: table("own.parent"),
            key: key(id),
            expected: Some(row(&[id; 3])),
            wanted,
        };
        let edits = [
            parent(1, None),
            parent(2, Some(row(&[2, 20, 2]))),
            parent(3, Some(row(&[3, 3, 30]))),
            Edit { table: table("own.orphan"), key: key(1), expected: Some(row(&[1])), wanted: None },
        ];
        let guard = node.guard(&edits).await.unwrap();
        let done = node.mend(&edits, &guard, &[true; 4]).await.unwrap();
        for (done, refused) in done.iter().zip(refused) {
            match done {
                Mending::Refused(reason) if refused => {
                    assert!(reason.contains(missing), "{change}: {reason}")
                }
                done => assert!(!refused && *done == Mending::Mended, "{change}: {done:?}"),
            }
        }
    }
}
