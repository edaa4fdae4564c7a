//! Lines up the tables of all nodes, and says which of them cannot be compared, and why.
//!
//! Two tables can be compared if every node has them, with the same columns of the same definitions in the same order,
//! and with the same key. Everything else is skipped with the reason, never guessed at.
//! What is not compared here: indexes other than the key, defaults, triggers, storage engines.

use crate::selection::Selection;
use database::Table;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A table, and whether it can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lined {
    /// The table, as the first node that has it defines it.
    pub table: Arc<Table>,
    /// Why it cannot be compared; `None` if it can.
    pub reason: Option<String>,
}

/// Lines up the selected tables. `tables` holds each node's list, in the order of `nodes`.
#[must_use]
pub fn line_up(nodes: &[Box<str>], tables: &[Vec<Table>], selection: &Selection) -> Vec<Lined> {
    let mut by_name: BTreeMap<(&str, &str), Vec<Option<&Table>>> = BTreeMap::new();
    for (node, list) in tables.iter().enumerate() {
        for table in list.iter().filter(|table| selection.contains(&table.database, &table.name)) {
            let row =
                by_name.entry((&table.database, &table.name)).or_insert_with(|| vec![None; nodes.len()]);
            row[node] = Some(table);
        }
    }
    by_name
        .into_values()
        .filter_map(|row| {
            let mut table = Table::clone(row.iter().flatten().next()?);
            table.rows_estimate = row.iter().flatten().map(|table| table.rows_estimate).max().unwrap_or(0);
            table.filter.clone_from(&selection.filter);
            let reason = obstacle(nodes, &row);
            Some(Lined { table: Arc::new(table), reason })
        })
        .collect()
}

/// Why the tables in this row of the line-up cannot be compared.
fn obstacle(nodes: &[Box<str>], row: &[Option<&Table>]) -> Option<String> {
    let missing: Vec<&str> =
        nodes.iter().zip(row).filter(|(_, table)| table.is_none()).map(|(node, _)| node.as_ref()).collect();
    if !missing.is_empty() {
        return Some(format!("there is no such table on {}", missing.join(", ")));
    }
    let mut definitions: Vec<(String, Vec<&str>)> = Vec::new();
    for (node, table) in nodes.iter().zip(row.iter().flatten()) {
        let definition = table.definition();
        match definitions.iter_mut().find(|(known, _)| *known == definition) {
            Some((_, holders)) => holders.push(node),
            None => definitions.push((definition, vec![node])),
        }
    }
    if definitions.len() > 1 {
        let sides: Vec<String> = definitions
            .iter()
            .map(|(definition, holders)| format!("{}: {definition}", holders.join(", ")))
            .collect();
        return Some(format!("the definitions differ; {}", sides.join("; ")));
    }
    let keyless = row.iter().flatten().any(|table| table.key.is_empty());
    keyless
        .then(|| "it has no primary key and no unique key without NULLs, so its rows cannot be named".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::{Column, Kind};

    fn table(name: &str, definition: &str, key: Vec<usize>) -> Table {
        let column = |name: &str, definition: &str| Column {
            name: name.into(),
            definition: definition.into(),
            kind: Kind::Integer,
            generated: false,
            restamped: false,
        };
        Table {
            database: "shop".into(),
            name: name.into(),
            columns: vec![column("id", "int NOT NULL"), column("n", definition)],
            key,
            key_name: "PRIMARY".into(),
            rows_estimate: 1,
            filter: None,
        }
    }

    #[test]
    fn each_obstacle_has_its_reason() {
        let nodes = ["n1".into(), "n2".into()];
        let one = vec![
            table("fine", "int", vec![0]),
            table("here", "int", vec![0]),
            table("heap", "int", vec![]),
            table("wide", "int", vec![0]),
        ];
        let two = vec![
            table("fine", "int", vec![0]),
            table("heap", "int", vec![]),
            table("wide", "bigint", vec![0]),
        ];
        let lined = line_up(&nodes, &[one, two], &Selection::default());
        let reasons: Vec<_> =
            lined.iter().map(|l| (l.table.name.as_ref(), l.reason.as_deref().unwrap_or("-"))).collect();
        assert_eq!(
            reasons,
            [
                ("fine", "-"),
                (
                    "heap",
                    "it has no primary key and no unique key without NULLs, so its rows cannot be named"
                ),
                ("here", "there is no such table on n2"),
                (
                    "wide",
                    "the definitions differ; n1: (id int NOT NULL, n int; key id); n2: (id int NOT NULL, n bigint; key id)"
                ),
            ]
        );
    }
}
