//! `information_schema`: the catalog as tables that can be queried.
//!
//! A table is made when a statement names it: its rows travel to SQLite as one JSON value, which `json_each`
//! turns into rows. So filters, joins and order work as on any table. The columns are MySQL 8.0's, with four tables
//! that MySQL 5.7 and MariaDB have and clients still ask (`GLOBAL_VARIABLES` and its kin). What tells of databases and tables is in
//! [`catalog`], what tells of the server in [`server`], and what is always empty in [`absent`].

mod absent;
pub mod catalog;
pub mod privileges;
pub mod server;

use serde_json::Value as Json;

use super::expression::Environment;
use super::types::Kind;
use crate::SqlError;
use crate::accounts;
use crate::storage::definition::quote;

/// One of the tables.
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns; one of whole numbers has a `+` before its name.
    pub columns: &'static str,
    /// Makes its rows: an array each.
    pub rows: fn(&Environment<'_>) -> Vec<Json>,
}

/// A table made on use.
pub struct View {
    /// The rows, as an array of arrays.
    pub json: String,
    /// The columns.
    pub columns: Vec<(String, Kind)>,
}

impl View {
    /// A view of these columns and rows.
    #[must_use]
    pub fn new(columns: &[(&str, Kind)], rows: Vec<Json>) -> View {
        View {
            json: Json::Array(rows).to_string(),
            columns: columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect(),
        }
    }

    /// A view whose columns are written as those of a [`Table`], with `~` for a blank in a name.
    #[must_use]
    pub fn of(columns: &str, rows: Vec<Json>) -> View {
        let mut view = View::new(&columns_of(columns), rows);
        view.columns.iter_mut().for_each(|(name, _)| *name = name.replace('~', " "));
        view
    }

    /// SQLite's derived table over the rows, which are bound as that parameter.
    #[must_use]
    pub fn derived(&self, parameter: usize, alias: &str) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, (name, _))| format!("value ->> {at} AS {}", quote(name)))
            .collect();
        format!("(SELECT {} FROM json_each(?{parameter})) AS {}", columns.join(", "), quote(alias))
    }
}

/// The columns that such a text names, separated by blanks.
fn columns_of(text: &str) -> Vec<(&str, Kind)> {
    text.split(' ')
        .map(|column| match column.strip_prefix('+') {
            Some(number) => (number, Kind::Int { unsigned: true }),
            None => (column, Kind::TEXT),
        })
        .collect()
}

/// All tables, in the order of their names.
#[must_use]
pub fn all() -> Vec<&'static Table> {
    let mut all: Vec<&Table> =
        [absent::TABLES, catalog::TABLES, privileges::TABLES, server::TABLES].into_iter().flatten().collect();
    all.sort_by_key(|table| table.name);
    all
}

/// The table of that name, or error 1109.
pub fn table(name: &str) -> Result<&'static Table, SqlError> {
    all().into_iter().find(|table| table.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        SqlError::new(1109, "42S02", format!("Unknown table '{}' in information_schema", name.to_uppercase()))
    })
}

/// The view of that name, if the database is `information_schema`.
pub fn view(env: &Environment<'_>, database: &str, name: &str) -> Result<Option<View>, SqlError> {
    let facts = env.facts;
    if database == "mysql" {
        return Ok(accounts::views::table(&facts.accounts.roster(), &facts.rights, name));
    }
    if !database.eq_ignore_ascii_case("information_schema") {
        return Ok(None);
    }
    let table = table(name)?;
    // Nobody is told of what he has no right on.
    let visible = facts.rights.visible(env.catalog);
    Ok(Some(View::of(table.columns, (table.rows)(&Environment { catalog: &visible, ..*env }))))
}
