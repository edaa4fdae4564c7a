//! BEGIN, COMMIT, ROLLBACK and savepoints.

use std::sync::Arc;

use sqlparser::tokenizer::Token;

use super::Session;
use super::isolation::Next;
use crate::SqlError;
use crate::sql::parse::Text;

fn syntax(words: &[&str]) -> SqlError {
    SqlError::syntax(format!("You have an error in your SQL syntax near '{}'", words.join(" ")))
}

impl Session {
    pub(super) fn control(&mut self, text: &Text, words: &[&str]) -> Result<(), SqlError> {
        let all = text.words(12);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let last = || {
            let name = text.solid().last().map(ToString::to_string).unwrap_or_default();
            name.trim_matches('`').to_owned()
        };
        let count = text.solid().count();
        match all.as_slice() {
            ["BEGIN"] | ["BEGIN", "WORK"] if count == all.len() => self.begin(false, self.begins_read_only()),
            ["START", "TRANSACTION", ..] => self.start(text, &all),
            ["COMMIT", rest @ ..] | ["ROLLBACK", rest @ ..]
                if count == all.len() && ending(rest).is_some() =>
            {
                let Some(chains) = ending(rest) else { return Err(syntax(words)) };
                if all.contains(&"RELEASE") && !all.ends_with(&["NO", "RELEASE"]) {
                    return Err(SqlError::unsupported("RELEASE"));
                }
                let commit = words[0] == "COMMIT";
                if chains {
                    // the next one may do what this one may
                    let read_only = self.desk.lock().read_only;
                    return self.end_and_begin(commit, false, read_only);
                }
                let result = self.end(commit);
                // There is no transaction any more, and the client knows.
                if result.is_err() {
                    self.end(false)?;
                }
                result
            }
            ["SAVEPOINT", ..] if count == 2 => {
                let desk = Arc::clone(&self.desk);
                let mut state = desk.lock();
                desk.check_lost(&mut state)?;
                if !state.begun && self.autocommit() {
                    // As in MySQL, a savepoint outside a transaction is gone with its statement.
                    return Ok(());
                }
                desk.read(&mut state)?;
                state.set_savepoint(&last())
            }
            ["ROLLBACK", "TO", ..] | ["ROLLBACK", "WORK", "TO", ..] if names_one_savepoint(&all, count) => {
                let mut state = self.desk.lock();
                self.desk.check_lost(&mut state)?;
                state.rollback_to(&last())
            }
            ["RELEASE", "SAVEPOINT", ..] if count == 3 => {
                let mut state = self.desk.lock();
                self.desk.check_lost(&mut state)?;
                state.release(&last())
            }
            _ => Err(syntax(words)),
        }
    }

    /// Whether a transaction that does not say so may only read.
    pub(super) fn begins_read_only(&self) -> bool {
        self.next.read_only || self.variables.is_on("transaction_read_only")
    }

    fn start(&mut self, text: &Text, words: &[&str]) -> Result<(), SqlError> {
        let (mut snapshot, mut access) = (false, None);
        let rest: Vec<&Token> = text.solid().skip(2).collect();
        if !rest.is_empty() {
            for option in rest.split(|token| **token == Token::Comma) {
                let option: Vec<String> =
                    option.iter().map(|token| token.to_string().to_ascii_uppercase()).collect();
                let option: Vec<&str> = option.iter().map(String::as_str).collect();
                match option.as_slice() {
                    ["WITH", "CONSISTENT", "SNAPSHOT"] => snapshot = true,
                    // as in MySQL, both of them together are no statement
                    ["READ", word @ ("ONLY" | "WRITE")]
                        if access.is_none_or(|only| only == (*word == "ONLY")) =>
                    {
                        access = Some(*word == "ONLY");
                    }
                    _ => return Err(syntax(words)),
                }
            }
        }
        let read_only = access.unwrap_or_else(|| self.begins_read_only());
        self.begin(snapshot, read_only)
    }

    fn begin(&mut self, snapshot: bool, read_only: bool) -> Result<(), SqlError> {
        self.end_and_begin(true, snapshot, read_only)
    }

    /// Ends what is open and begins anew, without a moment in between in which a statement would stand alone.
    fn end_and_begin(&mut self, commit: bool, snapshot: bool, read_only: bool) -> Result<(), SqlError> {
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        if commit {
            let _leave = self.leave_to_commit(&state)?;
            desk.commit(&mut state, self.engine.log.as_ref(), self.engine.server_id)?;
        } else {
            desk.rollback(&mut state);
        }
        self.table_lock = None;
        let reads_committed = self.will_read_committed();
        state.reads_committed = Some(reads_committed);
        self.next = Next::default();
        state.begun = true;
        state.read_only = read_only;
        // there it would end with the first statement
        if snapshot && !reads_committed {
            desk.read(&mut state)?;
            // SQLite takes its snapshot at the first read.
            state
                .conn
                .query_row("SELECT count(*) FROM (SELECT 1 FROM sqlite_schema LIMIT 1)", [], |_| Ok(()))?;
        }
        Ok(())
    }

    /// Commits or rolls back what is open.
    pub(super) fn end(&mut self, commit: bool) -> Result<(), SqlError> {
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        if commit {
            let _leave = self.leave_to_commit(&state)?;
            return desk.commit(&mut state, self.engine.log.as_ref(), self.engine.server_id);
        }
        desk.rollback(&mut state);
        Ok(())
    }
}

/// What follows COMMIT or ROLLBACK: whether it chains, or none if it is nothing that may stand there.
fn ending(rest: &[&str]) -> Option<bool> {
    let rest = rest.strip_prefix(&["WORK"]).unwrap_or(rest);
    let (chains, rest) = match rest {
        ["AND", "NO", "CHAIN", rest @ ..] => (false, rest),
        ["AND", "CHAIN", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    match rest {
        [] | ["NO", "RELEASE"] => Some(chains),
        ["RELEASE"] if !chains => Some(false),
        _ => None,
    }
}

/// Whether one name follows TO, or TO SAVEPOINT. A quoted name is no word.
fn names_one_savepoint(words: &[&str], count: usize) -> bool {
    let to = words.iter().position(|word| *word == "TO").map_or(count, |at| at + 1);
    let says_savepoint = usize::from(words.get(to) == Some(&"SAVEPOINT") && count == to + 2);
    count == to + says_savepoint + 1
}
