//! Prepared statements: parsed once, translated with the parameters of each execution.
//!
//! The kinds of parameters decide how they compare, so the translation is made when they are known; SQLite's
//! own prepared statement is found again by its text, which does not depend on the values.

use std::sync::Arc;

use sqlparser::ast::Statement;

use super::{ExecError, Session};
use crate::SqlError;
use crate::results::{ColumnMeta, Param, Sink};
use crate::sql::output::metadata;
use crate::sql::parse::Text;
use crate::sql::text_bytes::in_utf8;
use crate::sql::titles;

/// The most statements that a session keeps prepared.
const MAX_PREPARED: usize = 16_382;

/// What a client is told of a prepared statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// Its number.
    pub id: u32,
    /// How many parameters it takes.
    pub params: u16,
    /// The columns of its result, as far as they are known.
    pub columns: Vec<ColumnMeta>,
}

pub(super) struct PreparedStatement {
    sql: Arc<str>,
    /// The syntax tree, for what the parser parses; other statements are read anew.
    parsed: Option<Arc<Statement>>,
    params: u16,
}

impl Session {
    /// Prepares a statement.
    pub fn prepare(&mut self, sql: &[u8]) -> Result<Prepared, SqlError> {
        let text = Text::new(sql)?;
        if text.is_empty() {
            return Err(SqlError::new(1065, "42000", "Query was empty"));
        }
        if self.prepared.len() >= MAX_PREPARED {
            let message = "Can't create more than max_prepared_stmt_count statements";
            return Err(SqlError::new(1461, "42000", message));
        }
        let kept: usize = self.prepared.values().map(|statement| statement.sql.len()).sum();
        let limit = usize::try_from(self.variables.number("max_allowed_packet")).unwrap_or(usize::MAX);
        if kept.saturating_add(sql.len()) > limit {
            let message = "Can't create more than max_prepared_stmt_count statements (their texts together would \
                           be longer than max_allowed_packet)";
            return Err(SqlError::new(1461, "42000", message));
        }
        let first = text.words(1).concat();
        let parsed = match first.as_str() {
            "SELECT" | "WITH" | "INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "" => {
                let sleeps = text.words(2) == ["SELECT", "SLEEP"];
                text.statement()
                    .map(Arc::new)
                    .map(Some)
                    .or_else(|e| if sleeps { Ok(None) } else { Err(e) })?
            }
            _ => None,
        };
        let columns = self.prepared_columns(parsed.as_deref(), &in_utf8(sql)?, text.placeholders)?;
        self.next_prepared = self.next_prepared.wrapping_add(1).max(1);
        let id = self.next_prepared;
        let sql: Arc<str> = in_utf8(sql)?.into();
        self.prepared.insert(id, PreparedStatement { sql, parsed, params: text.placeholders });
        Ok(Prepared { id, params: text.placeholders, columns })
    }

    fn prepared_columns(
        &mut self,
        statement: Option<&Statement>,
        text: &str,
        params: u16,
    ) -> Result<Vec<ColumnMeta>, SqlError> {
        let Some(Statement::Query(query)) = statement else { return Ok(Vec::new()) };
        let unknown = vec![Param::Null; usize::from(params)];
        let columns = self.in_snapshot(|state| -> Result<_, SqlError> {
            let catalog = self.engine.store.catalog(&state.conn)?;
            let (mut compiled, _) =
                self.only_looking(|session| session.compile(&state.conn, &catalog, query, &unknown))?;
            titles::give(&mut compiled.columns, query, text);
            Ok(metadata(&compiled.columns))
        });
        match columns {
            // Calls that administration answers are unknown to the translator.
            Err(error) if error.code == 1305 => Ok(Vec::new()),
            other => other,
        }
    }

    pub(super) fn run_prepared(
        &mut self,
        id: u32,
        params: &[Param],
        sink: &mut dyn Sink,
    ) -> Result<(), ExecError> {
        let unknown = || {
            SqlError::new(
                1243,
                "HY000",
                format!("Unknown prepared statement handler ({id}) given to EXECUTE"),
            )
        };
        let statement = self.prepared.get(&id).ok_or_else(unknown)?;
        if params.len() != usize::from(statement.params) {
            return Err(SqlError::new(1210, "HY000", "Incorrect arguments to EXECUTE").into());
        }
        let sql = Arc::clone(&statement.sql);
        let parsed = statement.parsed.clone();
        match parsed.filter(|parsed| !is_administration(parsed)) {
            Some(parsed) => {
                self.count(&parsed);
                self.leave_or_run(&parsed, &sql, (params, true), sink)
            }
            None => self.run_text(sql.as_bytes(), params, sink),
        }
    }

    /// Counts a statement that was parsed before.
    fn count(&self, statement: &Statement) {
        let word = match statement {
            Statement::Query(_) => "SELECT",
            Statement::Insert(insert) if insert.replace_into => "REPLACE",
            Statement::Insert(_) => "INSERT",
            Statement::Update(_) => "UPDATE",
            Statement::Delete(_) => "DELETE",
            _ => return,
        };
        self.counts(&[word]);
    }

    /// Forgets a prepared statement; one that is not there changes nothing.
    pub fn close_prepared(&mut self, id: u32) {
        self.prepared.remove(&id);
    }
}

/// Whether a query is for administration or sleeps: these are recognised by their text.
fn is_administration(statement: &Statement) -> bool {
    let Statement::Query(query) = statement else { return false };
    let text = query.body.to_string().to_ascii_uppercase();
    let call = text.trim_start_matches("SELECT").trim_start();
    ["SLEEP(", "WAIT_FOR_", "MASTER_POS_WAIT(", "SOURCE_POS_WAIT(", "GTID_", "EVENSUM_"]
        .iter()
        .any(|start| call.starts_with(start))
}
