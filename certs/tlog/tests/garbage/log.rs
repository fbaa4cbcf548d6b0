//! A small log.

use std::convert::Infallible;

use dockmaster_tlog::checkpoint::Checkpoint;
use dockmaster_tlog::hash::{Hash, leaf_hash};
use dockmaster_tlog::note::{KeyName, SigningKey};
use dockmaster_tlog::tree::{HashSource, RightEdge, root};

/// Entries of the log.
pub(crate) const SIZE: u64 = 11;

/// The log itself: its hashes are made anew each time, it is small.
pub(crate) struct Log;

impl HashSource for Log {
    type Error = Infallible;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let mut edge = RightEdge::new();
        (index << level..(index + 1) << level).for_each(|index| edge.push(leaf(index)));
        Ok(edge.root())
    }
}

pub(crate) fn entry(index: u64) -> Vec<u8> {
    format!("entry-{index}").into_bytes()
}

pub(crate) fn leaf(index: u64) -> Hash {
    leaf_hash(&entry(index))
}

pub(crate) fn key() -> SigningKey {
    SigningKey::from_seed(KeyName::new("example.org/log").unwrap(), &[1; 32])
}

pub(crate) fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint {
        origin: key().name().clone(),
        size,
        root: root(size, &Log).unwrap(),
    }
}
