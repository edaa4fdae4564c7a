//! Global transaction identifiers: where a transaction began, and its number there.
//!
//! The text form is MySQL's: `uuid:7` for one, `uuid:1-5:8,uuid:1-3` for a set. A set is kept as disjoint,
//! sorted, merged intervals, so that two equal sets have one text.
//!
//! Invariant: intervals of one origin never overlap or touch. Not here: MariaDB's `domain-server-sequence`,
//! which is a position and stays opaque to this program.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// One transaction: the node where it began (its server uuid), and its number there, from 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gtid {
    /// The `server_uuid` of the node where the transaction was first committed.
    pub origin: Box<str>,
    /// The number that the origin gave it; the first is 1.
    pub sequence: u64,
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.origin, self.sequence)
    }
}

/// A set of transactions, as intervals by origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidSet {
    origins: BTreeMap<Box<str>, Vec<(u64, u64)>>,
}

impl GtidSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> GtidSet {
        GtidSet::default()
    }

    /// Adds one transaction.
    pub fn insert(&mut self, gtid: &Gtid) {
        self.insert_interval(&gtid.origin, gtid.sequence, gtid.sequence);
    }

    /// Adds the transactions `first..=last` of `origin`; an interval that is turned round adds nothing.
    pub fn insert_interval(&mut self, origin: &str, first: u64, last: u64) {
        if first > last {
            return;
        }
        let intervals = self.origins.entry(origin.into()).or_default();
        let start = intervals.partition_point(|&(_, end)| end.saturating_add(1) < first);
        let end = intervals.partition_point(|&(begin, _)| begin <= last.saturating_add(1));
        let merged = intervals[start..end]
            .iter()
            .fold((first, last), |(low, high), &(begin, stop)| (low.min(begin), high.max(stop)));
        intervals.splice(start..end, [merged]);
    }

    /// Whether the transaction is in the set.
    #[must_use]
    pub fn contains(&self, gtid: &Gtid) -> bool {
        self.origins.get(&gtid.origin).is_some_and(|intervals| {
            let at = intervals.partition_point(|&(_, end)| end < gtid.sequence);
            intervals.get(at).is_some_and(|&(begin, _)| begin <= gtid.sequence)
        })
    }

    /// Whether every transaction of `other` is in this set.
    #[must_use]
    pub fn contains_all(&self, other: &GtidSet) -> bool {
        other.origins.iter().all(|(origin, wanted)| {
            let held = self.origins.get(origin).map_or(&[][..], Vec::as_slice);
            wanted.iter().all(|&(first, last)| held.iter().any(|&(begin, end)| begin <= first && last <= end))
        })
    }

    /// The highest number of `origin` in the set, or 0.
    #[must_use]
    pub fn highest(&self, origin: &str) -> u64 {
        self.origins.get(origin).and_then(|intervals| intervals.last()).map_or(0, |&(_, end)| end)
    }

    /// The intervals, as `(origin, first, last)`, in order.
    pub fn intervals(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.origins
            .iter()
            .flat_map(|(origin, intervals)| intervals.iter().map(move |&(a, b)| (origin.as_ref(), a, b)))
    }

    /// How many transactions are in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        let count = |(first, last): &(u64, u64)| last.saturating_sub(*first).saturating_add(1);
        self.origins.values().flatten().map(count).fold(0, u64::saturating_add)
    }

    /// The nodes where transactions of the set began.
    pub fn origins(&self) -> impl ExactSizeIterator<Item = &str> {
        self.origins.keys().map(AsRef::as_ref)
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (origin, intervals)) in self.origins.iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            f.write_str(origin)?;
            for &(first, last) in intervals {
                match first == last {
                    true => write!(f, ":{first}")?,
                    false => write!(f, ":{first}-{last}")?,
                }
            }
        }
        Ok(())
    }
}

/// A text that is not a GTID set, with the part that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedGtid(pub String);

impl fmt::Display for MalformedGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed GTID set near '{}'", self.0)
    }
}

impl std::error::Error for MalformedGtid {}

impl FromStr for GtidSet {
    type Err = MalformedGtid;

    fn from_str(text: &str) -> Result<GtidSet, MalformedGtid> {
        let mut set = GtidSet::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let malformed = || MalformedGtid(part.to_owned());
            let (origin, intervals) = part.split_once(':').ok_or_else(malformed)?;
            if origin.is_empty() {
                return Err(malformed());
            }
            let mut origin: Box<str> = origin.trim().into();
            let (uuid, mut tagged) = (origin.clone(), false);
            for interval in intervals.split(':') {
                if let Some(tag) = tag(interval.trim()).filter(|_| !tagged) {
                    origin = format!("{uuid}:{tag}").into();
                    tagged = true;
                    continue;
                }
                tagged = false;
                let (first, last) = interval.split_once('-').unwrap_or((interval, interval));
                let first: u64 = first.trim().parse().map_err(|_| malformed())?;
                let last: u64 = last.trim().parse().map_err(|_| malformed())?;
                if first == 0 || first > last {
                    return Err(malformed());
                }
                set.insert_interval(&origin, first, last);
            }
            if tagged {
                return Err(malformed());
            }
        }
        Ok(set)
    }
}

/// The tag of a part of a set, which MySQL knows since 8.3: a word, and no number.
fn tag(part: &str) -> Option<&str> {
    part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_').then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_that_touch_become_one() {
        let mut set = GtidSet::new();
        for sequence in [5, 1, 3, 2, 4, 9] {
            set.insert(&Gtid { origin: "a".into(), sequence });
        }
        assert_eq!(set.to_string(), "a:1-5:9");
        assert_eq!(set.highest("a"), 9);
        assert!(set.contains(&Gtid { origin: "a".into(), sequence: 4 }));
        assert!(!set.contains(&Gtid { origin: "a".into(), sequence: 6 }));
    }

    #[test]
    fn text_and_set_are_one_to_one() {
        for text in ["", "a:1", "a:1-5:9,b:2-3", "a:1,a:nightly:1-2"] {
            assert_eq!(text.parse::<GtidSet>().unwrap().to_string(), text);
        }
        for text in ["a", ":1", "a:0", "a:5-2", "a:x", "a:1:x", "a:x:y:1"] {
            assert!(text.parse::<GtidSet>().is_err(), "{text} was taken");
        }
    }

    #[test]
    fn a_set_holds_another_only_if_each_interval_is_held() {
        let tagged: GtidSet = "a:1-10:nightly:1-2:5,b:1-2".parse().unwrap();
        assert_eq!(tagged.to_string(), "a:1-10,a:nightly:1-2:5,b:1-2");
        let set: GtidSet = "a:1-10,b:1-2".parse().unwrap();
        assert!(!set.contains_all(&tagged) && tagged.contains_all(&set));
        assert!(set.contains_all(&"a:3-4:8".parse().unwrap()));
        assert!(!set.contains_all(&"a:3-11".parse().unwrap()));
        assert!(!set.contains_all(&"c:1".parse().unwrap()));
    }
}
