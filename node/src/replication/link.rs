//! One link: what its two threads are doing, and how they are started and stopped.
//!
//! The receiver (I/O thread) and the applier (SQL thread) share nothing but the relay log and this state. A
//! thread that meets an error it cannot pass writes it here and ends; nobody starts it again but the administrator.
//! Invariant: at most one receiver and one applier run; `stop` returns when they are gone.

mod context;
mod places;
mod settings;

pub use self::context::{Applies, Apply, Calling, Connects, Context, Interrupt, Note};
pub use self::places::{applied_place, create_places, note_place};
pub use self::settings::Settings;

use super::client::SourceIdentity;
use super::position::LogPosition;
use super::relay_log::RelayLog;
use super::until::Until;
use super::{applier, now_ms, receiver};
use crate::SqlError;
use database::GtidSet;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A thread has this much stack: a replicated statement can nest as deeply as a client's.
const STACK_BYTES: usize = 16 << 20;
/// How long STOP SLAVE lets the applier finish its transaction. Then that is rolled back, and applied again at START.
const STOP_PATIENCE: Duration = Duration::from_secs(3);
/// How often STOP SLAVE looks whether the applier is gone; after its patience, how often it interrupts it.
const STOP_POLL: Duration = Duration::from_millis(5);

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

    /// Says something to who runs the node.
    pub fn say(&self, what: &str) {
        let Settings { host, port, .. } = self.settings();
        let channel =
            if self.name.is_empty() { String::new() } else { format!(" for channel '{}'", self.name) };
        self.context.notices.say(format!("replica of '{host}:{port}'{channel}: {what}"));
    }

    /// How long the applier waits for the link's delay, in seconds; none if it does not.
    pub fn remaining_delay_s(&self) -> Result<Option<u64>, SqlError> {
        let delay_ms = self.delay_s().saturating_mul(1000);
        if delay_ms == 0 || !self.state().applying {
            return Ok(None);
        }
        let due = self.relay.oldest_committed_at_ms()?.map_or(0, |at| at.saturating_add(delay_ms));
        Ok(due.checked_sub(now_ms()).filter(|left| *left > 0).map(|left| left.div_ceil(1000)))
    }
}
