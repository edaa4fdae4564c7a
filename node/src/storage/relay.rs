//! The turn to write, while one thread takes it from session to session (the scribe of `server`), or from transaction to transaction (an applier).
//!
//! Between two of them the pen lies in its rest, with the transactions that were handed in, and the writer lock stays held with the same
//! ticket. So the next one neither waits nor is woken, and one COMMIT is for all of them.
//!
//! Invariant: a turn that was kept ends with [`Kept`], also where a session panics; then what was handed in is committed, and who waits for it
//! is told.

use std::sync::Arc;

use super::Store;
use super::pen::Fate;
use super::read_lock::Pass;

/// What a session is given of the turn, and gives back.
#[derive(Default)]
pub struct Relay {
    /// The ticket of the session before, which kept its turn.
    pub ticket: Option<u64>,
    /// Whether a session follows that goes on with the turn.
    pub more: bool,
    /// Whether it goes on only while nobody else waits for the turn, or for the commit. Where not, it gives way to replication.
    pub gives_way: bool,
    /// What will become of what the session has written, where that is not decided yet.
    pub fate: Option<Arc<Fate>>,
    /// Its leave to write, which it keeps for as long.
    pub leave: Option<Pass>,
}

/// A turn that goes from session to session.
pub struct Kept {
    store: Arc<Store>,
    ticket: Option<u64>,
    /// The leave to write of those who have handed in. They give it back when they are committed: who holds all tables sees no commit.
    leave: Vec<Pass>,
}

impl Kept {
    /// No turn yet: the first session that writes waits for it.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Kept {
        Kept { store, ticket: None, leave: Vec::new() }
    }

    /// What the next session is given.
    #[must_use]
    pub fn relay(&self, more: bool) -> Relay {
        Relay { ticket: self.ticket, more, ..Relay::default() }
    }

    /// The turn as a session gave it back, and what it has to wait for.
    pub fn returned(&mut self, relay: Relay) -> Option<Arc<Fate>> {
        self.ticket = relay.ticket;
        self.leave.extend(relay.leave);
        relay.fate
    }

    /// Ends the turn.
    pub fn end(&mut self) {
        *self = Kept::new(Arc::clone(&self.store));
    }

    /// Whether the turn goes on to the next session.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.ticket.is_some()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.filter(|&ticket| self.store.writer.is_held_by(ticket)) {
            let _turn = self.store.writer.turn_of(ticket);
            let _ = self.store.pen.take().map(|pen| self.store.lay_down(pen)); // they are told
        }
    }
}
