//! UPDATE and DELETE, row by row, and what INSERT shares with them.
//!
//! The rows to change are first read by a translated SELECT of every column and every new value; then each is
//! coerced, compared and written by its key. So a statement never sees its own changes, and each change is
//! known before and after.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::types::Value as Stored;
use rusqlite::{Connection, params_from_iter};
use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, ObjectName, OrderByExpr, TableFactor,
    TableWithJoins, Update,
};

use super::clauses;
use super::coerce::{self, coerce};
use super::conditions::{self, quietly};
use super::expression::{Environment, Piece, Translator, unknown_column};
use super::from::{check_hints, table_name};
pub use super::pending::{Changes, MAX_TRANSACTION_BYTES};
use super::scope::{Scope, Source};
use super::temporal::DateTime;
use super::types::{ColumnType, Kind};
use crate::SqlError;
use crate::change::Change;
use crate::storage::definition::{ColumnDef, DefaultValue, TableDef, quote};
use crate::storage::rows::{RowKey, RowWriter};

/// What a statement that writes works with.
pub struct Work<'w> {
    /// The session's connection, in its write transaction.
    pub conn: &'w Connection,
    /// What the statement is translated in.
    pub env: &'w Environment<'w>,
    /// Where changes go; none if the log is off.
    pub changes: Option<&'w mut Changes>,
    /// Whether UPDATE counts rows that matched instead of rows that changed.
    pub found_rows: bool,
    /// Set when the statement is to end.
    pub stopped: &'w AtomicBool,
}

/// What came of a statement that writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows changed, or matched.
    pub affected: u64,
    /// The first automatic key, whether or not its row came into the table: where another node that runs the statement begins.
    pub first_key: Option<u64>,
    /// What `LAST_INSERT_ID()` says from now on, if anything new.
    pub last_insert_id: Option<u64>,
    /// The insert id of the answer.
    pub insert_id: u64,
    /// MySQL's summary.
    pub info: String,
    /// What was skipped (INSERT IGNORE) and what was noted, as warnings.
    pub warnings: Vec<SqlError>,
}

impl Outcome {
    /// Adds notes to what the client is told.
    pub fn note(&mut self, mut notes: Vec<SqlError>) {
        if notes.is_empty() {
            return;
        }
        self.warnings.append(&mut notes);
        if let Some(at) = self.info.rfind("Warnings: ") {
            self.info.truncate(at + "Warnings: ".len());
            self.info += &self.warnings.len().to_string();
        }
    }
}

/// Error 1364.
pub(super) fn no_default(column: &ColumnDef) -> SqlError {
    SqlError::new(1364, "HY000", format!("Field '{}' doesn't have a default value", column.name))
}

impl Work<'_> {
    /// Ends a statement that goes row by row once it is to end, or will be refused. It is asked before a row is written.
    pub fn go_on(&self) -> Result<(), SqlError> {
        conditions::refused()?;
        if self.stopped.load(Ordering::Relaxed) {
            return Err(SqlError::interrupted());
        }
        Ok(())
    }

    /// Remembers a change for the log.
    pub fn record(
        &mut self,
        table: &TableDef,
        before: Option<Vec<Stored>>,
        after: Option<Vec<Stored>>,
    ) -> Result<(), SqlError> {
        let Some(changes) = self.changes.as_deref_mut() else { return Ok(()) };
        changes.push(Change {
            database: table.database.as_str().into(),
            table: table.name.as_str().into(),
            before,
            after,
        })
    }

    /// How values are coerced for that row of the statement.
    #[must_use]
    pub fn context(&self, row: u64) -> coerce::Context {
        coerce::Context {
            zone_offset: self.env.facts.zone_offset,
            row,
            zero_dates: !self.env.variables.mode("NO_ZERO_DATE"),
        }
    }

    /// The time of the statement as a column of this type stores it.
    #[must_use]
    pub fn now(&self, column: &ColumnDef) -> Stored {
        let facts = self.env.facts;
        let local = DateTime::from_micros(facts.now.micros() + facts.zone_offset * 1_000_000);
        Stored::Text(match column.ty {
            ColumnType::Timestamp(digits) => facts.now.text(digits),
            ColumnType::DateTime(digits) => local.text(digits),
            _ => local.date_text(),
        })
    }

    /// The default of a column; none if it has none and may not be NULL.
    pub fn default_of(&self, column: &ColumnDef, row: u64) -> Result<Option<Stored>, SqlError> {
        match &column.default {
            DefaultValue::Now => Ok(Some(self.now(column))),
            DefaultValue::Text(text) => {
                coerce(column, Stored::Text(text.clone()), Kind::TEXT, &self.context(row)).map(Some)
            }
            DefaultValue::None if column.nullable => Ok(Some(Stored::Null)),
            DefaultValue::None => Ok(None),
        }
    }

    /// Runs an UPDATE.
    pub fn update(&mut self, update: &Update) -> Result<Outcome, SqlError> {
        clauses::update(update)?;
        let (table, alias) = self.target(&update.table)?;
        let mut translator = self.translator(&table, &alias);
        let (sets, noted) = conditions::apart(|| assignments(&mut translator, &table, &update.assignments));
        let sets = sets?;
        // What is sorted, or found by a key that changes, MariaDB finds before it writes, and only warns of.
        let found_first = !update.order_by.is_empty() || sets.iter().any(|(at, _)| table.is_of_primary(*at));
        let known = |piece: &Option<Piece>| piece.as_ref().is_none_or(|piece| piece.literal.is_some());
        let find = || {
            let (selection, order, limit) = (&update.selection, &update.order_by, &update.limit);
            self.matching(&table, &alias, translator, &sets, selection, order, limit)
        };
        let rows = match found_first && sets.iter().all(|(_, piece)| known(piece)) {
            true => conditions::leniently(find),
            false => find(),
        }?;
        if !rows.is_empty() {
            conditions::add(noted);
        }
        let writer = RowWriter::new(Arc::clone(&table));
        let (mut matched, mut changed) = (0u64, 0u64);
        for found in rows {
            self.go_on()?;
            matched += 1;
            let after = self.after(&table, &found.row, &sets, found.values, matched)?;
            if after == found.row {
                continue;
            }
            changed += 1;
            writer.update(self.conn, &found.key, &found.row, &after)?;
            self.record(&table, Some(found.row), Some(after))?;
        }
        let affected = if self.found_rows { matched } else { changed };
        let info = format!("Rows matched: {matched}  Changed: {changed}  Warnings: 0");
        Ok(Outcome { affected, info, ..Outcome::default() })
    }

    /// The row with new values in place, checked; `ON UPDATE` columns follow if anything changed.
    pub fn after(
        &self,
        table: &TableDef,
        before: &[Stored],
        sets: &[(usize, Option<Piece>)],
        values: Vec<Stored>,
        row: u64,
    ) -> Result<Vec<Stored>, SqlError> {
        conditions::refused()?;
        let mut after = before.to_vec();
        for ((at, piece), value) in sets.iter().zip(values) {
            let column = &table.columns[*at];
            let value = match piece {
                Some(piece) => coerce(column, value, piece.kind, &self.context(row))?,
                None => self.default_of(column, row)?.ok_or_else(|| no_default(column))?,
            };
            if value == Stored::Null && !column.nullable {
                let message = format!("Column '{}' cannot be null", column.name);
                return Err(SqlError::new(1048, "23000", message));
            }
            after[*at] = value;
        }
        if after != before {
            for (at, column) in table.columns.iter().enumerate() {
                if column.on_update_now && !sets.iter().any(|(set, _)| *set == at) {
                    after[at] = self.now(column);
                }
            }
        }
        Ok(after)
    }

    /// Runs a DELETE.
    pub fn delete(&mut self, delete: &Delete) -> Result<Outcome, SqlError> {
        clauses::delete(delete)?;
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let [target] = from.as_slice() else {
            return Err(SqlError::unsupported("DELETE from several tables"));
        };
        let (table, alias) = self.target(target)?;
        if let Some(named) = delete.tables.first() {
            let (_, name) = table_name(named, &table.database)?;
            if name != alias {
                return Err(SqlError::new(1109, "42S02", format!("Unknown table '{name}' in MULTI DELETE")));
            }
        }
        let translator = self.translator(&table, &alias);
        let rows = self.matching(
            &table,
            &alias,
            translator,
            &[],
            &delete.selection,
            &delete.order_by,
            &delete.limit,
        )?;
        let writer = RowWriter::new(Arc::clone(&table));
        let mut affected = 0;
        for found in rows {
            self.go_on()?;
            writer.delete(self.conn, &found.key, &found.row)?;
            self.record(&table, Some(found.row), None)?;
            affected += 1;
        }
        Ok(Outcome { affected, ..Outcome::default() })
    }

    /// The one table that a statement writes, and its alias.
    fn target(&self, table: &TableWithJoins) -> Result<(Arc<TableDef>, String), SqlError> {
        match &table.relation {
            TableFactor::Table { name, alias, index_hints, .. } if table.joins.is_empty() => {
                clauses::factor(&table.relation)?;
                let definition = self.writable(name)?;
                check_hints(index_hints, &definition)?;
                let alias = alias.as_ref().map_or(definition.name.clone(), |alias| alias.name.value.clone());
                Ok((definition, alias))
            }
            _ => Err(SqlError::unsupported("writing to several tables at once")),
        }
    }

    /// The definition of a table that may be written.
    pub fn writable(&self, name: &ObjectName) -> Result<Arc<TableDef>, SqlError> {
        let (database, table) = table_name(name, self.env.database)?;
        if database.eq_ignore_ascii_case("information_schema") {
            let message = format!("Access denied for user to database '{database}'");
            return Err(SqlError::new(1044, "42000", message));
        }
        let definition = self.env.catalog.require(database, table)?;
        self.check_locked(database, table)?;
        Ok(Arc::clone(definition))
    }

    /// Refuses to write what the session's own LOCK TABLES does not let it write.
    pub fn check_locked(&self, database: &str, table: &str) -> Result<(), SqlError> {
        self.env.locked.map_or(Ok(()), |locked| locked.check_write(database, table))
    }

    /// A translator with the table in scope.
    #[must_use]
    pub fn translator(&self, table: &Arc<TableDef>, alias: &str) -> Translator<'_> {
        let mut translator = Translator::new(self.env);
        translator.scopes.push(Scope { sources: vec![Source::of_table(table, alias)] });
        translator
    }

    #[allow(clippy::too_many_arguments)] // the clauses that UPDATE and DELETE share
    fn matching(
        &self,
        table: &TableDef,
        alias: &str,
        mut translator: Translator<'_>,
        sets: &[(usize, Option<Piece>)],
        selection: &Option<Expr>,
        order: &[OrderByExpr],
        limit: &Option<Expr>,
    ) -> Result<Vec<Found>, SqlError> {
        translator.replaced.clear();
        let alias = quote(alias);
        let mut items: Vec<String> =
            table.columns.iter().map(|column| format!("{alias}.{}", quote(&column.name))).collect();
        let hidden = table.primary().is_none();
        if hidden {
            items.extend(table.row_key().iter().map(|key| format!("{alias}.{key}")));
        }
        for (_, piece) in sets {
            items.push(piece.as_ref().map_or("NULL".to_owned(), |piece| translator.emit_in_full(piece)));
        }
        let mut sql = format!("SELECT {} FROM {} AS {alias}", items.join(", "), table.physical());
        if let Some(test) = selection {
            sql += &format!(" WHERE {}", translator.truth(test)?);
        }
        if !order.is_empty() {
            sql += &format!(" ORDER BY {}", translator.order_keys(order)?);
        }
        if let Some(limit) = limit {
            sql += &format!(" LIMIT {}", translator.count(limit)?);
        }
        let width = table.columns.len();
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(&translator.binds))?;
        let mut found = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            self.go_on()?;
            let all: Vec<Stored> = (0..items.len()).map(|at| row.get(at)).collect::<Result<_, _>>()?;
            bytes += all.len() * 32;
            if bytes > MAX_TRANSACTION_BYTES {
                return Err(SqlError::new(1197, "HY000", "The statement changes too many rows at once"));
            }
            found.push(Found::new(table, all, width, hidden));
        }
        Ok(found)
    }
}

/// A row that a statement is about to change.
struct Found {
    key: RowKey,
    row: Vec<Stored>,
    values: Vec<Stored>,
}

impl Found {
    fn new(table: &TableDef, mut all: Vec<Stored>, width: usize, hidden: bool) -> Found {
        let values = all.split_off(width + usize::from(hidden));
        let key = if hidden {
            all.split_off(width)
        } else {
            table.primary().map_or(Vec::new(), |key| key.columns().map(|at| all[at].clone()).collect())
        };
        Found { key, row: all, values }
    }
}

/// The columns that SET names, with their new values; none stands for DEFAULT.
///
/// A later assignment sees the new values of earlier ones, as in MySQL.
pub fn assignments(
    translator: &mut Translator<'_>,
    table: &TableDef,
    list: &[Assignment],
) -> Result<Vec<(usize, Option<Piece>)>, SqlError> {
    let mut sets = Vec::with_capacity(list.len());
    for assignment in list {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(SqlError::unsupported("SET (a, b) = .."));
        };
        let column = name.0.last().and_then(|part| part.as_ident()).map_or("", |ident| ident.value.as_str());
        let at = table.position(column).ok_or_else(|| unknown_column(column))?;
        if is_default(&assignment.value) {
            sets.push((at, None));
            continue;
        }
        let (piece, kind) = (translator.expr(&assignment.value)?, table.columns[at].kind());
        let piece = if kind.is_number() { piece.numbered() } else { piece };
        // Only where a later assignment names it; what does not fit is refused where it is stored.
        let stored = quietly(|| translator.convert(piece.clone(), kind))?;
        translator.replaced.insert(at, stored);
        sets.push((at, Some(piece)));
    }
    Ok(sets)
}

/// Whether an expression is the word DEFAULT.
#[must_use]
pub fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default"))
}
