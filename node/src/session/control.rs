//! BEGIN, COMMIT, ROLLBACK and savepoints.

use std::sync::Arc;

use sqlparser::tokenizer::Token;

use super::Session;
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
        match words {
            ["BEGIN"] | ["BEGIN", "WORK"] if count == words.len() => self.begin(false, false),
            ["START", "TRANSACTION", ..] => self.start(text, &all),
            ["COMMIT", rest @ ..] | ["ROLLBACK", rest @ ..] if is_plain_end(rest) && count == all.len() => {
                let commit = words[0] == "COMMIT";
                if all.contains(&"CHAIN") && !all.contains(&"NO") {
                    return self.end_and_begin(commit, false, false);
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
                // A savepoint in a snapshot would be lost when the transaction becomes the writer.
                desk.write(&mut state, self.lock_wait())?;
                state.set_savepoint(&last())
            }
            ["ROLLBACK", "TO", ..] | ["ROLLBACK", "WORK", "TO", ..] => {
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

    fn start(&mut self, text: &Text, words: &[&str]) -> Result<(), SqlError> {
        let options = &words[2..];
        let (mut snapshot, mut read_only) = (false, false);
        let mut rest = options;
        while !rest.is_empty() {
            rest = match rest {
                ["WITH", "CONSISTENT", "SNAPSHOT", tail @ ..] => {
                    snapshot = true;
                    tail
                }
                ["READ", "ONLY", tail @ ..] => {
                    read_only = true;
                    tail
                }
                ["READ", "WRITE", tail @ ..] => tail,
                _ => return Err(syntax(words)),
            };
        }
        // Between options there may be commas, which end the list of words.
        let commas = text.solid().filter(|token| **token == Token::Comma).count();
        if commas > 0 {
            let all: Vec<String> = text.solid().map(|token| token.to_string().to_ascii_uppercase()).collect();
            let all = all.join(" ");
            snapshot |= all.contains("WITH CONSISTENT SNAPSHOT");
            read_only |= all.contains("READ ONLY");
        }
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
            desk.commit(&mut state, self.engine.log.as_ref(), self.engine.server_id)?;
        } else {
            desk.rollback(&mut state);
        }
        state.begun = true;
        state.read_only = read_only;
        if snapshot {
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
            return desk.commit(&mut state, self.engine.log.as_ref(), self.engine.server_id);
        }
        desk.rollback(&mut state);
        Ok(())
    }
}

fn is_plain_end(rest: &[&str]) -> bool {
    let rest = rest.strip_prefix(&["WORK"]).unwrap_or(rest);
    matches!(rest, [] | ["AND", ..] | ["NO", "RELEASE"])
}
