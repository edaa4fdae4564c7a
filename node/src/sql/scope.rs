//! Names and what they stand for: the tables of a query's FROM, and the columns of each.

use std::sync::Arc;

use super::types::Kind;
use crate::SqlError;
use crate::storage::definition::{TableDef, quote};

/// A column of a table, as it is.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The table.
    pub table: Arc<TableDef>,
    /// The column's position.
    pub column: usize,
    /// The name that the query gives the table.
    pub alias: String,
}

/// One column that a source offers.
#[derive(Clone, Debug)]
pub struct SourceColumn {
    /// Its name.
    pub name: String,
    /// The kind of its values.
    pub kind: Kind,
    /// Where it comes from, if it is a table's column as it is.
    pub origin: Option<Origin>,
    /// Whether the source gives more of it than its kind says.
    pub beyond: bool,
    /// Whether `*` and bare names pass it over, because a join has merged it with one on the left.
    pub merged: bool,
}

impl SourceColumn {
    /// A column that is no table's.
    #[must_use]
    pub fn new(name: String, kind: Kind, beyond: bool) -> SourceColumn {
        SourceColumn { name, kind, origin: None, beyond, merged: false }
    }
}

/// One table of a FROM.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name that the query gives it.
    pub alias: String,
    /// The database, for a table without an alias.
    pub database: String,
    /// Its columns.
    pub columns: Vec<SourceColumn>,
}

impl Source {
    /// A table of the catalog under a name.
    #[must_use]
    pub fn of_table(table: &Arc<TableDef>, alias: &str) -> Source {
        let columns = table
            .columns
            .iter()
            .enumerate()
            .map(|(column, def)| SourceColumn {
                name: def.name.clone(),
                kind: def.kind(),
                origin: Some(Origin { table: Arc::clone(table), column, alias: alias.to_owned() }),
                beyond: false,
                merged: false,
            })
            .collect();
        Source { alias: alias.to_owned(), database: table.database.clone(), columns }
    }

    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&SourceColumn> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// SQLite's name of one of its columns.
    #[must_use]
    pub fn sql(&self, column: &SourceColumn) -> String {
        format!("{}.{}", quote(&self.alias), quote(&column.name))
    }
}

/// The tables of one query.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// In the order of the FROM.
    pub sources: Vec<Source>,
}

impl Scope {
    /// The source and column that a bare name means here; more than one is error 1052.
    pub fn find(&self, name: &str) -> Result<Option<(&Source, &SourceColumn)>, SqlError> {
        let mut found = None;
        for source in &self.sources {
            let Some(column) = source.column(name).filter(|column| !column.merged) else { continue };
            if found.is_some() {
                let message = format!("Column '{name}' in field list is ambiguous");
                return Err(SqlError::new(1052, "23000", message));
            }
            found = Some((source, column));
        }
        Ok(found)
    }

    /// The source that `table` or `database.table` means here.
    #[must_use]
    pub fn source(&self, database: Option<&str>, table: &str) -> Option<&Source> {
        self.sources
            .iter()
            .find(|source| source.alias == table && database.is_none_or(|d| d == source.database))
    }
}

/// How many digits a query gives of what has more than its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Digits {
    /// Those of the kind: a client sees them, or they are rows of their own.
    #[default]
    OfKind,
    /// All, where MariaDB merges the query into the one around it: it neither groups nor limits.
    OfMerged,
    /// All: the query is one value of an expression, or its rows are stored.
    All,
}

impl Digits {
    /// Whether a query gives all digits, if it groups or does not.
    #[must_use]
    pub fn in_full(self, grouped: bool) -> bool {
        match self {
            Digits::OfKind => false,
            Digits::OfMerged => !grouped,
            Digits::All => true,
        }
    }
}
