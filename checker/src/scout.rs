//! The scout: asks one node for the keys at which a table is cut into chunks, ahead of all who read them.
//!
//! The node finds the key that stands N rows on by counting rows, which for the whole table costs it as much as a COUNT of all rows.
//! Where keys are numbers, the scout goes as far on as the last chunk suggests and asks the node how many rows it believes there are
//! in between, which costs it a look at its index; it counts only where that belief is far off, as before a gap or at the end.
//!
//! Invariant: keys come in the order of the table. Where a size of chunks was asked for in rows, each is counted.

use crate::pace::{RETRIES_MAX, RETRY_DIVISOR, RETRY_PAUSE};
use crate::sections::{number_of, with_number};
use database::{Chunk, Error, Key, Reader, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// By how much a belief may be off, either way.
const FAR_OFF: u64 = 2;

/// How far apart the keys are to be.
#[derive(Debug)]
pub struct Stride {
    /// The rows of a chunk, which may change on the way.
    pub rows: Arc<AtomicU64>,
    /// Into how many sections a chunk is cut by keys of the scout.
    pub sections: usize,
    /// Whether rows are to be counted in any case.
    pub exact: bool,
}

/// Sends the keys that stand so many rows apart, from `rest`'s start on, until the table ends or nobody listens; then gives the
/// reader back.
pub async fn scout<R: Reader>(
    mut reader: R,
    mut rest: Chunk,
    stride: Stride,
    ends: mpsc::Sender<Result<Option<Key>>>,
) -> R {
    let (mut tries, mut last) = (0, None);
    loop {
        let step = (stride.rows.load(Ordering::Relaxed) / stride.sections as u64).max(1);
        let end = match &last {
            Some(last) if !stride.exact => go_on(&mut reader, &rest, last, step).await,
            _ => reader.boundary(&rest, step).await,
        };
        if matches!(end, Err(Error::Bound { .. })) && tries < RETRIES_MAX {
            tries += 1;
            let rows = stride.rows.load(Ordering::Relaxed) / RETRY_DIVISOR;
            stride.rows.store(rows.max(1), Ordering::Relaxed);
            tokio::time::sleep(RETRY_PAUSE * tries).await;
            continue;
        }
        tries = 0;
        let over = !matches!(end, Ok(Some(_)));
        if let Ok(Some(key)) = &end {
            let lower = rest.lower.replace(key.clone());
            last = Some((Chunk { lower, upper: Some(key.clone()), ..rest.clone() }, step));
        }
        if ends.send(end).await.is_err() || over {
            return reader;
        }
    }
}

/// The key about `step` rows on, by the distance of the ends of the chunk before and its rows; counted where that misleads.
async fn go_on<R: Reader>(
    reader: &mut R,
    rest: &Chunk,
    last: &(Chunk, u64),
    step: u64,
) -> Result<Option<Key>> {
    if let Some(upper) = as_far_on(&last.0, last.1, step) {
        let believed = Chunk { upper: Some(upper.clone()), ..rest.clone() };
        let rows = reader.estimate(&believed).await?;
        if rows.is_some_and(|rows| (step / FAR_OFF..=step * FAR_OFF).contains(&rows)) {
            return Ok(Some(upper));
        }
    }
    reader.boundary(rest, step).await
}

/// The number that follows a chunk's end as far as `step` rows go, if they stand as close as the chunk's.
fn as_far_on(last: &Chunk, rows: u64, step: u64) -> Option<Key> {
    // rows that a filter leaves out are believed to be there
    if last.table.filter.is_some() {
        return None;
    }
    let (from, to) = (number_of(&last.table, &last.lower)?, number_of(&last.table, &last.upper)?);
    let ahead = (to - from).checked_mul(step.into())? / i128::from(rows.max(1));
    if ahead == 0 { None } else { with_number(to + ahead) }
}
