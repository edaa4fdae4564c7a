//! Runs: transactions that wait behind each other are applied in one turn to write, and share a commit.
//!
//! A source with many clients writes as fast as its clients together, and its replica applies with one thread. A COMMIT costs that
//! thread about as much as the row that it is for.
//!
//! Only what needs no further thought joins a run: it is due and not executed, it is a few rows, nothing is skipped, and no place is waited
//! for. What does not go through at once ends the run: those before it are committed, and it is dealt with by itself, as if there were no runs. A
//! client that waits ends the run, too, for its turn or for a commit that it has handed on to the applier (`storage::pen`).
//!
//! Invariant: what is said of the applier (its place, what it has taken from the relay log) is about what is committed. Where a common commit fails, its
//! transactions wait again as if nothing had been, and each is tried by itself.

use super::{Applier, due, first_try};
use crate::SqlError;
use crate::replication::link::{Link, note_place};
use crate::replication::relay_log::Waiting;
use crate::session::is_short;
use rusqlite::Connection;

/// What an applier knows of runs.
#[derive(Default)]
pub(super) struct Runs {
    /// Whether there are any: where each step is looked at by itself there are none.
    pub(super) allowed: bool,
    /// What is applied and will be committed with the next one.
    run: Vec<Waiting>,
    /// So many of the next are dealt with by themselves.
    pub(super) alone: usize,
}

impl Applier {
    /// From now on transactions share commits. Who steps looks at a transaction only when the run is ended.
    pub fn allow_runs(&mut self) {
        self.runs.allowed = true;
    }

    /// Has the next transaction join the run, or begin one. False if it is to be dealt with by itself; then nothing is left uncommitted.
    pub(super) fn join(&mut self, link: &Link, now_ms: u64) -> bool {
        let more = self.may_join(link, self.batch.get(1), now_ms);
        let joins = (more || !self.runs.run.is_empty())
            && self.goes_in_runs(link)
            && self.may_join(link, self.batch.front(), now_ms);
        if let Some(waiting) = self.batch.pop_front_if(|_| joins) {
            let is_left = self.try_to_join(link, &waiting, more);
            match is_left {
                Ok(Some(is_left)) => {
                    self.runs.run.push(waiting);
                    if !is_left {
                        self.end_run(link);
                    }
                    return true;
                }
                Ok(None) | Err(_) => self.batch.push_front(waiting),
            }
        }
        self.end_run(link);
        false
    }

    fn goes_in_runs(&self, link: &Link) -> bool {
        self.runs.allowed
            && self.runs.alone == 0
            && self.trying.is_none()
            && !link.applier_stops()
            && link.update(|state| state.until.is_none() && state.skip_counter == 0)
    }

    fn may_join(&self, link: &Link, waiting: Option<&Waiting>, now_ms: u64) -> bool {
        waiting.is_some_and(|waiting| {
            self.done < Some(waiting.record.end()) && due(link, waiting, &self.jitter) <= now_ms
        })
    }

    /// Whether it is left for the common commit; none if it does not join.
    fn try_to_join(&mut self, link: &Link, waiting: &Waiting, more: bool) -> Result<Option<bool>, SqlError> {
        let record = &waiting.record;
        if self.is_executed(record)? {
            return Ok(None);
        }
        let first = first_try(link, record)?;
        if first.skipped || !is_short(&first.transaction.body) {
            return Ok(None);
        }
        let epoch = link.epoch();
        let note = |conn: &Connection| note_place(conn, &link.name, epoch, record.end());
        self.session.join(&first.transaction, &note, more).map(Some)
    }

    /// Commits what is left. Then it is behind the applier, or waits again.
    pub fn end_run(&mut self, link: &Link) {
        let run = std::mem::take(&mut self.runs.run);
        if run.is_empty() {
            return;
        }
        match self.session.end_run() {
            Ok(()) => run.iter().for_each(|waiting| self.passed(link, waiting)),
            Err(_) => {
                self.runs.alone = run.len();
                run.into_iter().rev().for_each(|waiting| self.batch.push_front(waiting));
            }
        }
    }
}
