//! Digests made by the server, so that rows need not travel.
//!
//! One statement digests several adjacent chunks ([`crate::dialect::digested`]). Each digest is SHA-256 over the rows of a chunk, one
//! after the other, in an encoding from which they could be read back; equal digests, equal rows. If two servers hand out
//! equal rows in another order, or write a value in another way, their digests differ, and the rows are read and compared:
//! a digest can cost a second look, and never a difference.
//!
//! Invariant: what the server warned about is not believed. A text that was too long for it is cut off with a warning, and the
//! digest of the rest would say nothing of what was cut off.
//!
//! Not here: which servers are asked (those that answer [`PROBE`]), and what is done where the answer is none.

use super::fault::Fault;
use super::link::{Answer, Link};
use crate::dialect::digested;
use crate::digest::Digest;
use crate::table::Chunk;

/// How many bytes of text a server makes of one chunk at most.
pub(super) const CHUNK_BYTES: usize = 16 << 20;

/// Of how much the server warned. Sent with the statement before it, for statements are short and there are many.
const WARNINGS: &str = "; SELECT @@warning_count";

/// What a server must know to digest rows.
pub(super) const PROBE: &str = "SELECT SHA2(GROUP_CONCAT(1, CAST(X'FF' AS BINARY), X'FF' SEPARATOR ''), 256) FROM (SELECT 1) AS one; \
    SELECT @@warning_count";

/// The digests of these chunks of one table; none if this server cannot make them.
pub(super) async fn digests(link: &mut Link, chunks: &[Chunk]) -> Result<Option<Vec<Digest>>, Fault> {
    let Some(sql) = digested::digests(chunks) else { return Ok(None) };
    let mut answer = match link.ask(&(sql + WARNINGS)).await {
        Ok(answer) => answer,
        // a type that cannot be part of a text, a limit: the rows can still be read
        Err(fault) if fault.is_server() => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let quiet = answer.rows.pop().is_some_and(|row| row == [Some("0".to_owned())]);
    Ok(quiet.then(|| read(&answer, chunks.len())).flatten())
}

/// One digest per chunk, by the number in the first column.
fn read(answer: &Answer, chunks: usize) -> Option<Vec<Digest>> {
    let mut digests = vec![None; chunks];
    for row in &answer.rows {
        let [Some(place), Some(rows), hash] = row.as_slice() else { return None };
        let rows: u64 = rows.parse().ok()?;
        let hash = match hash {
            Some(text) => hash_of(text)?,
            None if rows == 0 => [0; 32],
            None => return None,
        };
        *digests.get_mut(place.parse::<usize>().ok()?)? = Some(Digest { rows, hash });
    }
    digests.into_iter().collect()
}

fn hash_of(hex: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (n, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rows: &[[Option<&str>; 3]]) -> Answer {
        let rows = rows.iter().map(|row| row.iter().map(|value| value.map(str::to_owned)).collect());
        Answer { names: Vec::new(), rows: rows.collect() }
    }

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        let hash = "0f".repeat(32);
        let good = answer(&[[Some("1"), Some("0"), None], [Some("0"), Some("7"), Some(&hash)]]);
        let digests = read(&good, 2).unwrap();
        assert_eq!((digests[0].rows, digests[0].hash, digests[1].rows), (7, [15; 32], 0));
        assert_eq!(read(&good, 3), None, "one is missing");
        for bad in [
            [Some("0"), Some("7"), None],
            [Some("0"), Some("7"), Some("0f")],
            [Some("2"), Some("7"), Some(&hash)],
            [Some("0"), None, Some(&hash)],
        ] {
            assert_eq!(read(&answer(&[bad]), 1), None, "{bad:?}");
        }
    }
}
