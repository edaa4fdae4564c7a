//! Settles the rows that differed in a first reading: lagging, different or unsettled.
//!
//! # How
//!
//! All rows that differed anywhere in the run are settled together, so that one exchange of marks serves them all. One
//! attempt, for the rows that are still open:
//!
//! 1. Where a pin makes writers wait ([`Reader::pins_lock`]): marks are exchanged first ([`crate::watermark`]), so that what was
//!    committed before the last reading has arrived everywhere, and the rows are read again. Only rows that are on every
//!    node as they were before go on to be pinned. Where a pin costs nobody anything, all do.
//! 2. The rows are *pinned* on every node: read, and watched from then on.
//! 3. Marks are exchanged, while the pins hold.
//! 4. The pins are let go. A row that every node vouches for is decided: *identical* or *different*.
//! 5. The others moved. A row of which every node has been seen to hold one and the same content is *identical*: these
//!    readings were made at different moments, and so are the readings of any two chunks that have equal digests. What is
//!    left is asked again, a bounded number of times.
//!
//! While marks are on their way the open rows are *sampled*: read again and again, so that a content that travels from node
//! to node is met on each of them. So rows that are written several times a second settle in one attempt.
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
use database::{Key, Ledger, Reader, Result, Row, RowsOf, Table};
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How often a row that keeps moving is asked again.
pub const ATTEMPTS: u32 = 12;

/// The pause after an attempt, times the attempt's number.
const ATTEMPT_PAUSE_MS: u64 = 15;

/// The shortest pause between two samples.
const SAMPLE_PAUSE_MS: u64 = 60;

/// How many times as long as a sample took the pause after it is, so that sampling is a small part of a node's work.
const SAMPLE_PAUSE_FACTOR: u32 = 4;

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
    table: Arc<Table>,
    candidate: Candidate,
}

impl Open {
    fn latest(&self) -> Vec<Option<Row>> {
        self.candidate.readings.iter().map(|readings| readings.last().cloned().flatten()).collect()
    }
}

/// The open rows of one table, by their places in the list of open rows, and their keys.
struct Group {
    table: Arc<Table>,
    places: Vec<usize>,
    keys: Vec<Key>,
}

/// Groups open rows by table; rows of one table stand together already.
fn groups(open: &[Open], chosen: impl Iterator<Item = usize>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for place in chosen {
        let Open { table, candidate, .. } = &open[place];
        if groups.last().is_none_or(|group| !Arc::ptr_eq(&group.table, table)) {
            groups.push(Group { table: table.clone(), places: Vec::new(), keys: Vec::new() });
        }
        if let Some(group) = groups.last_mut() {
            group.places.push(place);
            group.keys.push(candidate.key.clone());
        }
    }
    groups
}

/// Settles all candidates; the results are in their order. Candidates of one table stand together.
///
/// # Errors
/// If a node cannot be read or written.
pub async fn settle<R: Reader, L: Ledger + 'static>(
    candidates: Vec<(Arc<Table>, Candidate)>,
    readers: &mut [R],
    watermarks: &mut Watermarks<L>,
    bound: Duration,
    progress: &dyn Progress,
) -> Result<Vec<Settled>> {
    let mut results: Vec<Option<Settled>> = vec![None; candidates.len()];
    let mut open: Vec<Open> = candidates
        .into_iter()
        .enumerate()
        .map(|(place, (table, candidate))| Open { place, table, candidate })
        .collect();
    let mut reason: Arc<str> = format!("it was written again and again; {ATTEMPTS} attempts").into();
    for attempt in 1..=ATTEMPTS {
        if open.is_empty() {
            break;
        }
        progress.step(Step::Settling { keys: open.len(), attempt });
        if let Exchange::Incomplete(missing) =
            attempt_once(&mut open, &mut results, readers, watermarks, bound).await?
        {
            reason = stalled_reason(&missing, bound).into();
            break;
        }
        tokio::time::sleep(Duration::from_millis(ATTEMPT_PAUSE_MS * u64::from(attempt))).await;
    }
    close(&mut open, &mut results, |row| Some(Settled::Unsettled(row.latest(), reason.clone())));
    Ok(results.into_iter().flatten().collect())
}

/// One attempt, as the chapter says.
async fn attempt_once<R: Reader, L: Ledger + 'static>(
    open: &mut Vec<Open>,
    results: &mut [Option<Settled>],
    readers: &mut [R],
    watermarks: &mut Watermarks<L>,
    bound: Duration,
) -> Result<Exchange> {
    let mut chosen: Vec<usize> = (0..open.len()).collect();
    if readers.iter().any(Reader::pins_lock) {
        open.iter_mut().for_each(|row| row.candidate.still = true);
        let exchange = exchange_and_sample(open, readers, watermarks, bound).await?;
        read_again(open, readers).await?;
        close(open, results, agreed);
        if exchange != Exchange::Complete {
            return Ok(exchange);
        }
        chosen = (0..open.len()).filter(|&n| open[n].candidate.still).collect();
    }
    let exchange = vouch(open, &chosen, results, readers, watermarks, bound).await?;
    read_again(open, readers).await?;
    close(open, results, agreed);
    Ok(exchange)
}

fn agreed(row: &Open) -> Option<Settled> {
    row.candidate.agreed().cloned().map(Settled::Identical)
}

/// Exchanges marks, and samples the open rows until that is done.
async fn exchange_and_sample<R: Reader, L: Ledger + 'static>(
    open: &mut [Open],
    readers: &mut [R],
    watermarks: &mut Watermarks<L>,
    bound: Duration,
) -> Result<Exchange> {
    let over = Notify::new();
    let exchange = async {
        let exchange = watermarks.exchange(bound).await;
        over.notify_one();
        exchange
    };
    let samples = async {
        let mut pause = Duration::from_millis(SAMPLE_PAUSE_MS);
        loop {
            if tokio::time::timeout(pause, over.notified()).await.is_ok() {
                return Ok(());
            }
            let start = Instant::now();
            read_again(open, readers).await?;
            pause = pause.max(start.elapsed() * SAMPLE_PAUSE_FACTOR);
        }
    };
    let (exchange, samples) = futures_util::future::join(exchange, samples).await;
    samples.and(exchange)
}

/// Reads those open rows again on every node that have not been seen to agree.
async fn read_again<R: Reader>(open: &mut [Open], readers: &mut [R]) -> Result<()> {
    let restless: Vec<usize> = (0..open.len()).filter(|&n| open[n].candidate.agreed().is_none()).collect();
    for group in groups(open, restless.into_iter()) {
        let readings =
            try_join_all(readers.iter_mut().map(|reader| reader.rows_by_key(&group.table, &group.keys)))
                .await?;
        for (n, &place) in group.places.iter().enumerate() {
            let now: Vec<Option<Row>> = readings.iter().map(|rows| rows[n].clone()).collect();
            open[place].candidate.read_again(&now);
        }
    }
    Ok(())
}

/// Pins the chosen rows, exchanges marks, and decides those for which every node vouches.
async fn vouch<R: Reader, L: Ledger + 'static>(
    open: &mut Vec<Open>,
    chosen: &[usize],
    results: &mut [Option<Settled>],
    readers: &mut [R],
    watermarks: &mut Watermarks<L>,
    bound: Duration,
) -> Result<Exchange> {
    if chosen.is_empty() {
        return Ok(Exchange::Complete);
    }
    let groups = groups(open, chosen.iter().copied());
    let rows: Vec<RowsOf<'_>> =
        groups.iter().map(|group| RowsOf { table: &group.table, keys: &group.keys }).collect();
    let pins = try_join_all(readers.iter_mut().map(|reader| reader.pin(&rows))).await?;
    let exchange = exchange_and_sample(open, readers, watermarks, bound).await?;
    let vouched =
        try_join_all(readers.iter_mut().zip(&pins).map(|(reader, pin)| reader.still(&rows, pin))).await?;
    let mut decided: Vec<Option<Settled>> = (0..open.len()).map(|_| None).collect();
    for (k, &n) in chosen.iter().enumerate() {
        let held: Vec<Option<Row>> = pins.iter().map(|pin| pin.rows[k].clone()).collect();
        open[n].candidate.read_again(&held);
        // a row that is vouched for on every node was compared at one moment, as it were
        if exchange == Exchange::Complete && vouched.iter().all(|still| still[k]) {
            decided[n] = Some(match held.windows(2).all(|pair| pair[0] == pair[1]) {
                true => Settled::Identical(held.into_iter().next().flatten()),
                false => Settled::Different(held),
            });
        }
    }
    let mut decided = decided.into_iter();
    close(open, results, |_| decided.next().flatten());
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
