//! Which transactions are short: the next in the queue of writers may be handed an open one behind them ([`crate::storage::pen`]).
//!
//! Nobody can know how long a statement takes before it runs. Short is what names its rows: a few values to insert, or a test that all columns of a
//! unique key equal something, so that there is one row at most; with no subquery anywhere. What a group waits for behind a
//! statement, and loses if that one is stopped in the midst of a write, is therefore little.
//!
//! The definition is the one that was read last. Where it is out of date the guess is bad, and nothing worse.

use sqlparser::ast::{
    Assignment, BinaryOperator, Delete, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Insert,
    OnInsert, SetExpr, Statement, Update,
};

use crate::change::Body;
use crate::storage::definition::TableDef;

/// So many rows are few.
const FEW_ROWS: usize = 16;

/// Whether a statement writes few rows that it names, in a table of this definition if one is known.
pub(super) fn statement_is_short(statement: &Statement, table: Option<&TableDef>) -> bool {
    match statement {
        Statement::Insert(insert) => insert_is_short(insert),
        Statement::Update(Update { assignments, selection, table: from, .. }) => {
            from.joins.is_empty() && plain_values(assignments) && names_a_row(selection.as_ref(), table)
        }
        Statement::Delete(Delete { selection, using, .. }) => {
            using.is_none() && names_a_row(selection.as_ref(), table)
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

/// Whether the tests that all have to hold say what the columns of a unique key equal.
fn names_a_row(selection: Option<&Expr>, table: Option<&TableDef>) -> bool {
    let (Some(test), Some(table)) = (selection, table) else { return false };
    let mut given = Vec::new();
    is_plain(test) && {
        equal_columns(test, &mut given);
        let is_given = |at| given.iter().any(|name| table.position(name) == Some(at));
        table.keys.iter().any(|key| key.unique && key.columns().all(is_given))
    }
}

/// The columns that have to equal a value.
fn equal_columns<'e>(test: &'e Expr, found: &mut Vec<&'e str>) {
    match test {
        Expr::Nested(inner) => equal_columns(inner, found),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            equal_columns(left, found);
            equal_columns(right, found);
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => match (column(left), column(right)) {
            (Some(name), None) | (None, Some(name)) => found.push(name),
            _ => {}
        },
        _ => {}
    }
}

fn column(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.as_str()),
        _ => None,
    }
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
    use crate::session::tests::{Inside, run};
    use crate::sql::parse::Text;

    /// With a primary key over `id` and a unique one over `v` and `w`.
    fn is_short(sql: &str) -> bool {
        let inside = Inside::new();
        let mut session = inside.session();
        run(
            &mut session,
            "CREATE TABLE t (id INT PRIMARY KEY, a INT, v INT, w INT, UNIQUE KEY vw (v, w), KEY a (a))",
        );
        run(&mut session, "SELECT * FROM t");
        let statement = Text::new(sql.as_bytes()).unwrap().statement().unwrap();
        statement_is_short(&statement, inside.engine.store.known_table("shop", "t").as_deref())
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
            "DELETE FROM t WHERE 'x' = v AND W = 3",
        ] {
            assert!(is_short(sql), "{sql}");
        }
        for sql in [
            "INSERT INTO t SELECT * FROM u",
            "INSERT INTO t VALUES ((SELECT COUNT(*) FROM u))",
            "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = (SELECT COUNT(*) FROM u)",
            "UPDATE t SET a = 1",
            "UPDATE t SET v = 1 WHERE a = 7",
            "UPDATE t SET a = 1 WHERE v = 7 AND w > 3",
            "UPDATE t SET a = 1 WHERE v = 7 AND w = id",
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
