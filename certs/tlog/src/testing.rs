//! The tree as RFC 6962 section 2.1 defines it, slow and recursive: what the tests compare with.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;

use crate::hash::{Hash, empty_root, leaf_hash, node_hash};
use crate::tree::HashSource;

/// Entry `index` of the worked example.
pub(crate) fn entry(index: u64) -> Vec<u8> {
    format!("entry-{index}").into_bytes()
}

/// Its leaf hash.
pub(crate) fn leaf(index: u64) -> Hash {
    leaf_hash(&entry(index))
}

/// A tree over the entries of the worked example.
pub(crate) struct Reference {
    leaves: Vec<Hash>,
    known: RefCell<HashMap<(u64, u64), Hash>>,
}

impl Reference {
    pub(crate) fn new(size: u64) -> Self {
        Self {
            leaves: (0..size).map(leaf).collect(),
            known: RefCell::default(),
        }
    }

    /// MTH(D[start:end]).
    pub(crate) fn root(&self, start: u64, end: u64) -> Hash {
        if let Some(hash) = self.known.borrow().get(&(start, end)) {
            return *hash;
        }
        let hash = match end - start {
            0 => empty_root(),
            1 => self.leaves[usize::try_from(start).unwrap()],
            len => {
                let middle = start + half(len);
                node_hash(&self.root(start, middle), &self.root(middle, end))
            }
        };
        self.known.borrow_mut().insert((start, end), hash);
        hash
    }

    /// PATH(index, D[start:end]).
    pub(crate) fn inclusion(&self, index: u64, start: u64, end: u64) -> Vec<Hash> {
        if end - start <= 1 {
            return Vec::new();
        }
        let middle = start + half(end - start);
        let (mut path, sibling) = if index < middle {
            (self.inclusion(index, start, middle), self.root(middle, end))
        } else {
            (self.inclusion(index, middle, end), self.root(start, middle))
        };
        path.push(sibling);
        path
    }

    /// PROOF(old, D[0:new]).
    pub(crate) fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        if old == 0 {
            Vec::new()
        } else {
            self.subproof(old, 0, new, true)
        }
    }

    fn subproof(&self, old: u64, start: u64, end: u64, whole: bool) -> Vec<Hash> {
        if old == end {
            return if whole {
                Vec::new()
            } else {
                vec![self.root(start, end)]
            };
        }
        let middle = start + half(end - start);
        let (mut proof, sibling) = if old <= middle {
            (
                self.subproof(old, start, middle, whole),
                self.root(middle, end),
            )
        } else {
            (
                self.subproof(old, middle, end, false),
                self.root(start, middle),
            )
        };
        proof.push(sibling);
        proof
    }
}

impl HashSource for Reference {
    type Error = Infallible;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(self.root(index << level, (index + 1) << level))
    }
}

/// The largest power of two below `len`, the slow way.
fn half(len: u64) -> u64 {
    let mut half = 1;
    while half * 2 < len {
        half *= 2;
    }
    half
}
