//! Carries out a plan, batch by batch, so that no application write is lost.
//!
//! A batch ([`crate::batch`]) is tried as often as it could still give more: a row that was only written at the wrong moment, or whose place was
//! not free yet, is tried again with what is left, a bounded number of times. Where guards lock rows, batches grow while nobody
//! waits for them, and shrink as soon as somebody does.
//!
//! At the end the rows of the plan are read again on all nodes, as a check would.
//!
//! Invariants: nothing is touched that the plan does not name; every wait has a bound; on any doubt the row is left, and the summary
//! says so. Not here: what to do ([`crate::plan`]), and why it is safe ([`crate::batch`]).

use crate::batch::{Site, Tried};
use crate::error::ExecuteError;
use crate::journal::Journal;
use crate::plan::{Plan, Step};
use checker::settle::Settled;
use checker::watermark::Watermarks;
use checker::{Divergence, Gate, Progress, Stop, check_keys};
use database::{Key, Ledger, Mending, Table, Writer};
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most rows of a batch: what one watermark exchange is spent on, and what one crash leaves in doubt.
const BATCH_ROWS: usize = 50;
/// The same where a guard locks rows while marks travel: at least, at first, and at most.
const BATCH_ROWS_LOCKED: [usize; 3] = [5, 50, 1_000];
/// The same for rows without a key, each of which takes passes over its table.
const BATCH_ROWS_COUNTED: usize = 20;
/// The longest rest after a batch.
const REST_MOST: Duration = Duration::from_secs(30);
/// After how many batches in a row whose marks did not arrive in time the repair ends: replication is late or stopped.
const STALLED_BATCHES: u32 = 3;
/// After how many rounds rows of several tables are tried together, because they may stand in each other's way.
const ROUNDS_APART: u32 = 2;
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

/// How a repair treats the nodes, and whom it tells how far it is.
#[derive(Clone, Copy)]
pub struct Manners<'a> {
    /// What holds it back: no batch begins while it is closed.
    pub gate: &'a Gate,
    /// The share of the time in which it works: more than 0, at most 1.
    pub intensity: f64,
    /// Is told of pauses.
    pub pauses: &'a dyn Progress,
    /// Is told how many steps are done.
    pub done: &'a (dyn Fn(usize) + Sync),
    /// Ends it after the batch at hand when it is raised.
    pub stop: &'a Stop,
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
    /// Whether the repair ended early because marks did not arrive in time.
    pub stalled: bool,
}

impl Summary {
    /// How many steps came to this end.
    #[must_use]
    pub fn count(&self, of: impl Fn(&Mending) -> bool) -> usize {
        self.steps.iter().filter(|mended| of(&mended.outcome)).count()
    }
}

/// Carries out exactly this plan.
///
/// # Errors
/// If a node is not the one of the plan (nothing is changed), or fails, or the journal cannot be written.
pub async fn execute<W: Writer, L: Ledger + 'static>(
    plan: &Plan,
    members: Vec<Member<W, L>>,
    journal: &mut Journal,
    options: &Options,
    manners: Manners<'_>,
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
    let watermarks = Watermarks::new(&options.run, &names, ledgers, manners.stop.clone());
    let mut site = Site { names, writers, watermarks, journal, bound: options.settle_bound, logs_rows: true };
    try_join_all(site.watermarks.ledgers().iter_mut().map(Ledger::prepare)).await?;
    for writer in &mut site.writers {
        site.logs_rows &= writer.logs_rows().await?;
    }
    let mut summary = Summary::default();
    let outcomes = site.mend_all(&plan.steps, manners, &mut summary.stalled).await?;
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
        manners: Manners<'_>,
        stalled: &mut bool,
    ) -> Result<Vec<Option<Mending>>, ExecuteError> {
        let mut outcomes: Vec<Option<Mending>> = vec![None; steps.len()];
        let mut pending: Vec<usize> = (0..steps.len()).collect();
        let mut rows = if self.locks() { BATCH_ROWS_LOCKED[1] } else { BATCH_ROWS };
        let mut stalls = 0;
        for round in 1..=ROUNDS {
            let (mut again, mut rest) = (Vec::new(), &pending[..]);
            while !rest.is_empty() {
                *stalled = stalls >= STALLED_BATCHES;
                manners.gate.pass(manners.pauses, manners.stop).await;
                if manners.stop.raised() || *stalled {
                    return Ok(outcomes);
                }
                let start = Instant::now();
                let mixed = self.locks() && round > ROUNDS_APART;
                let (batch, others) = rest.split_at(together(steps, rest, rows, mixed));
                rest = others;
                let chosen: Vec<&Step> = batch.iter().map(|&n| &steps[n]).collect();
                let done = self.mend_batch(&chosen).await?;
                // what others stand in the way of needs larger batches, in which these are too, and not smaller ones
                let refused = |tried: &Tried| matches!(tried.outcome, Mending::Refused(_));
                let tried_in_vain = done.tried.iter().all(|tried| tried.again && !refused(tried));
                stalls = if done.stalled { stalls + 1 } else { 0 };
                for (&n, tried) in batch.iter().zip(done.tried) {
                    if tried.again && round < ROUNDS {
                        again.push(n);
                    }
                    outcomes[n] = Some(tried.outcome);
                }
                if self.locks() {
                    let crowded = done.in_the_way || tried_in_vain;
                    let next = if crowded { rows / 2 } else { rows * 2 };
                    rows = next.clamp(BATCH_ROWS_LOCKED[0], BATCH_ROWS_LOCKED[2]);
                }
                (manners.done)(outcomes.iter().flatten().count() - again.len());
                let rest = start.elapsed().mul_f64(1.0 / manners.intensity - 1.0);
                tokio::time::sleep(rest.min(REST_MOST)).await;
            }
            pending = again;
            if pending.is_empty() {
                break;
            }
        }
        Ok(outcomes)
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

/// How many of the pending steps, in order, go into the next batch: at most `most`, of one node, one winner and, unless they are
/// mixed, one table and one kind.
fn together(steps: &[Step], pending: &[usize], most: usize, mixed: bool) -> usize {
    let of = |n: usize| {
        let kind = (steps[n].expected.is_some(), steps[n].wanted.is_some());
        let table = (&steps[n].table.database, &steps[n].table.name, kind);
        (&steps[n].node, &steps[n].winner, (!mixed).then_some(table))
    };
    let counted = pending.first().is_some_and(|&n| steps[n].table.counted());
    let most = if counted { most.min(BATCH_ROWS_COUNTED) } else { most };
    let first = pending.first().map(|&n| of(n));
    pending.iter().take(most).take_while(|&&n| Some(of(n)) == first).count()
}
