//! The scout: asks one node for the keys at which a table is cut into chunks, ahead of all who read them.
//!
//! The node finds the key that stands N rows on by counting rows, which for the whole table costs it as much as a COUNT of all rows.
//! Where keys are numbers, the scout goes as far on as the chunk suggests that was counted last, and asks the node how many rows it
//! believes there are in between, which costs it a look at its index. Of what a node believes only proportions are taken (InnoDB
//! believes in twice as many rows as there are, where they are many), and only to see whether the guess is far off, as before a gap or
//! at the end: the next guess is not built on it, for errors would add up. Then, and now and then in any case, rows are counted again.
//!
//! Invariant: keys come in the order of the table. Where a size of chunks was asked for in rows, each is counted.

use crate::pace::{RETRIES_MAX, RETRY_DIVISOR, RETRY_PAUSE};
use database::number::{number_of, with_number};
use database::{Chunk, Error, Key, Reader, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// By how much a guess may be off, either way.
const FAR_OFF: u64 = 2;

/// After how many guesses rows are counted again.
const GUESSES: u32 = 15;

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

/// The chunk that was counted last.
struct Counted {
    chunk: Chunk,
    /// How many rows it had.
    rows: u64,
    /// How many the node believes it to have.
    believed: Option<u64>,
    /// How many chunks were guessed since.
    guesses: u32,
}

/// Sends the keys that stand so many rows apart, from `rest`'s start on, until the table ends or nobody listens; then gives the
/// reader back.
pub async fn scout<R: Reader>(
    mut reader: R,
    mut rest: Chunk,
    stride: Stride,
    ends: mpsc::Sender<Result<Option<Key>>>,
) -> R {
    let (mut tries, mut counted) = (0, None);
    loop {
        let step = (stride.rows.load(Ordering::Relaxed) / stride.sections as u64).max(1);
        let end = next(&mut reader, &rest, &mut counted, step, stride.exact).await;
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
            rest.lower = Some(key.clone());
        }
        if ends.send(end).await.is_err() || over {
            return reader;
        }
    }
}

/// The key about `step` rows on, or exactly so many.
async fn next<R: Reader>(
    reader: &mut R,
    rest: &Chunk,
    counted: &mut Option<Counted>,
    step: u64,
    exact: bool,
) -> Result<Option<Key>> {
    if let Some(counted) = counted.as_mut().filter(|counted| !exact && counted.guesses < GUESSES)
        && let Some(upper) = guess(reader, rest, counted, step).await?
    {
        return Ok(Some(upper));
    }
    let upper = reader.boundary(rest, step).await?;
    let chunk = Chunk { upper: upper.clone(), ..rest.clone() };
    *counted = Some(Counted { chunk, rows: step, believed: None, guesses: 0 });
    Ok(upper)
}

/// The key about `step` rows on, by the distance of the ends of a counted chunk, if the node does not believe something else.
async fn guess<R: Reader>(
    reader: &mut R,
    rest: &Chunk,
    counted: &mut Counted,
    step: u64,
) -> Result<Option<Key>> {
    let Some(upper) = as_far_on(&counted.chunk, counted.rows, &rest.lower, step) else { return Ok(None) };
    if counted.believed.is_none() {
        counted.believed = reader.estimate(&counted.chunk).await?;
    }
    let chunk = Chunk { upper: Some(upper.clone()), ..rest.clone() };
    let (Some(believed), Some(estimate)) = (counted.believed, reader.estimate(&chunk).await?) else {
        return Ok(None);
    };
    let rows = estimate.saturating_mul(counted.rows) / believed.max(1);
    if !(step / FAR_OFF..=step * FAR_OFF).contains(&rows) {
        return Ok(None);
    }
    counted.guesses += 1;
    Ok(Some(upper))
}

/// The number that stands `step` rows behind `from`, if they stand as close as in a chunk of so many rows.
fn as_far_on(chunk: &Chunk, rows: u64, from: &Option<Key>, step: u64) -> Option<Key> {
    // rows that a filter leaves out are believed to be there
    if chunk.table.filter.is_some() {
        return None;
    }
    let number = |key| number_of(&chunk.table, key);
    let ahead = (number(&chunk.upper)? - number(&chunk.lower)?).checked_mul(step.into())?;
    let ahead = ahead / i128::from(rows.max(1));
    if ahead == 0 { None } else { with_number(number(from)? + ahead) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::integers;
    use database::Value;

    fn chunk(from: i64, to: i64) -> Chunk {
        let table = integers(&[("id", "bigint NOT NULL")]);
        let key = |number| Some(Key::new(&[Value::Int(number)]));
        Chunk { table, lower: key(from), upper: key(to) }
    }

    #[test]
    fn as_far_on_as_rows_stand_apart_and_not_beyond_what_is_a_number() {
        let on = |from, to, rows, step| {
            let counted = chunk(from, to);
            number_of(&counted.table, &as_far_on(&counted, rows, &counted.upper, step))
        };
        assert_eq!(on(0, 100, 50, 25), Some(150));
        assert_eq!(on(-300, -200, 10, 5), Some(-150));
        assert_eq!(on(0, 1, 50, 25), None, "less than one number");
        assert_eq!(on(0, i64::MAX, 1, 2), None, "no server has such a number");
    }
}
