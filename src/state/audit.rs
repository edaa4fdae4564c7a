//! The audit log: who changed what, when, through what, chained by hashes.
//!
//! Each line's hash covers the hash of the line before it and all of its own fields, with their lengths. Lines are only added: the
//! file's own triggers refuse changes, and who goes around them breaks the chain, which [`State::audit_break`] finds. What it does
//! not show is a log that was cut off at its end or made anew as a whole; for that, keep the latest hash elsewhere.

use super::history::{signed, unsigned};
use super::{State, seconds};
use crate::error::Failure;
use rusqlite::{OptionalExtension, Row, params};

/// The longest text of a field, in bytes; the rest is cut off.
const FIELD_BYTES_MAX: usize = 2_000;
/// What the first line follows.
const GENESIS: &str = "evensum audit 1";

/// The table of this file.
pub(super) const LAYOUT: &str = "
    CREATE TABLE IF NOT EXISTS audit(
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,
        detail TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
    CREATE TRIGGER IF NOT EXISTS audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
    CREATE TRIGGER IF NOT EXISTS audit_is_true BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;";

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    /// Its number.
    pub id: i64,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Who.
    pub who: String,
    /// What was done, in one word.
    pub action: String,
    /// To what.
    pub subject: String,
    /// What else should be known: a reason, the hash of a plan.
    pub detail: String,
    /// The hash of this line and of all before it.
    pub hash: String,
}

impl AuditLine {
    fn hash_after(&self, before: &str) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("evensum 2026 audit line v1");
        let (id, at) = (self.id.to_string(), self.at.to_string());
        for field in [before, &id, &at, &self.who, &self.action, &self.subject, &self.detail] {
            hasher.update(&(field.len() as u64).to_be_bytes()).update(field.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

impl State {
    /// Adds a line.
    pub fn audit(&self, who: &str, action: &str, subject: &str, detail: &str) -> Result<(), Failure> {
        let add = || {
            let transaction =
                rusqlite::Transaction::new_unchecked(&self.runs, rusqlite::TransactionBehavior::Immediate)?;
            let last = transaction
                .query_row("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1", [], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
                })
                .optional()?;
            let (id, before) = last.unwrap_or((0, GENESIS.to_owned()));
            let field = |text: &str| text[..text.floor_char_boundary(FIELD_BYTES_MAX)].to_owned();
            let mut line = AuditLine {
                id: id + 1,
                at: unsigned(seconds()),
                who: field(who),
                action: field(action),
                subject: field(subject),
                detail: field(detail),
                hash: String::new(),
            };
            line.hash = line.hash_after(&before);
            transaction.execute(
                "INSERT INTO audit(id, at, who, action, subject, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![line.id, signed(line.at), line.who, line.action, line.subject, line.detail, line.hash],
            )?;
            transaction.commit()
        };
        add().map_err(|error| self.broken(&error))
    }

    /// The latest lines, the last one first.
    pub fn audit_lines(&self, limit: u32) -> Result<Vec<AuditLine>, Failure> {
        let list = || {
            let mut statement = self.runs.prepare_cached(
                "SELECT id, at, who, action, subject, detail, hash FROM audit ORDER BY id DESC LIMIT ?1",
            )?;
            statement.query_map([limit], read_line)?.collect::<rusqlite::Result<Vec<AuditLine>>>()
        };
        list().map_err(|error| self.broken(&error))
    }

    /// The number of the first line that does not follow from the one before; `None` if all do.
    pub fn audit_break(&self) -> Result<Option<i64>, Failure> {
        let walk = || {
            let mut statement = self
                .runs
                .prepare("SELECT id, at, who, action, subject, detail, hash FROM audit ORDER BY id")?;
            let (mut before, mut number) = (GENESIS.to_owned(), 0);
            for line in statement.query_map([], read_line)? {
                let line = line?;
                number += 1;
                if line.id != number || line.hash != line.hash_after(&before) {
                    return Ok(Some(number));
                }
                before = line.hash;
            }
            Ok(None)
        };
        walk().map_err(|error: rusqlite::Error| self.broken(&error))
    }
}

fn read_line(row: &Row<'_>) -> rusqlite::Result<AuditLine> {
    Ok(AuditLine {
        id: row.get(0)?,
        at: unsigned(row.get(1)?),
        who: row.get(2)?,
        action: row.get(3)?,
        subject: row.get(4)?,
        detail: row.get(5)?,
        hash: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_only_added_and_who_goes_around_that_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        assert_eq!(state.audit_break().unwrap(), None);
        for (who, detail) in [("ann", "a"), ("bob", &*"ä".repeat(5_000)), ("ann", "c")] {
            state.audit(who, "pause", "schedule nightly", detail).unwrap();
        }
        let lines = state.audit_lines(2).unwrap();
        assert_eq!((lines.len(), lines[0].id, lines[1].detail.len()), (2, 3, FIELD_BYTES_MAX));
        assert_eq!(state.audit_break().unwrap(), None);
        for sql in ["UPDATE audit SET who = 'eve' WHERE id = 2", "DELETE FROM audit WHERE id = 2"] {
            assert!(state.runs.execute(sql, []).is_err(), "{sql}");
            state
                .runs
                .execute_batch("SAVEPOINT s; DROP TRIGGER audit_stays; DROP TRIGGER audit_is_true")
                .unwrap();
            state.runs.execute(sql, []).unwrap();
            assert_eq!(state.audit_break().unwrap(), Some(2), "{sql}");
            state.runs.execute_batch("ROLLBACK TO s; RELEASE s").unwrap();
        }
        assert_eq!(state.audit_break().unwrap(), None);
    }
}
