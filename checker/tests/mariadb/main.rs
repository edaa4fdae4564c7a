//! A check of two real MariaDB masters that replicate each other: every table gets an honest answer.
//!
//! Where no `mariadbd` is installed the tests say so and check nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod keys;
mod pair;
mod seeded;
#[path = "../../../database/tests/mariadb/server.rs"]
mod server;
mod tables;
mod texts;
mod values;

use checker::{Report, Verdict};
use database::Value;
use pair::Pair;
use std::collections::{BTreeMap, BTreeSet};
use tables::{Table, quoted};

/// Whether the promised counts are to be run, and not a tenth of them.
fn full() -> bool {
    std::env::var("EVENSUM_TEST_FULL").is_ok_and(|value| value == "1")
}

/// Makes and fills the tables, through the log of the first node.
async fn load(pair: &mut Pair, tables: &[Table]) {
    let databases: BTreeSet<&str> = tables.iter().map(|table| table.database.as_str()).collect();
    for database in databases {
        pair.run(0, &format!("CREATE DATABASE {}", quoted(database))).await;
    }
    for table in tables {
        pair.run(0, &table.create()).await;
        for row in 0..table.rows() {
            pair.run(0, &table.insert(row)).await;
        }
    }
    pair.catch_up().await;
}

/// One change: a column of a row of a table.
struct Change<'a> {
    table: &'a Table,
    column: &'a tables::Column,
    row: usize,
}

/// How many rounds a plain run makes; a full one makes all, so that every value of every column is changed.
const ROUNDS: usize = 16;

/// The changes, so that each list has at most one of each table: another one would have the rows read, and hide a digest that
/// takes two values for one.
fn rounds(tables: &[Table]) -> Vec<Vec<Change<'_>>> {
    let mut rounds: Vec<Vec<Change<'_>>> = Vec::new();
    for table in tables {
        let changes =
            table.columns.iter().flat_map(|column| (0..column.pairs.len()).map(move |row| (column, row)));
        for (round, (column, row)) in changes.enumerate() {
            if round == rounds.len() {
                rounds.push(Vec::new());
            }
            rounds[round].push(Change { table, column, row });
        }
    }
    rounds.truncate(if full() { usize::MAX } else { ROUNDS });
    rounds
}

/// The rows that are called different: by table and number, the columns that differ for each key.
type Found = BTreeMap<(String, i64), Vec<Vec<String>>>;

fn found_rows(report: &Report) -> Found {
    let mut found = Found::new();
    for divergence in &report.divergences {
        let at = divergence.table.columns.iter().position(|column| &*column.name == "n").unwrap();
        let row = divergence.versions.iter().find_map(|version| version.row.as_ref()).unwrap();
        let Value::Int(number) = row.values()[at] else { panic!("{row}") };
        let columns = divergence.columns().into_iter().map(str::to_owned).collect();
        found.entry((divergence.table.to_string(), number)).or_default().push(columns);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_awkward_table_gets_an_honest_answer() {
    let tables = tables::all();
    assert!(tables.len() >= 60, "{}", tables.len());
    let Some(mut pair) = Pair::start(&[]).await else { return };
    load(&mut pair, &tables).await;
    let report = pair.check(&[], true).await;
    let listed: Vec<String> = report.tables.iter().map(|table| table.table.to_string()).collect();
    for table in &tables {
        assert!(listed.contains(&format!("{}.{}", table.database, table.name)), "{}", table.full_name());
    }
    for table in &report.tables {
        assert_eq!(table.verdict, Verdict::Identical, "{}: {:?}", table.table, table.reason);
        assert_eq!(table.rows_lagging, 0, "{}", table.table);
    }
    let (mut changes, mut surprises) = (0, Vec::new());
    for (number, round) in rounds(&tables).iter().enumerate() {
        let node = number % 2;
        for Change { table, column, row } in round {
            let sql = table.update(column, *row, &column.pairs[*row].1);
            assert_eq!(pair.hide(node, &sql).await, 1, "{sql}");
        }
        let report = pair.check(&[], number % 3 != 2).await;
        surprises
            .extend(report.unsettled.iter().map(|row| format!("{} {}: {}", row.table, row.key, row.reason)));
        let mut found = found_rows(&report);
        for change in round {
            changes += 1;
            let row = i64::try_from(change.row).unwrap() + 1;
            let name = format!("{}.{}", change.table.database, change.table.name);
            surprises.extend(surprise(change, &found.remove(&(name, row)).unwrap_or_default()));
        }
        surprises.extend(found.keys().map(|(table, row)| format!("{table} n={row} was not changed")));
        for Change { table, column, row } in round {
            pair.hide(node, &table.update(column, *row, &column.pairs[*row].0)).await;
        }
    }
    println!("{changes} changes in {} tables, {} surprises", tables.len(), surprises.len());
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    let report = pair.check(&[], true).await;
    assert_eq!(report.verdict(), Verdict::Identical, "everything is as it was");
}

/// Whether exactly the changed row was found: once, or, where the change made another key of it, under both keys; of a
/// row with copies under the content that has one less and the content that has one more.
fn surprise(change: &Change<'_>, found: &[Vec<String>]) -> Option<String> {
    let Change { table, column, row } = change;
    let expected = match found {
        [columns] => columns.contains(&column.name),
        [one, other] if table.copies > 1 => one.len() + other.len() == 1,
        [one, other] => one.is_empty() && other.is_empty(),
        _ => false,
    };
    let (from, to) = &column.pairs[*row];
    let show = |text: &str| text.chars().take(60).collect::<String>();
    let name = format!("{}.{}", table.full_name(), column.name);
    (!expected).then(|| format!("{name} {} -> {}: {found:?}", show(from), show(to)))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_seeded_difference_is_found() {
    let Some(mut pair) = Pair::start(&[]).await else { return };
    let wanted = if full() { 10_000 } else { 1_000 };
    assert_eq!(seeded::run(&mut pair, wanted).await, wanted);
}

/// Tables that are not the same on both nodes, and some that only seem not to be.
async fn load_what_cannot_be_compared(pair: &mut Pair) {
    for (node, own) in [(0, "INT"), (1, "BIGINT")] {
        for sql in [
            "CREATE DATABASE shop",
            "CREATE DATABASE private",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY, v INT)",
            "CREATE TABLE shop.tmp_orders (id INT PRIMARY KEY, v INT)",
            "CREATE TABLE private.orders (id INT PRIMARY KEY, v INT)",
            "CREATE VIEW shop.some AS SELECT * FROM shop.orders",
            "CREATE SEQUENCE shop.numbers",
            &format!("CREATE TABLE shop.wide (id INT PRIMARY KEY, v {own}, w INT AS (v + 1))"),
            &format!(
                "CREATE TABLE shop.text (id INT PRIMARY KEY, v TEXT CHARACTER SET {})",
                ["latin1", "utf8mb4"][node]
            ),
            &format!(
                "CREATE TABLE shop.keys (id INT NOT NULL, v INT NOT NULL, {} (id))",
                ["PRIMARY KEY", "KEY"][node]
            ),
            &format!("CREATE TABLE shop.made (id INT PRIMARY KEY, v INT {})", ["", "AS (id)"][node]),
            &format!("CREATE TABLE shop.only_on_{} (id INT PRIMARY KEY)", node + 1),
            // what differs although nothing of it matters to the rows
            &format!(
                "CREATE TABLE shop.alike (id INT({}) PRIMARY KEY, v INT DEFAULT {node}, KEY (v)) ENGINE={}",
                5 + node,
                ["InnoDB", "Aria"][node]
            ),
        ] {
            pair.hide(node, sql).await;
        }
    }
    for sql in ["INSERT INTO shop.tmp_orders VALUES (1, 1)", "INSERT INTO private.orders VALUES (1, 1)"] {
        pair.hide(0, sql).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_skipped_with_its_reason() {
    let filters = ["--replicate-wild-ignore-table=shop.tmp%", "--binlog-ignore-db=private"];
    let Some(mut pair) = Pair::start(&filters).await else { return };
    load_what_cannot_be_compared(&mut pair).await;
    let report = pair.check(&["shop.*", "private.*"], true).await;
    let reasons: Vec<(String, &str)> = report
        .tables
        .iter()
        .map(|table| (table.table.to_string(), table.reason.as_deref().unwrap_or("-")))
        .collect();
    let must = [
        (
            "private.orders",
            "filtered: binlog_ignore_db=private on maria1, binlog_ignore_db=private on maria2",
        ),
        ("shop.alike", "-"),
        ("shop.keys", "the definitions differ; key: (id) on maria1 | none on maria2"),
        ("shop.made", "the definitions differ; column v: int NULL on maria1 | int NULL GENERATED on maria2"),
        ("shop.only_on_1", "there is no such table on maria2"),
        ("shop.only_on_2", "there is no such table on maria1"),
        ("shop.orders", "-"),
        (
            "shop.text",
            "the definitions differ; column v: text latin1 latin1_swedish_ci NULL on maria1 | text utf8mb4 utf8mb4_general_ci NULL on maria2",
        ),
        (
            "shop.tmp_orders",
            "filtered: replicate_wild_ignore_table=shop.tmp% on maria1, replicate_wild_ignore_table=shop.tmp% on maria2",
        ),
        ("shop.wide", "the definitions differ; column v: int NULL on maria1 | bigint NULL on maria2"),
    ];
    assert_eq!(reasons, must.map(|(table, reason)| (table.to_owned(), reason)));
    let wide = report.tables.iter().find(|table| &*table.table.name == "wide").unwrap();
    let sides: Vec<String> =
        wide.definitions.iter().map(|of| format!("{:?} {}", of.nodes, of.text)).collect();
    assert_eq!(
        sides,
        [
            "[\"maria1\"] (id int NOT NULL, v int NULL, w int NULL GENERATED; key id)",
            "[\"maria2\"] (id int NOT NULL, v bigint NULL, w int NULL GENERATED; key id)"
        ]
    );
    assert_eq!(report.verdict(), Verdict::Skipped);
}
