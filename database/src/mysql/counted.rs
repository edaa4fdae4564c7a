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
use crate::row::{Key, Row, Rows, key_bytes};
use crate::table::{Column, Kind, Table};
use crate::value::{Value, put_uint};
use std::collections::{BTreeMap, HashMap, HashSet};

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

/// The same, locked in the transaction that is open, with the hash by which each is known to the server where it is there.
pub(super) async fn lock_contents(
    link: &mut Link,
    table: &Table,
    contents: &[Key],
) -> Result<(Vec<Option<Row>>, Vec<Option<String>>), Fault> {
    let hash = Column {
        name: "hash".into(),
        definition: "char(64) ascii ascii_bin NOT NULL".into(),
        kind: Kind::Text,
        generated: true,
        restamped: false,
    };
    let columns: Vec<&Column> = table.stored_columns().iter().chain([&hash]).collect();
    let stored: Vec<usize> = (0..columns.len() - 1).collect();
    let mut found: HashMap<&[u8], (u64, Option<String>)> =
        contents.iter().map(|content| (content.bytes(), (0, None))).collect();
    for some in contents.chunks(CONTENTS_PER_STATEMENT) {
        let here: HashSet<&[u8]> = some.iter().map(Key::bytes).collect();
        link.each_row(&counted::rows_like_locked(table, some), &columns, |row| {
            let content = key_bytes(row, &stored);
            if let Some((copies, hash)) = found.get_mut(&*content).filter(|_| here.contains(&*content)) {
                *copies += 1;
                let value = Row::from_bytes(row).values().pop();
                *hash = value
                    .and_then(|value| if let Value::Text(text) = value { Some(text.into()) } else { None });
            }
            true
        })
        .await?;
    }
    let counted = contents.iter().map(|content| match found.get(content.bytes()) {
        Some((copies, hash)) if *copies > 0 => (Some(with_copies(content, *copies)), hash.clone()),
        _ => (None, None),
    });
    Ok(counted.unzip())
}

/// The row of a content with so many copies.
fn with_copies(content: &Key, copies: u64) -> Row {
    let mut bytes = content.bytes().to_vec();
    put_uint(&mut bytes, copies);
    Row::from_bytes(&bytes)
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
        Some(with_copies(content, copies))
    };
    Ok(contents.iter().map(row).collect())
}
