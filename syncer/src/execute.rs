//! Carries out a plan, edit by edit, so that no application write is lost.
//!
//! # The protocol of one batch
//!
//! A batch has one node to mend `B`, one winner `A`, and rows of one table.
//!
//! 0. Where a guard locks rows: all nodes exchange watermarks first, so that little is on its way to rows that will be
//!    locked; and the exchange of step 3 is short, because a change that waits for a locked row keeps the mark behind it.
//! 1. The batch goes into the journal, durably, with every row as it was.
//! 2. On `A` the rows are pinned. On `B` they are guarded: looked at and watched (where the server has row locks: written
//!    in an open transaction, outside the log). A row that is not as the plan expects is out.
//! 3. All nodes write watermarks and wait, bounded, until each shows all of them.
//! 4. `A` lets its pin go, and vouches for the rows that were not written since. A row that it does not vouch for, or that is
//!    not there as planned, is out.
//! 5. On `B`, in one transaction outside the log: each remaining row is compared once more, byte for byte; it is looked up
//!    whether `B`'s log has touched it since the guard; and only then it is written.
//! 6. What came of each row goes into the journal.
//!
//! # Why no order of events loses a write or stops a channel
//!
//! Let `w` be an application's write to the row. Call `g` and `c` the moments of guard and commit on `B`, `p` and `q` those of
//! pin and release on `A`; every watermark is written after `g` and `p`, and has arrived everywhere before `q` and `c`.
//!
//! * `w` was applied or committed on `B` between `g` and `c`: `B`'s log shows it, and the edit is not made.
//! * `w` was committed on `B` before `g`: it stands before `B`'s watermark, so it was applied on `A` before `q`, and `A` vouches
//!   that this was before `p`. So the row as planned, read on `A`, is what `A` made of `w`. Nothing is reverted that `A` had
//!   not already decided.
//! * `w` was committed on `A` before `p`: it stands before `A`'s watermark, so it was applied on `B` before `c`, and so before
//!   `g`. It will not arrive again; so an insert of `A` cannot meet the row that the repair inserts (1062), and an update
//!   or a delete of `A` cannot miss the row that the repair deletes (1032). With STATEMENT logs it cannot be added twice.
//! * `w` is committed on `A` after `q`: it arrives on `B` later than `c`, in order, and finds the row that it found on `A`. (If it
//!   arrives between `g` and `c`, the first case holds.)
//! * `w` is committed on `B` after `c`: it finds the winner's row and replicates like any write.
//! * `w` comes from a third node `C`: if it was committed there before `C`'s watermark, it was applied on `A` and on `B` before
//!   `q` and `c`, so before `p` and `g`: the second case. If later, it arrives on both after the watermark, and lands on equal
//!   rows; or on one of them early, and then `A` does not vouch or `B`'s log shows it.
//!
//! The edit itself is outside the log: it travels nowhere and nothing echoes round a ring. Only `B`'s wrong rows are ever
//! locked, and only for step 5 where the node can list its log. Every wait has a bound; on any doubt the row is left, and
//! the summary says so.
//!
//! What this does not do: it does not reach replicas below `B`, which never see an edit that is not in the log. They are
//! nodes of their own to a check.

use crate::journal::{Journal, JournalError};
use crate::plan::{Plan, Step};
use checker::settle::Settled;
use checker::watermark::{Exchange, Watermarks};
use checker::{Divergence, Stop, check_keys};
use database::{Edit, Error, Key, Ledger, Mending, Reader, RowsOf, Table, Writer};
use futures_util::future::try_join_all;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The most rows of a batch: what one watermark exchange is spent on, and what one crash leaves in doubt.
const BATCH_ROWS: usize = 50;
/// The same where a guard locks rows: what is locked while marks travel.
const BATCH_ROWS_LOCKED: usize = 20;
/// The longest wait for marks while a guard locks rows.
const LOCKED_EXCHANGE_MS: u64 = 1_500;
/// How often a row is tried that is as planned on both sides, but was written at the wrong moment.
const ROUNDS: u32 = 6;

/// A node of the cluster, with the right to mend it.
#[derive(Debug)]
pub struct Member<W, L> {
    /// Its name in the plan.
    pub name: Box<str>,
    /// Which server it is.
    pub identity: Box<str>,
    /// Reads and mends it.
    pub writer: W,
    /// Writes evensum's own tables on it.
    pub ledger: L,
}

/// The bounds of a repair.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the repair's run in the ledger.
    pub run: Box<str>,
    /// The longest wait for one exchange of watermarks.
    pub settle_bound: Duration,
}

/// A step, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// The step.
    pub step: Step,
    /// What came of it.
    pub outcome: Mending,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Every step, in the order of the plan.
    pub steps: Vec<Mended>,
    /// Planned rows that all nodes now hold alike, as read after the repair.
    pub rows_identical: u64,
    /// Planned rows on which nodes still disagree.
    pub different: Vec<Divergence>,
    /// Planned rows of which nothing could be shown after the repair.
    pub rows_unsettled: u64,
}

impl Summary {
    /// How many steps came to this end.
    #[must_use]
    pub fn count(&self, of: impl Fn(&Mending) -> bool) -> usize {
        self.steps.iter().filter(|mended| of(&mended.outcome)).count()
    }
}

/// Why a repair did not begin, or ended early.
#[derive(Debug)]
pub enum ExecuteError {
    /// A node is not the server for which the plan was made. Nothing was changed.
    Identity {
        /// The node.
        node: Box<str>,
        /// The server in the plan.
        planned: Box<str>,
        /// The server that answers.
        found: Box<str>,
    },
    /// A node of the plan is not among the members. Nothing was changed.
    Absent(Box<str>),
    /// A node failed. What was done until then is in the journal.
    Database(Error),
    /// The journal cannot be written. Nothing was changed that is not in it.
    Journal(JournalError),
}

impl fmt::Display for ExecuteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecuteError::Identity { node, planned, found } => {
                write!(f, "{node} is not the server of the plan: planned for {planned}, found {found}")
            }
            ExecuteError::Absent(node) => write!(f, "the plan is about {node}, which is not among the nodes"),
            ExecuteError::Database(error) => write!(f, "{error}"),
            ExecuteError::Journal(error) => write!(f, "the journal cannot be written: {error}"),
        }
    }
}

impl std::error::Error for ExecuteError {}

impl From<Error> for ExecuteError {
    fn from(error: Error) -> ExecuteError {
        ExecuteError::Database(error)
    }
}

impl From<JournalError> for ExecuteError {
    fn from(error: JournalError) -> ExecuteError {
        ExecuteError::Journal(error)
    }
}

/// The nodes of a repair at work.
struct Site<'a, W, L> {
    names: Vec<Box<str>>,
    writers: Vec<W>,
    watermarks: Watermarks<L>,
    journal: &'a mut Journal,
    bound: Duration,
}

/// What one try gave: the outcome, and whether another try could give more.
type Tried = (Mending, bool);

/// Carries out exactly this plan. `progress` is told how many steps are done. Raising `stop` ends it after the batch at hand.
///
/// # Errors
/// If a node is not the one of the plan (nothing is changed), or fails, or the journal cannot be written.
pub async fn execute<W: Writer, L: Ledger + 'static>(
    plan: &Plan,
    members: Vec<Member<W, L>>,
    journal: &mut Journal,
    options: &Options,
    progress: &(dyn Fn(usize) + Sync),
    stop: &Stop,
) -> Result<Summary, ExecuteError> {
    let names: Vec<Box<str>> = members.iter().map(|member| member.name.clone()).collect();
    for planned in &plan.nodes {
        let member = members.iter().find(|member| member.name == planned.name);
        let member = member.ok_or_else(|| ExecuteError::Absent(planned.name.clone()))?;
        if member.identity != planned.identity {
            return Err(ExecuteError::Identity {
                node: planned.name.clone(),
                planned: planned.identity.clone(),
                found: member.identity.clone(),
            });
        }
    }
    let (writers, ledgers): (Vec<W>, Vec<L>) =
        members.into_iter().map(|member| (member.writer, member.ledger)).unzip();
    let watermarks = Watermarks::new(&options.run, &names, ledgers, stop.clone());
    let mut site = Site { names, writers, watermarks, journal, bound: options.settle_bound };
    try_join_all(site.watermarks.ledgers().iter_mut().map(Ledger::prepare)).await?;
    let outcomes = site.mend_all(&plan.steps, progress, stop).await?;
    let mut summary = Summary::default();
    site.verify(&plan.steps, &mut summary).await?;
    summary.steps = plan
        .steps
        .iter()
        .zip(outcomes)
        .map(|(step, outcome)| Mended { step: step.clone(), outcome: outcome.unwrap_or(Mending::CalledOff) })
        .collect();
    Ok(summary)
}

impl<W: Writer, L: Ledger + 'static> Site<'_, W, L> {
    /// Tries all steps, in batches, and tries those again that were only written at the wrong moment, or whose place was
    /// not free yet.
    async fn mend_all(
        &mut self,
        steps: &[Step],
        progress: &(dyn Fn(usize) + Sync),
        stop: &Stop,
    ) -> Result<Vec<Option<Mending>>, ExecuteError> {
        let mut outcomes: Vec<Option<Mending>> = vec![None; steps.len()];
        let mut pending: Vec<usize> = (0..steps.len()).collect();
        let locks = self.writers.iter().any(Reader::pins_lock);
        let batch_rows = if locks { BATCH_ROWS_LOCKED } else { BATCH_ROWS };
        for round in 1..=ROUNDS {
            let mut again = Vec::new();
            for batch in batches(steps, &pending, batch_rows) {
                if stop.raised() {
                    return Ok(outcomes);
                }
                let chosen: Vec<&Step> = batch.iter().map(|&n| &steps[n]).collect();
                for (&n, (outcome, retry)) in batch.iter().zip(self.mend_batch(&chosen).await?) {
                    if retry && round < ROUNDS {
                        again.push(n);
                    }
                    outcomes[n] = Some(outcome);
                }
                progress(outcomes.iter().flatten().count() - again.len());
            }
            pending = again;
            if pending.is_empty() {
                break;
            }
        }
        Ok(outcomes)
    }

    fn place(&self, name: &str) -> Result<usize, ExecuteError> {
        let place = self.names.iter().position(|known| **known == *name);
        place.ok_or_else(|| ExecuteError::Absent(name.into()))
    }

    /// The six steps of the protocol, for rows of one table, one node and one winner.
    async fn mend_batch(&mut self, steps: &[&Step]) -> Result<Vec<Tried>, ExecuteError> {
        let Some(first) = steps.first() else { return Ok(Vec::new()) };
        let node = self.place(&first.node)?;
        let winner = first.winner.as_deref().map(|winner| self.place(winner)).transpose()?;
        let table = first.table.clone();
        let keys: Vec<Key> = steps.iter().map(|step| step.key.clone()).collect();
        let edits: Vec<Edit> = steps.iter().map(|step| step.edit()).collect();
        let rows = [RowsOf { table: &table, keys: &keys }];
        let locks = self.writers.iter().any(Reader::pins_lock);
        if locks && self.watermarks.exchange(self.bound).await? != Exchange::Complete {
            return Ok(vec![(Mending::CalledOff, false); steps.len()]);
        }
        let bound = if locks { Duration::from_millis(LOCKED_EXCHANGE_MS) } else { self.bound };
        let intent = self.journal.intend(steps)?;
        let pin = match winner {
            Some(winner) => Some((winner, self.writers[winner].pin(&rows).await?)),
            None => None,
        };
        let guard = self.writers[node].guard(&edits).await?;
        let arrived = self.watermarks.exchange(bound).await? == Exchange::Complete;
        let mut go: Vec<bool> =
            edits.iter().zip(&guard.rows).map(|(edit, now)| arrived && *now == edit.expected).collect();
        let mut planned = vec![true; steps.len()];
        if let Some((winner, pin)) = &pin {
            let still = self.writers[*winner].still(&rows, pin).await?;
            for (n, edit) in edits.iter().enumerate() {
                planned[n] = pin.rows[n] == edit.wanted;
                go[n] &= planned[n] && still[n];
            }
        }
        let mut outcomes = self.writers[node].mend(&edits, &guard, &go).await?;
        let mut tried = Vec::new();
        for (n, outcome) in outcomes.iter_mut().enumerate() {
            // called off is what an interrupted repair leaves; here the row was looked at, and was not as planned
            if *outcome == Mending::CalledOff && (arrived || locks) {
                *outcome = Mending::Moved;
            }
            let as_planned = planned[n] && guard.rows[n] == edits[n].expected;
            tried.push((outcome.clone(), as_planned && *outcome != Mending::Mended));
        }
        self.journal.conclude(intent, &outcomes)?;
        Ok(tried)
    }

    /// Reads the rows of the plan again on all nodes, as a check would.
    async fn verify(&mut self, steps: &[Step], summary: &mut Summary) -> Result<(), ExecuteError> {
        let mut tables: Vec<(Arc<Table>, Vec<Key>)> = Vec::new();
        for step in steps {
            let same = |table: &Arc<Table>| {
                (&table.database, &table.name) == (&step.table.database, &step.table.name)
            };
            match tables.iter_mut().find(|(table, _)| same(table)) {
                Some((_, keys)) => keys.push(step.key.clone()),
                None => tables.push((step.table.clone(), vec![step.key.clone()])),
            }
        }
        for (_, keys) in &mut tables {
            keys.sort();
            keys.dedup();
        }
        let settled = check_keys(&tables, &mut self.writers, &mut self.watermarks, self.bound).await?;
        let rows = tables.iter().flat_map(|(table, keys)| keys.iter().map(move |key| (table, key)));
        for ((table, key), settled) in rows.zip(settled) {
            match settled {
                Settled::Identical(_) => summary.rows_identical += 1,
                Settled::Unsettled(..) => summary.rows_unsettled += 1,
                Settled::Different(rows) => {
                    summary.different.push(Divergence::new(table, key, &rows, &self.names));
                }
            }
        }
        Ok(())
    }
}

/// Cuts the pending steps into batches of at most `batch_rows`, of one node, one winner and one table, in order.
fn batches(steps: &[Step], pending: &[usize], batch_rows: usize) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for &n in pending {
        let fits = |batch: &Vec<usize>| {
            batch.len() < batch_rows
                && batch.first().is_some_and(|&first| {
                    let (a, b) = (&steps[first], &steps[n]);
                    (&a.node, &a.winner, &a.table) == (&b.node, &b.winner, &b.table)
                })
        };
        match batches.last_mut().filter(|batch| fits(batch)) {
            Some(batch) => batch.push(n),
            None => batches.push(vec![n]),
        }
    }
    batches
}
