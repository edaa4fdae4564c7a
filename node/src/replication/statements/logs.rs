//! The log in the administrator's words: shown, rotated, purged, reset, and which keys changed since a place.
//!
//! What shows the log reads on the session's own connection. What writes it does so on a connection of its own,
//! when it has its turn to write. Where there is no log, MySQL's words for that come back.

use super::words::{Word, Words};
use super::{ADMIN_WRITE_WAIT, Admin, Answer, Asking, WATCHES};
use crate::SqlError;
use crate::accounts::privileges::Privilege;
use crate::replication::binlog;
use crate::replication::changes;
use crate::replication::events::{self, Asked};
use crate::replication::position::{FIRST_POS, LogPosition};
use crate::replication::status::{self, Listing};
use crate::replication::{failed, now_ms, number};
use rusqlite::Connection;
use std::time::Duration;

/// The most lines of SHOW BINLOG EVENTS without a LIMIT.
const MAX_EVENTS: usize = 1_000_000;
/// How long FLUSH LOGS waits for its turn where others may wait for its session.
const HOLDER_WAIT: Duration = Duration::from_millis(100);
/// The highest number that RESET MASTER TO takes.
const MAX_RESET_FILE: u64 = 999_999;

impl Admin {
    /// What follows `SHOW BINLOG` or `SHOW BINARY LOG`.
    pub(super) fn show_log(
        &self,
        words: &mut Words,
        asking: &Asking<'_>,
    ) -> Option<Result<Answer, SqlError>> {
        if words.take("STATUS") {
            let status =
                asking.rights.any(WATCHES).and_then(|()| status::source_status(asking.conn, self.log()));
            return Some(words.end().and(status).map(Answer::Listing));
        }
        if words.take("EVENTS") {
            let allowed = asking.rights.any(&[Privilege::ReplicationSlave]);
            return Some(allowed.and_then(|()| self.show_events(words, asking.conn)).map(Answer::Listing));
        }
        words.take_all(&["CHANGES", "FOR"]).then(|| {
            asking.rights.any(WATCHES)?;
            self.has_log()?;
            self.show_changes(words, asking)
        })
    }

    fn show_events(&self, words: &mut Words, conn: &Connection) -> Result<Listing, SqlError> {
        let name = if words.take("IN") { Some(words.text()?) } else { None };
        let pos = if words.take("FROM") { words.number()? } else { FIRST_POS };
        let (offset, limit) = words.limit(MAX_EVENTS)?;
        words.end()?;
        let first = binlog::files(conn)?.first().map_or(1, |file| file.file);
        let place = match name {
            Some(name) => {
                LogPosition::in_file(&name, pos).filter(|place| self.log().file_name(*place) == name)
            }
            None => Some(LogPosition { file: first, pos: pos.max(FIRST_POS) }),
        };
        let from = place.ok_or_else(|| no_such_log("SHOW BINLOG EVENTS"))?;
        let asked = Asked { from, offset, limit };
        let context = self.context();
        match self.log().is_enabled() {
            true => events::list(conn, self.log(), context.server_id, !context.gtid_mode, asked),
            false => Ok(Listing { columns: events::columns(), rows: Vec::new() }),
        }
    }

    /// `FLUSH [NO_WRITE_TO_BINLOG | LOCAL] [BINARY] LOGS`.
    ///
    /// It goes through under FLUSH TABLES WITH READ LOCK, as in MySQL. There somebody's COMMIT may wait with the right
    /// to write, for the very session that asks: the file then ends with the next transaction that comes into the log.
    pub(super) fn flush(&self, words: &mut Words, asking: &Asking<'_>) -> Option<Result<Answer, SqlError>> {
        words.either("NO_WRITE_TO_BINLOG", "LOCAL");
        words.take("BINARY");
        if !words.take("LOGS") {
            return None;
        }
        Some(words.end().and_then(|()| self.begin_file(asking)).map(|()| Answer::Done))
    }

    fn begin_file(&self, asking: &Asking<'_>) -> Result<(), SqlError> {
        let rotate = |conn: &Connection| match self.log().is_enabled() {
            true => self.log().rotate(conn).map(drop),
            false => Ok(()),
        };
        let wait = if asking.holds_tables { HOLDER_WAIT } else { ADMIN_WRITE_WAIT };
        match (self.write)(wait, &rotate) {
            Err(error) if asking.holds_tables && error.code == 1205 => self.log().rotate_next(asking.conn),
            result => result,
        }
    }

    /// `PURGE BINARY LOGS TO 'file'`, `PURGE BINARY LOGS BEFORE time`.
    pub(super) fn purge(&self, words: &mut Words) -> Result<Answer, SqlError> {
        if !words.either("BINARY", "MASTER") || !words.take("LOGS") {
            return Err(words.syntax());
        }
        if words.take("TO") {
            let name = words.text()?;
            words.end()?;
            let place = LogPosition::in_file(&name, FIRST_POS).ok_or_else(|| no_such_log("PURGE LOGS"))?;
            (self.write)(ADMIN_WRITE_WAIT, &|conn| {
                if !binlog::files(conn)?.iter().any(|file| file.file == place.file) {
                    return Err(SqlError::new(1373, "HY000", "Target log not found in binlog index"));
                }
                self.log().purge_before(conn, place.file)
            })?;
        } else if words.take("BEFORE") {
            let time = Time::read(words)?;
            (self.write)(ADMIN_WRITE_WAIT, &|conn| self.log().purge_older(conn, time.ms(conn)?))?;
        } else {
            return Err(words.syntax());
        }
        Ok(Answer::Done)
    }

    /// `RESET MASTER [TO n]`, `RESET BINARY LOGS AND GTIDS [TO n]`.
    pub(super) fn reset_log(&self, words: &mut Words, asking: &Asking<'_>) -> Result<Answer, SqlError> {
        let file = if words.take("TO") { words.number()? } else { 1 };
        words.end()?;
        if file == 0 || file > MAX_RESET_FILE {
            return Err(SqlError::new(1210, "HY000", "Incorrect arguments to RESET MASTER TO"));
        }
        let _leave = (asking.leave)()?;
        let reset = (self.write)(ADMIN_WRITE_WAIT, &|conn| self.log().reset(conn, file));
        self.log().committed();
        reset.map(|()| Answer::Done)
    }

    fn show_changes(&self, words: &mut Words, asking: &Asking<'_>) -> Result<Answer, SqlError> {
        let mut table = words.name()?;
        let mut database = asking.database.to_owned();
        if words.sign('.') {
            database = std::mem::replace(&mut table, words.name()?);
        }
        if !words.take("FROM") {
            return Err(words.syntax());
        }
        let name = words.text()?;
        words.sign(',');
        let pos = words.number()?;
        let whose = if words.take("LOCAL") { changes::Whose::Own } else { changes::Whose::Anybodys };
        words.end()?;
        let place = LogPosition::in_file(&name, pos).ok_or_else(|| no_such_log("SHOW BINLOG CHANGES"))?;
        let key = (asking.key_of)(&database, &table)?;
        if !self.log().databases().allow(&database) {
            let why = "not logged here (binlog_do_db, binlog_ignore_db)";
            return Err(SqlError::internal(format!("what is written in {database} is {why}")));
        }
        let rows = changes::changed_keys(asking.conn, (&database, &table), &key, place, whose)?;
        Ok(Answer::Keys { database, table, rows })
    }

    fn has_log(&self) -> Result<(), SqlError> {
        match self.log().is_enabled() {
            true => Ok(()),
            false => Err(SqlError::new(1381, "HY000", "You are not using binary logging")),
        }
    }
}

/// A point in time as PURGE takes it: a text, or now, maybe less an interval.
enum Time {
    Text(String),
    Ago(u64),
}

impl Time {
    fn read(words: &mut Words) -> Result<Time, SqlError> {
        if let Some(Word::Text(_)) = words.peek() {
            let text = words.text()?;
            words.end()?;
            return Ok(Time::Text(text));
        }
        if !words.either("NOW", "CURRENT_TIMESTAMP") {
            return Err(SqlError::unsupported(
                "PURGE BINARY LOGS BEFORE anything but a time or NOW() - INTERVAL",
            ));
        }
        if words.sign('(') && !words.sign(')') {
            return Err(words.syntax());
        }
        let mut seconds = 0;
        if words.take("-") {
            if !words.take("INTERVAL") {
                return Err(words.syntax());
            }
            let count = words.number()?;
            let unit = match words.name()?.to_ascii_uppercase().as_str() {
                "SECOND" => 1,
                "MINUTE" => 60,
                "HOUR" => 3600,
                "DAY" => 86_400,
                "WEEK" => 7 * 86_400,
                _ => return Err(words.syntax()),
            };
            seconds = count.saturating_mul(unit);
        }
        words.end()?;
        Ok(Time::Ago(seconds))
    }

    /// Milliseconds since 1970.
    fn ms(&self, conn: &Connection) -> Result<u64, SqlError> {
        match self {
            Time::Ago(seconds) => Ok(now_ms().saturating_sub(seconds.saturating_mul(1000))),
            Time::Text(text) => {
                let seconds: Option<i64> =
                    conn.query_row("SELECT unixepoch(?1)", [text], |row| row.get(0)).map_err(failed)?;
                let wrong = || SqlError::new(1525, "HY000", format!("Incorrect DATETIME value: '{text}'"));
                Ok(number(seconds.ok_or_else(wrong)?).saturating_mul(1000))
            }
        }
    }
}

fn no_such_log(command: &str) -> SqlError {
    SqlError::new(1220, "HY000", format!("Error when executing command {command}: Could not find target log"))
}
