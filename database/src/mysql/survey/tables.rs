//! The tables of a survey: what keeps their rows, what names them, and what else there is that can differ between nodes.
//!
//! Columns are those that a check reads ([`crate::Reader::tables`]), so that both agree on what differs. Not here: defaults, foreign keys,
//! partitions.

use super::Unknown;
use crate::error::{Error, Result};
use crate::mysql::{Connection, LEDGER};
use crate::{Reader, Table};
use std::collections::BTreeMap;

/// Databases whose objects belong to the server.
const SYSTEM: &str =
    "('mysql', 'information_schema', 'performance_schema', 'sys', 'mysql_innodb_cluster_metadata')";

type ByTable = BTreeMap<(String, String), Vec<Vec<Option<String>>>>;

/// A table, as far as replication and repair care.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SurveyedTable {
    /// Its database.
    pub database: String,
    /// Its name.
    pub name: String,
    /// What keeps its rows.
    pub engine: String,
    /// Whether a primary key, or a unique key without NULLs, names each row.
    pub keyed: bool,
    /// Names and definitions of the columns, in order.
    pub columns: Vec<(String, String)>,
    /// The indexes, each as its name, whether it is unique, and its columns; in order of name.
    pub indexes: Vec<String>,
    /// The names of its triggers, as far as this account is shown them.
    pub triggers: Vec<String>,
}

impl SurveyedTable {
    /// `database.name`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.database, self.name)
    }
}

impl Connection {
    pub(super) async fn surveyed_tables(
        &mut self,
        unknown: &mut Vec<Unknown>,
    ) -> Result<Option<Vec<SurveyedTable>>> {
        let tables = match self.tables().await {
            Ok(tables) => tables,
            Err(error @ Error::Unreachable { .. }) => return Err(error),
            Err(error) => {
                unknown.push(Unknown { what: "its tables".into(), reason: error.to_string(), grant: None });
                return Ok(None);
            }
        };
        let engines =
            self.by_table("TABLE_SCHEMA, TABLE_NAME, ENGINE", "TABLES", "TABLE_SCHEMA", unknown).await?;
        let indexes =
            "TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME, NON_UNIQUE, NULLABLE, SUB_PART, SEQ_IN_INDEX";
        let indexes = self.by_table(indexes, "STATISTICS", "TABLE_SCHEMA", unknown).await?;
        // a trigger is in the database of its table
        let triggers = "TRIGGER_SCHEMA, EVENT_OBJECT_TABLE, TRIGGER_NAME";
        let triggers = self.by_table(triggers, "TRIGGERS", "TRIGGER_SCHEMA", unknown).await?;
        let surveyed = tables.iter().map(|table| {
            let of = (table.database.to_string(), table.name.to_string());
            let first = |rows: &ByTable| -> Vec<String> {
                rows.get(&of).into_iter().flatten().filter_map(|row| row.first().cloned().flatten()).collect()
            };
            let (indexes, keyed) = indexes_of(indexes.get(&of).map_or(&[], Vec::as_slice));
            let mut triggers = first(&triggers);
            triggers.sort();
            SurveyedTable {
                engine: first(&engines).pop().unwrap_or_default(),
                keyed,
                columns: columns_of(table),
                indexes,
                triggers,
                database: of.0.clone(),
                name: of.1.clone(),
            }
        });
        Ok(Some(surveyed.collect()))
    }

    /// Rows of `information_schema` by the table that their first two columns name.
    async fn by_table(
        &mut self,
        columns: &str,
        view: &str,
        schema: &str,
        unknown: &mut Vec<Unknown>,
    ) -> Result<ByTable> {
        let sql = format!(
            "SELECT {columns} FROM information_schema.{view} WHERE {schema} NOT IN {SYSTEM} AND {schema} <> '{LEDGER}'"
        );
        let mut tables = ByTable::new();
        let Some(answer) = self.may_ask(&format!("its {}", view.to_lowercase()), &sql, unknown).await? else {
            return Ok(tables);
        };
        for mut row in answer.rows {
            let rest = row.split_off(row.len().min(2));
            if let [Some(database), Some(table)] = row.as_slice() {
                tables.entry((database.clone(), table.clone())).or_default().push(rest);
            }
        }
        Ok(tables)
    }
}

fn columns_of(table: &Table) -> Vec<(String, String)> {
    table.columns.iter().map(|column| (column.name.to_string(), column.definition.to_string())).collect()
}

/// The indexes of a table in one form, and whether one of them names each row.
fn indexes_of(rows: &[Vec<Option<String>>]) -> (Vec<String>, bool) {
    /// Whether it is unique, whether it can name a row, and its columns by their places.
    type Index<'a> = (bool, bool, Vec<(u32, String)>);
    let mut indexes: BTreeMap<&str, Index<'_>> = BTreeMap::new();
    for row in rows {
        let [Some(name), column, Some(non_unique), null, part, Some(place)] = row.as_slice() else {
            continue;
        };
        let (unique, whole) = (non_unique == "0", part.is_none());
        let index = indexes.entry(name).or_insert((unique, unique, Vec::new()));
        index.1 &= whole && column.is_some() && null.as_deref() != Some("YES");
        let part = part.as_deref().map_or_else(String::new, |part| format!("({part})"));
        let column = format!("{}{part}", column.as_deref().unwrap_or("an expression"));
        index.2.push((place.parse().unwrap_or(0), column));
    }
    let keyed = indexes.values().any(|(_, names_rows, _)| *names_rows);
    let texts = indexes.into_iter().map(|(name, (unique, _, mut columns))| {
        columns.sort();
        let columns: Vec<String> = columns.into_iter().map(|(_, column)| column).collect();
        format!("{}{name} ({})", if unique { "unique " } else { "" }, columns.join(", "))
    });
    (texts.collect(), keyed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[[Option<&str>; 6]]) -> Vec<Vec<Option<String>>> {
        rows.iter().map(|row| row.iter().map(|cell| cell.map(str::to_owned)).collect()).collect()
    }

    #[test]
    fn an_index_names_rows_only_if_it_is_unique_whole_and_without_nulls() {
        let one = |name, unique, null, part| {
            rows(&[[Some(name), Some("a"), Some(unique), Some(null), part, Some("1")]])
        };
        assert_eq!(indexes_of(&one("PRIMARY", "0", "", None)), (vec!["unique PRIMARY (a)".into()], true));
        assert_eq!(indexes_of(&one("u", "0", "YES", None)), (vec!["unique u (a)".into()], false));
        assert_eq!(indexes_of(&one("p", "0", "", Some("10"))), (vec!["unique p (a(10))".into()], false));
        assert_eq!(indexes_of(&one("i", "1", "", None)), (vec!["i (a)".into()], false));
        assert_eq!(indexes_of(&[]), (vec![], false));
        let two = rows(&[
            [Some("PRIMARY"), Some("b"), Some("0"), Some(""), None, Some("2")],
            [Some("PRIMARY"), Some("a"), Some("0"), Some(""), None, Some("1")],
        ]);
        assert_eq!(indexes_of(&two), (vec!["unique PRIMARY (a, b)".into()], true));
    }
}
