//! The administrator's statements: links, log, positions.
//!
//! The session offers a statement here before it parses SQL. [`Admin::run`] looks at the first words and either
//! answers or says that the statement is none of its own. What shows the log is read on the session's own
//! connection, so that it belongs to the snapshot of the session's transaction. What writes the log or waits uses connections of its own.

mod linking;
mod logs;
mod offered;
mod relayed;
mod variables;
pub mod words;

use self::words::{Word, Words};
use super::binlog::Binlog;
use super::link::{Context, Receiving};
use super::links::Links;
use super::position::LogPosition;
use super::status::{self, Listing};
use super::{client, clone, record};
use crate::SqlError;
use crate::accounts::privileges::Privilege;
use crate::accounts::rights::Rights;
use crate::server::clients::{Clients, Shown};
use crate::sql::comments::uncommented;
use crate::sql::surroundings::Process;
use crate::storage::read_lock::Pass;
use database::GtidSet;
use rusqlite::Connection;
use rusqlite::types::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest wait for transactions: a day.
const MAX_WAIT_SECONDS: u64 = 86_400;

/// The privileges of which one is needed to see how replication goes on.
const WATCHES: &[Privilege] = &[Privilege::Super, Privilege::ReplicationClient];

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
    /// The session's number.
    pub connection_id: u32,
    /// Raised when the statement is to end.
    pub stopped: &'a AtomicBool,
    /// Leave to write, which FLUSH TABLES WITH READ LOCK withholds: 1223 under the session's own, else it is waited for.
    pub leave: &'a dyn Fn() -> Result<Pass, SqlError>,
    /// Whether the session itself holds that lock.
    pub holds_tables: bool,
    /// What the session may do.
    pub rights: &'a Rights,
}

/// Finds the places of a table's primary key columns, by database and table.
pub type KeyOf<'a> = dyn Fn(&str, &str) -> Result<Vec<usize>, SqlError> + 'a;

/// A write to the node's file, outside of any session, that waits for so long for its turn.
pub type Writes =
    dyn Fn(Duration, &dyn Fn(&Connection) -> Result<(), SqlError>) -> Result<(), SqlError> + Send + Sync;

/// How long a write of the administrator waits for its turn.
pub const ADMIN_WRITE_WAIT: Duration = Duration::from_secs(5);

/// The statements' executor.
pub struct Admin {
    links: Arc<Links>,
    write: Box<Writes>,
    clients: Arc<Clients>,
    cloning: clone::statement::Cloning,
}

impl Admin {
    /// Statements about these links and their node's log.
    pub fn new(links: Arc<Links>, write: Box<Writes>, clients: Arc<Clients>) -> Admin {
        Admin { links, write, clients, cloning: clone::statement::Cloning::default() }
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
        let (text, _) = uncommented(sql)?;
        let start = text.trim_start();
        let first = start.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        const LEADING: [&str; 10] =
            ["CHANGE", "CLONE", "START", "STOP", "RESET", "SHOW", "FLUSH", "PURGE", "SET", "SELECT"];
        if !LEADING.iter().any(|word| word.eq_ignore_ascii_case(first)) {
            return None;
        }
        if first.eq_ignore_ascii_case("SELECT") {
            return self.select(start);
        }
        let mut words = Words::cut(sql)?;
        words.pop();
        let first = first.to_ascii_uppercase();
        if let Err(refused) = may_run(&first, asking.rights) {
            return Some(Err(refused));
        }
        match first.as_str() {
            "SHOW" => self.show(&mut words, asking),
            "FLUSH" => self.flush(&mut words, asking),
            "PURGE" => Some(self.purge(&mut words)),
            "CLONE" => Some(self.clone_instance(&mut words, asking)),
            "RESET" if words.take("PERSIST") => Some(Err(SqlError::unsupported("RESET PERSIST"))),
            "CHANGE" => linking::change(&self.links, &mut words),
            "START" => linking::start_or_stop(&self.links, &mut words, true),
            "STOP" => linking::start_or_stop(&self.links, &mut words, false),
            _ if words.take("MASTER") || words.take_all(&["BINARY", "LOGS", "AND", "GTIDS"]) => {
                Some(self.reset_log(&mut words, asking))
            }
            _ => linking::reset(&self.links, &mut words),
        }
    }

    fn show(&self, words: &mut Words, asking: &Asking<'_>) -> Option<Result<Answer, SqlError>> {
        if words.take("BINLOG") || words.is("BINARY") && words.take_all(&["BINARY", "LOG"]) {
            return self.show_log(words, asking);
        }
        if words.take("RELAYLOG") {
            let allowed = asking.rights.any(&[Privilege::ReplicationSlave]);
            let anonymous = !self.context().gtid_mode;
            let shown = allowed.and_then(|()| relayed::show(&self.links, words, anonymous));
            return Some(shown.map(Answer::Listing));
        }
        let (conn, log) = (asking.conn, self.log());
        let watches = || asking.rights.any(WATCHES);
        let listing = if words.either("MASTER", "BINARY") {
            if words.take("STATUS") {
                watches().and_then(|()| status::source_status(conn, log))
            } else if words.take("LOGS") {
                watches().and_then(|()| status::log_files(conn, log))
            } else {
                return None;
            }
        } else if words.take_all(&["SLAVE", "HOSTS"]) || words.take("REPLICAS") {
            asking.rights.any(&[Privilege::ReplicationSlave]).map(|()| self.show_replicas())
        } else if words.take_all(&["CLONE", "STATUS"]) {
            watches().map(|()| self.cloning.show())
        } else {
            return linking::show(&self.links, words, conn).map(|shown| watches().and(shown));
        };
        Some(words.end().and(listing).map(Answer::Listing))
    }

    fn show_replicas(&self) -> Listing {
        let own = self.context().server_id.to_string();
        let rows = self.clients.replicas().into_iter().map(|(server_id, replica)| {
            let port = replica.port.to_string();
            status::row([server_id.to_string(), replica.host, port, own.clone(), replica.server_uuid])
        });
        Listing {
            columns: status::columns(&["+Server_id", "Host", "+Port", "+Master_id", "Slave_UUID"]),
            rows: rows.collect(),
        }
    }

    /// Clients, and the threads of the links as MySQL shows them.
    fn processes(&self) -> Vec<Process> {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let client = |client: Shown| Process {
            id: client.id,
            user: client.user,
            host: client.peer.to_string(),
            database: text(&client.doing.database),
            command: client.doing.command.to_owned(),
            seconds: client.doing.since.elapsed().as_secs(),
            state: text(client.doing.state),
            statement: text(&client.doing.statement),
        };
        let mut all: Vec<Process> = self.clients.list().into_iter().map(client).collect();
        for link in self.links.all() {
            let state = link.state();
            let remaining_s = link.remaining_delay_s().unwrap_or(None);
            let threads = [
                (state.receiving != Receiving::No, status::receiver_state(state.receiving)),
                (state.applying, status::applier_state(&link, remaining_s)),
            ];
            for (_, what) in threads.into_iter().filter(|(runs, _)| *runs) {
                all.push(Process {
                    id: 0,
                    user: "system user".to_owned(),
                    host: format!("{}:{}", link.settings().host, link.settings().port),
                    database: None,
                    command: "Connect".to_owned(),
                    seconds: 0,
                    state: text(what),
                    statement: None,
                });
            }
        }
        all
    }

    fn clone_instance(&self, words: &mut Words, asking: &Asking<'_>) -> Result<Answer, SqlError> {
        let context = self.context();
        let means = clone::statement::Means {
            write: &self.write,
            connect: &context.connect,
            log: &context.log,
            server_id: context.server_id,
            replicates: self.links.all().iter().any(|link| link.is_running()),
            stopped: &|| asking.stopped.load(Ordering::Relaxed),
            leave: asking.leave,
            gone: &|| self.clients.is_gone(asking.connection_id),
        };
        self.cloning.run(words, &means).map(|()| Answer::Done)
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

/// Asks for the right to a statement where it is recognised, whatever was made of its words before. What SHOW shows is
/// asked for there.
fn may_run(first: &str, rights: &Rights) -> Result<(), SqlError> {
    match first {
        "CHANGE" | "START" | "STOP" => rights.any(&[Privilege::Super, Privilege::ReplicationSlaveAdmin]),
        "RESET" | "FLUSH" => rights.any(&[Privilege::Reload]),
        "PURGE" => rights.any(&[Privilege::Super, Privilege::BinlogAdmin]),
        "CLONE" => rights.any(&[Privilege::Super, Privilege::CloneAdmin]),
        _ => Ok(()),
    }
}

/// How long to wait for these seconds; none or 0 is as long as possible.
fn wait_time(seconds: Option<f64>) -> Duration {
    let longest = Duration::from_secs(MAX_WAIT_SECONDS);
    let seconds = seconds.filter(|&seconds| seconds > 0.0);
    seconds.map_or(longest, |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(longest).min(longest))
}

/// `FOR db.table FROM 'file' pos [LOCAL]`: with LOCAL only what began on this node.
#[cfg(test)]
mod tests;
