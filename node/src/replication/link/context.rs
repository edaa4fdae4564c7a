//! What all links of a node share: its log, its file, its filters, and the session that applies.
//!
//! [`Apply`] is the seam between links and the rest of the node: in one SQLite transaction it applies, logs, and writes the
//! note of the link. Invariant: nothing here is of one link alone.

use crate::SqlError;
use crate::change::Transaction;
use crate::replication::binlog::Binlog;
use crate::replication::client::{Registration, SILENCE};
use crate::replication::filters::Filters;
use crate::replication::notices::Notices;
use crate::storage::read_lock::ReadLock;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

/// What a link writes in the same transaction as the changes that it applies.
pub type Note<'a> = &'a dyn Fn(&Connection) -> Result<(), SqlError>;

/// What applies transactions: the node's session. A seam, so that the applier is tested with failures on purpose.
pub trait Apply: Send {
    /// Applies a transaction, logs it, writes the note, and commits: all or nothing.
    fn apply(&mut self, transaction: &Transaction, note: Note<'_>) -> Result<(), SqlError>;
    /// The same in a run of transactions that share a commit, and in a hurry. If there are `more` this one may be left for the common commit:
    /// then it gives true, and [`Apply::end_run`] tells what has become of it, at the latest. An error is about this one alone.
    fn join(&mut self, transaction: &Transaction, note: Note<'_>, more: bool) -> Result<bool, SqlError>;
    /// Commits what was left. An error if nothing of what was left has come to be.
    fn end_run(&mut self) -> Result<(), SqlError>;
    /// Waits until what was applied is on the disk.
    fn settle(&mut self) -> Result<(), SqlError>;
    /// What ends [`Apply::apply`] and [`Apply::join`] from another thread, with an error that passes.
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
    /// What they have to say to who runs the node.
    pub notices: Notices,
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
    pub(in crate::replication) fn registration(&self) -> Registration {
        Registration {
            host: self.calling.report_host.clone(),
            port: self.calling.report_port.load(Ordering::Relaxed),
            server_uuid: self.log.server_uuid().to_owned(),
        }
    }

    /// How long a source may be silent.
    pub(in crate::replication) fn silence(&self) -> Duration {
        Duration::from_secs(self.calling.net_timeout_s.load(Ordering::Relaxed).max(1))
    }
}
