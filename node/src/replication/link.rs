//! One link: the settings of a source, what its two threads are doing, and how they are started and stopped.
//!
//! The receiver (I/O thread) and the applier (SQL thread) share nothing but the relay log and this state. A
//! thread that meets an error it cannot pass writes it here and ends; nobody starts it again but the administrator.
//! Invariant: at most one receiver and one applier run; `stop` returns when they are gone.

use super::applier;
use super::binlog::Binlog;
use super::client::{Registration, SILENCE, SourceIdentity};
use super::filters::Filters;
use super::position::LogPosition;
use super::receiver;
use super::relay_log::RelayLog;
use super::until::Until;
use super::{columns, failed, now_ms};
use crate::SqlError;
use crate::change::Transaction;
use crate::storage::read_lock::ReadLock;
use crate::tls::link::LinkTls;
use database::{GtidSet, Secret};
use rusqlite::{Connection, OptionalExtension, params};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A thread has this much stack: a replicated statement can nest as deeply as a client's.
const STACK_BYTES: usize = 16 << 20;
/// How long STOP SLAVE lets the applier finish its transaction. Then that is rolled back, and applied again at START.
const STOP_PATIENCE: Duration = Duration::from_secs(3);
/// How often STOP SLAVE looks whether the applier is gone; after its patience, how often it interrupts it.
const STOP_POLL: Duration = Duration::from_millis(5);
/// How many tries in a row a link makes unless it is told otherwise, as in MySQL.
const RETRY_COUNT: u64 = 86_400;

/// What a link writes in the same transaction as the changes that it applies.
pub type Note<'a> = &'a dyn Fn(&Connection) -> Result<(), SqlError>;

/// What applies transactions: the node's session. A seam, so that the applier is tested with failures on purpose.
pub trait Apply: Send {
    /// Applies a transaction, logs it, writes the note, and commits: all or nothing.
    fn apply(&mut self, transaction: &Transaction, note: Note<'_>) -> Result<(), SqlError>;
    /// Waits until what was applied is on the disk.
    fn settle(&mut self) -> Result<(), SqlError>;
    /// What ends [`Apply::apply`] from another thread, with an error that passes.
    fn stopper(&self) -> Interrupt;
}

/// Ends what another thread applies.
pub type Interrupt = Box<dyn Fn() + Send>;
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
    /// What an applier passes over besides.
    pub filters: Filters,
    /// Whether links may follow GTIDs.
    pub gtid_mode: bool,
    /// The base name of the relay logs.
    pub relay_log: String,
    /// FLUSH TABLES WITH READ LOCK, which appliers wait for too.
    pub read_lock: Arc<ReadLock>,
    /// The bound of a relay log.
    pub relay_limit_bytes: u64,
    /// A delay of every transaction, for tests: the least and the most.
    pub delay_ms: (AtomicU64, AtomicU64),
    /// How links behave to their sources.
    pub calling: Calling,
}

/// How long links wait for a source, and what they tell it of this node.
#[derive(Debug)]
pub struct Calling {
    /// `slave_net_timeout`: how long a source may be silent (seconds). It counts from the next connection on.
    pub net_timeout_s: AtomicU64,
    /// `report_host`; empty for none.
    pub report_host: String,
    /// `report_port`, or the port that the node listens on; 0 as long as it does not.
    pub report_port: AtomicU16,
}

impl Default for Calling {
    fn default() -> Calling {
        Calling {
            net_timeout_s: AtomicU64::new(SILENCE.as_secs()),
            report_host: String::new(),
            report_port: AtomicU16::new(0),
        }
    }
}

impl Context {
    /// What a link says of this node.
    pub(super) fn registration(&self) -> Registration {
        Registration {
            host: self.calling.report_host.clone(),
            port: self.calling.report_port.load(Ordering::Relaxed),
            server_uuid: self.log.server_uuid().to_owned(),
        }
    }

    /// How long a source may be silent.
    pub(super) fn silence(&self) -> Duration {
        Duration::from_secs(self.calling.net_timeout_s.load(Ordering::Relaxed).max(1))
    }
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
    /// Which CHANGE MASTER or RESET SLAVE these settings are of. What was received or noted under another one is void.
    pub epoch: i64,
    /// The wait before connecting again.
    pub connect_retry_s: u64,
    /// How much later than its origin this link applies.
    pub delay_s: u64,
    /// How many tries in a row to reach the source; 0 for without end.
    pub retry_count: u64,
    /// What began on these servers is not taken.
    pub ignore_server_ids: Vec<u32>,
    /// Whether and how it is encrypted.
    pub tls: LinkTls,
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
            epoch: 0,
            connect_retry_s: 1,
            delay_s: 0,
            retry_count: RETRY_COUNT,
            ignore_server_ids: Vec::new(),
            tls: LinkTls::default(),
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
    /// Where the applier stops by itself.
    pub until: Option<Until>,
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
    interrupt: Mutex<Option<Interrupt>>,
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
        let applied = applied_place(&(context.connect)()?, name, settings.epoch)?;
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
            interrupt: Mutex::new(None),
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

    /// How much later than its origin it applies, in seconds.
    pub fn delay_s(&self) -> u64 {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).delay_s
    }

    /// Which CHANGE MASTER or RESET SLAVE its settings are of.
    pub fn epoch(&self) -> i64 {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).epoch
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
        let begin = |link: &Link| {
            link.update(|state| match state.receiving {
                Receiving::No => {
                    state.receiving = Receiving::Connecting;
                    true
                }
                _ => false,
            })
        };
        self.start(&self.receiver, "receiver", begin, receiver::run)
    }

    /// Starts the applier, unless it runs.
    pub fn start_applier(self: &Arc<Link>) -> Result<(), SqlError> {
        let begin = |link: &Link| link.update(|state| !std::mem::replace(&mut state.applying, true));
        self.start(&self.applier, "applier", begin, applier::run)
    }

    /// `begin` has the link say that the thread runs, before it does, and tells whether the link did not say so
    /// already: who asks after a START hears of this thread and not of the one before.
    fn start(
        self: &Arc<Link>,
        worker: &Worker,
        what: &str,
        begin: impl Fn(&Link) -> bool,
        run: fn(&Link),
    ) -> Result<(), SqlError> {
        let mut thread = worker.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = begin(self);
        if let Some(before) = thread.take() {
            if !begun && !before.is_finished() {
                *thread = Some(before);
                return Ok(());
            }
            let _ = before.join(); // it has said its last word
        }
        worker.stop.store(false, Ordering::SeqCst);
        let link = Arc::clone(self);
        let begun = std::thread::Builder::new()
            .name(format!("{what} {}", self.name))
            .stack_size(STACK_BYTES)
            .spawn(move || run(&link));
        *thread = Some(begun.map_err(|error| {
            self.update(|state| match what {
                "applier" => state.applying = false,
                _ => state.receiving = Receiving::No,
            });
            SqlError::internal(format!("cannot start the {what}: {error}"))
        })?);
        Ok(())
    }

    /// Stops the receiver and waits until it is gone.
    pub fn stop_receiver(&self) {
        self.receiver.stop.store(true, Ordering::SeqCst);
        if let Some(stream) = &*self.stream.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = stream.shutdown(Shutdown::Both); // it may be closed already
        }
        if let Some(thread) = self.wake(&self.receiver) {
            let _ = thread.join(); // one that panicked is gone too
        }
    }

    /// Stops the applier and waits until it is gone.
    pub fn stop_applier(&self) {
        self.applier.stop.store(true, Ordering::SeqCst);
        let Some(thread) = self.wake(&self.applier) else { return };
        let begun = Instant::now();
        while !thread.is_finished() {
            if begun.elapsed() >= STOP_PATIENCE {
                self.interrupt_applier(); // again and again: one that comes before the transaction begins is forgotten
            }
            std::thread::sleep(STOP_POLL);
        }
        let _ = thread.join(); // one that panicked is gone too
    }

    /// Wakes a thread that has to end, and gives it.
    fn wake(&self, worker: &Worker) -> Option<JoinHandle<()>> {
        drop(self.lock());
        self.stopped.notify_all();
        self.relay.wake();
        worker.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps what ends the applier's transaction, so that [`Link::stop_applier`] is not as long as that.
    pub fn set_interrupt(&self, interrupt: Option<Interrupt>) {
        *self.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = interrupt;
    }

    fn interrupt_applier(&self) {
        if let Some(interrupt) = &*self.interrupt.lock().unwrap_or_else(PoisonError::into_inner) {
            interrupt();
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

    /// The name of a file of the source's log: as the source calls it, or else as this node calls its own.
    pub fn file_name(&self, place: LogPosition) -> String {
        match self.relay.source_base().as_str() {
            "" => self.context.log.file_name(place),
            base => place.file_name(base),
        }
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
        "CREATE TABLE IF NOT EXISTS _evensum_links (name TEXT PRIMARY KEY, place INTEGER NOT NULL,
            epoch INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
    )?;
    // What an older version made is of the first epoch.
    columns::add(conn, "_evensum_links", "epoch", "INTEGER NOT NULL DEFAULT 0")
}

/// The place behind the last transaction that the link of this name applied in this epoch.
pub fn applied_place(conn: &Connection, name: &str, epoch: i64) -> Result<Option<LogPosition>, SqlError> {
    conn.query_row(
        "SELECT place FROM _evensum_links WHERE name = ?1 AND epoch = ?2",
        params![name, epoch],
        |row| row.get(0),
    )
    .optional()
    .map(|place: Option<i64>| place.map(LogPosition::of_key))
    .map_err(failed)
}

/// Writes that place, in the transaction that applies.
pub fn note_place(conn: &Connection, name: &str, epoch: i64, place: LogPosition) -> Result<(), SqlError> {
    conn.prepare_cached("INSERT OR REPLACE INTO _evensum_links (name, epoch, place) VALUES (?1, ?2, ?3)")
        .and_then(|mut insert| insert.execute(params![name, epoch, place.key()]))
        .map(drop)
        .map_err(failed)
}
