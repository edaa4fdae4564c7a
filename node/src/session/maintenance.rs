//! ANALYZE, CHECK, OPTIMIZE and REPAIR TABLE: what they do here, and answers in MariaDB's rows.
//!
//! CHECK TABLE is what it says: SQLite reads the table and its indexes and compares them, and every stored value is looked at whether
//! it is one that its column could have got; with QUICK only the former, without the indexes. OPTIMIZE builds the table's indexes anew, in
//! the turn to write; the file does not become smaller. ANALYZE has nothing to do, because no plan here depends on statistics, and REPAIR says
//! what InnoDB says. As in MySQL, each commits what is open, and a table that cannot be worked on is a row of the answer and no error.
//! Unlike in MySQL none of them is logged: they change no row, and what is wrong or slow on one node is that node's own affair. Not checked:
//! the binary log, and whether other nodes hold the same rows.

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::Value as Stored;
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::{Answer, ExecError, Session};
use crate::SqlError;
use crate::results::{ColumnMeta, Sink};
use crate::sql::coerce::{Context, coerce};
use crate::sql::from::table_name;
use crate::sql::parse::{Text, expect_end, syntax};
use crate::storage::definition::{ColumnDef, TableDef, quote};
use crate::storage::table_locks::TableName;

/// The most that is told of one table.
const MAX_PROBLEMS: usize = 10;

/// What is to be done with tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Analyze,
    Check { quick: bool },
    Optimize,
    Repair,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Work::Analyze => "analyze",
            Work::Check { .. } => "check",
            Work::Optimize => "optimize",
            Work::Repair => "repair",
        }
    }
}

/// What one table's rows of the answer say: kind and text of each message.
type Messages = Vec<(&'static str, String)>;

/// Whether these are the first words of such a statement.
pub(super) fn maintains(words: &[&str]) -> bool {
    matches!(
        words,
        ["ANALYZE" | "OPTIMIZE" | "REPAIR", "LOCAL" | "NO_WRITE_TO_BINLOG", "TABLE" | "TABLES", ..]
            | ["ANALYZE" | "OPTIMIZE" | "REPAIR" | "CHECK", "TABLE" | "TABLES", ..]
    )
}

impl Session {
    /// Answers such a statement.
    pub(super) fn maintain(&mut self, text: &Text, sink: &mut dyn Sink) -> Result<(), ExecError> {
        let (work, tables) = self.tables_to_maintain(text)?;
        self.end(true)?;
        let mut rows = Vec::new();
        for (database, table) in tables {
            let messages = match self.maintain_table(work, &database, &table) {
                // what passes is tried again, or ends the statement
                Err(error) if error.is_passing() => return Err(error.into()),
                Err(error) => vec![("Error", error.message), ("status", "Operation failed".to_owned())],
                Ok(messages) => messages,
            };
            let cell = |text: &str| Stored::Text(text.to_owned());
            rows.extend(messages.into_iter().map(|(kind, text)| {
                vec![cell(&format!("{database}.{table}")), cell(work.name()), cell(kind), Stored::Text(text)]
            }));
        }
        let columns = ["Table", "Op", "Msg_type", "Msg_text"].map(ColumnMeta::text).to_vec();
        self.keep_warnings(Vec::new());
        self.row_count = -1;
        self.answer(Answer::Table { columns, rows }, sink)
    }

    fn tables_to_maintain(&self, text: &Text) -> Result<(Work, Vec<TableName>), SqlError> {
        let words = text.words(2);
        let local = words.get(1).is_some_and(|word| word != "TABLE" && word != "TABLES");
        let dialect = MySqlDialect {};
        let mut parser = text.parser(&dialect, if local { 3 } else { 2 });
        let mut tables = Vec::<TableName>::new();
        loop {
            let name = parser.parse_object_name(false).map_err(|e| syntax(&e))?;
            let (database, table) = table_name(&name, &self.database)?;
            let name = (database.to_owned(), table.to_owned());
            if tables.contains(&name) {
                return Err(SqlError::new(1066, "42000", format!("Not unique table/alias: '{table}'")));
            }
            tables.push(name);
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        let mut options = Vec::new();
        while let Token::Word(word) = &parser.peek_token().token {
            options.push(word.value.to_ascii_uppercase());
            parser.next_token();
        }
        expect_end(&mut parser)?;
        let first = words.first().map_or("", String::as_str);
        Ok((work(first, &options, &parser)?, tables))
    }

    fn maintain_table(&mut self, work: Work, database: &str, table: &str) -> Result<Messages, SqlError> {
        if database.eq_ignore_ascii_case("information_schema") {
            let message = format!("The storage engine for the table doesn't support {}", work.name());
            return Ok(vec![("note", message)]);
        }
        let ok = || vec![("status", "OK".to_owned())];
        match work {
            Work::Check { quick } => self.reading(database, table, &|conn, table| check(conn, table, quick)),
            Work::Analyze => self.reading(database, table, &|_, _| Ok(ok())),
            Work::Repair => self.reading(database, table, &|_, _| {
                Ok(vec![("note", "The storage engine for the table doesn't support repair".to_owned())])
            }),
            Work::Optimize => {
                self.rebuild_indexes(database, table)?;
                let note = "Table does not support optimize, doing recreate + analyze instead";
                Ok([vec![("note", note.to_owned())], ok()].concat())
            }
        }
    }

    /// Looks at a table in a snapshot of its own.
    fn reading(
        &self,
        database: &str,
        table: &str,
        look: &dyn Fn(&Connection, &TableDef) -> Result<Messages, SqlError>,
    ) -> Result<Messages, SqlError> {
        let mut state = self.desk.lock();
        self.desk.read(&mut state)?;
        let seen = (|| {
            let catalog = self.engine.store.catalog(&state.conn)?;
            let definition = catalog.require(database, table)?;
            if let Some(lock) = &self.table_lock {
                lock.locked.check_read(database, table)?;
            }
            self.readable(database, table)?;
            look(&state.conn, definition)
        })();
        self.desk.rollback(&mut state);
        seen
    }

    fn rebuild_indexes(&mut self, database: &str, table: &str) -> Result<(), SqlError> {
        if let Some(lock) = &self.table_lock {
            lock.locked.check_write(database, table)?;
        }
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        let target = || vec![(database.to_owned(), Some(table.to_owned()))];
        let _leave = self.write_tables(&desk, &mut state, &target, self.lock_wait())?;
        let rebuilt = (|| {
            let catalog = self.engine.store.catalog(&state.conn)?;
            let definition = catalog.require(database, table)?;
            Ok(state.conn.execute_batch(&format!("REINDEX {}", definition.physical()))?)
        })();
        match rebuilt {
            Ok(()) => desk.commit(&mut state, self.engine.log.as_ref(), self.engine.server_id),
            Err(error) => {
                desk.rollback(&mut state);
                Err(error)
            }
        }
    }
}

fn work(first: &str, options: &[String], parser: &Parser<'_>) -> Result<Work, SqlError> {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let only = |known: &[&str]| options.iter().all(|option| known.contains(option));
    match first {
        "ANALYZE" if options.is_empty() => Ok(Work::Analyze),
        "OPTIMIZE" if options.is_empty() => Ok(Work::Optimize),
        "CHECK" if options == ["FOR", "UPGRADE"] => Ok(Work::Check { quick: true }),
        "CHECK" if only(&["QUICK", "FAST", "MEDIUM", "EXTENDED", "CHANGED"]) => {
            Ok(Work::Check { quick: options.contains(&"QUICK") })
        }
        "REPAIR" if only(&["QUICK", "EXTENDED", "USE_FRM"]) => Ok(Work::Repair),
        _ => Err(SqlError::unsupported(format_args!(
            "{first} TABLE .. {}{}",
            options.join(" "),
            parser.peek_token()
        ))),
    }
}

/// What is wrong with a table, or that nothing is.
fn check(conn: &Connection, table: &TableDef, quick: bool) -> Result<Messages, SqlError> {
    let pragma = if quick { "quick_check" } else { "integrity_check" };
    let mut problems: Vec<String> = Vec::new();
    let mut told = conn.prepare(&format!("PRAGMA {pragma}({})", table.physical()))?;
    let mut lines = told.query([])?;
    while let Some(line) = lines.next()? {
        let line: String = line.get(0)?;
        if line != "ok" && problems.len() < MAX_PROBLEMS {
            problems.push(line);
        }
    }
    if !quick {
        check_values(conn, table, &mut problems)?;
    }
    if problems.is_empty() {
        return Ok(vec![("status", "OK".to_owned())]);
    }
    let told = problems.into_iter().map(|problem| ("Warning", problem));
    Ok(told.chain([("error", "Corrupt".to_owned())]).collect())
}

/// Whether each value is one that its column could have got.
fn check_values(conn: &Connection, table: &TableDef, problems: &mut Vec<String>) -> Result<(), SqlError> {
    let names: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    let mut statement = conn.prepare(&format!("SELECT {} FROM {}", names.join(", "), table.physical()))?;
    let mut rows = statement.query([])?;
    let mut number = 0_u64;
    while let Some(row) = rows.next()? {
        number += 1;
        for (at, column) in table.columns.iter().enumerate() {
            // what is not even a text is an error here
            let fits = row.get::<_, Stored>(at).is_ok_and(|value| fits(column, value));
            if !fits {
                problems.push(format!("Column '{}' holds no value of its type in row {number}", column.name));
            }
            if problems.len() >= MAX_PROBLEMS {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn fits(column: &ColumnDef, value: Stored) -> bool {
    if value == Stored::Null {
        return column.nullable;
    }
    let context = Context { zone_offset: 0, row: 1, zero_dates: true };
    coerce(column, value.clone(), column.kind(), &context).is_ok_and(|again| again == value)
}
