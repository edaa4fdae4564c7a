//! How much a transaction is to write. Where it is little, the one before may hand it the pen with the transaction open ([`crate::storage::pen`]).
//!
//! Nobody can know how long a statement takes before it runs. Short is what names its rows: a few values to insert, or a test that all columns of a
//! unique key equal something, so that there is one row at most; with no subquery anywhere. What a group waits for behind a
//! statement, and loses if that one is stopped in the midst of a write, is therefore little.
//!
//! The definition is the one that was read last. Where it is out of date the guess is bad, and nothing worse.

use sqlparser::ast::{
    Assignment, AssignmentTarget, BinaryOperator, Delete, Expr, FunctionArg, FunctionArgExpr,
    FunctionArguments, Insert, OnInsert, SetExpr, Statement, Update,
};

use crate::change::Body;
use crate::storage::definition::TableDef;
use crate::storage::writer_lock::Extent;

/// So many rows are few.
const FEW_ROWS: usize = 16;

/// How much a statement writes to a table of this definition, if one is known.
pub(super) fn extent_of_statement(statement: &Statement, table: Option<&TableDef>) -> Extent {
    let one_row = match statement {
        Statement::Insert(insert) => match rows_of(insert) {
            Some(1) if insert.on.is_none() && !insert.replace_into => true,
            Some(1..=FEW_ROWS) => return Extent::FewRows,
            _ => false,
        },
        // The counter of automatic keys goes along before the row is written.
        Statement::Update(Update { assignments, selection, .. }) if sets_automatic(assignments, table) => {
            let row = plain_values(assignments) && names_a_row(selection.as_ref(), table);
            return if row { Extent::FewRows } else { Extent::Unknown };
        }
        Statement::Update(Update { assignments, selection, table: from, .. }) => {
            from.joins.is_empty() && plain_values(assignments) && names_a_row(selection.as_ref(), table)
        }
        Statement::Delete(Delete { selection, using, .. }) => {
            using.is_none() && names_a_row(selection.as_ref(), table)
        }
        _ => false,
    };
    if one_row { Extent::OneRow } else { Extent::Unknown }
}

/// How much a transaction of another node writes, with what the link notes beside it.
pub(super) fn extent_of_body(body: &Body) -> Extent {
    match body {
        Body::Rows(changes) if changes.len() <= FEW_ROWS => Extent::FewRows,
        _ => Extent::Unknown,
    }
}

/// Whether a transaction of another node is short.
#[must_use]
pub fn is_short(body: &Body) -> bool {
    extent_of_body(body).is_short()
}

/// How many rows of plain values are given; none if they are not plain.
fn rows_of(insert: &Insert) -> Option<usize> {
    let rows = match insert.source.as_deref().map(|source| source.body.as_ref()) {
        Some(SetExpr::Values(values)) if values.rows.iter().all(|row| row.iter().all(is_plain)) => {
            values.rows.len()
        }
        Some(_) => return None,
        None => plain_values(&insert.assignments).then_some(1)?,
    };
    match &insert.on {
        None => Some(rows),
        Some(OnInsert::DuplicateKeyUpdate(updates)) => plain_values(updates).then_some(rows),
        Some(_) => None,
    }
}

fn sets_automatic(assignments: &[Assignment], table: Option<&TableDef>) -> bool {
    let automatic = table.and_then(|table| table.columns.iter().find(|column| column.auto_increment));
    let is = |target: &AssignmentTarget, name: &str| match target {
        AssignmentTarget::ColumnName(target) => target
            .0
            .last()
            .and_then(|part| part.as_ident())
            .is_some_and(|ident| ident.value.eq_ignore_ascii_case(name)),
        AssignmentTarget::Tuple(_) => true,
    };
    automatic.is_some_and(|column| assignments.iter().any(|one| is(&one.target, &column.name)))
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
    fn extent(sql: &str) -> Extent {
        let inside = Inside::new();
        let mut session = inside.session();
        run(
            &mut session,
            "CREATE TABLE t (id INT PRIMARY KEY, a INT, v INT, w INT, UNIQUE KEY vw (v, w), KEY a (a))",
        );
        run(&mut session, "SELECT * FROM t");
        let statement = Text::new(sql.as_bytes()).unwrap().statement().unwrap();
        extent_of_statement(&statement, inside.engine.store.known_table("shop", "t").as_deref())
    }

    #[test]
    fn little_is_what_names_its_rows() {
        for sql in [
            "INSERT INTO t VALUES (1, 'a'), (2, NOW())",
            "INSERT INTO t SET a = 1, b = CONCAT('x', UUID())",
            "INSERT INTO t (a) VALUES (-1) ON DUPLICATE KEY UPDATE a = VALUES(a) + 1",
            "REPLACE INTO t VALUES (?, ?)",
            "UPDATE t SET a = a + 1 WHERE id = 7",
            "UPDATE t SET a = 1 WHERE (t.id = ? AND v > 3) AND w IS NULL",
            "DELETE FROM t WHERE 'x' = v AND W = 3",
        ] {
            assert_ne!(extent(sql), Extent::Unknown, "{sql}");
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
            assert_eq!(extent(sql), Extent::Unknown, "{sql}");
        }
        let rows = vec!["(1)"; FEW_ROWS + 1].join(", ");
        assert_eq!(extent(&format!("INSERT INTO t VALUES {rows}")), Extent::Unknown);
        for sql in [
            "INSERT INTO t VALUES (1, 2, 3, 4)",
            "UPDATE t SET a = 2 WHERE id = 1",
            "DELETE FROM t WHERE id = 1",
        ] {
            assert_eq!(extent(sql), Extent::OneRow, "{sql}");
        }
        for sql in [
            "INSERT INTO t VALUES (1), (2)",
            "REPLACE INTO t VALUES (1)",
            "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 1",
        ] {
            assert_eq!(extent(sql), Extent::FewRows, "{sql}");
        }
    }
}
