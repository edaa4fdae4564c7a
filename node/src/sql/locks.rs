//! Which tables a query locks: `SELECT … FOR UPDATE` and `FOR SHARE`.
//!
//! The node has one lock for all who write, so a query that locks takes its turn to write. What names no table that could
//! be locked must not do that. Not here: who may lock (`accounts::gate`).

use sqlparser::ast::{LockType, ObjectName, Query, SetExpr, TableFactor, TableWithJoins};

/// Whether the query says FOR UPDATE anywhere at its top.
#[must_use]
pub fn is_for_update(query: &Query) -> bool {
    query.locks.iter().any(|lock| lock.lock_type == LockType::Update)
        || matches!(query.body.as_ref(), SetExpr::Query(inner) if is_for_update(inner))
}

/// Whether the query takes locks: it says so, and names a table.
#[must_use]
pub fn takes_locks(query: &Query) -> bool {
    says_so(query) && !locked(query).is_empty()
}

fn says_so(query: &Query) -> bool {
    !query.locks.is_empty() || matches!(query.body.as_ref(), SetExpr::Query(inner) if says_so(inner))
}

/// The tables that the query names, also those of its derived tables and not those of other subqueries.
#[must_use]
pub fn locked(query: &Query) -> Vec<&ObjectName> {
    let mut found = Vec::new();
    of_query(query, &mut found);
    found
}

fn of_query<'q>(query: &'q Query, found: &mut Vec<&'q ObjectName>) {
    let before = found.len();
    of_body(&query.body, found);
    let Some(with) = &query.with else { return };
    let named = |name: &ObjectName| {
        let name = name.to_string();
        with.cte_tables.iter().any(|cte| cte.alias.name.value.eq_ignore_ascii_case(name.trim_matches('`')))
    };
    let tables: Vec<_> = found.drain(before..).filter(|name| !named(name)).collect();
    found.extend(tables);
    for cte in &with.cte_tables {
        of_query(&cte.query, found);
    }
}

fn of_body<'q>(body: &'q SetExpr, found: &mut Vec<&'q ObjectName>) {
    match body {
        SetExpr::Select(select) => select.from.iter().for_each(|tables| of_tables(tables, found)),
        SetExpr::Query(inner) => of_query(inner, found),
        SetExpr::SetOperation { left, right, .. } => {
            of_body(left, found);
            of_body(right, found);
        }
        _ => {}
    }
}

/// Nothing in information_schema can be locked.
fn is_view_of_the_node(name: &ObjectName) -> bool {
    let text = name.to_string().to_ascii_lowercase();
    text.replace('`', "").starts_with("information_schema.")
}

fn of_tables<'q>(tables: &'q TableWithJoins, found: &mut Vec<&'q ObjectName>) {
    let joined = tables.joins.iter().map(|join| &join.relation);
    for factor in std::iter::once(&tables.relation).chain(joined) {
        match factor {
            TableFactor::Table { name, .. } if !is_view_of_the_node(name) => found.push(name),
            TableFactor::Derived { subquery, .. } => of_query(subquery, found),
            TableFactor::NestedJoin { table_with_joins, .. } => of_tables(table_with_joins, found),
            _ => {}
        }
    }
}
