//! What a statement leaves for SHOW WARNINGS, `@@warning_count` and the count in its answer.
//!
//! As in MySQL, `max_error_count` bounds what is kept and not what is counted, and a SELECT that reads no table and has nothing to say
//! leaves what the statement before it left: `SELECT @@warning_count` asks for that.

use sqlparser::ast::{Query, Statement};

use super::Session;
use super::readings::reads_no_table;
use crate::SqlError;
use crate::sql::conditions::{DIVISION, Noted, Refuses};

impl Session {
    /// How many warnings and errors the statement before left.
    pub(super) fn left(&self) -> (u64, u64) {
        let kept = u64::try_from(self.warnings.len()).unwrap_or(u64::MAX);
        (kept.saturating_add(self.unkept_warnings), u64::from(self.failed.is_some()))
    }

    /// Keeps a statement's warnings, as many as are to be kept, instead of all that was left before. How many there were, as an
    /// answer tells it.
    pub(super) fn keep_warnings(&mut self, list: Vec<SqlError>) -> u16 {
        let count = u64::try_from(list.len()).unwrap_or(u64::MAX);
        self.keep(Noted { list, count, ..Noted::default() })
    }

    fn keep(&mut self, noted: Noted) -> u16 {
        self.failed = None;
        self.warnings = noted.list;
        if !self.warnings.is_empty() {
            let most = usize::try_from(self.variables.number("max_error_count")).unwrap_or(usize::MAX);
            self.warnings.truncate(most);
        }
        let kept = u64::try_from(self.warnings.len()).unwrap_or(u64::MAX);
        self.unkept_warnings = noted.count.saturating_sub(kept);
        u16::try_from(noted.count).unwrap_or(u16::MAX)
    }

    /// Keeps what a query noted.
    pub(super) fn keep_noted(&mut self, noted: Noted, query: &Query) -> u16 {
        let noted = self.counted(noted);
        if noted.count == 0 && reads_no_table(query) {
            return 0;
        }
        self.keep(noted)
    }

    /// Without what `sql_mode` does not count as a warning.
    pub(super) fn counted(&self, mut noted: Noted) -> Noted {
        if noted.divisions > 0 && !self.variables.mode("ERROR_FOR_DIVISION_BY_ZERO") {
            noted.count -= noted.divisions;
            noted.divisions = 0;
            noted.list.retain(|one| one.code != DIVISION);
        }
        noted
    }

    /// What this statement does not write in spite of: nothing where `sql_mode` is not strict, for IGNORE, and where none are written.
    pub(super) fn refuses(&self, statement: &Statement) -> Refuses {
        let strict = self.variables.mode("STRICT_TRANS_TABLES") || self.variables.mode("STRICT_ALL_TABLES");
        let takes_all = match statement {
            Statement::Insert(insert) => insert.ignore,
            other => matches!(other, Statement::Delete(_)),
        };
        let values = strict && !takes_all;
        Refuses { values, divisions: values && self.variables.mode("ERROR_FOR_DIVISION_BY_ZERO") }
    }
}
