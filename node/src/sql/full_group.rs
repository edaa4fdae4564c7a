//! `ONLY_FULL_GROUP_BY`: a column beside aggregates has to be the same in all rows of a group.
//!
//! MySQL refuses (1055, 1140) a query that shows a column of any row of its group. Whether a column depends on those that group is a question of
//! keys and equalities; this asks it of queries on one table whose WHERE does not name the column, and lets the others pass: what is refused here MySQL
//! refuses, and not the other way round. Not here: ORDER BY, HAVING and DISTINCT.

use sqlparser::ast::{Expr, GroupByExpr, Select, SelectItem, Value};

use super::expression::Translator;
use super::scope::Source;
use super::titles::bare;
use crate::SqlError;
use crate::storage::definition::TableDef;

impl Translator<'_> {
    /// Refuses a query that shows a column of any row, where `sql_mode` says so. The scope is that of the query.
    pub(super) fn check_groups(&self, select: &Select) -> Result<(), SqlError> {
        let GroupByExpr::Expressions(groups, _) = &select.group_by else { return Ok(()) };
        let grouped = !groups.is_empty();
        if !(grouped || self.aggregates) || !self.env.variables.mode("ONLY_FULL_GROUP_BY") {
            return Ok(());
        }
        let Some([source]) = self.scope().map(|scope| scope.sources.as_slice()) else { return Ok(()) };
        let Some(table) = table_of(source) else { return Ok(()) };
        let Some(groups) = groups
            .iter()
            .map(|group| grouping(group, select, table, &source.alias))
            .collect::<Option<Vec<_>>>()
        else {
            return Ok(());
        };
        if grouped && is_keyed(table, &groups) {
            return Ok(());
        }
        let condition =
            select.selection.as_ref().map(|test| test.to_string().to_lowercase()).unwrap_or_default();
        for (n, item) in select.projection.iter().enumerate() {
            let Some(at) = shown(item).and_then(|expr| column(expr, table, &source.alias)) else { continue };
            let name = &table.columns[at].name;
            if groups.contains(&at) || condition.contains(&name.to_lowercase()) {
                continue;
            }
            return Err(refused(n + 1, &format!("{}.{}.{name}", table.database, source.alias), grouped));
        }
        Ok(())
    }
}

fn refused(number: usize, column: &str, grouped: bool) -> SqlError {
    const MODE: &str = "this is incompatible with sql_mode=only_full_group_by";
    match grouped {
        true => SqlError::new(
            1055,
            "42000",
            format!(
                "Expression #{number} of SELECT list is not in GROUP BY clause and contains nonaggregated column \
                 '{column}' which is not functionally dependent on columns in GROUP BY clause; {MODE}"
            ),
        ),
        false => SqlError::new(
            1140,
            "42000",
            format!(
                "In aggregated query without GROUP BY, expression #{number} of SELECT list contains nonaggregated \
                 column '{column}'; {MODE}"
            ),
        ),
    }
}

/// The table behind a source, if it is one as it is.
fn table_of(source: &Source) -> Option<&TableDef> {
    let mut origins = source.columns.iter().map(|column| column.origin.as_ref().map(|origin| &origin.table));
    origins.next().flatten().map(AsRef::as_ref).filter(|_| origins.all(|origin| origin.is_some()))
}

fn shown(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(bare(expr)),
        _ => None,
    }
}

/// The column that an expression is.
fn column(expr: &Expr, table: &TableDef, alias: &str) -> Option<usize> {
    match expr {
        Expr::Identifier(name) => table.position(&name.value),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., of, name] if of.value.eq_ignore_ascii_case(alias) => table.position(&name.value),
            _ => None,
        },
        _ => None,
    }
}

/// The column that a part of GROUP BY is, by its name, its place in the select list or its alias there; none if it is something else.
fn grouping(group: &Expr, select: &Select, table: &TableDef, alias: &str) -> Option<usize> {
    let group = bare(group);
    if let Expr::Value(value) = group
        && let Value::Number(text, _) = &value.value
    {
        let at: usize = text.parse().ok()?;
        return column(shown(select.projection.get(at.checked_sub(1)?)?)?, table, alias);
    }
    column(group, table, alias).or_else(|| {
        let Expr::Identifier(named) = group else { return None };
        select.projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias: own }
                if own.value.eq_ignore_ascii_case(&named.value) =>
            {
                column(bare(expr), table, alias)
            }
            _ => None,
        })
    })
}

/// Whether these columns tell the row.
fn is_keyed(table: &TableDef, columns: &[usize]) -> bool {
    table.keys.iter().filter(|key| key.unique).any(|key| {
        key.columns().all(|at| columns.contains(&at) && !table.columns[at].nullable)
            && key.parts.iter().all(|(_, prefix)| prefix.is_none())
    })
}
