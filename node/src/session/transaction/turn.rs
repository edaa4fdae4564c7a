//! The session's turn to write: it picks the pen up, works with it, and hands it on or lays it down.
//!
//! Invariant: the pen is in the hands of the session whose ticket holds the writer lock, or lies in its rest; and an interrupt reaches
//! the connection that the session works with at that moment, and never that of another one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use rusqlite::Connection;

use super::{Desk, Mode, State};
use crate::SqlError;
use crate::storage::pen::{self, Pen};
use crate::storage::relay::Relay;
use crate::storage::writer_lock::{Holder, Patience, deadlock};

/// How many steps of SQLite's machine go by between two looks at the mark that stops a statement.
const STEPS_PER_LOOK: i32 = 20_000;

impl Desk {
    /// Makes sure that the transaction is the writer; waits for its turn, and then sees all that is committed.
    pub fn write(self: &Arc<Self>, state: &mut State, patience: Patience) -> Result<(), SqlError> {
        self.check_lost(state)?;
        self.tells();
        if let Mode::Writing(_) = state.mode {
            return Ok(());
        }
        if state.mode == Mode::Reading {
            state.conn.execute_batch("COMMIT")?;
            state.mode = Mode::Idle;
        }
        let holder: Arc<dyn Holder> = Arc::<Desk>::clone(self);
        let kept = state.relay.as_mut().and_then(|relay| relay.ticket.take());
        let ticket = match kept {
            Some(ticket) if self.store.writer.take_over(ticket, Arc::clone(&holder), patience) => ticket,
            _ => self.store.writer.acquire(holder, patience)?,
        };
        let pen = match self.store.take_pen() {
            Ok(pen) => pen,
            Err(error) => {
                self.store.writer.release(ticket);
                return Err(error);
            }
        };
        state.pick_up(pen);
        if let Some(relay) = state.relay.as_mut().filter(|relay| relay.gives_way && kept.is_none()) {
            // who has handed in waits for the commit
            relay.more &= state.group.is_none();
        }
        state.mode = Mode::Writing(ticket);
        state.extent = patience.extent;
        let begun = heed(&mut state.conn, &self.stopped)
            .and_then(|()| pen::begin(&state.conn, state.group.as_mut(), patience.extent))
            .and_then(|()| state.set_noted());
        self.interrupts(&state.conn);
        state.count_before = state.conn.total_changes();
        if let Err(error) = begun {
            self.step_back(state);
            return Err(error);
        }
        Ok(())
    }

    /// From now on an interrupt is for this connection.
    fn interrupts(&self, conn: &Connection) {
        *self.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = conn.get_interrupt_handle();
    }

    /// Gives the turn to write back before anything was written with it; the client's transaction goes on.
    pub fn step_back(&self, state: &mut State) {
        // nothing is left to tell of a group that failed: each of it is told
        let _ = self.undo_turn(state);
    }

    /// Undoes what was done in this turn and ends it. What others have handed in is committed before anybody hears of it: why the session
    /// failed may be their rows. An error if they could not be committed, so that the reason is none.
    pub(super) fn undo_turn(&self, state: &mut State) -> Result<(), SqlError> {
        let Mode::Writing(ticket) = state.mode else { return Ok(()) };
        self.turn_deaf(state);
        let shared = state.group.is_some() && !state.conn.is_autocommit();
        pen::undo(&state.conn, &mut state.group);
        let lost = shared && state.group.is_none();
        self.put_down(state, ticket)?;
        if lost { Err(deadlock()) } else { Ok(()) }
    }

    /// Ends the turn to write with nothing of its own to commit.
    pub(super) fn put_down(&self, state: &mut State, ticket: u64) -> Result<(), SqlError> {
        let _turn = self.store.writer.turn_of(ticket);
        let Some(pen) = self.take_out(state) else { return Ok(()) };
        self.store.lay_down(pen).map_err(|_| deadlock())
    }

    /// From now on a stop does not end what runs on the pen: it comes late, and others have a part in what follows.
    fn turn_deaf(&self, state: &mut State) {
        if let Some(own) = &state.own {
            self.interrupts(own);
            let _ = state.conn.progress_handler(0, None::<fn() -> bool>);
        }
    }

    /// Takes the pen out of the session's hands, which works with its own connection again.
    fn take_out(&self, state: &mut State) -> Option<Pen> {
        self.turn_deaf(state);
        state.mode = Mode::Idle;
        let mut pen = state.lay_down()?;
        if pen.conn.is_autocommit() {
            // SQLite has undone what was handed in, too; who waits for it hears that
            pen.group = None;
        }
        Some(pen)
    }

    /// Gives the pen to the next if that one is short; else gives it back.
    fn hand_on(&self, pen: Pen, ticket: u64) -> Option<Pen> {
        self.store.pen.put(pen);
        if self.store.writer.hand_on(ticket) { None } else { self.store.pen.take() }
    }

    /// Has what the session wrote committed: with those before and behind it if all are short. Gives the commit's number; none where the turn
    /// goes on in the same thread, which waits for all of them together.
    pub(super) fn hand_in(&self, state: &mut State) -> Result<Option<u64>, SqlError> {
        let Mode::Writing(ticket) = state.mode else { return Err(deadlock()) };
        let short = state.extent.is_short();
        let turn = self.store.writer.turn_of(ticket);
        let Some(mut pen) = self.take_out(state) else { return Err(deadlock()) };
        let writer = &self.store.writer;
        let goes_on = |relay: &&mut Relay| relay.more && !writer.others_wait(!relay.gives_way);
        let relay = state.relay.as_mut().filter(goes_on);
        // what cannot be handed in is committed here
        if short
            && pen.takes_more()
            && (relay.is_some() || self.store.writer.next_is_short())
            && let Ok(fate) = pen.hand_in()
        {
            if let Some(relay) = relay {
                self.store.pen.put(pen);
                relay.ticket = Some(turn.keep());
                relay.fate = Some(fate);
                return Ok(None);
            }
            match self.hand_on(pen, ticket) {
                None => return fate.wait().map(Some),
                Some(back) => pen = back,
            }
        }
        let outcome = pen.commit(&self.store.disk);
        self.store.pen.put(pen);
        outcome.map(Some)
    }
}

/// Has what runs on a connection end once the mark is set. An interrupt that comes before SQLite has begun to run the
/// statement is forgotten; the mark is not.
pub(super) fn heed(conn: &mut Connection, stopped: &Arc<AtomicBool>) -> Result<(), SqlError> {
    let mark = Arc::clone(stopped);
    Ok(conn.progress_handler(STEPS_PER_LOOK, Some(move || mark.load(Ordering::Relaxed)))?)
}

impl State {
    fn pick_up(&mut self, pen: Pen) {
        self.own = Some(std::mem::replace(&mut self.conn, pen.conn));
        self.group = pen.group;
    }

    fn lay_down(&mut self) -> Option<Pen> {
        let conn = std::mem::replace(&mut self.conn, self.own.take()?);
        Some(Pen { conn, group: self.group.take() })
    }
}
