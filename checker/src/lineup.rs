//! Lines up the tables of all nodes, and says which of them cannot be compared, and why.
//!
//! Two tables can be compared if every node has them, with the same columns of the same definitions in the same order,
//! and with the same key, and if no replication filter keeps their changes from a node. A table without a key is compared as
//! a multiset, if every node can count. Everything else is skipped with the reason, never guessed at.
//! What is not compared here: indexes other than the key, defaults, triggers, storage engines.

use crate::report::Definition;
use crate::selection::Selection;
use database::{Column, Filters, Table};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A table, and whether it can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lined {
    /// The table, as the first node that has it defines it; as a multiset, if it has no key.
    pub table: Arc<Table>,
    /// Why it cannot be compared; `None` if it can.
    pub obstacle: Option<Obstacle>,
}

/// Why a table cannot be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obstacle {
    /// In words.
    pub reason: String,
    /// The definitions, if they differ: each once, with the nodes that have it.
    pub definitions: Vec<Definition>,
}

/// What is known of a node before its tables are read.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// Its tables.
    pub tables: Vec<Table>,
    /// Its replication filters.
    pub filters: Filters,
    /// Whether it can count the rows of tables without a key.
    pub counts: bool,
}

/// Lines up the selected tables. `sides` are in the order of `nodes`.
#[must_use]
pub fn line_up(nodes: &[Box<str>], sides: &[Side], selection: &Selection) -> Vec<Lined> {
    let mut by_name: BTreeMap<(&str, &str), Vec<Option<&Table>>> = BTreeMap::new();
    for (node, side) in sides.iter().enumerate() {
        for table in side.tables.iter().filter(|table| selection.contains(&table.database, &table.name)) {
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
            let obstacle = filtered(nodes, sides, &table)
                .or_else(|| missing(nodes, &row))
                .or_else(|| drifted(nodes, &row))
                .or_else(|| uncountable(nodes, sides, &table));
            if obstacle.is_none() && table.key.is_empty() {
                table = table.as_multiset();
            }
            Some(Lined { table: Arc::new(table), obstacle })
        })
        .collect()
}

fn because(reason: String) -> Option<Obstacle> {
    Some(Obstacle { reason, definitions: Vec::new() })
}

fn filtered(nodes: &[Box<str>], sides: &[Side], table: &Table) -> Option<Obstacle> {
    let hits = nodes.iter().zip(sides).filter_map(|(node, side)| {
        side.filters.hit(&table.database, &table.name).map(|hit| format!("{hit} on {node}"))
    });
    let hits: Vec<String> = hits.collect();
    if hits.is_empty() { None } else { because(format!("filtered: {}", hits.join(", "))) }
}

fn missing(nodes: &[Box<str>], row: &[Option<&Table>]) -> Option<Obstacle> {
    let missing = nodes.iter().zip(row).filter(|(_, table)| table.is_none());
    let missing: Vec<&str> = missing.map(|(node, _)| node.as_ref()).collect();
    if missing.is_empty() {
        return None;
    }
    because(format!("there is no such table on {}", missing.join(", ")))
}

/// The definitions side by side, and in words what differs in them.
fn drifted(nodes: &[Box<str>], row: &[Option<&Table>]) -> Option<Obstacle> {
    let mut versions: Vec<(&Table, Definition)> = Vec::new();
    for (node, table) in nodes.iter().zip(row.iter().flatten()) {
        let text = table.definition();
        match versions.iter_mut().find(|(_, known)| known.text == text) {
            Some((_, known)) => known.nodes.push(node.clone()),
            None => versions.push((table, Definition { text, nodes: vec![node.clone()] })),
        }
    }
    if versions.len() < 2 {
        return None;
    }
    let mut parts: Vec<String> = Vec::new();
    let said = |of: &dyn Fn(&Table) -> String| -> Option<String> {
        let sides: Vec<(String, String)> =
            versions.iter().map(|(table, version)| (of(table), version.nodes.join(", "))).collect();
        let differ = sides.windows(2).any(|pair| pair[0].0 != pair[1].0);
        let sides = sides.iter().map(|(text, nodes)| format!("{text} on {nodes}"));
        differ.then(|| sides.collect::<Vec<_>>().join(" | "))
    };
    for name in column_names(&versions) {
        let of = |table: &Table| {
            let column = table.columns.iter().find(|column| column.name == name);
            column.map_or_else(|| "missing".to_owned(), described)
        };
        parts.extend(said(&of).map(|sides| format!("column {name}: {sides}")));
    }
    let order = |table: &Table| {
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_ref()).collect();
        format!("({})", names.join(", "))
    };
    if parts.is_empty() {
        parts.extend(said(&order).map(|sides| format!("order of columns: {sides}")));
    }
    let key = |table: &Table| {
        let names: Vec<&str> = table.key_columns().map(|column| column.name.as_ref()).collect();
        if names.is_empty() { "none".to_owned() } else { format!("({})", names.join(", ")) }
    };
    parts.extend(said(&key).map(|sides| format!("key: {sides}")));
    let reason = format!("the definitions differ; {}", parts.join("; "));
    Some(Obstacle { reason, definitions: versions.into_iter().map(|(_, definition)| definition).collect() })
}

fn described(column: &Column) -> String {
    format!("{}{}", column.definition, if column.generated { " GENERATED" } else { "" })
}

/// The names of all columns, each once, as they are met.
fn column_names(versions: &[(&Table, Definition)]) -> Vec<Box<str>> {
    let mut names: Vec<Box<str>> = Vec::new();
    for column in versions.iter().flat_map(|(table, _)| &table.columns) {
        if !names.contains(&column.name) {
            names.push(column.name.clone());
        }
    }
    names
}

fn uncountable(nodes: &[Box<str>], sides: &[Side], table: &Table) -> Option<Obstacle> {
    let cannot = nodes.iter().zip(sides).filter(|(_, side)| !side.counts);
    let cannot: Vec<&str> = cannot.map(|(node, _)| node.as_ref()).collect();
    if !table.key.is_empty() || cannot.is_empty() {
        return None;
    }
    because(format!(
        "it has no primary key and no unique key without NULLs, so its rows cannot be named, and {} cannot count them",
        cannot.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::Kind;
    use database::filter::LinkFilter;

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
            key_name: if key.is_empty() { "" } else { "PRIMARY" }.into(),
            key,
            rows_estimate: 1,
            filter: None,
        }
    }

    fn lined(sides: [Side; 2]) -> Vec<Lined> {
        line_up(&["n1".into(), "n2".into()], &sides, &Selection::default())
    }

    fn reasons(lined: &[Lined]) -> Vec<(&str, &str)> {
        let reason = |lined: &Lined| lined.obstacle.as_ref().map_or("-".to_owned(), |of| of.reason.clone());
        lined.iter().map(|of| (of.table.name.as_ref(), &*Box::leak(reason(of).into_boxed_str()))).collect()
    }

    #[test]
    fn each_obstacle_has_its_reason() {
        let left = vec![
            table("fine", "int", vec![0]),
            table("here", "int", vec![0]),
            table("heap", "int", vec![]),
            table("tmp", "int", vec![0]),
            table("wide", "int", vec![0]),
        ];
        let right = vec![
            table("fine", "int", vec![0]),
            table("heap", "int", vec![]),
            table("wide", "bigint", vec![0]),
        ];
        let link = LinkFilter { ignore_table: vec!["shop.tmp".into()], ..LinkFilter::default() };
        let filters = Filters { links: vec![link], ..Filters::default() };
        let lined = lined([
            Side { tables: left, counts: true, ..Side::default() },
            Side { tables: right, filters, counts: false },
        ]);
        assert_eq!(
            reasons(&lined),
            [
                ("fine", "-"),
                (
                    "heap",
                    "it has no primary key and no unique key without NULLs, so its rows cannot be named, and n2 cannot count them"
                ),
                ("here", "there is no such table on n2"),
                ("tmp", "filtered: replicate_ignore_table=shop.tmp on n2"),
                ("wide", "the definitions differ; column n: int on n1 | bigint on n2"),
            ]
        );
        let definitions = &lined[4].obstacle.as_ref().unwrap().definitions;
        let sides: Vec<String> =
            definitions.iter().map(|of| format!("{} {}", of.nodes.join(","), of.text)).collect();
        assert_eq!(sides, ["n1 (id int NOT NULL, n int; key id)", "n2 (id int NOT NULL, n bigint; key id)"]);
    }

    #[test]
    fn what_differs_in_definitions_is_named() {
        let base = || table("t", "int", vec![0]);
        let mut turned = base();
        turned.columns.reverse();
        turned.key = vec![1];
        let mut more = base();
        more.columns.push(Column { name: "extra".into(), ..more.columns[1].clone() });
        let mut generated = base();
        generated.columns[1].generated = true;
        for (other, must) in [
            (turned, "order of columns: (id, n) on n1 | (n, id) on n2"),
            (more, "column extra: missing on n1 | int on n2"),
            (generated, "column n: int on n1 | int GENERATED on n2"),
            (table("t", "int", vec![]), "key: (id) on n1 | none on n2"),
            (table("t", "int", vec![0, 1]), "key: (id) on n1 | (id, n) on n2"),
        ] {
            let side = |table| Side { tables: vec![table], counts: true, ..Side::default() };
            let lined = lined([side(base()), side(other)]);
            assert_eq!(reasons(&lined), [("t", format!("the definitions differ; {must}").as_str())]);
        }
    }

    #[test]
    fn a_table_without_a_key_is_counted_where_all_nodes_can() {
        let side = || Side { tables: vec![table("t", "int", vec![])], counts: true, ..Side::default() };
        let lined = lined([side(), side()]);
        assert_eq!(reasons(&lined), [("t", "-")]);
        assert!(lined[0].table.counted());
        assert_eq!(lined[0].table.key, [0, 1]);
    }
}
