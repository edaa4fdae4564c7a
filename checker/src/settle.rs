//! Settles the rows that differed in a first reading: lagging, different or unsettled.
//!
//! # How
//!
//! All rows that differed anywhere in the run are settled together, so that one exchange of marks serves them all. One
//! attempt, for the rows that are still open:
//!
//! 1. Where a pin makes writers wait ([`Reader::pins_lock`]): each node says where its log ends, marks are exchanged
//!    ([`crate::watermark`]), so that what was committed before has arrived everywhere, and the rows are read again. Rows
//!    to whose tables, by the logs of all nodes, nothing wrote since their ends are decided. Of the others only rows that are on every
//!    node as they were before go on. Where a pin costs nobody anything, all rows go on together.
//! 2. The rows are *pinned* on every node: read, and watched from then on.
//! 3. Marks are exchanged, while the pins hold. Where pins lock, all nodes are asked all the time whether somebody waits for a
//!    row, an application or the applier whose next change the mark stands behind; if so, the pins are let go at once, and
//!    nothing was learned. Rows that gave trouble are tried later and with fewer others, so that those that are quiet are
//!    decided first, many at a time.
//! 4. The pins are let go. A row that every node vouches for is decided: *identical* or *different*.
//! 5. The others moved. Where no pin locks, those that only one node writes are decided by a cut ([`crate::cut`]).
//! 6. What is left is asked again, until the time or the attempts are used up.
//!
//! # Why both words are exact
//!
//! Let `p` and `q` be the moments when node `i` pinned the row and let it go, on each node its own. Take any
//! write to the row, committed first on some node `j`. It was not committed between `p` and `q` of `j`, for `j` vouches
//! for that. If it was before `p` of `j`, it stands in `j`'s log before `j`'s mark, for all marks were written after all
//! pins; so node `i` had applied it when it showed that mark, which was before `q` of `i`; and it was not between `p`
//! and `q` of `i`, for `i` vouches for that; so what `i` held when it pinned the row already had it. If it was after `q` of
//! `j`, it is later than this check's statement. So what was compared is, on every node, the outcome of the same
//! writes, none of them on its way: if it is the same, the nodes agree, and if it is not, nothing will make them agree. A row
//! that flips back and forth does not deceive this: to flip is to be written, and a pin tells a row that was written from a
//! row that looks the same. Two readings that merely look equal decide nothing: of two nodes whose flags flip out of step, each
//! shows now and then what the other shows.
//!
//! By logs (1): take any write to the table. If it stands in `j`'s log before the end that `j` told, it stands before `j`'s mark too,
//! so all other nodes had applied it when they showed the mark; and `j` itself showed it when the mark was written, since what stands in
//! a log becomes visible in that order, even where it waits for a replica's answer in between. All rows were read after that. If it
//! stands behind that end, `j` has seen it in its log, which was looked through after all nodes were read, or it is later than
//! this check's statement. A mark that is not in the log (`--no-ledger`) does not have this order, and nothing is decided so.
//!
//! The price: a row that several nodes write more often than marks need to travel stays *unsettled*; where pins lock, also one
//! that a single node writes so often.
//!
//! Assumes what [`crate::watermark`] assumes, and that every write goes through the log of the node where it is
//! committed, except for writes with the log off, which replication does not carry and which are what a check is
//! there to find.

use crate::cut::cut;
use crate::locate::Candidate;
use crate::progress::{Progress, Step};
use crate::watermark::{Exchange, Watermarks};
use database::{Key, Ledger, Pin, Position, Reader, Result, Row, RowsOf, Table};
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a row that keeps moving is asked again, if the time allows.
pub const ATTEMPTS: u32 = 20;

/// The pause after the first attempt; each is longer by a quarter than the one before. Together they last for some seconds,
/// so that a commit that waits for a replica's answer, and keeps its rows locked that long, does not use them up.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(15);
const PAUSE_GROWTH: f64 = 1.25;

/// How many rows are locked at once where a pin locks.
const LOCKED_ROWS: usize = 256;

/// How many rows are read again with one call, which reads them in one transaction.
const READ_ROWS: usize = 1_000;

/// By how much that is divided each time that one of the rows moved, or was waited for.
const TROUBLE_DIVISOR: usize = 4;

/// The most batches of an attempt where a pin locks: what is left goes through a new exchange without locks first.
const LOCKED_BATCHES: usize = 16;

/// The longest wait for marks while rows are locked and nobody waits for them: no transaction is open for longer.
const LOCKED_EXCHANGE_MS: u64 = 10_000;

/// Why rows stay unsettled although marks arrive.
const MOVED_REASON: &str = "it was written again and again while marks were on their way";

/// The same where rows are watched by locks, which only InnoDB has.
const MOVED_OR_UNLOCKED_REASON: &str = "it was written again and again while marks were on their way; or its engine locks no rows, \
    and the server's log does not show that nobody wrote to the table";

/// Why rows of a table without a key stay unsettled although marks arrive.
const COUNTED_REASON: &str = "its table has no key, so a node vouches for it only while nothing writes to the table and its own \
    log shows that: with log_bin, log_slave_updates where it is a replica, and the right BINLOG MONITOR (REPLICATION CLIENT)";

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// All nodes hold this content.
    Identical(Option<Row>),
    /// What each node holds, certainly, in the order of the cluster.
    Different(Vec<Option<Row>>),
    /// What each node held last, and why nothing can be said.
    Unsettled(Vec<Option<Row>>, Arc<str>),
}

/// A candidate, and what is known of it.
pub(crate) struct Open {
    table: Arc<Table>,
    candidate: Candidate,
    settled: Option<Settled>,
    /// How often it moved between two readings, or may have been waited for while it was locked.
    trouble: u32,
}

impl Open {
    /// Decides the row by what each node certainly holds.
    pub(crate) fn decide(&mut self, held: Vec<Option<Row>>) {
        self.settled = Some(match held.windows(2).all(|pair| pair[0] == pair[1]) {
            true => Settled::Identical(held.into_iter().next().flatten()),
            false => Settled::Different(held),
        });
    }
}

/// Rows of one table, by their places in the list of candidates, and their keys.
pub(crate) struct Group {
    table: Arc<Table>,
    places: Vec<usize>,
    keys: Vec<Key>,
}

impl Group {
    /// The rows as a reader takes them.
    pub(crate) fn rows(&self) -> RowsOf<'_> {
        RowsOf { table: &self.table, keys: &self.keys }
    }
}

/// Groups rows by table; rows of one table stand together already.
pub(crate) fn groups(rows: &[Open], chosen: &[usize]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for &place in chosen {
        let Open { table, candidate, .. } = &rows[place];
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

fn open(rows: &[Open]) -> Vec<usize> {
    (0..rows.len()).filter(|&n| rows[n].settled.is_none()).collect()
}

/// Settles all candidates, within about `bound`; the results are in their order. Candidates of one table stand together.
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
    let start = Instant::now();
    let row = |(table, candidate)| Open { table, candidate, settled: None, trouble: 0 };
    let mut rows: Vec<Open> = candidates.into_iter().map(row).collect();
    let mut stalled = false;
    let moved = if readers.iter().any(Reader::pins_lock) { MOVED_OR_UNLOCKED_REASON } else { MOVED_REASON };
    let mut reason: Arc<str> = moved.into();
    let mut pause = ATTEMPT_PAUSE;
    for attempt in 1..=ATTEMPTS {
        let keys = open(&rows).len();
        if keys == 0 || (attempt > 1 && start.elapsed() >= bound) {
            break;
        }
        if attempt > 1 {
            tokio::time::sleep(pause).await;
            pause = pause.mul_f64(PAUSE_GROWTH);
        }
        progress.step(Step::Settling { keys, attempt });
        let deadline = start + bound;
        let exchange = attempt_once(&mut rows, readers, watermarks, bound, deadline).await?;
        if let Exchange::Incomplete(missing) = exchange {
            stalled = true;
            reason = if watermarks.stopped() {
                "the run was stopped".into()
            } else {
                stalled_reason(&missing, bound).into()
            };
            break;
        }
    }
    let counted: Arc<str> = COUNTED_REASON.into();
    let why = |table: &Table| if table.counted() && !stalled { counted.clone() } else { reason.clone() };
    let unsettled = |row: Open| {
        let reason = why(&row.table);
        row.settled.unwrap_or(Settled::Unsettled(row.candidate.rows, reason))
    };
    Ok(rows.into_iter().map(unsettled).collect())
}

/// One attempt, as the chapter says.
async fn attempt_once<R: Reader, L: Ledger + 'static>(
    rows: &mut [Open],
    readers: &mut [R],
    watermarks: &mut Watermarks<L>,
    bound: Duration,
    deadline: Instant,
) -> Result<Exchange> {
    let chosen = open(rows);
    if !readers.iter().any(Reader::pins_lock) {
        let (exchange, pins) = vouch(rows, &chosen, readers, watermarks, bound, false).await?;
        if exchange == Exchange::Complete {
            cut(rows, &open(rows), &pins, readers, watermarks, bound).await?;
        }
        return Ok(exchange);
    }
    // who may not see the log is not refused: rows can be locked instead
    let ends: Option<Vec<Position>> = match watermarks.ledgers().iter().all(Ledger::logs_marks) {
        true => try_join_all(readers.iter_mut().map(Reader::position)).await.ok(),
        false => None,
    };
    let exchange = watermarks.exchange(bound).await?;
    if exchange != Exchange::Complete {
        return Ok(exchange);
    }
    let mut quiet = read_again(rows, &chosen, readers).await?;
    if let Some(ends) = ends {
        vouch_by_log(rows, &chosen, readers, &ends).await?;
    }
    quiet.retain(|&place| rows[place].settled.is_none() && !rows[place].table.counted());
    quiet.sort_by_key(|&place| rows[place].trouble);
    let mut rest = &quiet[..];
    for batch in 0..LOCKED_BATCHES {
        if rest.is_empty() || watermarks.stopped() || (batch > 0 && Instant::now() >= deadline) {
            break;
        }
        let (few, others) = rest.split_at(locked_together(rows, rest));
        rest = others;
        let bound = bound.min(Duration::from_millis(LOCKED_EXCHANGE_MS));
        vouch(rows, few, readers, watermarks, bound, true).await?;
        for &place in few {
            rows[place].trouble += u32::from(rows[place].settled.is_none());
        }
    }
    Ok(Exchange::Complete)
}

/// How many of these rows, which stand in the order of their trouble, are locked together.
fn locked_together(rows: &[Open], places: &[usize]) -> usize {
    let Some(&first) = places.first() else { return 0 };
    let trouble = rows[first].trouble;
    let alike = places.iter().take_while(|&&place| rows[place].trouble == trouble).count();
    alike.min((LOCKED_ROWS / TROUBLE_DIVISOR.saturating_pow(trouble)).max(1))
}

/// Reads rows again on every node; those that are as they were before on all of them.
async fn read_again<R: Reader>(rows: &mut [Open], chosen: &[usize], readers: &mut [R]) -> Result<Vec<usize>> {
    let mut quiet = Vec::new();
    for group in chosen.chunks(READ_ROWS).flat_map(|few| groups(rows, few)).collect::<Vec<_>>() {
        let readings =
            try_join_all(readers.iter_mut().map(|reader| reader.rows_by_key(&group.table, &group.keys)))
                .await?;
        for (n, &place) in group.places.iter().enumerate() {
            let now: Vec<Option<Row>> = readings.iter().map(|rows| rows[n].clone()).collect();
            match now == rows[place].candidate.rows {
                true => quiet.push(place),
                false => rows[place].trouble += 1,
            }
            rows[place].candidate.rows = now;
        }
    }
    Ok(quiet)
}

/// Decides those rows, just read, to whose tables nothing wrote since these positions, by the logs of all nodes.
async fn vouch_by_log<R: Reader>(
    rows: &mut [Open],
    chosen: &[usize],
    readers: &mut [R],
    ends: &[Position],
) -> Result<()> {
    let groups = groups(rows, chosen);
    let watched: Vec<RowsOf<'_>> = groups.iter().map(Group::rows).collect();
    let asked = readers.iter_mut().zip(ends).map(|(reader, end)| reader.unwritten_since(&watched, end));
    let vouched = try_join_all(asked).await?;
    for (k, &place) in chosen.iter().enumerate() {
        if vouched.iter().all(|unwritten| unwritten[k]) {
            let held = rows[place].candidate.rows.clone();
            rows[place].decide(held);
        }
    }
    Ok(())
}

/// Pins the chosen rows, exchanges marks, giving way where pins lock, and decides those for which every node vouches.
async fn vouch<R: Reader, L: Ledger + 'static>(
    rows: &mut [Open],
    chosen: &[usize],
    readers: &mut [R],
    watermarks: &mut Watermarks<L>,
    bound: Duration,
    locks: bool,
) -> Result<(Exchange, Vec<Pin>)> {
    let groups = groups(rows, chosen);
    let watched: Vec<RowsOf<'_>> = groups.iter().map(Group::rows).collect();
    let pins = try_join_all(readers.iter_mut().map(|reader| reader.pin(&watched))).await?;
    let exchange = match locks {
        true => watermarks.exchange_giving_way(readers, bound).await?,
        false => watermarks.exchange(bound).await?,
    };
    let vouched =
        try_join_all(readers.iter_mut().zip(&pins).map(|(reader, pin)| reader.still(&watched, pin))).await?;
    for (k, &place) in chosen.iter().enumerate() {
        let held: Vec<Option<Row>> = pins.iter().map(|pin| pin.rows[k].clone()).collect();
        rows[place].candidate.rows.clone_from(&held);
        if exchange == Exchange::Complete && vouched.iter().all(|still| still[k]) {
            rows[place].decide(held);
        }
    }
    Ok((exchange, pins))
}

fn stalled_reason(missing: &[(Box<str>, Box<str>)], bound: Duration) -> String {
    let ways: Vec<String> = missing.iter().map(|(writer, reader)| format!("{writer} to {reader}")).collect();
    format!(
        "replication did not carry a watermark within {} s ({}): it is stopped, late, or a filter keeps the ledger's database back",
        bound.as_secs(),
        ways.join(", ")
    )
}
