//! `CLONE INSTANCE FROM 'user'@'host':port IDENTIFIED BY 'password'`, in MySQL's words, and `SHOW CLONE STATUS`.
//!
//! The statement runs on the new node and ends when the copy is committed. It ends early, and with nothing changed, when it
//! is killed, when its client is gone, when the node ends, and when the source says nothing for a while. Where it stands
//! is told by `SHOW CLONE STATUS`, this node's short form of `performance_schema.clone_status` and `clone_progress`.
//!
//! `REQUIRE SSL` encrypts and trusts whoever answers, as MASTER_SSL alone does.
//!
//! Invariant: one clone at a time. Not here: `DATA DIRECTORY` and local clones, which are 1235.

use super::message::{Head, Tally};
use super::source::Request;
use super::target::{Own, Packets, copy, disallowed, donor};
use crate::SqlError;
use crate::replication::binlog::Binlog;
use crate::replication::client::{LinkError, SILENCE, SourceClient};
use crate::replication::statements::words::{Word, Words};
use crate::replication::statements::{ADMIN_WRITE_WAIT, Writes};
use crate::replication::status::{Listing, columns};
use crate::sql::temporal::DateTime;
use crate::storage::read_lock::Pass;
use crate::tls::link::LinkTls;
use database::Secret;
use rusqlite::Connection;
use std::cell::{Cell, RefCell};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often it is asked whether the client is still there.
const CLIENT_POLL: Duration = Duration::from_millis(200);
/// The longest clone.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What the statement works with.
pub struct Means<'a> {
    /// Writes in one transaction, under the writer's lock.
    pub write: &'a Writes,
    /// A connection to the node's file.
    pub connect: &'a dyn Fn() -> Result<Connection, SqlError>,
    /// The node's log.
    pub log: &'a Binlog,
    /// The node's `server_id`.
    pub server_id: u32,
    /// Whether a link of the node runs.
    pub replicates: bool,
    /// Leave to write.
    pub leave: &'a dyn Fn() -> Result<Pass, SqlError>,
    /// Whether the statement was killed.
    pub stopped: &'a dyn Fn() -> bool,
    /// Whether the client is gone.
    pub gone: &'a dyn Fn() -> bool,
}

/// Whom to copy, and by which account.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    user: String,
    host: String,
    port: u16,
    password: Secret,
    tls: LinkTls,
}

/// The node's latest clone.
#[derive(Debug, Default)]
pub struct Cloning(Mutex<Status>);

#[derive(Debug, Default)]
struct Status {
    stage: Stage,
    source: String,
    began: String,
    ended: Option<String>,
    head: Option<Head>,
    received: Tally,
    error: Option<SqlError>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    NotStarted,
    InProgress,
    Completed,
    Failed,
}

impl Stage {
    /// MySQL's word.
    fn word(self) -> &'static str {
        match self {
            Stage::NotStarted => "Not Started",
            Stage::InProgress => "In Progress",
            Stage::Completed => "Completed",
            Stage::Failed => "Failed",
        }
    }
}

impl Cloning {
    fn lock(&self) -> MutexGuard<'_, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `INSTANCE FROM …`, behind the word CLONE.
    pub fn run(&self, words: &mut Words, means: &Means<'_>) -> Result<(), SqlError> {
        let source = read(words)?;
        self.begin(&source)?;
        let result = self.pull(&source, means);
        let mut status = self.lock();
        status.stage = if result.is_ok() { Stage::Completed } else { Stage::Failed };
        status.ended = Some(DateTime::now().text(3));
        status.error = result.as_ref().err().cloned();
        result
    }

    fn begin(&self, source: &Source) -> Result<(), SqlError> {
        let mut status = self.lock();
        if status.stage == Stage::InProgress {
            let message = "Concurrent clone in progress. Please try after clone is complete.";
            return Err(SqlError::new(3874, "HY000", message));
        }
        *status = Status {
            stage: Stage::InProgress,
            source: format!("{}:{}", source.host, source.port),
            began: DateTime::now().text(3),
            ..Status::default()
        };
        Ok(())
    }

    fn pull(&self, source: &Source, means: &Means<'_>) -> Result<(), SqlError> {
        if means.replicates {
            return Err(disallowed(
                "replication is running on the recipient; run STOP REPLICA first".to_owned(),
            ));
        }
        let _leave = (means.leave)()?;
        let stream = SourceClient::open_stream(&source.host, source.port).map_err(donor)?;
        let (host, user, password) = (&source.host, &source.user, &source.password);
        let mut client =
            SourceClient::login(stream, host, user, password, &source.tls, SILENCE).map_err(donor)?;
        client.identify().map_err(donor)?;
        let packets = RefCell::new(Asking { client, server_id: means.server_id, asked: false });
        let own = Own { server_id: means.server_id, server_uuid: means.log.server_uuid() };
        let watch = Watch { means, began: Instant::now(), looked: Cell::new(Instant::now()) };
        let done = (means.write)(ADMIN_WRITE_WAIT, &|conn| {
            let told = |head: Option<&Head>, received: Tally| {
                self.note(head, received);
                watch.look(head.is_some_and(|head| received.tables == head.tables))
            };
            copy(conn, &mut *packets.borrow_mut(), own, &told).map(drop)
        });
        drop(packets); // and with it what the source keeps for us
        if done.is_ok() {
            means.log.committed();
        }
        fold_log(means);
        done
    }

    fn note(&self, head: Option<&Head>, received: Tally) {
        let mut status = self.lock();
        status.received = received;
        if let (None, Some(head)) = (&status.head, head) {
            status.head = Some(head.clone());
        }
    }

    /// `SHOW CLONE STATUS`.
    pub fn show(&self) -> Listing {
        let status = self.lock();
        let head = status.head.as_ref();
        let number = |number: u64| Some(number.to_string());
        let row = vec![
            Some(status.stage.word().to_owned()),
            Some(status.source.clone()),
            Some(status.began.clone()),
            status.ended.clone(),
            number(status.received.tables),
            head.and_then(|head| number(head.tables)),
            number(status.received.rows),
            number(status.received.bytes),
            head.and_then(|head| number(head.bytes)),
            head.map(|head| head.log_name.clone()),
            head.and_then(|head| number(head.place.pos)),
            head.map(|head| head.executed.to_string()),
            number(status.error.as_ref().map_or(0, |error| u64::from(error.code))),
            Some(status.error.as_ref().map_or_else(String::new, |error| error.message.clone())),
        ];
        let names = [
            "State",
            "Source",
            "Begin_time",
            "End_time",
            "+Tables",
            "+Tables_total",
            "+Rows",
            "+Bytes",
            "+Bytes_estimate",
            "Binlog_file",
            "+Binlog_position",
            "Gtid_executed",
            "+Error_no",
            "Error_message",
        ];
        Listing { columns: columns(&names), rows: vec![row] }
    }
}

/// Looks now and then whether the statement is to end.
struct Watch<'a> {
    means: &'a Means<'a>,
    began: Instant,
    looked: Cell<Instant>,
}

impl Watch<'_> {
    fn look(&self, always: bool) -> Result<(), SqlError> {
        let interrupted = || SqlError::interrupted();
        if (self.means.stopped)() || self.means.log.is_closed() {
            return Err(interrupted());
        }
        if self.began.elapsed() > LONGEST {
            return Err(SqlError::new(
                3024,
                "HY000",
                "Query execution was interrupted, maximum statement execution time exceeded",
            ));
        }
        if always || self.looked.get().elapsed() >= CLIENT_POLL {
            self.looked.set(Instant::now());
            if (self.means.gone)() {
                return Err(interrupted());
            }
        }
        Ok(())
    }
}

/// The connection to the source; it asks for the snapshot when the first message is wanted, and not before.
struct Asking {
    client: SourceClient,
    server_id: u32,
    asked: bool,
}

impl Packets for Asking {
    fn next(&mut self) -> Result<&[u8], LinkError> {
        if !self.asked {
            self.client.command(&Request::command(self.server_id))?;
            self.asked = true;
        }
        self.client.next_packet()
    }
}

/// The copy lies in the write-ahead log, whether it was committed or not: gives the space back, if nobody reads there now.
fn fold_log(means: &Means<'_>) {
    if let Ok(conn) = (means.connect)() {
        let folded = conn.busy_timeout(Duration::ZERO);
        // somebody reads: SQLite does it at a later commit
        let _ = folded.and_then(|()| conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    }
}

fn read(words: &mut Words) -> Result<Source, SqlError> {
    if words.is("LOCAL") {
        return Err(SqlError::unsupported("CLONE LOCAL"));
    }
    if !words.take_all(&["INSTANCE", "FROM"]) {
        return Err(words.syntax());
    }
    let (user, host) = account(words)?;
    if !words.sign(':') {
        return Err(words.syntax());
    }
    let port = u16::try_from(words.number()?).map_err(|_| words.syntax())?;
    if !words.take_all(&["IDENTIFIED", "BY"]) {
        return Err(words.syntax());
    }
    let password = Secret::from(words.text()?);
    if words.is("DATA") {
        return Err(SqlError::unsupported("CLONE INSTANCE … DATA DIRECTORY"));
    }
    let mut tls = LinkTls::default();
    if words.take("REQUIRE") {
        tls.on = !words.take("NO");
        if !words.take("SSL") {
            return Err(words.syntax());
        }
    }
    words.end()?;
    Ok(Source { user, host, port, password, tls })
}

/// `'user'@'host'`; the words of the grammar take an at sign for a letter.
fn account(words: &mut Words) -> Result<(String, String), SqlError> {
    match words.pop() {
        Some(Word::Text(user) | Word::Quoted(user)) => match words.pop() {
            Some(Word::Plain(sign)) if sign == "@" => Ok((user, word(words)?)),
            Some(Word::Plain(host)) if host.starts_with('@') => Ok((user, host[1..].to_owned())),
            _ => Err(words.syntax()),
        },
        Some(Word::Plain(both)) => match both.split_once('@') {
            Some((user, "")) => Ok((user.to_owned(), word(words)?)),
            Some((user, host)) => Ok((user.to_owned(), host.to_owned())),
            None => Err(words.syntax()),
        },
        _ => Err(words.syntax()),
    }
}

fn word(words: &mut Words) -> Result<String, SqlError> {
    match words.pop() {
        Some(Word::Text(word) | Word::Quoted(word) | Word::Plain(word)) => Ok(word),
        _ => Err(words.syntax()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(sql: &str) -> Result<Source, SqlError> {
        let mut words = Words::cut(sql).unwrap();
        words.pop();
        read(&mut words)
    }

    #[test]
    fn the_statement_is_mysqls() {
        let expected = Source {
            user: "copy".to_owned(),
            host: "db1".to_owned(),
            port: 3307,
            password: Secret::from("it's".to_owned()),
            tls: LinkTls::default(),
        };
        for account in ["'copy'@'db1'", "`copy`@`db1`", "copy@db1", "copy@'db1'", "'copy'@db1"] {
            for tail in ["", " REQUIRE NO SSL"] {
                let sql = format!("CLONE INSTANCE FROM {account}:3307 IDENTIFIED BY 'it''s'{tail}");
                assert_eq!(source(&sql).as_ref(), Ok(&expected), "{sql}");
            }
        }
    }

    #[test]
    fn encryption_is_asked_for_in_mysqls_words() {
        let tls =
            |tail: &str| source(&format!("CLONE INSTANCE FROM a@b:1 IDENTIFIED BY ''{tail}")).unwrap().tls.on;
        assert!(tls(" REQUIRE SSL") && !tls(" REQUIRE NO SSL") && !tls(""));
    }

    #[test]
    fn what_is_not_supported_is_said() {
        let code = |sql: &str| source(sql).unwrap_err().code;
        assert_eq!(code("CLONE LOCAL DATA DIRECTORY = '/tmp/x'"), 1235);
        assert_eq!(code("CLONE INSTANCE FROM 'a'@'b':1 IDENTIFIED BY '' DATA DIRECTORY = '/x'"), 1235);
        for sql in [
            "CLONE",
            "CLONE INSTANCE",
            "CLONE INSTANCE FROM 'a'",
            "CLONE INSTANCE FROM 'a'@'b'",
            "CLONE INSTANCE FROM 'a'@'b':99999 IDENTIFIED BY ''",
            "CLONE INSTANCE FROM 'a'@'b':1",
            "CLONE INSTANCE FROM 'a'@'b':1 IDENTIFIED BY '' NOW",
            "CLONE INSTANCE FROM 'a'@'b':1 IDENTIFIED BY '' REQUIRE X509",
        ] {
            assert_eq!(code(sql), 1064, "{sql}");
        }
    }
}
