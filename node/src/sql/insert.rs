//! INSERT and REPLACE in all their forms, and automatic keys.

use std::sync::Arc;

use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, params_from_iter};
use sqlparser::ast::{Assignment, AssignmentTarget, Expr, Insert, OnInsert, SetExpr, TableObject};

use super::clauses;
use super::coerce::coerce;
use super::conditions::{leniently, strictly};
use super::dml::{Outcome, Work, assignments, is_default, no_default};
use super::expression::{Piece, Translator, unknown_column};
use super::ids::{Fate, Told};
use super::members;
use super::number::{Number, int_stored};
use super::types::Kind;
use crate::SqlError;
use crate::session::variables::Variables;
use crate::storage::automatic;
use crate::storage::definition::TableDef;
use crate::storage::rows::{RowKey, RowWriter};

/// A value that a row gives for a column; none stands for DEFAULT.
type Given = Option<(Stored, Kind)>;

/// Where the automatic keys of one statement come from.
struct Counter {
    column: Option<usize>,
    increment: i128,
    offset: i128,
    last: Option<i128>,
    first: Option<i128>,
    /// The key of the row that is being made, if it is an automatic one.
    current: Option<i128>,
    /// The key of a row that did not come into the table: the next row has it.
    spare: Option<i128>,
    /// The highest key that was used up.
    highest: Option<i128>,
    /// The first key, where another node has run the statement before.
    given: Option<i128>,
    /// Whether a row did not come into the table, so that its key is nowhere.
    unused: bool,
}

impl Counter {
    fn new(table: &TableDef, variables: &Variables) -> Counter {
        let number = |name| i128::from(variables.number(name).max(1));
        Counter {
            column: table.columns.iter().position(|column| column.auto_increment),
            increment: number("auto_increment_increment"),
            offset: number("auto_increment_offset"),
            last: None,
            first: None,
            current: None,
            spare: None,
            highest: None,
            given: None,
            unused: false,
        }
    }

    /// The next key: the smallest of the node's own series above every key that the table has.
    fn next(&mut self, conn: &Connection, table: &TableDef, column: usize) -> Result<Stored, SqlError> {
        let next = match (self.spare.take(), self.given, self.first) {
            (Some(spare), ..) => spare,
            (None, Some(given), None) => given,
            _ => self.following(conn, table, column)?,
        };
        let fits = table.columns[column].ty.integer_range().is_none_or(|(_, high)| next <= high);
        if !fits {
            return Err(SqlError::new(
                1467,
                "HY000",
                "Failed to read auto-increment value from storage engine",
            ));
        }
        self.last = Some(next);
        self.current = Some(next);
        // each row uses one up, also a row that has the key of another: what MariaDB reserves for the statement
        let used = self.highest.map_or(next, |highest| highest.max(next - self.increment) + self.increment);
        self.highest = Some(used);
        self.first.get_or_insert(next);
        int_stored(next).ok_or_else(|| SqlError::internal("an automatic key does not fit"))
    }

    fn following(&self, conn: &Connection, table: &TableDef, column: usize) -> Result<i128, SqlError> {
        let last = match self.last {
            Some(last) => last,
            None => automatic::highest(conn, table, column)?,
        };
        // As in MySQL, an offset beyond the increment does not count.
        let offset = if self.offset > self.increment { 1 } else { self.offset };
        let steps = (last - offset).div_euclid(self.increment) + 1;
        Ok(offset + steps.max(0) * self.increment)
    }

    /// A row gives its key itself; the automatic ones go on behind it.
    fn step_over(&mut self, key: i128) {
        self.last = self.last.map(|last| last.max(key));
        self.spare = self.spare.filter(|&spare| spare > key);
    }

    /// The row of the current key did not come into the table.
    fn came_to_nothing(&mut self) {
        self.unused = true;
        self.spare = self.current.or(self.spare);
    }

    /// Keeps a key that was given and is in no row; the others are in the table.
    fn keep(&self, conn: &Connection, table: &TableDef) -> Result<(), SqlError> {
        let (Some(highest), Some(column)) = (self.highest, self.column) else { return Ok(()) };
        if !self.unused || automatic::highest(conn, table, column)? >= highest {
            return Ok(());
        }
        automatic::keep(conn, table, highest)
    }
}

/// The smallest automatic key that no row of the table ever had, if it has a column for one. Each node goes on from there
/// in a series of its own; this is the same on all of them, and what a dump carries over.
pub fn next_key(conn: &Connection, table: &TableDef, variables: &Variables) -> Result<Option<u64>, SqlError> {
    let counter = Counter::new(table, variables);
    let Some(column) = counter.column else { return Ok(None) };
    Ok(u64::try_from(automatic::highest(conn, table, column)? + 1).ok())
}

impl Work<'_> {
    /// Runs an INSERT or a REPLACE.
    pub fn insert(&mut self, insert: &Insert) -> Result<Outcome, SqlError> {
        let TableObject::TableName(name) = &insert.table else {
            return Err(SqlError::unsupported("INSERT into this"));
        };
        clauses::insert(insert)?;
        let table = self.writable(name)?;
        let updates = match &insert.on {
            None => None,
            Some(OnInsert::DuplicateKeyUpdate(list)) => Some(list.as_slice()),
            Some(other) => return Err(SqlError::unsupported(other)),
        };
        let alias = insert
            .insert_alias
            .as_ref()
            .map(|alias| alias.row_alias.to_string().trim_matches('`').to_owned());
        let (targets, rows) = self.given_rows(insert, &table)?;
        let writer = RowWriter::new(Arc::clone(&table));
        let mut counter = Counter {
            given: self.env.facts.insert_id.map(i128::from),
            ..Counter::new(&table, self.env.variables)
        };
        let from_query = matches!(&insert.source, Some(q) if !matches!(*q.body, SetExpr::Values(_)));
        let mut outcome = Outcome::default();
        let mut told = Told::new(counter.column, from_query && updates.is_some());
        let (mut number, mut came_in) = (0, 0);
        for given in rows {
            self.go_on()?;
            number += 1;
            let row = self.new_row(&table, &targets, given, &mut counter, number)?;
            let mut key = told.key_of(&row);
            let fate = if insert.replace_into {
                self.replace_row(&writer, row)?
            } else if let Some(updates) = updates {
                let (fate, of_the_row) =
                    self.insert_or_update(&writer, row, updates, alias.as_deref(), number)?;
                if let Some(of_the_row) = of_the_row {
                    key = told.key_of(&of_the_row);
                }
                fate
            } else {
                match writer.insert(self.conn, &row) {
                    Ok(_) => {
                        self.record(&table, None, Some(row))?;
                        Fate::New { replaced: 0 }
                    }
                    Err(error) if error.code == 1062 && insert.ignore => {
                        outcome.warnings.push(error);
                        Fate::Ignored
                    }
                    Err(error) => return Err(error),
                }
            };
            if !matches!(fate, Fate::New { .. }) {
                counter.came_to_nothing();
            }
            if let (Fate::Updated, Some(column)) = (&fate, counter.column) {
                // the update may have given the row a key that was to be the next one's
                counter.step_over(automatic::highest(self.conn, &table, column)?);
            }
            told.row(fate, counter.current, key);
            outcome.affected += fate.affected(self.found_rows);
            came_in += u64::from(matches!(fate, Fate::New { .. } | Fate::Updated));
        }
        counter.keep(self.conn, &table)?;
        outcome.first_key = counter.first.and_then(|first| u64::try_from(first).ok());
        (outcome.last_insert_id, outcome.insert_id) = told.ids();
        if number > 1 || from_query {
            let duplicates = if insert.ignore { number - came_in } else { told.duplicates };
            let warnings = outcome.warnings.len();
            outcome.info = format!("Records: {number}  Duplicates: {duplicates}  Warnings: {warnings}");
        }
        Ok(outcome)
    }

    /// The columns that the statement names, and the values of each row.
    fn given_rows(
        &self,
        insert: &Insert,
        table: &Arc<TableDef>,
    ) -> Result<(Vec<usize>, Vec<Vec<Given>>), SqlError> {
        let position = |name: &str| table.position(name).ok_or_else(|| unknown_column(name));
        if !insert.assignments.is_empty() {
            let mut targets = Vec::new();
            let mut values = Vec::new();
            for Assignment { target, value } in &insert.assignments {
                let AssignmentTarget::ColumnName(name) = target else {
                    return Err(SqlError::unsupported("SET (a, b) = .."));
                };
                let name =
                    name.0.last().and_then(|part| part.as_ident()).map_or("", |ident| ident.value.as_str());
                targets.push(position(name)?);
                values.push(value);
            }
            let row = self.evaluate(values.into_iter(), table, &targets)?;
            return Ok((targets, vec![row]));
        }
        let targets: Vec<usize> = match insert.columns.as_slice() {
            [] => (0..table.columns.len()).collect(),
            names => {
                let last = |name: &sqlparser::ast::ObjectName| {
                    name.0
                        .last()
                        .and_then(|part| part.as_ident())
                        .map_or(String::new(), |ident| ident.value.clone())
                };
                names.iter().map(|name| position(&last(name))).collect::<Result<_, _>>()?
            }
        };
        if let Some(twice) = (1..targets.len()).find(|&n| targets[..n].contains(&targets[n])) {
            let message = format!("Column '{}' specified twice", table.columns[targets[twice]].name);
            return Err(SqlError::new(1110, "42000", message));
        }
        let Some(source) = &insert.source else {
            return Ok((targets, vec![vec![]]));
        };
        let rows = match source.body.as_ref() {
            SetExpr::Values(values) if source.with.is_none() => {
                let mut rows = Vec::with_capacity(values.rows.len());
                for row in &values.rows {
                    self.go_on()?;
                    rows.push(self.evaluate(row.content.iter(), table, &targets)?);
                }
                rows
            }
            _ => self.selected(source, targets.len())?,
        };
        let wanted = targets.len();
        // `INSERT INTO t () VALUES ()` gives defaults only.
        let all_empty = insert.columns.is_empty() && rows.iter().all(Vec::is_empty);
        if let Some(at) = rows.iter().position(|row| row.len() != wanted).filter(|_| !all_empty) {
            let message = format!("Column count doesn't match value count at row {}", at + 1);
            return Err(SqlError::new(1136, "21S01", message));
        }
        Ok((if all_empty { Vec::new() } else { targets }, rows))
    }

    fn evaluate<'e>(
        &self,
        exprs: impl Iterator<Item = &'e Expr>,
        table: &TableDef,
        targets: &[usize],
    ) -> Result<Vec<Given>, SqlError> {
        let mut row = Vec::new();
        for (n, expr) in exprs.enumerate() {
            if is_default(expr) {
                row.push(None);
                continue;
            }
            let mut translator = Translator::new(self.env);
            let piece = strictly(|| translator.expr(expr))?;
            let takes_number = targets.get(n).is_some_and(|at| table.columns[*at].kind().is_number());
            let piece = if takes_number { piece.numbered() } else { piece };
            row.push(Some(match piece.literal {
                Some(value) => (value, piece.kind),
                None => {
                    let sql = format!("SELECT {}", piece.sql);
                    let mut statement = self.conn.prepare_cached(&sql)?;
                    let value = statement.query_row(params_from_iter(&translator.binds), |row| row.get(0))?;
                    (value, piece.kind)
                }
            }));
        }
        Ok(row)
    }

    /// The rows of a query. Those of a UNION MariaDB finds before it writes, and only warns of their values.
    fn selected(&self, query: &sqlparser::ast::Query, width: usize) -> Result<Vec<Vec<Given>>, SqlError> {
        match query.body.as_ref() {
            SetExpr::SetOperation { .. } => leniently(|| self.found(query, width, false)),
            _ => self.found(query, width, true),
        }
    }

    fn found(
        &self,
        query: &sqlparser::ast::Query,
        width: usize,
        written: bool,
    ) -> Result<Vec<Vec<Given>>, SqlError> {
        let mut translator = Translator::new(self.env);
        translator.written = written;
        translator.in_full = super::scope::Digits::All;
        let compiled = translator.query(query, None)?;
        if compiled.columns.len() != width {
            return Err(SqlError::new(1136, "21S01", "Column count doesn't match value count at row 1"));
        }
        let mut statement = self.conn.prepare_cached(&compiled.sql)?;
        let mut found = statement.query(params_from_iter(&translator.binds))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            self.go_on()?;
            let values: Result<Vec<Given>, rusqlite::Error> = compiled
                .columns
                .iter()
                .enumerate()
                .map(|(at, column)| Ok(Some((row.get(at)?, column.kind))))
                .collect();
            rows.push(values?);
        }
        Ok(rows)
    }

    fn new_row(
        &self,
        table: &TableDef,
        targets: &[usize],
        given: Vec<Given>,
        counter: &mut Counter,
        number: u64,
    ) -> Result<Vec<Stored>, SqlError> {
        counter.current = None;
        let mut row: Vec<Option<Stored>> = vec![None; table.columns.len()];
        let mut is_given = vec![false; table.columns.len()];
        for (&at, value) in targets.iter().zip(given) {
            if let Some((value, kind)) = value {
                row[at] = Some(coerce(&table.columns[at], value, kind, &self.context(number))?);
                is_given[at] = true;
            }
        }
        let mut done = Vec::with_capacity(row.len());
        for (at, value) in row.into_iter().enumerate() {
            let column = &table.columns[at];
            if counter.column == Some(at) {
                let automatic = matches!(&value, None | Some(Stored::Null))
                    || (value == Some(Stored::Integer(0))
                        && !self.env.variables.mode("NO_AUTO_VALUE_ON_ZERO"));
                done.push(match value {
                    Some(value) if !automatic => {
                        let explicit = Number::of(ValueRef::from(&value)).and_then(|n| n.to_int());
                        counter.step_over(explicit.unwrap_or(0));
                        value
                    }
                    _ => counter.next(self.conn, table, at)?,
                });
                continue;
            }
            done.push(match value {
                Some(Stored::Null) if !column.nullable => {
                    let message = format!("Column '{}' cannot be null", column.name);
                    return Err(SqlError::new(1048, "23000", message));
                }
                Some(value) => value,
                None => match self.default_of(column, number)? {
                    Some(value) => value,
                    None => members::first(&column.ty).ok_or_else(|| no_default(column))?,
                },
            });
        }
        Ok(done)
    }

    fn replace_row(&mut self, writer: &RowWriter, row: Vec<Stored>) -> Result<Fate, SqlError> {
        let mut replaced = 0;
        while let Some((_, key)) = writer.conflict(self.conn, &row, None)? {
            let before = self.existing(writer, &key)?;
            writer.delete(self.conn, &key, &before)?;
            self.record(&writer.table, Some(before), None)?;
            replaced += 1;
        }
        writer.insert(self.conn, &row)?;
        self.record(&writer.table, None, Some(row))?;
        Ok(Fate::New { replaced })
    }

    fn existing(&self, writer: &RowWriter, key: &RowKey) -> Result<Vec<Stored>, SqlError> {
        writer.read(self.conn, key)?.ok_or_else(|| SqlError::internal("a row that was just found is gone"))
    }

    /// What became of the row, and the row that stood in its way as it is now.
    fn insert_or_update(
        &mut self,
        writer: &RowWriter,
        row: Vec<Stored>,
        updates: &[Assignment],
        alias: Option<&str>,
        number: u64,
    ) -> Result<(Fate, Option<Vec<Stored>>), SqlError> {
        let table = Arc::clone(&writer.table);
        let Some((_, key)) = writer.conflict(self.conn, &row, None)? else {
            writer.insert(self.conn, &row)?;
            self.record(&table, None, Some(row))?;
            return Ok((Fate::New { replaced: 0 }, None));
        };
        let before = self.existing(writer, &key)?;
        let (sets, values) = {
            let mut translator = self.translator(&table, &table.name);
            for (at, column) in table.columns.iter().enumerate() {
                // The row as it is, and the row that came: both are known values here.
                translator.replaced.insert(at, Piece::literal(before[at].clone(), column.kind()));
                translator
                    .incoming
                    .insert(column.name.to_lowercase(), Piece::literal(row[at].clone(), column.kind()));
            }
            translator.incoming_alias = alias.map(str::to_owned);
            let sets = strictly(|| assignments(&mut translator, &table, updates))?;
            let mut values = Vec::with_capacity(sets.len());
            for (_, piece) in &sets {
                values.push(match piece {
                    None => Stored::Null,
                    Some(piece) => match &piece.literal {
                        Some(value) => value.clone(),
                        None => self
                            .conn
                            .prepare_cached(&format!("SELECT {}", piece.sql))?
                            .query_row(params_from_iter(used(&translator.binds, &piece.sql)), |row| {
                                row.get(0)
                            })?,
                    },
                });
            }
            (sets, values)
        };
        let after = self.after(&table, &before, &sets, values, number)?;
        if after == before {
            return Ok((Fate::Unchanged, Some(after)));
        }
        writer.update(self.conn, &key, &before, &after)?;
        self.record(&table, Some(before), Some(after.clone()))?;
        Ok((Fate::Updated, Some(after)))
    }
}

/// The values up to the last parameter that the text names: SQLite refuses more than it asks for.
fn used<'b>(binds: &'b [Stored], sql: &str) -> &'b [Stored] {
    let highest = sql
        .split('?')
        .skip(1)
        .filter_map(|rest| {
            rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse::<usize>().ok())
        })
        .max()
        .unwrap_or(0);
    &binds[..highest.min(binds.len())]
}
