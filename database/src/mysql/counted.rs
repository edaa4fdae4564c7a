//! Tables without a key on a server: their rows are counted by content, here, byte for byte.
//!
//! The server only says in which bucket a row is and which rows may have a content (`dialect::counted`). What is held
//! in memory are the contents that were asked for, or those of some buckets up to a bound; rows pass by one at a time.
//!
//! Invariant: each call is one statement, so it sees one consistent state.

use super::fault::Fault;
use super::link::Link;
use crate::dialect::counted;
use crate::digest::Digest;
use crate::row::{Key, Row, Rows};
use crate::table::{Column, Table};
use crate::value::put_uint;
use std::collections::{BTreeMap, HashMap};

/// How many contents one statement asks for: each is compared with every row of the table.
const CONTENTS_PER_STATEMENT: usize = 50;

/// The digests of the buckets that hold rows.
pub(super) async fn buckets(
    link: &mut Link,
    table: &Table,
    digits: u32,
) -> Result<BTreeMap<u32, Digest>, Fault> {
    let answer = link.ask(&counted::buckets(table, digits)).await?;
    let mut buckets = BTreeMap::new();
    for row in answer.rows {
        let bucket = row.first().cloned().flatten().and_then(|bucket| bucket.parse().ok());
        let rows = row.get(1).cloned().flatten().and_then(|rows| rows.parse().ok());
        let (Some(bucket), Some(rows)) = (bucket, rows) else {
            return Err(Fault::Odd(format!("{row:?} is no digest of a bucket")));
        };
        let mut hasher = blake3::Hasher::new();
        for sum in row.iter().skip(2) {
            let sum = sum.as_deref().unwrap_or_default();
            hasher.update(&(sum.len() as u64).to_be_bytes()).update(sum.as_bytes());
        }
        buckets.insert(bucket, Digest { rows, hash: *hasher.finalize().as_bytes() });
    }
    Ok(buckets)
}

/// The contents in these buckets with their copies, at most about `bytes` of them.
pub(super) async fn copies(
    link: &mut Link,
    table: &Table,
    digits: u32,
    buckets: &[u32],
    bytes: usize,
) -> Result<Rows, Fault> {
    let columns: Vec<&Column> = table.stored_columns().iter().collect();
    let sql = counted::copies(table, digits, buckets);
    let (mut found, mut held, mut cut): (HashMap<Box<[u8]>, u64>, usize, bool) = (HashMap::new(), 0, false);
    link.each_row(&sql, &columns, |row| {
        if let Some(copies) = found.get_mut(row) {
            *copies += 1;
        } else if held >= bytes && found.len() > 1 {
            cut = true;
        } else {
            held += row.len();
            found.insert(row.into(), 1);
        }
        !cut
    })
    .await?;
    let mut rows = Rows::new();
    for (content, copies) in found {
        rows.buffer().extend_from_slice(&content);
        put_uint(rows.buffer(), copies);
        rows.end_row();
    }
    if cut {
        rows.mark_cut();
    }
    Ok(rows)
}

/// The rows with these contents, in the order of the contents.
pub(super) async fn by_content(
    link: &mut Link,
    table: &Table,
    contents: &[Key],
) -> Result<Vec<Option<Row>>, Fault> {
    let columns: Vec<&Column> = table.stored_columns().iter().collect();
    let mut found: HashMap<&[u8], u64> = contents.iter().map(|content| (content.bytes(), 0)).collect();
    for some in contents.chunks(CONTENTS_PER_STATEMENT) {
        // a condition of one content may let rows of another one through, which has a statement of its own
        let mut here: HashMap<&[u8], u64> = some.iter().map(|content| (content.bytes(), 0)).collect();
        link.each_row(&counted::rows_like(table, some), &columns, |row| {
            if let Some(copies) = here.get_mut(row) {
                *copies += 1;
            }
            true
        })
        .await?;
        found.extend(here);
    }
    let row = |content: &Key| {
        let copies = found.get(content.bytes()).copied().filter(|&copies| copies > 0)?;
        let mut bytes = content.bytes().to_vec();
        put_uint(&mut bytes, copies);
        Some(Row::from_bytes(&bytes))
    };
    Ok(contents.iter().map(row).collect())
}
