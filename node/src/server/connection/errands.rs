//! What the scribe does for a client: runs the statement that it left, answers it, and lets it go home.
//!
//! Invariant: no answer goes out before what it depends on is decided, and none waits here for a client that does not read: an answer is short
//! ([`crate::protocol::results::put_error`]) and goes out at the end, and what the socket does not take at once is for a thread of its own.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::Client;
use crate::SqlError;
use crate::protocol::results::ResultWriter;
use crate::replication::binlog::Binlog;
use crate::session::errand::{Errand, Leaves, Ran};
use crate::session::{Counters, ExecError};
use crate::storage::Store;
use crate::storage::relay::Kept;

impl Client {
    /// Whether the statement that comes may be left with the scribe. `alone`: no other one follows in the same text.
    pub(super) fn may_leave(&mut self, alone: bool) {
        let leaves = match alone && self.packets.inner().agreed().is_none() {
            // two threads would share the state of an encrypted connection
            false => Leaves::Never,
            true if self.shared.scribe.is_awake() => Leaves::Always,
            true => Leaves::Behind,
        };
        self.session.may_leave(leaves);
    }

    /// What the server counts.
    pub(in crate::server) fn counters(&self) -> &Counters {
        &self.shared.engine.counters
    }

    /// Where it writes.
    pub(in crate::server) fn store(&self) -> Arc<Store> {
        Arc::clone(&self.shared.engine.store)
    }

    /// The log, whose readers are to look again when what was written is committed.
    pub(in crate::server) fn log(&self) -> Arc<Binlog> {
        Arc::clone(&self.shared.log)
    }

    /// Runs what it left and writes the answer down, which is not sent yet.
    pub(in crate::server) fn run_in_turn(&mut self, errand: &Errand, kept: &mut Kept, more: bool) -> Ran {
        let mut result = ResultWriter::new(&mut self.packets, false, false);
        let mut ran = self.session.run_in_turn(errand, kept, more, &mut result);
        if !ran.has_to_wait() {
            ran.outcome = self.ended(ran.outcome).map(drop).map_err(ExecError::Client);
        }
        ran
    }

    /// Instead of the answer that is written down: what it depends on has come to nothing.
    pub(in crate::server) fn undone(
        &mut self,
        errand: &Errand,
        sequence: u8,
        error: SqlError,
    ) -> io::Result<()> {
        self.packets.restart(sequence);
        let told = self.session.undone(errand, error);
        self.ended(Err(told)).map(drop)
    }

    /// Sends what its socket takes. True if that is all.
    pub(in crate::server) fn send_at_once(&mut self) -> io::Result<bool> {
        let all = self.packets.send_with(|stream, bytes| {
            match send(stream.tcp(), bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => Ok(count),
                Err(Errno::AGAIN | Errno::INTR) => Ok(0),
                Err(error) => Err(error.into()),
            }
        })?;
        if all {
            self.rest();
        }
        Ok(all)
    }

    /// Runs what it left with all the time that takes, and answers.
    pub(in crate::server) fn run_patiently(&mut self, errand: &Errand) -> io::Result<()> {
        let mut result = ResultWriter::new(&mut self.packets, false, false);
        let outcome = self.session.run_patiently(errand, &mut result);
        self.ended(outcome)?;
        self.finish()
    }

    /// Goes back to the thread that reads its commands.
    pub(in crate::server) fn go_home(self: Box<Self>) {
        let home = self.home.clone();
        let _ = home.send(self); // the thread waits for it; if it does not, the client ends here
    }

    /// Ends the connection, which wakes the thread that reads from it.
    pub(in crate::server) fn hang_up(&self) {
        let _ = self.packets.inner().tcp().shutdown(Shutdown::Both); // it may be closed already
    }
}
