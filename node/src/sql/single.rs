//! Subqueries that stand for one value.
//!
//! MySQL refuses one that gives several rows (1242); SQLite takes the first. So its rows go through an aggregate that fails at
//! the second, unless the query is one that cannot have two.
//!
//! Not here: subqueries behind IN and EXISTS, and rows of several values.

use rusqlite::functions::{Aggregate, Context};
use rusqlite::types::Value as Stored;
use rusqlite::{Connection, Result};
use sqlparser::ast::{Expr, GroupByExpr, LimitClause, Query, Select, SelectItem, SetExpr, Value};

use super::expression::{Piece, Translator};
use super::functions::{PURE, fail};
use super::scope::Digits;
use crate::SqlError;

/// Calls that make one row of all, where nothing groups them.
const OVER_ALL: [&str; 5] = ["COUNT", "SUM", "AVG", "MIN", "MAX"];

impl Translator<'_> {
    /// A subquery as a value.
    pub(super) fn scalar(&mut self, query: &Query) -> std::result::Result<Piece, SqlError> {
        let single = gives_one_row(query);
        self.in_full = Digits::All;
        let compiled = self.query(query, None)?;
        let [only] = compiled.columns.as_slice() else {
            return Err(SqlError::new(1241, "21000", "Operand should contain 1 column(s)"));
        };
        let sql = match single {
            true => format!("({})", compiled.sql),
            // SQLite gives some columns of a subquery other names than it was told
            false => {
                format!("(WITH single_(value_) AS ({}) SELECT my_single(value_) FROM single_)", compiled.sql)
            }
        };
        Ok(Piece::digits(sql, only.kind, only.beyond))
    }
}

fn gives_one_row(query: &Query) -> bool {
    let one =
        |expr: &Expr| matches!(expr, Expr::Value(v) if matches!(&v.value, Value::Number(n, _) if n == "1"));
    let limited = match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit: Some(limit), .. }) => one(limit),
        Some(LimitClause::OffsetCommaLimit { limit, .. }) => one(limit),
        _ => false,
    };
    limited || matches!(query.body.as_ref(), SetExpr::Select(select) if is_one_row(select))
}

fn is_one_row(select: &Select) -> bool {
    let over_all = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(Expr::Function(call))
        | SelectItem::ExprWithAlias { expr: Expr::Function(call), .. } => {
            OVER_ALL.iter().any(|name| call.name.to_string().eq_ignore_ascii_case(name))
        }
        _ => false,
    };
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
    select.from.is_empty() || (ungrouped && select.projection.iter().all(over_all))
}

/// The only value of all rows.
struct Single;

impl Aggregate<Option<Stored>, Stored> for Single {
    fn init(&self, _: &mut Context<'_>) -> Result<Option<Stored>> {
        Ok(None)
    }

    fn step(&self, ctx: &mut Context<'_>, value: &mut Option<Stored>) -> Result<()> {
        match value.replace(ctx.get(0)?) {
            None => Ok(()),
            Some(_) => Err(fail(&SqlError::new(1242, "21000", "Subquery returns more than 1 row"))),
        }
    }

    fn finalize(&self, _: &mut Context<'_>, value: Option<Option<Stored>>) -> Result<Stored> {
        Ok(value.flatten().unwrap_or(Stored::Null))
    }
}

pub(super) fn register(conn: &Connection) -> Result<()> {
    conn.create_aggregate_function("my_single", 1, PURE, Single)
}
