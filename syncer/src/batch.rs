//! One batch of a repair: rows that are mended on one node by what another one holds.
//!
//! # The protocol, where the node locks rows (MySQL, MariaDB)
//!
//! A batch has one node to mend `B`, and one winner `A`.
//!
//! 1. The batch goes into the journal, durably, with every row as it was.
//! 2. On `B` the rows are locked, compared with what the plan expects, and written, in a transaction that stays open and is
//!    outside the log. What is not as expected is out. On `A` nothing is locked.
//! 3. All other nodes write marks, `B` by another connection, and `A` is asked, bounded, until it shows all of them.
//! 4. The rows are read again on `A`. One that is not there as planned is out. Where rows come or go, or where a log holds statements,
//!    the others write marks once more, after that reading, and `B` is asked until it shows them.
//! 5. `B` takes back what is out, and commits.
//! 6. What came of each row goes into the journal.
//!
//! ## Why no order of events loses a write or stops a channel
//!
//! Let `w` be an application's write to the row, `g` and `c` the moments of lock and commit on `B`, and `q` that of the reading on `A`.
//! A change of a row is about the columns that it changes, so "the row" means these columns, and a write that leaves them alone
//! is none of its business: neither undoes the other.
//!
//! * `w` cannot be committed or applied on `B` between `g` and `c`: it waits for the lock, and finds the row as mended.
//! * `w` was committed on `B` before `g`: it stands in `B`'s log before `B`'s mark, which was written after `g`, so `A` had applied it at
//!   `q`, and all the same `A` holds the row as planned. Nothing is reverted that `A` had not already decided.
//! * `w` was committed on `A` before `q`: either it is in what the plan was made of, and then it was applied on `B` before the check
//!   said *different*, and will not come again; or it came later, and left the row on `A` as planned, alone or with others that
//!   turned it back. Of a changed row in row format, those set the columns to what `A` holds, whenever they come. Else it could be that
//!   some of them did nothing on `B`, where the row was wrong, and the rest is on its way: the second marks of step 4 have
//!   arrived on `B` only after all of them, and behind our locks they do not arrive at all. Then nothing is mended.
//! * `w` is committed on `A` after `q`: it arrives on `B` later than `c`, and finds the row that it found on `A`.
//! * `w` is committed on `B` after `c`: it finds the winner's row and replicates like any write.
//! * `w` comes from a third node `C`: if it was applied on `B` before `g`, it was committed on `C` before `C`'s mark, so `A` had applied it
//!   at `q`: the second case. If it comes to `B` after `c`, it is like a write of `A`.
//!
//! So an insert of `A` cannot meet the row that the repair inserts (1062), and an update or a delete of `A` cannot miss the row that the
//! repair deletes (1032), unless a channel that skips errors has skipped one about this very row since the check.
//! With STATEMENT logs nothing is added twice.
//!
//! # The protocol, where a node vouches by its log (the bundled node)
//!
//! There nothing may be locked across a wait, since SQLite has one writer. So on `A` the rows are *pinned*, on `B` they are *guarded*:
//! looked at and watched from then on. Marks go from all nodes to all. `A` vouches for the rows that were not written since.
//! On `B`, in one transaction outside the log, each row is compared once more, it is looked up whether `B`'s log has touched it since
//! the guard, and only then it is written. With `p` and `q` for pin and release on `A`: what was committed on `A` or `C` before `p` was applied
//! on `B` before `c`, so before `g`, as its log shows nothing since; what was committed on `B` before `g` was applied on `A` before `q`, so
//! before `p`; the rest is as above.
//!
//! What this does not do: it does not reach replicas below `B`, which never see an edit that is not in the log. They are
//! nodes of their own to a check.

use crate::error::ExecuteError;
use crate::journal::Journal;
use crate::plan::Step;
use checker::watermark::{Exchange, Watermarks};
use database::{Edit, Key, Ledger, Mending, Pin, Row, RowsOf, Writer};
use std::time::Duration;
use tokio::time::timeout;

/// The longest wait for marks while a guard locks rows.
const LOCKED_EXCHANGE: Duration = Duration::from_secs(3);
/// The longest time that a guard locks rows, whatever is waited for: applications that write them wait as long.
const LOCKED_MOST: Duration = Duration::from_secs(8);

/// The nodes of a repair at work.
pub(crate) struct Site<'a, W, L> {
    pub(crate) names: Vec<Box<str>>,
    pub(crate) writers: Vec<W>,
    pub(crate) watermarks: Watermarks<L>,
    pub(crate) journal: &'a mut Journal,
    pub(crate) bound: Duration,
    /// Whether the logs of all nodes hold rows and no statements.
    pub(crate) logs_rows: bool,
}

/// What one try gave.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    pub(crate) outcome: Mending,
    /// Whether another try could give more.
    pub(crate) again: bool,
}

/// What a batch gave.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// One for each step.
    pub(crate) tried: Vec<Tried>,
    /// Whether somebody waited for its rows.
    pub(crate) in_the_way: bool,
    /// Whether marks did not arrive in time.
    pub(crate) stalled: bool,
}

/// What is known of the rows of a batch before it is decided which are mended.
struct Seen {
    guard: Pin,
    /// For each row whether the winner holds it as planned, and whether it is certain that nothing else is on its way to it.
    planned: Vec<bool>,
    certain: Vec<bool>,
    in_the_way: bool,
    stalled: bool,
}

impl<W: Writer, L: Ledger + 'static> Site<'_, W, L> {
    /// Whether a guard on this node makes others wait.
    pub(crate) fn locks(&self) -> bool {
        self.writers.iter().any(database::Reader::pins_lock)
    }

    fn place(&self, name: &str) -> Result<usize, ExecuteError> {
        let place = self.names.iter().position(|known| **known == *name);
        place.ok_or_else(|| ExecuteError::Absent(name.into()))
    }

    /// Tries to mend rows of one node and one winner; where a node vouches by its log, of one table.
    pub(crate) async fn mend_batch(&mut self, steps: &[&Step]) -> Result<Batch, ExecuteError> {
        let Some(first) = steps.first() else { return Ok(Batch::default()) };
        let node = self.place(&first.node)?;
        let winner = first.winner.as_deref().map(|winner| self.place(winner)).transpose()?;
        let edits: Vec<Edit> = steps.iter().map(|step| step.edit()).collect();
        let intent = self.journal.intend(steps)?;
        let seen = match self.locks() {
            true => self.see_locked(node, winner, &edits).await?,
            false => self.see_watched(node, winner, &edits).await?,
        };
        let held = edits.iter().zip(&seen.guard.rows);
        let as_expected: Vec<bool> = held.map(|(edit, now)| edit.rebased(now.as_ref()).is_some()).collect();
        let go: Vec<bool> =
            (0..edits.len()).map(|n| seen.planned[n] && seen.certain[n] && as_expected[n]).collect();
        let mended = self.writers[node].mend(&edits, &seen.guard, &go).await?;
        let tried: Vec<Tried> = (mended.into_iter().enumerate())
            .map(|(n, outcome)| {
                let now = seen.guard.rows[n].as_ref();
                let outcome = match outcome {
                    Mending::CalledOff | Mending::Moved if edits[n].wanted.as_ref() == now => {
                        Mending::Already
                    }
                    // where marks did not arrive, nothing is known of the row
                    Mending::CalledOff if seen.stalled => Mending::CalledOff,
                    // here the row was looked at
                    Mending::CalledOff => Mending::Moved,
                    outcome => outcome,
                };
                let over = matches!(outcome, Mending::Mended | Mending::Already);
                Tried { outcome, again: !over && seen.planned[n] && as_expected[n] }
            })
            .collect();
        let outcomes: Vec<Mending> = tried.iter().map(|tried| tried.outcome.clone()).collect();
        self.journal.conclude(intent, &outcomes)?;
        Ok(Batch { tried, in_the_way: seen.in_the_way, stalled: seen.stalled })
    }

    /// Steps 2 to 4, where the node locks rows.
    async fn see_locked(
        &mut self,
        node: usize,
        winner: Option<usize>,
        edits: &[Edit],
    ) -> Result<Seen, ExecuteError> {
        let guard = self.writers[node].guard(edits).await?;
        let mut seen = Seen {
            guard,
            planned: vec![true; edits.len()],
            certain: vec![true; edits.len()],
            in_the_way: false,
            stalled: false,
        };
        let planned = match timeout(LOCKED_MOST, self.planned_after(node, winner, edits)).await {
            Ok(planned) => planned?,
            Err(_) => None,
        };
        seen.certain.fill(planned.is_some());
        seen.stalled = planned.is_none();
        seen.planned = planned.unwrap_or(seen.planned);
        seen.in_the_way = self.writers[node].in_the_way().await?;
        Ok(seen)
    }

    /// Steps 3 and 4: whether the winner holds each row as planned when it has everything that the others had committed, and, where that
    /// is needed, when the node to mend has everything too; none if marks did not arrive in time. An undoing has no winner: what
    /// others wrote before must have arrived on the node, and nothing else is asked.
    async fn planned_after(
        &mut self,
        node: usize,
        winner: Option<usize>,
        edits: &[Edit],
    ) -> Result<Option<Vec<bool>>, ExecuteError> {
        let bound = self.bound.min(LOCKED_EXCHANGE);
        let Some(winner) = winner else {
            let arrived = self.watermarks.reach(node, bound).await? == Exchange::Complete;
            return Ok(arrived.then(|| vec![true; edits.len()]));
        };
        if self.watermarks.reach(winner, bound).await? != Exchange::Complete {
            return Ok(None);
        }
        let held = self.rows_of(winner, edits).await?;
        let comes_or_goes =
            |edit: &Edit| edit.expected.is_none() || edit.wanted.is_none() || edit.table.counted();
        let both_ways = !self.logs_rows || edits.iter().any(comes_or_goes);
        if both_ways && self.watermarks.reach(node, bound).await? != Exchange::Complete {
            return Ok(None);
        }
        Ok(Some(edits.iter().zip(&held).map(|(edit, row)| edit.is_met_by(row.as_ref())).collect()))
    }

    async fn rows_of(&mut self, winner: usize, edits: &[Edit]) -> Result<Vec<Option<Row>>, ExecuteError> {
        let mut rows = Vec::with_capacity(edits.len());
        for of_table in edits.chunk_by(|a, b| a.table == b.table) {
            let keys: Vec<Key> = of_table.iter().map(|edit| edit.key.clone()).collect();
            rows.extend(self.writers[winner].rows_by_key(&of_table[0].table, &keys).await?);
        }
        Ok(rows)
    }

    /// The same, where a node vouches by its log.
    async fn see_watched(
        &mut self,
        node: usize,
        winner: Option<usize>,
        edits: &[Edit],
    ) -> Result<Seen, ExecuteError> {
        let keys: Vec<Key> = edits.iter().map(|edit| edit.key.clone()).collect();
        let rows: Vec<RowsOf<'_>> =
            edits.first().map(|edit| RowsOf { table: &edit.table, keys: &keys }).into_iter().collect();
        let pin = match winner {
            Some(winner) => Some((winner, self.writers[winner].pin(&rows).await?)),
            None => None,
        };
        let guard = self.writers[node].guard(edits).await?;
        let arrived = self.watermarks.exchange(self.bound).await? == Exchange::Complete;
        let mut seen = Seen {
            guard,
            planned: vec![true; edits.len()],
            certain: vec![arrived; edits.len()],
            in_the_way: false,
            stalled: !arrived,
        };
        if let Some((winner, pin)) = pin {
            let still = self.writers[winner].still(&rows, &pin).await?;
            for (n, edit) in edits.iter().enumerate() {
                seen.planned[n] = pin.rows[n] == edit.wanted;
                seen.certain[n] &= still[n];
            }
        }
        Ok(seen)
    }
}
