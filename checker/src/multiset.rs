//! Walks a table without a key: its rows are contents with their copies, and its chunks are buckets of contents.
//!
//! No server can hand out such a table piece by piece, because there is nothing to say where a piece begins. So each node
//! digests the whole table in one pass, into buckets by a hash of the row ([`database::Reader::buckets`]); where the digests
//! of a bucket differ, its contents are counted on all nodes, a few buckets at a time, and compared. From then on a content
//! is a row whose key is itself and whose value is the number of its copies, and is settled as every other row.
//!
//! Invariant: every row of every node is in exactly one bucket of that node. Should two servers put one content into two
//! buckets, it becomes a candidate, and settling, which asks for it by its content, finds it equal.
//!
//! What bounds the memory: the digests of at most `16^4` buckets, and a reading's own bound. A group of buckets
//! that is too large is halved; a bucket that is too large alone is cut into sixteen.

use crate::locate::{Located, locate};
use crate::pace::Pace;
use crate::progress::{Progress, Step};
use crate::stop::Stop;
use crate::walk::{CANDIDATES_MAX, Leaf, Walked};
use database::{Chunk, Digest, Error, Key, Reader, Result, Rows, Table, Value};
use futures_util::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The rows that a bucket holds on average.
const BUCKET_ROWS: u64 = 500;
/// The fewest and the most hex digits that name a bucket.
const DIGITS: [u32; 2] = [2, 4];
/// The finest buckets there are; a table that needs finer ones holds rows that are too large to be counted.
const DIGITS_FINEST: u32 = 7;
/// The rows that are counted at once.
const GROUP_ROWS: u64 = 20_000;

/// Buckets to be counted, named by so many digits.
struct Group {
    digits: u32,
    buckets: Vec<u32>,
}

/// Compares a counted table on all nodes, from a place on where an earlier walk ended; until its end, until
/// [`CANDIDATES_MAX`] contents differ, or until `stop` is raised. `readers` holds one reader per node.
///
/// # Errors
/// If a node cannot be read, or if its rows are too large to be counted.
pub async fn walk_copies<R: Reader>(
    table: &Arc<Table>,
    from: Option<Key>,
    readers: &mut [R],
    pace: &Pace<'_>,
    progress: &dyn Progress,
    stop: &Stop,
) -> Result<Walked> {
    let (digits, first) = match from.map(|key| key.values()).as_deref() {
        Some([Value::Int(digits), Value::Int(first)]) => (number(*digits), number(*first)),
        _ => (digits(table.rows_estimate), 0),
    };
    pace.begin();
    pace.ready(0, progress).await;
    let digests = try_join_all(readers.iter_mut().map(|reader| reader.buckets(table, digits))).await?;
    let (mut walked, mut end) = (Walked::default(), u32::MAX);
    let mut groups = grouped(digits, &differing(&digests, first));
    while let Some(group) = groups.pop_front() {
        if group.digits == digits && (stop.raised() || walked.candidates.len() >= CANDIDATES_MAX) {
            end = group.buckets.first().copied().unwrap_or_default();
            walked.next = Some(Key::new(&[Value::Int(digits.into()), Value::Int(end.into())]));
            break;
        }
        pace.ready(0, progress).await;
        let count = readers.iter_mut().map(|reader| reader.copies(table, group.digits, &group.buckets));
        let readings = try_join_all(count).await?;
        if readings.iter().any(Rows::cut) {
            smaller(table, group)?.into_iter().rev().for_each(|part| groups.push_front(part));
            continue;
        }
        compare(table, &readings, &mut walked, progress);
    }
    book_equal(table, &digests, first..end, &mut walked, progress);
    Ok(walked)
}

fn number(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn digits(rows_estimate: u64) -> u32 {
    let enough = |digits: &u32| rows_estimate >> (4 * digits) <= BUCKET_ROWS;
    (DIGITS[0]..=DIGITS[1]).find(enough).unwrap_or(DIGITS[1])
}

type Digests = [BTreeMap<u32, Digest>];

/// What each node has in a bucket, if it is the same on all of them.
fn equal(digests: &Digests, bucket: u32) -> Option<Digest> {
    let mut held = digests.iter().map(|of| of.get(&bucket));
    let first = held.next()??;
    held.all(|other| other == Some(first)).then_some(*first)
}

fn buckets(digests: &Digests) -> BTreeSet<u32> {
    digests.iter().flat_map(|of| of.keys().copied()).collect()
}

/// The buckets from `first` on that are not the same on all nodes, with the rows of the node that holds most.
fn differing(digests: &Digests, first: u32) -> Vec<(u32, u64)> {
    let rows = |bucket| digests.iter().filter_map(|of| of.get(&bucket)).map(|of| of.rows).max().unwrap_or(0);
    let unequal = |bucket: &u32| *bucket >= first && equal(digests, *bucket).is_none();
    buckets(digests).into_iter().filter(unequal).map(|bucket| (bucket, rows(bucket))).collect()
}

/// Books the buckets of a range that are the same on all nodes, as one leaf.
fn book_equal(
    table: &Arc<Table>,
    digests: &Digests,
    range: std::ops::Range<u32>,
    walked: &mut Walked,
    progress: &dyn Progress,
) {
    let (mut hasher, mut rows) = (blake3::Hasher::new(), 0);
    for bucket in buckets(digests).into_iter().filter(|bucket| range.contains(bucket)) {
        if let Some(digest) = equal(digests, bucket) {
            hasher.update(&bucket.to_be_bytes()).update(&digest.rows.to_be_bytes()).update(&digest.hash);
            rows += digest.rows;
        }
    }
    progress.step(Step::Chunk { rows, equal: true });
    let digest = Digest { rows, hash: *hasher.finalize().as_bytes() };
    push(table, vec![digest; digests.len()], None, walked);
}

/// Buckets in groups of about [`GROUP_ROWS`].
fn grouped(digits: u32, buckets: &[(u32, u64)]) -> VecDeque<Group> {
    let mut groups: VecDeque<Group> = VecDeque::new();
    let mut held = 0;
    for &(bucket, rows) in buckets {
        match groups.back_mut() {
            Some(group) if held + rows <= GROUP_ROWS => group.buckets.push(bucket),
            _ => {
                groups.push_back(Group { digits, buckets: vec![bucket] });
                held = 0;
            }
        }
        held += rows;
    }
    groups
}

/// Two halves of a group, or the sixteen parts of its only bucket.
fn smaller(table: &Table, group: Group) -> Result<Vec<Group>> {
    let Group { digits, buckets } = group;
    if let [bucket] = buckets[..] {
        if digits >= DIGITS_FINEST {
            let reason =
                format!("{table} holds too many rows that its server cannot tell apart by their hash");
            return Err(Error::Bound { node: "evensum".into(), reason });
        }
        let part = |n: u32| Group { digits: digits + 1, buckets: vec![bucket << 4 | n] };
        return Ok((0..16).map(part).collect());
    }
    let (lower, upper) = buckets.split_at(buckets.len() / 2);
    Ok([lower, upper].map(|half| Group { digits, buckets: half.to_vec() }).into())
}

/// Locates the contents whose copies differ.
fn compare(table: &Arc<Table>, readings: &[Rows], walked: &mut Walked, progress: &dyn Progress) {
    // counted rows come in no order
    let sorted: Vec<Rows> = readings.iter().map(sorted).collect();
    let digests: Vec<Digest> = sorted.iter().map(|rows| Digest::of(table, rows)).collect();
    let equal = digests.windows(2).all(|pair| pair[0] == pair[1]);
    let rows = digests.iter().map(|digest| digest.rows).max().unwrap_or(0);
    progress.step(Step::Chunk { rows, equal });
    let located = (!equal).then(|| {
        let start = walked.candidates.len();
        let Located { candidates, common } = locate(table, &sorted);
        walked.candidates.extend(candidates);
        (common, start..walked.candidates.len())
    });
    push(table, digests, located, walked);
}

fn sorted(rows: &Rows) -> Rows {
    let mut all: Vec<&[u8]> = rows.iter().collect();
    all.sort_unstable();
    let mut sorted = Rows::new();
    for row in all {
        sorted.buffer().extend_from_slice(row);
        sorted.end_row();
    }
    sorted
}

fn push(
    table: &Arc<Table>,
    digests: Vec<Digest>,
    located: Option<([u8; 32], std::ops::Range<usize>)>,
    walked: &mut Walked,
) {
    let place = vec![walked.leaves.len() as u64];
    let chunk = Chunk { table: table.clone(), lower: None, upper: None };
    walked.leaves.push(Leaf { place, chunk, digests, located });
}
