//! Which transactions are short: the next in the queue of writers may be handed an open one behind them ([`crate::storage::pen`]).
//!
//! Nobody can know how long a statement takes before it runs. Short is what names its rows: values to insert, or a test that a column equals
//! something; with no subquery anywhere. Where no index helps such a test the table is read through, and those before it in its group
//! wait for that; they lose time by it, and nothing else.

use sqlparser::ast::{
    Assignment, BinaryOperator, Delete, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Insert,
    OnInsert, SetExpr, Statement, Update,
};

use crate::change::Body;

/// So many rows are few.
const FEW_ROWS: usize = 16;

/// Whether a statement writes few rows that it names.
pub(super) fn statement_is_short(statement: &Statement) -> bool {
    match statement {
        Statement::Insert(insert) => insert_is_short(insert),
        Statement::Update(Update { assignments, selection, table, .. }) => {
            table.joins.is_empty() && plain_values(assignments) && names_rows(selection.as_ref())
        }
        Statement::Delete(Delete { selection, using, .. }) => {
            using.is_none() && names_rows(selection.as_ref())
        }
        _ => false,
    }
}

/// Whether a transaction of another node changes few rows, each named by its key.
pub(super) fn body_is_short(body: &Body) -> bool {
    matches!(body, Body::Rows(changes) if changes.len() <= FEW_ROWS)
}

fn insert_is_short(insert: &Insert) -> bool {
    let few = match insert.source.as_deref().map(|source| source.body.as_ref()) {
        Some(SetExpr::Values(values)) => {
            values.rows.len() <= FEW_ROWS && values.rows.iter().all(|row| row.iter().all(is_plain))
        }
        Some(_) => false,
        None => plain_values(&insert.assignments),
    };
    few && match &insert.on {
        None => true,
        Some(OnInsert::DuplicateKeyUpdate(updates)) => plain_values(updates),
        Some(_) => false,
    }
}

fn plain_values(assignments: &[Assignment]) -> bool {
    assignments.iter().all(|assignment| is_plain(&assignment.value))
}

/// Whether one of the tests that all have to hold says what a column equals.
fn names_rows(selection: Option<&Expr>) -> bool {
    fn names(test: &Expr) -> bool {
        match test {
            Expr::Nested(inner) => names(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => names(left) || names(right),
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                is_column(left) && !is_column(right) || is_column(right) && !is_column(left)
            }
            _ => false,
        }
    }
    selection.is_some_and(|test| names(test) && is_plain(test))
}

fn is_column(expression: &Expr) -> bool {
    matches!(expression, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

/// Whether an expression is made of values, columns and calls, with no query in it.
fn is_plain(expression: &Expr) -> bool {
    match expression {
        Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_) => true,
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } | Expr::IsNull(inner) | Expr::IsNotNull(inner) => {
            is_plain(inner)
        }
        Expr::BinaryOp { left, right, .. } => is_plain(left) && is_plain(right),
        Expr::Function(call) => match &call.args {
            FunctionArguments::None => true,
            FunctionArguments::Subquery(_) => false,
            FunctionArguments::List(list) => list.args.iter().all(|argument| {
                matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(inner)) if is_plain(inner))
            }),
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::Text;

    fn is_short(sql: &str) -> bool {
        statement_is_short(&Text::new(sql.as_bytes()).unwrap().statement().unwrap())
    }

    #[test]
    fn short_is_what_names_its_rows() {
        for sql in [
            "INSERT INTO t VALUES (1, 'a'), (2, NOW())",
            "INSERT INTO t SET a = 1, b = CONCAT('x', UUID())",
            "INSERT INTO t (a) VALUES (-1) ON DUPLICATE KEY UPDATE a = VALUES(a) + 1",
            "REPLACE INTO t VALUES (?, ?)",
            "UPDATE t SET a = a + 1 WHERE id = 7",
            "UPDATE t SET a = 1 WHERE (t.id = ? AND v > 3) AND w IS NULL",
            "DELETE FROM t WHERE 'x' = name",
        ] {
            assert!(is_short(sql), "{sql}");
        }
        for sql in [
            "INSERT INTO t SELECT * FROM u",
            "INSERT INTO t VALUES ((SELECT COUNT(*) FROM u))",
            "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = (SELECT COUNT(*) FROM u)",
            "UPDATE t SET a = 1",
            "UPDATE t SET a = 1 WHERE id > 7",
            "UPDATE t SET a = 1 WHERE a = b",
            "UPDATE t SET a = (SELECT 1 FROM u) WHERE id = 7",
            "UPDATE t SET a = 1 WHERE id = 7 OR v = 2",
            "DELETE FROM t WHERE id = 7 AND EXISTS (SELECT 1 FROM u)",
            "DELETE FROM t",
            "CREATE TABLE t (a INT)",
        ] {
            assert!(!is_short(sql), "{sql}");
        }
        let rows = vec!["(1)"; FEW_ROWS + 1].join(", ");
        assert!(!is_short(&format!("INSERT INTO t VALUES {rows}")));
    }
}
