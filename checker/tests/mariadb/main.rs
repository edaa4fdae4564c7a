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

/// The changes, so that each list has at most one of each row.
fn rounds(tables: &[Table]) -> Vec<Vec<Change<'_>>> {
    let most = tables.iter().map(|table| table.columns.len()).max().unwrap_or(0);
    let mut rounds: Vec<Vec<Change<'_>>> = Vec::new();
    for round in 0..most {
        let mut changes = Vec::new();
        for table in tables.iter().filter(|table| round < table.columns.len()) {
            for row in 0..table.rows() {
                let column = &table.columns[(round + row) % table.columns.len()];
                if row < column.pairs.len() {
                    changes.push(Change { table, column, row });
                }
            }
        }
        rounds.push(changes);
    }
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
    let report = pair.check(&[]).await;
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
        let report = pair.check(&[]).await;
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
    let report = pair.check(&[]).await;
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
