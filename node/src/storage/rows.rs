//! Rows in and out of SQLite's tables, one at a time, in stored form.
//!
//! Everything here knows each row before and after, which is what the binary log records. Uniqueness is
//! SQLite's own; which key was violated is found afterwards, by asking for each one.
//!
//! An automatic key is never given twice: the greatest is in the table, or was written down when its row went away
//! ([`automatic`]). So a row that stays costs no write of a counter.

use std::cell::OnceCell;
use std::sync::Arc;

use rusqlite::types::Value as Stored;
use rusqlite::{Connection, ErrorCode, params_from_iter};

use super::automatic;
use super::definition::{KeyDef, TableDef, quote};
use crate::SqlError;
use crate::change::Change;

/// Writes rows of one table; made once per statement.
pub struct RowWriter {
    /// The table.
    pub table: Arc<TableDef>,
    /// Made when it is first needed, as is the next: most statements do one thing alone.
    insert: OnceCell<String>,
    delete: OnceCell<String>,
}

/// What names one row: the values of [`TableDef::row_key`].
pub type RowKey = Vec<Stored>;

impl RowWriter {
    /// A writer for the table.
    #[must_use]
    pub fn new(table: Arc<TableDef>) -> RowWriter {
        RowWriter { insert: OnceCell::new(), delete: OnceCell::new(), table }
    }

    fn columns(&self) -> String {
        let names: Vec<String> = self.table.columns.iter().map(|column| quote(&column.name)).collect();
        names.join(", ")
    }

    /// What holds for the row with a key.
    fn key(&self) -> String {
        let key: Vec<String> = self.table.row_key().iter().map(|name| format!("{name} = ?")).collect();
        key.join(" AND ")
    }

    fn insert_sql(&self) -> &str {
        self.insert.get_or_init(|| {
            let marks: Vec<String> = (1..=self.table.columns.len()).map(|n| format!("?{n}")).collect();
            let (into, names) = (self.table.physical(), self.columns());
            format!("INSERT INTO {into} ({names}) VALUES ({})", marks.join(", "))
        })
    }

    fn delete_sql(&self) -> &str {
        self.delete.get_or_init(|| format!("DELETE FROM {} WHERE {}", self.table.physical(), self.key()))
    }

    /// Inserts a row, and gives the hidden row number.
    pub fn insert(&self, conn: &Connection, row: &[Stored]) -> Result<i64, SqlError> {
        match conn.prepare_cached(self.insert_sql())?.execute(params_from_iter(row)) {
            Ok(_) => Ok(conn.last_insert_rowid()),
            Err(error) => Err(self.explain(conn, error, row, None)),
        }
    }

    /// Deletes the row with this key, which is this one; whether there was one.
    pub fn delete(&self, conn: &Connection, key: &RowKey, row: &[Stored]) -> Result<bool, SqlError> {
        automatic::goes(conn, &self.table, row)?;
        Ok(conn.prepare_cached(self.delete_sql())?.execute(params_from_iter(key))? > 0)
    }

    /// Writes the columns that differ into the row with this key.
    pub fn update(
        &self,
        conn: &Connection,
        key: &RowKey,
        before: &[Stored],
        after: &[Stored],
    ) -> Result<(), SqlError> {
        let changed: Vec<usize> = (0..after.len()).filter(|&at| before.get(at) != after.get(at)).collect();
        if changed.is_empty() {
            return Ok(());
        }
        if changed.iter().any(|&at| self.table.columns[at].auto_increment) {
            automatic::goes(conn, &self.table, before)?;
        }
        let sets: Vec<String> =
            changed.iter().map(|&at| format!("{} = ?", quote(&self.table.columns[at].name))).collect();
        let sql = format!("UPDATE {} SET {} WHERE {}", self.table.physical(), sets.join(", "), self.key());
        let values = changed.iter().map(|&at| &after[at]).chain(key);
        match conn.prepare_cached(&sql)?.execute(params_from_iter(values)) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.explain(conn, error, after, Some(key))),
        }
    }

    /// The key that names this row; for a table without a primary key there is none in the row itself.
    #[must_use]
    pub fn key_of(&self, row: &[Stored]) -> Option<RowKey> {
        self.table.primary().map(|key| key.columns().filter_map(|at| row.get(at).cloned()).collect())
    }

    /// The row with this key.
    pub fn read(&self, conn: &Connection, key: &RowKey) -> Result<Option<Vec<Stored>>, SqlError> {
        let sql = format!("SELECT {} FROM {} WHERE {}", self.columns(), self.table.physical(), self.key());
        let mut statement = conn.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(key))?;
        match rows.next()? {
            None => Ok(None),
            Some(row) => {
                Ok(Some((0..self.table.columns.len()).map(|at| row.get(at)).collect::<Result<_, _>>()?))
            }
        }
    }

    /// The key of a row that equals this one in every column.
    pub fn find_equal(&self, conn: &Connection, row: &[Stored]) -> Result<Option<RowKey>, SqlError> {
        let tests: Vec<String> =
            self.table.columns.iter().map(|c| format!("{} IS ? COLLATE BINARY", quote(&c.name))).collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {} LIMIT 1",
            self.table.row_key().join(", "),
            self.table.physical(),
            tests.join(" AND ")
        );
        self.first_key(conn, &sql, row.iter())
    }

    fn first_key<'v>(
        &self,
        conn: &Connection,
        sql: &str,
        values: impl Iterator<Item = &'v Stored>,
    ) -> Result<Option<RowKey>, SqlError> {
        let width = self.table.row_key().len();
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        match rows.next()? {
            None => Ok(None),
            Some(row) => Ok(Some((0..width).map(|at| row.get(at)).collect::<Result<_, _>>()?)),
        }
    }

    /// The first unique key on which another row agrees with this one, and that row's key.
    pub fn conflict(
        &self,
        conn: &Connection,
        row: &[Stored],
        except: Option<&RowKey>,
    ) -> Result<Option<(&KeyDef, RowKey)>, SqlError> {
        for key in self.table.keys.iter().filter(|key| key.unique) {
            let values: Vec<&Stored> = key.columns().filter_map(|at| row.get(at)).collect();
            if values.iter().any(|value| **value == Stored::Null) {
                continue;
            }
            let tests: Vec<String> =
                key.columns().map(|at| format!("{} = ?", quote(&self.table.columns[at].name))).collect();
            let sql = format!(
                "SELECT {} FROM {} WHERE {}",
                self.table.row_key().join(", "),
                self.table.physical(),
                tests.join(" AND ")
            );
            if let Some(found) = self.first_key(conn, &sql, values.into_iter())?
                && except != Some(&found)
            {
                return Ok(Some((key, found)));
            }
        }
        Ok(None)
    }

    fn explain(
        &self,
        conn: &Connection,
        error: rusqlite::Error,
        row: &[Stored],
        except: Option<&RowKey>,
    ) -> SqlError {
        if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
            && let Ok(Some((key, _))) = self.conflict(conn, row, except)
        {
            return duplicate(key, row);
        }
        error.into()
    }

    /// Applies a change that was made elsewhere: the row must be there as it was, or not be there if it is new.
    pub fn apply(&self, conn: &Connection, change: &Change) -> Result<(), SqlError> {
        let missing = || SqlError::new(1032, "HY000", format!("Can't find record in '{}'", self.table.name));
        for image in [&change.before, &change.after].into_iter().flatten() {
            if image.len() != self.table.columns.len() {
                let table = &self.table;
                let message = format!(
                    "Column count of table '{}.{}' differs: {} here, {} in the event",
                    table.database,
                    table.name,
                    table.columns.len(),
                    image.len()
                );
                return Err(SqlError::new(1677, "HY000", message));
            }
        }
        let find = |before: &[Stored]| match self.key_of(before) {
            Some(key) => Ok(Some(key)),
            None => self.find_equal(conn, before),
        };
        match (&change.before, &change.after) {
            (None, Some(after)) => self.insert(conn, after).map(|_| ()),
            (Some(before), None) => {
                let key = find(before)?.ok_or_else(missing)?;
                if self.delete(conn, &key, before)? { Ok(()) } else { Err(missing()) }
            }
            (Some(before), Some(after)) => {
                let key = find(before)?.ok_or_else(missing)?;
                let here = self.read(conn, &key)?.ok_or_else(missing)?;
                self.update(conn, &key, &here, after)
            }
            (None, None) => Ok(()),
        }
    }
}

/// Error 1062, with the key's values as MySQL joins them.
#[must_use]
pub fn duplicate(key: &KeyDef, row: &[Stored]) -> SqlError {
    let entry: Vec<String> = key.columns().filter_map(|at| row.get(at)).map(show).collect();
    SqlError::new(1062, "23000", format!("Duplicate entry '{}' for key '{}'", entry.join("-"), key.name))
}

/// A stored value as a message shows it.
#[must_use]
pub fn show(value: &Stored) -> String {
    match value {
        Stored::Null => "NULL".to_owned(),
        Stored::Integer(n) => n.to_string(),
        Stored::Real(x) => x.to_string(),
        Stored::Text(text) => text.clone(),
        Stored::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
