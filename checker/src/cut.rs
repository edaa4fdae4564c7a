//! Decides rows that one node writes without a pause: by a cut along that node's mark.
//!
//! # How
//!
//! The rows moved while a first exchange of marks went round ([`crate::settle`]), for which every node had pinned them. Those
//! pins say which rows a node has written *itself* since, and which it only received. For each node `A`, and the rows that no
//! other node has written itself:
//!
//! 1. Every other node `B` pins the rows.
//! 2. `A` pins the rows, writes a mark, and vouches that they were not written in between.
//! 3. `B` looks for the mark. As long as it is not there, `B` pins the rows anew; when it is, `B` vouches that they were not written
//!    since its last pin, at which the mark was not there.
//! 4. Every `B` vouches that it has still written none of these rows itself since the first exchange began.
//!
//! What `A` held when it pinned, and what each `B` held at its last pin, decides the row.
//!
//! # Why it is exact
//!
//! Let the cut on `A` be the moment of its mark, and on `B` the moment when that mark was applied. The row did not move between
//! the pins and these moments (2, 3), so the pins' contents are those at the cut. Take any write to the row. If it began on `A`
//! before the mark, it was applied on `B` before the mark was; if after, then after: logs are applied in order. If it began on
//! another node before that node's first pin, it stood before that node's mark in the first exchange, which all nodes had shown
//! before any of these pins. Later, no other node began one (4). So each node's content at the cut is the outcome of the
//! same writes: equal, the nodes agree; unequal, nothing that is on its way can make them agree.
//!
//! Assumes what [`crate::watermark`] assumes. What it does not decide: rows that two nodes write themselves at the same time.

use crate::settle::{Group, Open, groups};
use crate::watermark::Watermarks;
use database::{Ledger, Pin, Reader, Result, Row, RowsOf, Watermark};
use futures_util::future::try_join_all;
use std::time::{Duration, Instant};

/// The pause between two looks for the mark: the row must stay unwritten for about as long.
const LOOK_PAUSE_MS: u64 = 10;

/// Decides those of the chosen rows that a single node writes. `pins` are the nodes' pins from before the exchange that is now
/// complete.
///
/// # Errors
/// If a node cannot be read or written.
pub(crate) async fn cut<R: Reader, L: Ledger + 'static>(
    rows: &mut [Open],
    chosen: &[usize],
    pins: &[Pin],
    readers: &mut [R],
    watermarks: &mut Watermarks<L>,
    bound: Duration,
) -> Result<()> {
    if chosen.is_empty() {
        return Ok(());
    }
    let received = received_only(&groups(rows, chosen), pins, readers).await?;
    let first = watermarks.ledgers().iter().position(|ledger| !ledger.follows());
    for writer in 0..readers.len() {
        if watermarks.ledgers()[writer].follows() {
            continue;
        }
        // a row that nobody has written itself is on its way from before the first exchange: any node can be the writer
        let others = |k: usize| (0..readers.len()).all(|node| node == writer || received[node][k]);
        let own: Vec<usize> = (0..chosen.len())
            .filter(|&k| others(k) && (!received[writer][k] || Some(writer) == first))
            .map(|k| chosen[k])
            .collect();
        if own.is_empty() || watermarks.stopped() {
            continue;
        }
        let groups = groups(rows, &own);
        if let Some(held) = cut_along(writer, &groups, pins, readers, watermarks, bound).await? {
            for (k, &place) in own.iter().enumerate() {
                if let Some(held) = &held[k] {
                    rows[place].decide(held.clone());
                }
            }
        }
    }
    Ok(())
}

/// For each node and row, whether the node has written the row itself since its pin: false if it may have.
async fn received_only<R: Reader>(
    groups: &[Group],
    pins: &[Pin],
    readers: &mut [R],
) -> Result<Vec<Vec<bool>>> {
    let rows: Vec<RowsOf<'_>> = groups.iter().map(Group::rows).collect();
    try_join_all(readers.iter_mut().zip(pins).map(|(reader, pin)| reader.received_only(&rows, pin))).await
}

/// What a node held at the cut, and of which rows it vouches for that.
struct Side {
    rows: Vec<Option<Row>>,
    vouched: Vec<bool>,
}

/// Cuts along a mark of `writer`: per row what every node held, where all vouch; nothing if the mark did not arrive.
async fn cut_along<R: Reader, L: Ledger + 'static>(
    writer: usize,
    groups: &[Group],
    pins: &[Pin],
    readers: &mut [R],
    watermarks: &mut Watermarks<L>,
    bound: Duration,
) -> Result<Option<Vec<Option<Vec<Option<Row>>>>>> {
    let rows: Vec<RowsOf<'_>> = groups.iter().map(Group::rows).collect();
    let deadline = Instant::now() + bound;
    let number = watermarks.next_number();
    let before = try_join_all(readers.iter_mut().map(|reader| reader.pin(&rows))).await?;
    let (run, names, ledgers) = watermarks.parts();
    let mark = Watermark { writer: names[writer].clone(), number };
    let pin = readers[writer].pin(&rows).await?;
    ledgers[writer].mark(run, &mark).await?;
    let own = Side { vouched: readers[writer].still(&rows, &pin).await?, rows: pin.rows };
    let nodes = readers.iter_mut().zip(ledgers).zip(before).enumerate();
    let others = nodes.filter(|(node, _)| *node != writer).map(async |(_, ((reader, ledger), before))| {
        follow(reader, ledger, before, &rows, run, &mark, deadline).await
    });
    let mut others: Vec<Option<Side>> = try_join_all(others).await?;
    others.insert(writer, Some(own));
    let Some(mut sides) = others.into_iter().collect::<Option<Vec<Side>>>() else { return Ok(None) };
    let received = received_only(groups, pins, readers).await?;
    for (node, side) in sides.iter_mut().enumerate().filter(|(node, _)| *node != writer) {
        side.vouched.iter_mut().zip(&received[node]).for_each(|(vouched, received)| *vouched &= received);
    }
    let held = |k: usize| {
        let all = sides.iter().all(|side| side.vouched[k]);
        all.then(|| sides.iter().map(|side| side.rows[k].clone()).collect())
    };
    Ok(Some((0..sides[0].rows.len()).map(held).collect()))
}

/// Pins the rows on a node again and again until the mark is there; what the last pin without the mark held.
async fn follow<R: Reader, L: Ledger>(
    reader: &mut R,
    ledger: &mut L,
    mut pin: Pin,
    rows: &[RowsOf<'_>],
    run: &str,
    mark: &Watermark,
    deadline: Instant,
) -> Result<Option<Side>> {
    while !ledger.marks(run, mark.number).await?.contains(mark) {
        if Instant::now() >= deadline {
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(LOOK_PAUSE_MS)).await;
        let newer = reader.pin(rows).await?;
        if ledger.marks(run, mark.number).await?.contains(mark) {
            // the mark may have come before this pin did, so the one before counts
            break;
        }
        pin = newer;
    }
    let vouched = reader.still(rows, &pin).await?;
    Ok(Some(Side { rows: pin.rows, vouched }))
}
