//! Cutting a chunk into sections without asking a node: by the numbers between its ends.
//!
//! A digest says of each section whether nodes agree on it, so the smaller the sections, the less is looked into. Keys that stand so
//! many rows apart must be asked for, and a server counts rows to find them; where the key is one number, keys that stand as far
//! apart as numbers do as well. They need not exist, and where rows stand close together in a few places, sections hold more rows
//! or fewer.
//!
//! Invariant: keys come in the order of the chunk, strictly between its ends.

use database::number::{number_of, with_number};
use database::{Chunk, Key};

/// Into how many sections a chunk is cut at most.
pub const SECTIONS: usize = 32;
/// And a chunk behind one that differed, or of a walk that rests: each section that does is read again, so they had better
/// be small. A section costs a server what 40 rows do, and 100 rows that differ in 1,000,000 make sections of some 600 rows
/// the cheapest.
pub const SECTIONS_FINE: usize = 64;
/// Into how many sections a section is cut that differed.
pub const SECTIONS_NARROW: usize = 16;
/// A section of fewer rows is not worth what it costs to ask for it: some 20 microseconds of a server.
const ROWS_LEAST: u64 = 64;

/// The sections of a chunk that end at these keys, and the last one.
#[must_use]
pub fn sections(chunk: &Chunk, cuts: &[Key]) -> Vec<Chunk> {
    let lowers = std::iter::once(chunk.lower.clone()).chain(cuts.iter().cloned().map(Some));
    let uppers = cuts.iter().cloned().map(Some).chain(std::iter::once(chunk.upper.clone()));
    lowers.zip(uppers).map(|(lower, upper)| Chunk { table: chunk.table.clone(), lower, upper }).collect()
}

/// Into how many sections so many rows are cut, at most `most`.
#[must_use]
pub fn sections_of(rows: u64, most: usize) -> usize {
    usize::try_from(rows / (2 * ROWS_LEAST)).unwrap_or(most).clamp(1, most)
}

/// The keys that cut a chunk of a numbered table into so many sections, or fewer if there are not so many numbers; none if
/// it has no such key, or no end.
#[must_use]
pub fn cuts_between(chunk: &Chunk, sections: usize) -> Option<Vec<Key>> {
    let (from, to) = (number_of(&chunk.table, &chunk.lower)?, number_of(&chunk.table, &chunk.upper)?);
    let count = i128::try_from(sections).ok()?;
    let mut cuts: Vec<i128> = (1..count).map(|n| from + (to - from) * n / count).collect();
    cuts.dedup();
    cuts.into_iter().filter(|cut| *cut != from && *cut != to).map(with_number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::integers;
    use database::Value;

    fn chunk(definition: &str, lower: Value, upper: Option<Value>) -> Chunk {
        let table = integers(&[("id", definition)]);
        let key = |value: Value| Key::new(&[value]);
        Chunk { table, lower: Some(key(lower)), upper: upper.map(key) }
    }

    fn cuts(definition: &str, lower: Value, upper: Option<Value>, sections: usize) -> Option<Vec<String>> {
        let cuts = cuts_between(&chunk(definition, lower, upper), sections)?;
        Some(cuts.iter().map(|cut| cut.to_string().trim_matches(['(', ')']).to_owned()).collect())
    }

    #[test]
    fn numbers_are_cut_evenly_and_strictly_inside() {
        let (int, uint) = (Value::Int, Value::Uint);
        for (definition, lower, upper, sections, expected) in [
            ("int(11) NOT NULL", int(0), int(100), 4, vec!["25", "50", "75"]),
            ("bigint(20) NOT NULL", int(i64::MIN), int(i64::MAX), 2, vec!["-1"]),
            ("bigint(20) unsigned NOT NULL", uint(0), uint(u64::MAX), 2, vec!["9223372036854775807"]),
            // a key that goes down
            ("int(11) NOT NULL", int(100), int(0), 4, vec!["75", "50", "25"]),
            ("int(11) NOT NULL", int(5), int(7), 16, vec!["6"]),
            ("int(11) NOT NULL", int(5), int(6), 16, vec![]),
            ("int(11) NOT NULL", int(-3), int(3), 1, vec![]),
        ] {
            assert_eq!(cuts(definition, lower, Some(upper), sections).unwrap(), expected, "{definition}");
        }
        assert_eq!(cuts("int(11) NOT NULL", int(0), None, 4), None, "no end");
        assert_eq!(cuts("year(4) NOT NULL", int(0), Some(int(9)), 4), None, "no number");
        assert_eq!(cuts("enum('int') NOT NULL", int(0), Some(int(9)), 4), None, "no number");
    }

    #[test]
    fn few_rows_are_cut_into_few_sections() {
        assert_eq!([0, 100, 1_000, 50_000].map(|rows| sections_of(rows, 32)), [1, 1, 7, 32]);
    }
}
