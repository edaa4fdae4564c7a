//! What the session has to know of a statement before it runs: whether it waits, reads, or counts what it leaves out.

use sqlparser::ast::{Query, Select, SetExpr};

/// Whether a statement of administration waits for others, or changes what a transaction has no part in.
pub(super) fn waits_or_commits(words: &[&str]) -> bool {
    match words {
        ["SELECT", call, ..] => !call.starts_with("GTID_") && !call.starts_with("EVENSUM_"),
        [first, ..] => !["KILL", "SHUTDOWN"].contains(first),
        [] => false,
    }
}

/// The query without its SQL_CALC_FOUND_ROWS, if its first SELECT says that.
pub(super) fn counts_all(query: &Query) -> Option<Query> {
    fn first(body: &SetExpr) -> Option<&Select> {
        match body {
            SetExpr::Select(select) => Some(select),
            SetExpr::SetOperation { left, .. } => first(left),
            _ => None,
        }
    }
    fn take(body: &mut SetExpr) {
        match body {
            SetExpr::Select(select) => {
                if let Some(modifiers) = &mut select.select_modifiers {
                    modifiers.sql_calc_found_rows = false;
                }
            }
            SetExpr::SetOperation { left, .. } => take(left),
            _ => {}
        }
    }
    first(&query.body)?.select_modifiers.as_ref().filter(|modifiers| modifiers.sql_calc_found_rows)?;
    let mut plain = query.clone();
    take(&mut plain.body);
    Some(plain)
}

/// Whether a query is one of values only.
pub(super) fn reads_no_table(query: &Query) -> bool {
    matches!(query.body.as_ref(), SetExpr::Select(select) if select.from.is_empty())
        && !query.to_string().contains(" FROM ")
}
