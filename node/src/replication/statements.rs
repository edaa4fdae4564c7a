//! The administrator's statements: links, log, positions.
//!
//! The session offers a statement here before it parses SQL. [`Admin::run`] looks at the first words and either
//! answers or says that the statement is none of its own. What shows the log is read on the session's own
//! connection, so that it belongs to the snapshot of the session's transaction. What writes the log or waits uses connections of its own.

mod linking;
mod offered;
mod variables;
pub mod words;

use self::words::{Word, Words};
use super::binlog::{self, Binlog};
use super::link::{Context, Receiving};
use super::links::Links;
use super::position::{FIRST_POS, LogPosition};
use super::status::{self, Listing};
use super::{changes, client, record};
use crate::SqlError;
use crate::server::clients::Clients;
use database::GtidSet;
use rusqlite::Connection;
use rusqlite::types::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest wait for transactions: a day.
const MAX_WAIT_SECONDS: u64 = 86_400;
/// The most lines of SHOW BINLOG EVENTS without a LIMIT.
const MAX_EVENTS: usize = 1_000_000;

/// What a statement answers.
#[derive(Debug)]
pub enum Answer {
    /// OK.
    Done,
    /// A table of text.
    Listing(Listing),
    /// Keys of a table, in stored form; the session shows them as it shows its columns.
    Keys {
        /// The table's database.
        database: String,
        /// The table.
        table: String,
        /// The keys, with the values in the order of the key's columns.
        rows: Vec<Vec<Value>>,
    },
}

/// What a statement sees of the session that runs it.
pub struct Asking<'a> {
    /// The session's connection, in its transaction if it has one.
    pub conn: &'a Connection,
    /// The session's database, or empty.
    pub database: &'a str,
    /// The places of a table's primary key columns, if there is such a table with such a key.
    pub key_of: &'a KeyOf<'a>,
}

/// Finds the places of a table's primary key columns, by database and table.
pub type KeyOf<'a> = dyn Fn(&str, &str) -> Result<Vec<usize>, SqlError> + 'a;

/// A write to the node's file, outside of any session.
pub type Writes = dyn Fn(&dyn Fn(&Connection) -> Result<(), SqlError>) -> Result<(), SqlError> + Send + Sync;

/// The statements' executor.
pub struct Admin {
    links: Arc<Links>,
    write: Box<Writes>,
    clients: Arc<Clients>,
}

impl Admin {
    /// Statements about these links and their node's log.
    pub fn new(links: Arc<Links>, write: Box<Writes>, clients: Arc<Clients>) -> Admin {
        Admin { links, write, clients }
    }

    fn context(&self) -> &Context {
        self.links.context()
    }

    /// The node's log.
    pub fn log(&self) -> &Binlog {
        &self.context().log
    }

    /// Runs the statement if it is one of these.
    pub fn run(&self, sql: &str, asking: &Asking<'_>) -> Option<Result<Answer, SqlError>> {
        let start = sql.trim_start();
        let first = start.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        const LEADING: [&str; 9] =
            ["CHANGE", "START", "STOP", "RESET", "SHOW", "FLUSH", "PURGE", "SET", "SELECT"];
        if !LEADING.iter().any(|word| word.eq_ignore_ascii_case(first)) {
            return None;
        }
        if first.eq_ignore_ascii_case("SELECT") {
            return self.select(start);
        }
        let mut words = Words::cut(sql)?;
        words.pop();
        match first.to_ascii_uppercase().as_str() {
            "SHOW" => self.show(&mut words, asking),
            "FLUSH" => self.flush(&mut words),
            "PURGE" => Some(self.purge(&mut words)),
            "CHANGE" => linking::change(&self.links, &mut words),
            "START" => linking::start_or_stop(&self.links, &mut words, true),
            "STOP" => linking::start_or_stop(&self.links, &mut words, false),
            _ => self.reset(&mut words),
        }
    }

    fn show(&self, words: &mut Words, asking: &Asking<'_>) -> Option<Result<Answer, SqlError>> {
        if words.take("BINLOG") || words.is("BINARY") && words.take_all(&["BINARY", "LOG"]) {
            return self.show_log(words, asking);
        }
        let (conn, log) = (asking.conn, self.log());
        let listing = if words.either("MASTER", "BINARY") {
            if words.take("STATUS") {
                status::source_status(conn, log)
            } else if words.take("LOGS") {
                status::log_files(conn, log)
            } else {
                return None;
            }
        } else if words.take_all(&["SLAVE", "HOSTS"]) || words.take("REPLICAS") {
            Ok(self.show_replicas())
        } else if words.take("PROCESSLIST") {
            Ok(self.show_clients(false))
        } else if words.take_all(&["FULL", "PROCESSLIST"]) {
            Ok(self.show_clients(true))
        } else {
            return linking::show(&self.links, words, conn);
        };
        Some(words.end().and(listing).map(Answer::Listing))
    }

    fn show_log(&self, words: &mut Words, asking: &Asking<'_>) -> Option<Result<Answer, SqlError>> {
        if words.take("STATUS") {
            let status = status::source_status(asking.conn, self.log());
            return Some(words.end().and(status).map(Answer::Listing));
        }
        if words.take("EVENTS") {
            return Some(self.show_events(words, asking.conn).map(Answer::Listing));
        }
        words.take_all(&["CHANGES", "FOR"]).then(|| show_changes(words, asking))
    }

    fn show_events(&self, words: &mut Words, conn: &Connection) -> Result<Listing, SqlError> {
        let name = if words.take("IN") { Some(words.text()?) } else { None };
        let pos = if words.take("FROM") { words.number()? } else { FIRST_POS };
        let (mut offset, mut limit) = (0, MAX_EVENTS as u64);
        if words.take("LIMIT") {
            limit = words.number()?;
            if words.sign(',') {
                (offset, limit) = (limit, words.number()?);
            } else if words.take("OFFSET") {
                offset = words.number()?;
            }
        }
        words.end()?;
        let first = binlog::files(conn)?.first().map_or(1, |file| file.file);
        let place = match name {
            Some(name) => {
                LogPosition::in_file(&name, pos).filter(|place| self.log().file_name(*place) == name)
            }
            None => Some(LogPosition { file: first, pos }),
        };
        let place = place.ok_or_else(|| no_such_log("SHOW BINLOG EVENTS"))?;
        changes::check_place(conn, place).map_err(|error| {
            SqlError::new(
                1220,
                "HY000",
                format!("Error when executing command SHOW BINLOG EVENTS: {}", error.message),
            )
        })?;
        let bounded = |number: u64| usize::try_from(number).unwrap_or(MAX_EVENTS).min(MAX_EVENTS);
        status::log_events(conn, self.log(), place, (bounded(offset), bounded(limit)))
    }

    fn show_replicas(&self) -> Listing {
        let own = self.context().server_id.to_string();
        let rows = self.clients.replicas().into_iter().map(|(server_id, host)| {
            status::row([server_id.to_string(), host, "0".to_owned(), own.clone(), String::new()])
        });
        Listing {
            columns: status::columns(&["+Server_id", "Host", "+Port", "+Master_id", "Slave_UUID"]),
            rows: rows.collect(),
        }
    }

    /// Clients, and the threads of the links as MySQL shows them.
    fn show_clients(&self, full: bool) -> Listing {
        /// What SHOW PROCESSLIST without FULL shows of a statement.
        const SHOWN_CHARACTERS: usize = 100;
        let mut rows = Vec::new();
        for client in self.clients.list() {
            let text = |text: String| Some(text).filter(|text| !text.is_empty());
            let info = client
                .doing
                .statement
                .chars()
                .take(if full { usize::MAX } else { SHOWN_CHARACTERS })
                .collect();
            rows.push(vec![
                Some(client.id.to_string()),
                Some(client.user),
                Some(client.peer.to_string()),
                text(client.doing.database),
                Some(client.doing.command.to_owned()),
                Some(client.doing.since.elapsed().as_secs().to_string()),
                text(client.doing.state.to_owned()),
                text(info),
            ]);
        }
        for link in self.links.all() {
            let state = link.state();
            let threads = [(state.receiving != Receiving::No, "receiving"), (state.applying, "applying")];
            for (_, what) in threads.into_iter().filter(|(runs, _)| *runs) {
                let place = format!("{}:{}", link.settings().host, link.settings().port);
                let texts = ["0", "system user", &place, "", "Connect", "0", what, ""];
                rows.push(texts.map(|text| Some(text.to_owned()).filter(|text| !text.is_empty())).to_vec());
            }
        }
        Listing {
            columns: status::columns(&["+Id", "User", "Host", "db", "Command", "+Time", "State", "Info"]),
            rows,
        }
    }

    fn flush(&self, words: &mut Words) -> Option<Result<Answer, SqlError>> {
        words.take("BINARY");
        if !words.take("LOGS") {
            return None;
        }
        Some(
            words
                .end()
                .and_then(|()| (self.write)(&|conn| binlog::rotate(conn).map(drop)))
                .map(|()| Answer::Done),
        )
    }

    fn purge(&self, words: &mut Words) -> Result<Answer, SqlError> {
        if !words.either("BINARY", "MASTER") || !words.take("LOGS") || !words.take("TO") {
            return Err(SqlError::unsupported("PURGE other than PURGE BINARY LOGS TO 'file'"));
        }
        let name = words.text()?;
        words.end()?;
        let place = LogPosition::in_file(&name, FIRST_POS).ok_or_else(|| no_such_log("PURGE LOGS"))?;
        (self.write)(&|conn| {
            if !binlog::files(conn)?.iter().any(|file| file.file == place.file) {
                return Err(SqlError::new(1373, "HY000", "Target log not found in binlog index"));
            }
            self.log().purge_before(conn, place.file)
        })?;
        Ok(Answer::Done)
    }

    fn reset(&self, words: &mut Words) -> Option<Result<Answer, SqlError>> {
        if !words.take("MASTER") && !words.take_all(&["BINARY", "LOGS", "AND", "GTIDS"]) {
            return linking::reset(&self.links, words);
        }
        let reset = words.end().and_then(|()| (self.write)(&|conn| self.log().reset(conn)));
        self.log().committed();
        Some(reset.map(|()| Answer::Done))
    }

    /// The functions that wait, alone in a SELECT; and the question of a link.
    fn select(&self, sql: &str) -> Option<Result<Answer, SqlError>> {
        if sql.eq_ignore_ascii_case(client::WHO_QUERY) {
            return Some(Ok(self.who()));
        }
        let call = sql["SELECT".len()..].trim_start();
        const WAITS: [&str; 3] = ["WAIT_FOR_EXECUTED_GTID_SET", "MASTER_POS_WAIT", "SOURCE_POS_WAIT"];
        let named =
            |name: &&&str| call.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let function = WAITS.iter().find(named)?;
        let mut words = Words::cut(call)?;
        words.pop();
        if !words.sign('(') {
            return None;
        }
        Some(self.wait(function, &mut words))
    }

    fn wait(&self, function: &str, words: &mut Words) -> Result<Answer, SqlError> {
        let first = words.text()?;
        let value = if function == "WAIT_FOR_EXECUTED_GTID_SET" {
            let seconds = if words.sign(',') { Some(words.seconds()?) } else { None };
            Some(i64::from(!self.wait_for(&first, seconds)?))
        } else {
            words.sign(',');
            let pos = words.number()?;
            let seconds = if words.sign(',') { Some(words.seconds()?) } else { None };
            let place = LogPosition::in_file(&first, pos).ok_or_else(|| words.syntax())?;
            self.wait_for_place(place, seconds)?
        };
        if !words.sign(')') {
            return Err(words.syntax());
        }
        let title = match (words.take("AS"), words.pop()) {
            (_, Some(Word::Plain(name) | Word::Quoted(name))) => name,
            _ => function.to_owned(),
        };
        words.end()?;
        let row = vec![value.map(|value| value.to_string())];
        Ok(Answer::Listing(Listing { columns: vec![(title, true)], rows: vec![row] }))
    }

    /// Waits until the only link has applied the source's log up to a place. -1 if the seconds passed first, none if
    /// no applier runs.
    fn wait_for_place(&self, place: LogPosition, seconds: Option<f64>) -> Result<Option<i64>, SqlError> {
        const LOOK_AGAIN: Duration = Duration::from_millis(10);
        let link = self.links.get("")?;
        let deadline = Instant::now() + wait_time(seconds);
        loop {
            // Whether everything is applied is looked at first: what is read later is then not in question.
            let drained = link.relay.is_drained();
            let state = link.state();
            let reached = if drained { state.read.max(state.applied) } else { state.applied };
            if reached.is_some_and(|reached| reached >= place) {
                return Ok(Some(0));
            }
            if !state.applying {
                return Ok(None);
            }
            if Instant::now() >= deadline || self.log().is_closed() {
                return Ok(Some(-1));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Waits until the set is executed; false if the seconds passed first. Without seconds (or 0), for a day.
    pub fn wait_for(&self, set: &str, seconds: Option<f64>) -> Result<bool, SqlError> {
        let wanted: GtidSet = set.parse().map_err(|_| {
            SqlError::new(1772, "HY000", format!("Malformed GTID set specification '{set}'."))
        })?;
        // A connection of its own: the session's may stand in a snapshot that does not move.
        let conn = (self.context().connect)()?;
        self.log().wait_executed(&conn, &wanted, Some(Instant::now() + wait_time(seconds)))
    }

    fn who(&self) -> Answer {
        let values = [
            record::LINK_VERSION.to_string(),
            self.context().server_id.to_string(),
            self.log().server_uuid().to_owned(),
        ];
        let columns = status::columns(&["+@@evensum_link_version", "+@@server_id", "@@server_uuid"]);
        Answer::Listing(Listing { columns, rows: vec![status::row(values)] })
    }
}

/// How long to wait for these seconds; none or 0 is as long as possible.
fn wait_time(seconds: Option<f64>) -> Duration {
    let longest = Duration::from_secs(MAX_WAIT_SECONDS);
    let seconds = seconds.filter(|&seconds| seconds > 0.0);
    seconds.map_or(longest, |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(longest).min(longest))
}

/// `FOR db.table FROM 'file' pos [LOCAL]`: with LOCAL only what began on this node.
fn show_changes(words: &mut Words, asking: &Asking<'_>) -> Result<Answer, SqlError> {
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
    let rows = changes::changed_keys(asking.conn, (&database, &table), &key, place, whose)?;
    Ok(Answer::Keys { database, table, rows })
}

fn no_such_log(command: &str) -> SqlError {
    SqlError::new(1220, "HY000", format!("Error when executing command {command}: Could not find target log"))
}

#[cfg(test)]
mod tests;
