//! EXPLAIN: SQLite's plan of a statement in the columns of MariaDB.
//!
//! Each row is a table that SQLite visits, in the order in which it does. What SQLite does not tell stays NULL: how many rows
//! it expects, how much of a key it uses, which other keys it weighed. `type` never promises more than the plan: a list of
//! values looks like a single one there, so a statement that has one anywhere gets `range`. Invariant: nothing is run. Not
//! here: FORMAT=JSON and ANALYZE.

use sqlparser::ast::{Delete, FromTable, Query, SetExpr, Statement, TableObject, Update};

use super::from::table_name;
use super::parse::Text;
use crate::SqlError;
use crate::results::{ColumnMeta, WireType};
use crate::storage::catalog::Catalog;
use rusqlite::types::Value as Stored;

/// The columns of an EXPLAIN, as MariaDB 10.11 has them; a number has a `+` before its name.
const COLUMNS: [&str; 10] =
    ["+id", "select_type", "table", "type", "possible_keys", "key", "key_len", "ref", "+rows", "Extra"];

/// A step of SQLite's plan.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its number.
    pub id: i64,
    /// The step that it is a part of; 0 for none.
    pub parent: i64,
    /// What it does, in SQLite's words.
    pub detail: String,
}

/// What is to be looked at for an EXPLAIN.
pub enum Subject {
    /// The reading of this query.
    Query(Box<Query>),
    /// Rows are written to that table and nothing is read.
    Insert(String),
}

/// What the statement reads: of UPDATE and DELETE the query that finds their rows.
pub fn subject(statement: &Statement, database: &str, catalog: &Catalog) -> Result<Subject, SqlError> {
    let sql = match statement {
        Statement::Query(query) => return Ok(Subject::Query(query.clone())),
        Statement::Insert(insert) => {
            let TableObject::TableName(name) = &insert.table else {
                return Err(SqlError::unsupported("EXPLAIN INSERT into what is no table"));
            };
            let (database, table) = table_name(name, database)?;
            let table = catalog.require(database, table)?.name.clone();
            return Ok(match &insert.source {
                Some(query) if !matches!(query.body.as_ref(), SetExpr::Values(_)) => {
                    Subject::Query(query.clone())
                }
                _ => Subject::Insert(table),
            });
        }
        Statement::Update(update) => rows_of_update(update)?,
        Statement::Delete(delete) => rows_of_delete(delete)?,
        other => {
            let text = other.to_string();
            let first = text.split_whitespace().next().unwrap_or_default();
            return Err(SqlError::unsupported(format_args!("EXPLAIN {first}")));
        }
    };
    match Text::new(sql.as_bytes())?.statement()? {
        Statement::Query(query) => Ok(Subject::Query(query)),
        _ => Err(SqlError::internal("the rows of a statement are no query")),
    }
}

fn rows_of_update(update: &Update) -> Result<String, SqlError> {
    if update.from.is_some() || update.returning.is_some() {
        return Err(SqlError::unsupported("UPDATE .. FROM"));
    }
    let mut sql = "SELECT ".to_owned();
    for set in &update.assignments {
        sql += &format!("{}, ({}), ", set.target, set.value);
    }
    sql += &format!("{0}.* FROM {0}", update.table);
    if let Some((_, table)) = sql.rsplit_once(" FROM ")
        && table.contains(' ')
    {
        return Err(SqlError::unsupported("EXPLAIN UPDATE of more than a table by its name"));
    }
    sql += &update.selection.as_ref().map(|test| format!(" WHERE {test}")).unwrap_or_default();
    sql += &ordered(&update.order_by);
    sql += &update.limit.as_ref().map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
    Ok(sql)
}

fn rows_of_delete(delete: &Delete) -> Result<String, SqlError> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let [table] = from.as_slice() else {
        return Err(SqlError::unsupported("DELETE from more than one table"));
    };
    if !delete.tables.is_empty() || delete.using.is_some() || !table.joins.is_empty() {
        return Err(SqlError::unsupported("DELETE from more than one table"));
    }
    let mut sql = format!("SELECT * FROM {table}");
    sql += &delete.selection.as_ref().map(|test| format!(" WHERE {test}")).unwrap_or_default();
    sql += &ordered(&delete.order_by);
    sql += &delete.limit.as_ref().map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
    Ok(sql)
}

fn ordered(keys: &[sqlparser::ast::OrderByExpr]) -> String {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    if keys.is_empty() { String::new() } else { format!(" ORDER BY {}", keys.join(", ")) }
}

/// The columns of the answer.
#[must_use]
pub fn columns() -> Vec<ColumnMeta> {
    let column = |name: &&str| {
        let mut column = ColumnMeta::integer(name.trim_start_matches('+'));
        if !name.starts_with('+') {
            (column.wire, column.collation, column.length) = (WireType::VarString, 45, 4 * 255);
        }
        column.flags = 0;
        column
    };
    COLUMNS.iter().map(column).collect()
}

/// One row of the answer; what is empty is NULL.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Visit {
    select: i64,
    kind: &'static str,
    table: String,
    access: &'static str,
    key: String,
    looked_up: bool,
    reference: &'static str,
    rows: Option<i64>,
    extra: Vec<&'static str>,
}

impl Visit {
    /// The row for a table that is only written to.
    #[must_use]
    pub fn of_insert(table: String) -> Visit {
        Visit { select: 1, kind: "INSERT", table, access: "ALL", ..Visit::default() }
    }

    /// The row as it is stored.
    #[must_use]
    pub fn row(self) -> Vec<Stored> {
        let text = |text: &str| if text.is_empty() { Stored::Null } else { Stored::Text(text.to_owned()) };
        let possible = if self.looked_up { text(&self.key) } else { Stored::Null };
        vec![
            Stored::Integer(self.select),
            text(self.kind),
            text(&self.table),
            text(self.access),
            possible,
            text(&self.key),
            Stored::Null,
            text(self.reference),
            self.rows.map_or(Stored::Null, Stored::Integer),
            if self.kind == "INSERT" { Stored::Null } else { Stored::Text(self.extra.join("; ")) },
        ]
    }
}

/// A SELECT of the statement, while its steps are read.
struct Part {
    number: i64,
    kind: &'static str,
    name: String,
    visits: usize,
    constant: bool,
}

/// Reads a plan. `lists`: the statement may look for several values at once.
#[must_use]
pub fn visits(steps: &[Step], catalog: &Catalog, lists: bool) -> Vec<Visit> {
    let mut parts = vec![Part { number: 1, kind: "SIMPLE", name: String::new(), visits: 0, constant: false }];
    let mut found: Vec<Visit> = Vec::new();
    let mut inside: Vec<(i64, usize)> = vec![(0, 0)]; // the part that each step belongs to
    for step in steps {
        let above = inside.iter().rev().find(|(id, _)| *id == step.parent).map_or(0, |(_, part)| *part);
        let mut part = above;
        if let Some((kind, name)) = begins(&step.detail) {
            let number = i64::try_from(parts.len()).unwrap_or(i64::MAX).saturating_add(1);
            part = parts.len();
            parts.push(Part { number, kind, name: name.to_owned(), visits: 0, constant: false });
        } else if let Some(sort) = step.detail.strip_prefix("USE TEMP B-TREE FOR ") {
            let number = parts[above].number;
            let word = if sort.ends_with("ORDER BY") { "Using filesort" } else { "Using temporary" };
            if let Some(first) = found.iter_mut().find(|visit| visit.select == number)
                && !first.extra.contains(&word)
            {
                first.extra.push(word);
            }
        } else if step.detail.contains("CONSTANT ROW") {
            parts[above].constant = true;
        } else if let Some(mut visit) = visited(&step.detail, catalog) {
            let alone = parts[above].visits == 0 && parts[above].kind != "DEPENDENT SUBQUERY";
            parts[above].visits += 1;
            visit.select = parts[above].number;
            settle(&mut visit, alone, lists);
            found.push(visit);
        }
        inside.push((step.id, part));
    }
    if parts.len() > 1 {
        parts[0].kind = "PRIMARY";
    }
    for visit in &mut found {
        if let Some(part) = parts.iter().find(|part| part.number == visit.select) {
            visit.kind = part.kind;
        }
        if let Some(derived) = parts.iter().find(|part| part.kind == "DERIVED" && part.name == visit.table) {
            visit.table = format!("<derived{}>", derived.number);
        }
    }
    for part in parts.iter().filter(|part| part.visits == 0 && (part.constant || steps.is_empty())) {
        let extra = vec!["No tables used"];
        found.push(Visit { select: part.number, kind: part.kind, extra, ..Visit::default() });
    }
    found.sort_by_key(|visit| visit.select);
    found
}

/// A step that begins a SELECT of its own: which kind, and under which name it is read.
fn begins(detail: &str) -> Option<(&'static str, &str)> {
    for word in ["CO-ROUTINE ", "MATERIALIZE "] {
        if let Some(name) = detail.strip_prefix(word) {
            return Some(("DERIVED", name));
        }
    }
    let first = detail.split(' ').next().unwrap_or_default();
    match first {
        "CORRELATED" => Some(("DEPENDENT SUBQUERY", "")),
        "SCALAR" | "LIST" => Some(("SUBQUERY", "")),
        "UNION" | "INTERSECT" | "EXCEPT" | "RIGHT" => Some(("UNION", "")),
        _ => None,
    }
}

/// A step that visits a table.
fn visited(detail: &str, catalog: &Catalog) -> Option<Visit> {
    let (scans, rest) = match detail.strip_prefix("SCAN ") {
        Some(rest) => (true, rest),
        None => (false, detail.strip_prefix("SEARCH ")?),
    };
    let (table, how) = rest.split_once(" USING ").unwrap_or((rest, ""));
    let table = table.strip_suffix(" LEFT-JOIN").or_else(|| table.strip_suffix(" EXISTS")).unwrap_or(table);
    let table = table.split_once(" VIRTUAL TABLE INDEX ").map_or(table, |(table, _)| table);
    let mut visit = Visit {
        table: table.to_owned(),
        access: "ALL",
        looked_up: !scans && !how.is_empty(),
        ..Visit::default()
    };
    if how.contains("COVERING INDEX ") {
        visit.extra.push("Using index");
    }
    let mut unique = None;
    if how.starts_with("INTEGER PRIMARY KEY") {
        (visit.key, unique) = ("PRIMARY".to_owned(), Some(1));
    } else if how.starts_with("PRIMARY KEY") {
        // How many columns it has shows by the table, whose other name alone is known here.
        visit.key = "PRIMARY".to_owned();
    } else if how.starts_with("AUTOMATIC") {
        visit.key = "<auto_key0>".to_owned();
    } else if let Some((_, name)) = how.split_once("INDEX ") {
        let named = |table: &std::sync::Arc<crate::storage::definition::TableDef>| {
            let keys = table.keys.iter();
            let physical = |key: &&crate::storage::definition::KeyDef| {
                let own = format!("{}.{}.{}", table.database, table.name, key.name);
                name.strip_prefix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ']))
            };
            keys.filter(physical)
                .map(|key| (key.name.clone(), key.unique.then_some(key.parts.len())))
                .max_by_key(|(name, _)| name.len())
        };
        if let Some((key, parts)) = catalog.tables().filter_map(named).max_by_key(|(name, _)| name.len()) {
            (visit.key, unique) = (key, parts);
        }
    }
    let tests = how.rsplit_once('(').map_or("", |(_, tests)| tests);
    let equal = tests.split(" AND ").filter(|test| test.contains("=?") && !test.contains(['<', '>'])).count();
    visit.access = match (scans, how.is_empty()) {
        // A search without a key goes through the table for the least or the greatest value.
        (_, true) => "ALL",
        (true, false) => "index",
        _ if tests.contains(['<', '>']) || tests.is_empty() => "range",
        _ if unique.is_some_and(|parts| equal >= parts) => "eq_ref",
        _ => "ref",
    };
    if how.starts_with("VIRTUAL") || rest.contains(" VIRTUAL TABLE ") {
        (visit.access, visit.key) = ("ALL", String::new());
    }
    Some(visit)
}

/// What an equality is, by where its value comes from.
fn settle(visit: &mut Visit, alone: bool, lists: bool) {
    let equal = ["eq_ref", "ref"].contains(&visit.access);
    if equal && lists {
        visit.access = "range";
    } else if equal && alone {
        visit.reference = "const";
        if visit.access == "eq_ref" {
            visit.access = "const";
        }
    }
    if ["const", "eq_ref"].contains(&visit.access) {
        visit.rows = Some(1);
    }
}
