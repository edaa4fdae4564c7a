//! What a run keeps of the chunks it has compared, so that a run that was killed can go on.
//!
//! A *part* is the chunks of one table between two moments at which nothing of that table was on its way. After each part
//! the run hands the leaves to a [`Keeper`]: the digests of all nodes, and of a chunk that was unequal the keys of the rows that
//! were. The rows themselves are not kept: who goes on reads them again, and settles them as if they had just been found.
//!
//! Invariant: a table goes on only if it is defined as it was then; else it is read from its start. What a run that goes
//! on says of a chunk that it took over is what was read before it was killed: that the chunk was equal then. Not here:
//! where a part is written, and that the same nodes and rows are meant, which is the caller's to compare.

use crate::locate::Candidate;
use crate::walk::{Leaf, Walked};
use database::{Digest, Key, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A compared chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct KeptLeaf {
    /// One digest per node.
    pub digests: Vec<Digest>,
    /// What was found in it, if the digests differ.
    pub located: Option<KeptRows>,
}

/// What was found in a chunk whose digests differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRows {
    /// Its first key.
    pub lower: Option<Key>,
    /// The first key after it.
    pub upper: Option<Key>,
    /// The hash of the rows that all nodes had in common, and how many these are.
    pub common: ([u8; 32], u64),
    /// The keys of the others.
    pub keys: Vec<Key>,
}

/// A leaf as it is written down.
#[derive(Serialize, Deserialize)]
struct Written {
    digests: Vec<(u64, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    common: Option<(String, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lower: Option<Key>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upper: Option<Key>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<Key>,
}

impl From<KeptLeaf> for Written {
    fn from(leaf: KeptLeaf) -> Written {
        let hex = |hash: &[u8; 32]| blake3::Hash::from_bytes(*hash).to_hex().to_string();
        let digests = leaf.digests.iter().map(|digest| (digest.rows, hex(&digest.hash))).collect();
        let Some(KeptRows { lower, upper, common, keys }) = leaf.located else {
            return Written { digests, common: None, lower: None, upper: None, keys: Vec::new() };
        };
        Written { digests, common: Some((hex(&common.0), common.1)), lower, upper, keys }
    }
}

impl TryFrom<Written> for KeptLeaf {
    type Error = blake3::HexError;

    fn try_from(written: Written) -> Result<KeptLeaf, blake3::HexError> {
        let hash = |text: &String| Ok(*blake3::Hash::from_hex(text)?.as_bytes());
        let digest = |(rows, text): &(u64, String)| Ok(Digest { rows: *rows, hash: hash(text)? });
        let located = match &written.common {
            Some((common, rows)) => Some(KeptRows {
                lower: written.lower,
                upper: written.upper,
                common: (hash(common)?, *rows),
                keys: written.keys,
            }),
            None => None,
        };
        let digests: Result<Vec<Digest>, blake3::HexError> = written.digests.iter().map(digest).collect();
        Ok(KeptLeaf { digests: digests?, located })
    }
}

impl KeptLeaf {
    /// The leaves of a walk, and its candidates in the order of the leaves.
    pub(crate) fn all(walked: Walked) -> (Vec<KeptLeaf>, Vec<Candidate>) {
        let mut candidates = Vec::with_capacity(walked.candidates.len());
        let mut kept = |leaf: Leaf| KeptLeaf {
            located: leaf.located.map(|(common, range)| {
                let own = &walked.candidates[range];
                candidates.extend_from_slice(own);
                let others = own.iter().filter(|candidate| candidate.rows[0].is_some()).count() as u64;
                KeptRows {
                    lower: leaf.chunk.lower,
                    upper: leaf.chunk.upper,
                    common: (common, leaf.digests[0].rows.saturating_sub(others)),
                    keys: own.iter().map(|candidate| candidate.key.clone()).collect(),
                }
            }),
            digests: leaf.digests,
        };
        let leaves = walked.leaves.into_iter().map(&mut kept).collect();
        (leaves, candidates)
    }
}

/// A part, as it is handed to a keeper.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The table.
    pub table: &'a Table,
    /// The number of its first chunk in the table.
    pub first: u64,
    /// Its chunks.
    pub leaves: &'a [KeptLeaf],
    /// Where the table goes on; `None`: it is at its end.
    pub next: Option<&'a Key>,
}

/// Keeps parts. What it cannot keep is read again by who goes on, so a failure is its own to tell, and ends no run.
pub trait Keeper: Sync + std::fmt::Debug {
    /// Keeps a part. The parts of a table come in order.
    fn keep(&self, part: Part<'_>);
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forgetful;

impl Keeper for Forgetful {
    fn keep(&self, _: Part<'_>) {}
}

/// What was kept of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptTable {
    /// How it was defined.
    pub definition: String,
    /// Its chunks, from the first one on.
    pub leaves: Vec<KeptLeaf>,
    /// Where it goes on; `None`: it is at its end.
    pub next: Option<Key>,
}

/// What was kept of a run: the tables by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The tables, as `database.table`.
    pub tables: BTreeMap<String, KeptTable>,
}

impl Checkpoint {
    /// What was kept of this table, if it is defined as it was.
    pub(crate) fn take(&mut self, table: &Table, nodes: usize) -> Option<KeptTable> {
        let kept = self.tables.remove(&table.to_string())?;
        let same = kept.definition == table.definition();
        (same && kept.leaves.iter().all(|leaf| leaf.digests.len() == nodes)).then_some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::Value;

    #[test]
    fn a_leaf_is_read_back_as_it_was_written() {
        let digest = |n: u8| Digest { rows: u64::from(n), hash: [n; 32] };
        let located = |common, keys: Vec<Key>| KeptRows {
            lower: None,
            upper: keys.first().cloned(),
            common: (common, 3),
            keys,
        };
        let key = Key::new(&[Value::Text("a'b".into()), Value::Null]);
        for leaf in [
            KeptLeaf { digests: vec![digest(1), digest(2)], located: None },
            KeptLeaf { digests: vec![digest(255)], located: Some(located([7; 32], vec![key])) },
            KeptLeaf { digests: vec![], located: Some(located([0; 32], vec![])) },
        ] {
            let text = serde_json::to_string(&leaf).unwrap();
            assert_eq!(serde_json::from_str::<KeptLeaf>(&text).unwrap(), leaf, "{text}");
        }
        assert!(serde_json::from_str::<KeptLeaf>(r#"{"digests":[[1,"zz"]]}"#).is_err());
    }
}
