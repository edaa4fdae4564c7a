//! EXPLAIN of what reads or writes rows: the statement is translated and asked for its plan, never run.
//!
//! It needs the rights that the statement itself needs, takes no lock and writes nothing.

use rusqlite::params_from_iter;
use sqlparser::dialect::MySqlDialect;

use super::{Answer, ExecError, Session};
use crate::SqlError;
use crate::accounts::gate;
use crate::results::{Param, Sink};
use crate::sql::explain::{Step, Subject, Visit, columns, subject, visits};
use crate::sql::parse::{Text, expect_end, syntax};

impl Session {
    /// Answers EXPLAIN, DESCRIBE or DESC before a statement.
    pub(super) fn explain(
        &mut self,
        text: &Text,
        params: &[Param],
        sink: &mut dyn Sink,
    ) -> Result<(), ExecError> {
        let dialect = MySqlDialect {};
        let mut parser = text.parser(&dialect, 1);
        let statement = parser.parse_statement().map_err(|e| syntax(&e))?;
        expect_end(&mut parser)?;
        gate::statement(&statement, &self.database, &self.rights())?;
        let found = self.in_snapshot(|state| -> Result<Vec<Visit>, SqlError> {
            let catalog = self.engine.store.catalog(&state.conn)?;
            let query = match subject(&statement, &self.database, &catalog)? {
                Subject::Insert(table) => return Ok(vec![Visit::of_insert(table)]),
                Subject::Query(query) => query,
            };
            let (compiled, binds) = self.compile(&state.conn, &catalog, &query, params)?;
            let mut plan = state.conn.prepare(&format!("EXPLAIN QUERY PLAN {}", compiled.sql))?;
            let steps = plan.query_map(params_from_iter(&binds), |row| {
                Ok(Step { id: row.get(0)?, parent: row.get(1)?, detail: row.get(3)? })
            })?;
            let steps = steps.collect::<Result<Vec<Step>, _>>()?;
            // SQLite makes a list of several tests of one column, and one of NULL can find more than one row of a unique key.
            let text = query.to_string().to_ascii_uppercase();
            let lists = [" IN ", " OR ", " IS ", "<=>"].iter().any(|word| text.contains(word));
            Ok(visits(&steps, &catalog, lists))
        })?;
        let rows = found.into_iter().map(Visit::row).collect();
        self.keep_warnings(Vec::new());
        self.answer(Answer::Table { columns: columns(), rows }, sink)
    }
}
