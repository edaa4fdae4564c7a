//! Settles the rows that differed in a first reading: lagging, different or unsettled.
//!
//! # How
//!
//! One attempt, for all rows of a table that are still open:
//!
//! 1. Marks are exchanged ([`crate::watermark`]), so that what was committed before the last reading has arrived
//!    everywhere.
//! 2. The rows are read again. A row of which every node has by now been seen to hold one and the same content is
//!    *identical*: these readings were made at different moments, and so are the readings of any two chunks that
//!    have equal digests.
//! 3. The rows that are on every node as they were in the reading before are *pinned* on every node: read, and watched
//!    from then on.
//! 4. Marks are exchanged once more, while the pins hold.
//! 5. The pins are let go. A row that every node vouches for, and that is not the same on all, is *different*. Any other
//!    row moved, and is asked again, a bounded number of times.
//!
//! # Why *different* is exact
//!
//! Let `p` and `q` be the moments when node `i` pinned the row and let it go, on each node its own. Take any
//! write to the row, committed first on some node `j`. It was not committed between `p` and `q` of `j`, for `j` vouches
//! for that. If it was before `p` of `j`, it stands in `j`'s log before `j`'s mark, for all marks were written after all
//! pins; so node `i` had applied it when it showed that mark, which was before `q` of `i`; and it was not between `p`
//! and `q` of `i`, for `i` vouches for that; so what `i` held when it pinned the row already had it. If it was after `q` of
//! `j`, it is later than this check's statement. So what was compared is, on every node, the outcome of the same
//! writes, none of them on its way. A row that flips back and forth does not deceive this: to flip is to be written,
//! and a pin tells a row that was written from a row that looks the same.
//!
//! Assumes what [`crate::watermark`] assumes, and that every write goes through the log of the node where it is
//! committed, except for writes with the log off, which replication does not carry and which are what a check is
//! there to find.

use crate::locate::Candidate;
use crate::progress::{Progress, Step};
use crate::watermark::{Exchange, Watermarks};
use database::{Key, Ledger, Pin, Reader, Result, Row, Table};
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::Duration;

/// How often a row that keeps moving is asked again.
pub const ATTEMPTS: u32 = 12;

/// The pause after an attempt, times the attempt's number.
const ATTEMPT_PAUSE_MS: u64 = 15;

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// All nodes were seen to hold this content.
    Identical(Option<Row>),
    /// What each node holds, certainly, in the order of the cluster.
    Different(Vec<Option<Row>>),
    /// What each node held last, and why nothing can be said.
    Unsettled(Vec<Option<Row>>, Arc<str>),
}

/// A candidate that is still open, and where it stands among the results.
struct Open {
    place: usize,
    candidate: Candidate,
    still: bool,
}

impl Open {
    fn latest(&self) -> Vec<Option<Row>> {
        self.candidate.readings.iter().map(|readings| readings.last().cloned().flatten()).collect()
    }
}

/// Settles all candidates of one table; the results are in their order.
///
/// # Errors
/// If a node cannot be read or written.
pub async fn settle<R: Reader, L: Ledger + 'static>(
    table: &Table,
    candidates: Vec<Candidate>,
    readers: &mut [R],
    watermarks: &mut Watermarks<L>,
    bound: Duration,
    progress: &dyn Progress,
) -> Result<Vec<Settled>> {
    let mut results: Vec<Option<Settled>> = vec![None; candidates.len()];
    let mut open: Vec<Open> = candidates
        .into_iter()
        .enumerate()
        .map(|(place, candidate)| Open { place, candidate, still: false })
        .collect();
    let mut stalled = None;
    for attempt in 1..=ATTEMPTS {
        progress.step(Step::Settling { keys: open.len(), attempt });
        if let Exchange::Incomplete(missing) = watermarks.exchange(bound).await? {
            stalled = Some(missing);
        }
        read_again(table, &mut open, readers).await?;
        close(&mut open, &mut results, |row| row.candidate.agreed().cloned().map(Settled::Identical));
        if open.is_empty() || stalled.is_some() {
            break;
        }
        if let Exchange::Incomplete(missing) =
            vouch(table, &mut open, &mut results, readers, watermarks, bound).await?
        {
            stalled = Some(missing);
            break;
        }
        if open.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(ATTEMPT_PAUSE_MS * u64::from(attempt))).await;
    }
    let reason: Arc<str> = match stalled {
        Some(missing) => stalled_reason(&missing, bound).into(),
        None => format!("it was written again and again; {ATTEMPTS} attempts").into(),
    };
    close(&mut open, &mut results, |row| Some(Settled::Unsettled(row.latest(), reason.clone())));
    Ok(results.into_iter().flatten().collect())
}

/// Reads the open rows again on every node, and notes which of them are as they were on all.
async fn read_again<R: Reader>(table: &Table, open: &mut [Open], readers: &mut [R]) -> Result<()> {
    let keys: Vec<Key> = open.iter().map(|row| row.candidate.key.clone()).collect();
    let readings = try_join_all(readers.iter_mut().map(|reader| reader.rows_by_key(table, &keys))).await?;
    for (n, row) in open.iter_mut().enumerate() {
        let now: Vec<Option<Row>> = readings.iter().map(|rows| rows[n].clone()).collect();
        row.still = now == row.latest();
        row.candidate.read_again(&now);
    }
    Ok(())
}

/// Pins the rows that seem still, exchanges marks, and closes those for which every node vouches.
async fn vouch<R: Reader, L: Ledger + 'static>(
    table: &Table,
    open: &mut Vec<Open>,
    results: &mut [Option<Settled>],
    readers: &mut [R],
    watermarks: &mut Watermarks<L>,
    bound: Duration,
) -> Result<Exchange> {
    let chosen: Vec<usize> = (0..open.len()).filter(|&n| open[n].still).collect();
    if chosen.is_empty() {
        return Ok(Exchange::Complete);
    }
    let keys: Vec<Key> = chosen.iter().map(|&n| open[n].candidate.key.clone()).collect();
    let pins = try_join_all(readers.iter_mut().map(|reader| reader.pin(table, &keys))).await?;
    let exchange = watermarks.exchange(bound).await?;
    let vouched = try_join_all(
        readers.iter_mut().zip(&pins).map(|(reader, pin): (&mut R, &Pin)| reader.still(table, &keys, pin)),
    )
    .await?;
    for (k, &n) in chosen.iter().enumerate() {
        let rows: Vec<Option<Row>> = pins.iter().map(|pin| pin.rows[k].clone()).collect();
        open[n].candidate.read_again(&rows);
        // a row that is vouched for on every node was compared at one moment, as it were
        open[n].still = exchange == Exchange::Complete && vouched.iter().all(|still| still[k]);
    }
    close(open, results, |row| {
        if !row.still {
            return row.candidate.agreed().cloned().map(Settled::Identical);
        }
        let rows = row.latest();
        Some(match rows.windows(2).all(|pair| pair[0] == pair[1]) {
            true => Settled::Identical(rows.into_iter().next().flatten()),
            false => Settled::Different(rows),
        })
    });
    Ok(exchange)
}

/// Moves the rows of which something can be said to the results.
fn close(
    open: &mut Vec<Open>,
    results: &mut [Option<Settled>],
    mut verdict: impl FnMut(&Open) -> Option<Settled>,
) {
    open.retain(|row| {
        let settled = verdict(row);
        let keep = settled.is_none();
        if !keep {
            results[row.place] = settled;
        }
        keep
    });
}

fn stalled_reason(missing: &[(Box<str>, Box<str>)], bound: Duration) -> String {
    let ways: Vec<String> = missing.iter().map(|(writer, reader)| format!("{writer} to {reader}")).collect();
    format!(
        "replication did not carry a watermark within {} s ({}): it is stopped, late, or a filter keeps the ledger's database back",
        bound.as_secs(),
        ways.join(", ")
    )
}
