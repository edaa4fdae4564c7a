//! Tables: those that replication or evensum cannot handle well, and those that nodes define differently.
//!
//! Names are listed up to a bound; the document for machines has no more either, because a list of a thousand tables is a matter for
//! `information_schema`.

use super::{Chart, Node, Severity, listed};
use database::mysql::SurveyedTable;
use std::collections::BTreeMap;

/// The tables of all nodes by name; a node that has none of that name, or was not asked, is missing in the row.
type ByName<'a> = BTreeMap<String, Vec<(&'a Node, &'a SurveyedTable)>>;

pub(super) fn examine(nodes: &[Node], chart: &mut Chart) {
    for node in nodes {
        let Some(tables) = &node.survey.tables else { continue };
        let named = |wanted: &dyn Fn(&SurveyedTable) -> bool| -> Vec<String> {
            tables.iter().filter(|table| wanted(table)).map(SurveyedTable::full_name).collect()
        };
        let keyless = named(&|table| !table.keyed);
        let advice = (
            "each row event searches the whole table, rows that are alike cannot be told apart, and evensum cannot name or mend \
             their rows",
            "give each a primary key",
        );
        note(chart, "tables have keys", node, &keyless, advice);
        let engines = named(&|table| !matches!(table.engine.to_ascii_lowercase().as_str(), "innodb" | ""));
        let advice = (
            "their writes cannot be rolled back, a crash may lose some, and their rows cannot be locked: what differs there stays \
             unsettled and is not mended",
            "ALTER TABLE … ENGINE = InnoDB",
        );
        note(chart, "tables are InnoDB", node, &engines, advice);
        let with_triggers = named(&|table| !table.triggers.is_empty());
        if !with_triggers.is_empty() {
            let advice = (
                "evensum mends no row whose change would fire a trigger, unless told to; with STATEMENT logs triggers fire on every node",
                "nothing, if it is known",
            );
            chart.add(Severity::Note, "triggers", &[node], &listed(&with_triggers), advice);
        }
    }
    let count = super::spread(nodes, |node| {
        let tables = node.survey.tables.as_ref()?.len();
        Some(format!("{tables} table{}", if tables == 1 { "" } else { "s" }))
    });
    // of no table nothing is fine
    let some = nodes.iter().any(|node| node.survey.tables.as_ref().is_some_and(|tables| !tables.is_empty()));
    let count = count.filter(|_| some);
    for check in ["tables have keys", "tables are InnoDB"] {
        chart.else_fine(check, nodes, count.clone());
    }
    if nodes.len() > 1 && nodes.iter().all(|node| node.survey.tables.is_some()) {
        compare(nodes, chart);
        for check in ["tables are everywhere", "definitions agree", "indexes agree", "triggers agree"] {
            chart.else_fine(check, nodes, count.clone());
        }
    }
}

fn note(chart: &mut Chart, check: &'static str, node: &Node, names: &[String], advice: (&str, &str)) {
    if !names.is_empty() {
        chart.add(Severity::Warning, check, &[node], &listed(names), advice);
    }
}

fn compare(nodes: &[Node], chart: &mut Chart) {
    let mut by_name = ByName::new();
    for node in nodes {
        for table in node.survey.tables.iter().flatten() {
            by_name.entry(table.full_name()).or_default().push((node, table));
        }
    }
    for node in nodes {
        let has = |row: &[(&Node, &SurveyedTable)]| row.iter().any(|(holder, _)| holder.name == node.name);
        let absent = by_name.iter().filter(|(_, row)| !has(row)).map(|(name, _)| name.clone());
        let absent: Vec<String> = absent.collect();
        if !absent.is_empty() {
            let seen = format!("not here, but on another node: {}", listed(&absent));
            let advice = (
                "a write to such a table stops replication here (error 1146); or this account has no right on it, and does not see it",
                "make the table here, or let an administrator grant SELECT on it to this account",
            );
            chart.add(Severity::Warning, "tables are everywhere", &[node], &seen, advice);
        }
    }
    let all: Vec<&Node> = nodes.iter().collect();
    let mut apart = |check: &'static str,
                     severity,
                     differs: &dyn Fn(&SurveyedTable, &SurveyedTable) -> Option<String>,
                     advice| {
        let mut found = Vec::new();
        for (name, row) in &by_name {
            let Some((_, first)) = row.first() else { continue };
            if let Some(what) = row.iter().find_map(|(_, other)| differs(first, other)) {
                found.push(if what.is_empty() { name.clone() } else { format!("{name} ({what})") });
            }
        }
        if !found.is_empty() {
            chart.add(severity, check, &all, &listed(&found), advice);
        }
    };
    apart(
        "definitions agree",
        Severity::Warning,
        &columns_apart,
        (
            "rows that fit on one node are cut or refused on the other, and evensum skips the table",
            "compare SHOW CREATE TABLE of each node, and ALTER TABLE where it is wrong, with sql_log_bin = 0",
        ),
    );
    apart(
        "indexes agree",
        Severity::Warning,
        &indexes_apart,
        (
            "what is fast or unique on one node is slow or double on the other: a row that only one of them refuses stops replication",
            "compare SHOW CREATE TABLE of each node, and ALTER TABLE where it is wrong, with sql_log_bin = 0",
        ),
    );
    apart(
        "triggers agree",
        Severity::Warning,
        &triggers_apart,
        (
            "the same write has other effects, depending on the master that takes it",
            "the same triggers on all nodes",
        ),
    );
}

/// The first column, or the engine, in which two definitions differ.
fn columns_apart(a: &SurveyedTable, b: &SurveyedTable) -> Option<String> {
    if a.columns != b.columns {
        let column = a.columns.iter().find(|column| !b.columns.contains(column));
        let column = column.or_else(|| b.columns.iter().find(|column| !a.columns.contains(column)));
        let Some((name, _)) = column else { return Some("the order of its columns".to_owned()) };
        let of = |table: &SurveyedTable| {
            let found = table.columns.iter().find(|(known, _)| known == name);
            found.map_or_else(|| "absent".to_owned(), |(_, definition)| definition.clone())
        };
        return Some(format!("{name}: {} | {}", of(a), of(b)));
    }
    (!a.engine.eq_ignore_ascii_case(&b.engine)).then(|| format!("{} | {}", a.engine, b.engine))
}

fn indexes_apart(a: &SurveyedTable, b: &SurveyedTable) -> Option<String> {
    let only = |a: &SurveyedTable, b: &SurveyedTable| {
        a.indexes.iter().find(|index| !b.indexes.contains(index)).cloned()
    };
    only(a, b).or_else(|| only(b, a))
}

fn triggers_apart(a: &SurveyedTable, b: &SurveyedTable) -> Option<String> {
    (a.triggers != b.triggers).then(|| {
        let only = |a: &SurveyedTable, b: &SurveyedTable| {
            a.triggers.iter().find(|name| !b.triggers.contains(name)).cloned()
        };
        only(a, b).or_else(|| only(b, a)).unwrap_or_default()
    })
}
