//! Roots and proofs.

use dockmaster_tlog::hash::leaf_hash;
use dockmaster_tlog::tree::{
    RightEdge, consistency_proof, inclusion_proof, root, verify_consistency,
};
use tlog_tiles::tlog;

use crate::others::{
    ALL_SIZES, CtTree, LARGE_SIZES, Stored, all_theirs, corners, entry, grow, joined, ours,
};

/// What is proved of one size: these entries, and these earlier sizes.
fn same_as_tlog_tiles(log: &Stored, size: u64, spots: impl Iterator<Item = u64>) {
    let our_root = root(size, log).unwrap();
    let their_root = tlog::tree_hash(size, log).unwrap();
    assert_eq!(our_root, ours(&their_root), "size {size}");
    for spot in spots {
        if spot < size {
            let proof = inclusion_proof(spot, size, log).unwrap();
            let other = tlog::prove_record(size, spot, log).unwrap();
            assert_eq!(all_theirs(&proof), other, "{spot} in {size}");
        }
        if (1..=size).contains(&spot) {
            let proof = consistency_proof(spot, size, log).unwrap();
            let other = tlog::prove_tree(size, spot, log).unwrap();
            assert_eq!(all_theirs(&proof), other, "{spot} to {size}");
        }
    }
}

fn same_as_ct_merkle(log: &Stored, tree: &mut CtTree, size: u64, spots: impl Iterator<Item = u64>) {
    grow(tree, size);
    let our_root = root(size, log).unwrap();
    assert_eq!(our_root.as_bytes()[..], tree.root().as_bytes()[..]);
    for spot in spots {
        if spot < size {
            let proof = inclusion_proof(spot, size, log).unwrap();
            let other = tree.prove_inclusion(spot as usize);
            assert_eq!(joined(&proof), other.as_bytes(), "{spot} in {size}");
        }
        // It has no proof to the same size.
        if (1..size).contains(&spot) {
            let proof = consistency_proof(spot, size, log).unwrap();
            let other = tree.prove_consistency((size - spot) as usize);
            assert_eq!(joined(&proof), other.as_bytes(), "{spot} to {size}");
        }
    }
}

#[test]
fn all_roots_and_proofs_of_small_logs_are_those_of_tlog_tiles() {
    let log = Stored::of(ALL_SIZES);
    for index in 0..ALL_SIZES {
        assert_eq!(leaf_hash(&entry(index)), log.leaf(index));
    }
    for size in 1..=ALL_SIZES {
        same_as_tlog_tiles(&log, size, 0..=size);
    }
}

#[test]
fn all_roots_and_proofs_of_small_logs_are_those_of_ct_merkle() {
    let log = Stored::of(ALL_SIZES);
    let mut tree = CtTree::new();
    for size in 1..=ALL_SIZES {
        same_as_ct_merkle(&log, &mut tree, size, 0..=size);
    }
}

#[test]
fn where_the_second_level_fills_up_roots_and_proofs_are_those_of_both() {
    let log = Stored::large();
    let mut tree = CtTree::new();
    for size in LARGE_SIZES {
        same_as_tlog_tiles(log, size, corners(size));
        same_as_ct_merkle(log, &mut tree, size, corners(size));
    }
}

#[test]
fn the_empty_log_has_the_root_of_the_others_and_is_the_beginning_of_every_log() {
    let log = Stored::of(3);
    let empty = root(0, &log).unwrap();
    assert_eq!(empty, RightEdge::new().root());
    assert_eq!(empty.as_bytes()[..], CtTree::new().root().as_bytes()[..]);
    let three = root(3, &log).unwrap();
    assert_eq!(consistency_proof(0, 3, &log), Ok(Vec::new()));
    assert_eq!(verify_consistency(0, &empty, 3, &three, &[]), Ok(()));
}

#[test]
fn a_log_that_grows_entry_by_entry_has_the_roots_of_the_others() {
    let log = Stored::large();
    let mut edge = RightEdge::new();
    for size in 1..=LARGE_SIZES[LARGE_SIZES.len() - 1] {
        edge.push(log.leaf(size - 1));
        if size <= ALL_SIZES || LARGE_SIZES.contains(&size) {
            let other = tlog::tree_hash(size, log).unwrap();
            assert_eq!(edge.root(), ours(&other), "size {size}");
        }
    }
}
