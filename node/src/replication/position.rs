//! A place in the binary log: a file and a byte in it.
//!
//! The log is one table, so the files are an arithmetic only: a file begins with a head of 154 bytes, each transaction takes
//! its payload and a header, and a new file begins when one is full. The head is that of MySQL 5.7 (a description of
//! the format at 4, the GTIDs of the files before at 123), so that a fresh log stands at 154 as people know it;
//! 4 and 123 mean the beginning too. Files that were begun before there was a head have their first transaction
//! at 4. The place is also the row's key in the table:
//! `file * 2^40 + pos`, so that reading from a place on is a search in the table's own tree.

use std::fmt;

/// Where a file's first event is, as in MySQL.
pub const FIRST_POS: u64 = 4;
/// Where the second event of a file's head is.
pub const GTIDS_POS: u64 = 123;
/// Where a file's first transaction is.
pub const DATA_POS: u64 = 154;
/// What a transaction takes beside its payload.
pub const HEADER_BYTES: u64 = 64;
/// The bits of the key that hold the byte.
pub(super) const POS_BITS: u32 = 40;

/// A file's number and a byte in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// The file's number, from 1.
    pub file: u64,
    /// The byte, from [`FIRST_POS`].
    pub pos: u64,
}

impl LogPosition {
    /// Where a log begins.
    pub const START: LogPosition = LogPosition { file: 1, pos: FIRST_POS };

    /// The row's key; it has the order of the places.
    #[must_use]
    pub fn key(self) -> i64 {
        let pos = self.pos.min((1 << POS_BITS) - 1);
        i64::try_from(self.file << POS_BITS | pos).unwrap_or(i64::MAX)
    }

    /// The place of a key.
    #[must_use]
    pub fn of_key(key: i64) -> LogPosition {
        let key = super::number(key);
        LogPosition { file: key >> POS_BITS, pos: key & ((1 << POS_BITS) - 1) }
    }

    /// The file's name.
    #[must_use]
    pub fn file_name(self, base: &str) -> String {
        format!("{base}.{:06}", self.file)
    }

    /// The place in the file of this name; the base name does not count, only the number behind it.
    #[must_use]
    pub fn in_file(name: &str, pos: u64) -> Option<LogPosition> {
        let (_, digits) = name.rsplit_once('.')?;
        let file = digits.parse().ok().filter(|&file| file > 0 && file < 1 << 22)?;
        Some(LogPosition { file, pos: pos.max(FIRST_POS) })
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}:{}", self.file, self.pos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_order_of_the_places() {
        let places = [(1, 4), (1, 5), (1, 1 << 39), (2, 4), (300, 77)];
        let places = places.map(|(file, pos)| LogPosition { file, pos });
        for pair in places.windows(2) {
            assert!(pair[0].key() < pair[1].key());
        }
        assert!(places.iter().all(|&place| LogPosition::of_key(place.key()) == place));
    }

    #[test]
    fn names_are_mysqls() {
        let place = LogPosition { file: 12, pos: 99 };
        assert_eq!(place.file_name("mysql-bin"), "mysql-bin.000012");
        assert_eq!(LogPosition::in_file("mysql-bin.000012", 99), Some(place));
        assert_eq!(LogPosition::in_file("mysql-bin.x", 99), None);
        assert_eq!(LogPosition::in_file("mysql-bin.000001", 0), Some(LogPosition::START));
    }
}
