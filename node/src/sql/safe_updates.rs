//! `sql_safe_updates`: an UPDATE or DELETE that would go over a whole table is refused (1175), as in MySQL.
//!
//! It needs a LIMIT, or a WHERE that names a column with which a key begins. That is a look at names and no plan: a condition that names
//! such a column in vain passes, where MySQL would refuse it.

use sqlparser::ast::{Expr, FromTable, Statement, TableFactor, TableWithJoins};

use super::from::table_name;
use crate::SqlError;
use crate::storage::catalog::Catalog;

/// Refuses such a statement.
pub fn check(statement: &Statement, database: &str, catalog: &Catalog) -> Result<(), SqlError> {
    let (tables, test, limited) = match statement {
        Statement::Update(update) => (Some(&update.table), &update.selection, update.limit.is_some()),
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            (from.first(), &delete.selection, delete.limit.is_some())
        }
        _ => return Ok(()),
    };
    let by_key =
        || tables.zip(test.as_ref()).is_some_and(|(table, test)| names_a_key(table, test, database, catalog));
    // a DELETE of just any rows is refused whatever its limit
    let anything = test.is_none() && matches!(statement, Statement::Delete(_));
    if (limited && !anything) || by_key() {
        return Ok(());
    }
    let message = "You are using safe update mode and you tried to update a table without a WHERE that uses a KEY column";
    Err(SqlError::new(1175, "HY000", message))
}

fn names_a_key(table: &TableWithJoins, test: &Expr, database: &str, catalog: &Catalog) -> bool {
    let TableFactor::Table { name, .. } = &table.relation else { return false };
    let Ok((database, table)) = table_name(name, database) else { return false };
    let Ok(table) = catalog.require(database, table) else { return true }; // the statement itself tells
    let test = test.to_string();
    let names: Vec<&str> = test.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).collect();
    let first_columns = table.keys.iter().filter_map(|key| table.columns.get(key.columns().next()?));
    first_columns.into_iter().any(|column| names.iter().any(|name| name.eq_ignore_ascii_case(&column.name)))
}
