//! One link: the settings of a source, what its two threads are doing, and how they are started and stopped.
//!
//! The receiver (I/O thread) and the applier (SQL thread) share nothing but the relay log and this state. A
//! thread that meets an error it cannot pass writes it here and ends; nobody starts it again but the administrator.
//! Invariant: at most one receiver and one applier run; `stop` returns when they are gone.

use super::applier;
use super::binlog::Binlog;
use super::client::SourceIdentity;
use super::position::LogPosition;
use super::receiver;
use super::relay_log::RelayLog;
use super::{failed, now_ms};
use crate::SqlError;
use crate::change::Transaction;
use database::{GtidSet, Secret};
use rusqlite::{Connection, OptionalExtension, params};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A thread has this much stack: a replicated statement can nest as deeply as a client's.
const STACK_BYTES: usize = 16 << 20;

/// What a link writes in the same transaction as the changes that it applies.
pub type Note<'a> = &'a dyn Fn(&Connection) -> Result<(), SqlError>;

/// What applies transactions: the node's session. A seam, so that the applier is tested with failures on purpose.
pub trait Apply: Send {
    /// Applies a transaction, logs it, writes the note, and commits: all or nothing.
    fn apply(&mut self, transaction: &Transaction, note: Note<'_>) -> Result<(), SqlError>;
}

/// Makes an [`Apply`] for a new applier thread.
pub type Applies = dyn Fn() -> Result<Box<dyn Apply>, SqlError> + Send + Sync;
/// Makes a connection to the node's file.
pub type Connects = dyn Fn() -> Result<Connection, SqlError> + Send + Sync;

/// What all links of a node share.
pub struct Context {
    /// This node's `server_id`.
    pub server_id: u32,
    /// This node's log.
    pub log: Arc<Binlog>,
    /// Connections to read this node's file.
    pub connect: Box<Connects>,
    /// Sessions to apply with.
    pub applies: Box<Applies>,
    /// Errors that an applier passes over.
    pub skip_errors: Vec<u16>,
    /// The bound of a relay log.
    pub relay_limit_bytes: u64,
    /// A delay of every transaction, for tests: the least and the most.
    pub delay_ms: (AtomicU64, AtomicU64),
}

/// How a source is reached, and from where its log is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The account there.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Whether GTIDs decide what is fetched, and not a place.
    pub auto_position: bool,
    /// The place to begin at, where GTIDs do not decide.
    pub from: Option<LogPosition>,
    /// The wait before connecting again.
    pub connect_retry_s: u64,
    /// How much later than its origin this link applies.
    pub delay_s: u64,
    /// Whether the receiver is to run.
    pub run_receiver: bool,
    /// Whether the applier is to run.
    pub run_applier: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            host: String::new(),
            port: 3306,
            user: String::new(),
            password: Secret::default(),
            auto_position: false,
            from: None,
            connect_retry_s: 1,
            delay_s: 0,
            run_receiver: false,
            run_applier: false,
        }
    }
}

/// What the receiver does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Receiving {
    /// It does not run.
    #[default]
    No,
    /// It tries to connect.
    Connecting,
    /// It receives.
    Yes,
}

/// An error of a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastError {
    /// MySQL's number, 0 for none.
    pub code: u16,
    /// What happened.
    pub message: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

impl LastError {
    /// An error of this moment.
    #[must_use]
    pub fn now(code: u16, message: impl Into<String>) -> LastError {
        LastError { code, message: message.into(), at_ms: now_ms() }
    }
}

/// What a link is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What the receiver does.
    pub receiving: Receiving,
    /// Whether the applier runs.
    pub applying: bool,
    /// The receiver's last error.
    pub receive_error: LastError,
    /// The applier's last error.
    pub apply_error: LastError,
    /// Who the source is.
    pub source: SourceIdentity,
    /// The file name that the source's log has been read in.
    pub read: Option<LogPosition>,
    /// The place behind the last applied transaction.
    pub applied: Option<LogPosition>,
    /// What was received since the node started.
    pub retrieved: GtidSet,
    /// How many transactions are to be skipped.
    pub skip_counter: u64,
}

/// One link.
pub struct Link {
    /// The connection's name; empty for the only one.
    pub name: String,
    /// What it shares with the node's other links.
    pub context: Arc<Context>,
    /// What waits to be applied.
    pub relay: RelayLog,
    settings: Mutex<Settings>,
    state: Mutex<State>,
    stopped: Condvar,
    receiver: Worker,
    applier: Worker,
    stream: Mutex<Option<TcpStream>>,
}

#[derive(Default)]
struct Worker {
    stop: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Link {
    /// A link with its relay log; nothing runs yet.
    pub fn new(
        name: &str,
        context: Arc<Context>,
        relay: RelayLog,
        settings: Settings,
    ) -> Result<Arc<Link>, SqlError> {
        let applied = applied_place(&(context.connect)()?, name)?;
        let state = State { read: relay.read_position()?, applied, ..State::default() };
        Ok(Arc::new(Link {
            name: name.to_owned(),
            context,
            relay,
            settings: Mutex::new(settings),
            state: Mutex::new(state),
            stopped: Condvar::new(),
            receiver: Worker::default(),
            applier: Worker::default(),
            stream: Mutex::new(None),
        }))
    }

    /// What it is doing now.
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what it says of itself.
    pub fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.lock())
    }

    /// Its settings.
    pub fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes its settings; the caller keeps them.
    pub fn set_settings(&self, settings: Settings) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// Whether a thread runs.
    pub fn is_running(&self) -> bool {
        let state = self.lock();
        state.applying || state.receiving != Receiving::No
    }

    /// Starts the receiver, unless it runs.
    pub fn start_receiver(self: &Arc<Link>) -> Result<(), SqlError> {
        self.start(&self.receiver, "receiver", receiver::run)
    }

    /// Starts the applier, unless it runs.
    pub fn start_applier(self: &Arc<Link>) -> Result<(), SqlError> {
        self.start(&self.applier, "applier", applier::run)
    }

    fn start(self: &Arc<Link>, worker: &Worker, what: &str, run: fn(&Link)) -> Result<(), SqlError> {
        let mut thread = worker.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(());
        }
        worker.stop.store(false, Ordering::SeqCst);
        let link = Arc::clone(self);
        let begun = std::thread::Builder::new()
            .name(format!("{what} {}", self.name))
            .stack_size(STACK_BYTES)
            .spawn(move || run(&link));
        *thread =
            Some(begun.map_err(|error| SqlError::internal(format!("cannot start the {what}: {error}")))?);
        Ok(())
    }

    /// Stops the receiver and waits until it is gone.
    pub fn stop_receiver(&self) {
        self.receiver.stop.store(true, Ordering::SeqCst);
        if let Some(stream) = &*self.stream.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = stream.shutdown(Shutdown::Both); // it may be closed already
        }
        self.join(&self.receiver);
    }

    /// Stops the applier and waits until it is gone.
    pub fn stop_applier(&self) {
        self.applier.stop.store(true, Ordering::SeqCst);
        self.join(&self.applier);
    }

    fn join(&self, worker: &Worker) {
        drop(self.lock());
        self.stopped.notify_all();
        self.relay.wake();
        let thread = worker.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join(); // one that panicked is gone too
        }
    }

    /// Whether the receiver has to end.
    pub fn receiver_stops(&self) -> bool {
        self.receiver.stop.load(Ordering::SeqCst)
    }

    /// Whether the applier has to end.
    pub fn applier_stops(&self) -> bool {
        self.applier.stop.load(Ordering::SeqCst)
    }

    /// Sleeps unless `stops` says that the thread has to end.
    pub fn sleep(&self, time: Duration, stops: fn(&Link) -> bool) {
        let state = self.lock();
        drop(self.stopped.wait_timeout_while(state, time, |_| !stops(self)));
    }

    /// Keeps the receiver's stream, so that [`Link::stop_receiver`] can close it.
    pub fn set_stream(&self, stream: Option<TcpStream>) {
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = stream;
    }

    /// Seconds behind the source, if both threads run.
    pub fn seconds_behind(&self) -> Result<Option<u64>, SqlError> {
        let state = self.state();
        if state.receiving != Receiving::Yes || !state.applying {
            return Ok(None);
        }
        let oldest = self.relay.oldest_committed_at_ms()?;
        Ok(Some(oldest.map_or(0, |at| now_ms().saturating_sub(at) / 1000)))
    }
}

/// Creates the table of the applied places, in the node's file.
pub fn create_places(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS _evensum_links (name TEXT PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID",
    )
}

/// The place behind the last transaction that the link of this name applied.
pub fn applied_place(conn: &Connection, name: &str) -> Result<Option<LogPosition>, SqlError> {
    conn.query_row("SELECT place FROM _evensum_links WHERE name = ?1", [name], |row| row.get(0))
        .optional()
        .map(|place: Option<i64>| place.map(LogPosition::of_key))
        .map_err(failed)
}

/// Writes that place, in the transaction that applies.
pub fn note_place(conn: &Connection, name: &str, place: LogPosition) -> Result<(), SqlError> {
    conn.prepare_cached("INSERT OR REPLACE INTO _evensum_links (name, place) VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute(params![name, place.key()]))
        .map(drop)
        .map_err(failed)
}
