//! The fingerprint of a table: one hash from the hashes of its chunks.
//!
//! The leaves of a table, in key order, form Merkle trees of at most [`FANOUT`] leaves; their roots are the leaves of
//! the next layer, until one root is left. The crate merkle-lite gives the trees, and four things that it leaves open
//! are closed here: leaves and roots are hashed in domains of their own; an odd last leaf, which the crate doubles,
//! cannot be mistaken for two, because the number of leaves is bound into every root that is passed on; a tree of one
//! leaf is not the leaf itself, for the same reason; and its iterators are only fed from vectors of known length.
//!
//! Invariant: two lists of leaves have one fingerprint if and only if they are the same list (up to a collision).

use digest::consts::{U32, U64};
use digest::core_api::BlockSizeUser;
use digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Reset, Update};
use merkle_lite::MerkleTree;

/// The most leaves of one tree; a layer above takes the roots.
pub const FANOUT: usize = 256;

const LAYER: &str = "evensum 2026 fingerprint layer v1";
const TABLE: &str = "evensum 2026 fingerprint table v1";

/// blake3 in the shape in which merkle-lite takes a hash.
#[derive(Clone, Default)]
struct Blake3(blake3::Hasher);

impl Update for Blake3 {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

impl Reset for Blake3 {
    fn reset(&mut self) {
        self.0.reset();
    }
}

impl OutputSizeUser for Blake3 {
    type OutputSize = U32;
}

impl BlockSizeUser for Blake3 {
    type BlockSize = U64;
}

impl FixedOutput for Blake3 {
    fn finalize_into(self, out: &mut Output<Self>) {
        out.copy_from_slice(self.0.finalize().as_bytes());
    }
}

impl HashMarker for Blake3 {}

/// Hashes the leaves of a table, in key order.
#[must_use]
pub fn fingerprint(leaves: &[[u8; 32]]) -> [u8; 32] {
    let mut layer = leaves.to_vec();
    let mut height = 0_u64;
    while layer.len() > 1 {
        layer = layer.chunks(FANOUT).map(|leaves| root(leaves, height)).collect();
        height += 1;
    }
    let mut hasher = blake3::Hasher::new_derive_key(TABLE);
    hasher.update(&(leaves.len() as u64).to_be_bytes());
    layer.first().inspect(|top| {
        hasher.update(top.as_slice());
    });
    *hasher.finalize().as_bytes()
}

/// The root of one tree, bound to its height and its number of leaves.
fn root(leaves: &[[u8; 32]], height: u64) -> [u8; 32] {
    let tree: MerkleTree<Blake3> = leaves.to_vec().iter().collect();
    let mut hasher = blake3::Hasher::new_derive_key(LAYER);
    hasher.update(&height.to_be_bytes());
    hasher.update(&(leaves.len() as u64).to_be_bytes());
    hasher.update(tree.root().unwrap_or_default());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u32) -> Vec<[u8; 32]> {
        (0..count).map(|n| *blake3::hash(&n.to_be_bytes()).as_bytes()).collect()
    }

    #[test]
    fn no_two_lists_that_are_easily_confused_have_one_fingerprint() {
        let base = leaves(600);
        let mut lists: Vec<Vec<[u8; 32]>> =
            [0, 1, 2, 3, 255, 256, 257, 512, 600].into_iter().map(|count| base[..count].to_vec()).collect();
        lists.push([&base[..3], &base[2..3]].concat()); // an odd last leaf, doubled
        lists.push(vec![base[1], base[0]]); // another order
        lists.push(vec![fingerprint(&base[..1])]); // a root as a leaf
        let prints: std::collections::HashSet<_> = lists.iter().map(|list| fingerprint(list)).collect();
        assert_eq!(prints.len(), lists.len());
        assert_eq!(fingerprint(&base), fingerprint(&leaves(600)));
    }

    #[test]
    fn one_changed_leaf_changes_the_fingerprint_wherever_it_stands() {
        let base = leaves(600);
        for at in [0, 255, 256, 511, 512, 599] {
            let mut changed = base.clone();
            changed[at][31] ^= 1;
            assert_ne!(fingerprint(&changed), fingerprint(&base), "leaf {at}");
        }
    }
}
