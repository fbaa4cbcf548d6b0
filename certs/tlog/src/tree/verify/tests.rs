use proptest::prelude::*;

use super::*;
use crate::hash::leaf_hash;
use crate::testing::{Reference, leaf};
use crate::tree::{consistency_proof, inclusion_proof};

#[test]
fn every_inclusion_proof_up_to_three_hundred_leaves_verifies() {
    let reference = Reference::new(300);
    for size in 1..=300 {
        let root = reference.root(0, size);
        for index in 0..size {
            let proof = reference.inclusion(index, 0, size);
            let verdict = verify_inclusion(&leaf(index), index, size, &proof, &root);
            assert_eq!(verdict, Ok(()), "{index} in {size}");
            let other = verify_inclusion(&leaf_hash(b"other"), index, size, &proof, &root);
            assert_eq!(other, Err(ProofError::NotThisRoot), "{index} in {size}");
        }
    }
}

#[test]
fn every_consistency_proof_up_to_three_hundred_leaves_verifies() {
    let reference = Reference::new(300);
    for new in 0..=300 {
        let new_root = reference.root(0, new);
        for old in 0..=new {
            let old_root = reference.root(0, old);
            let proof = reference.consistency(old, new);
            let verdict = verify_consistency(old, &old_root, new, &new_root, &proof);
            assert_eq!(verdict, Ok(()), "{old} to {new}");
        }
    }
}

#[test]
fn proofs_around_a_full_second_level_verify() {
    let reference = Reference::new(65_540);
    for size in [65_535, 65_536, 65_537, 65_540] {
        let root = reference.root(0, size);
        for index in [
            0,
            1,
            255,
            256,
            32_767,
            32_768,
            65_279,
            65_280,
            65_534,
            size - 1,
        ] {
            let proof = inclusion_proof(index, size, &reference).unwrap();
            assert_eq!(
                proof,
                reference.inclusion(index, 0, size),
                "{index} in {size}"
            );
            assert_eq!(
                verify_inclusion(&leaf(index), index, size, &proof, &root),
                Ok(())
            );
        }
        for old in [
            1, 255, 256, 257, 32_768, 65_280, 65_534, 65_535, 65_536, 65_537,
        ] {
            if old > size {
                continue;
            }
            let old_root = reference.root(0, old);
            let proof = consistency_proof(old, size, &reference).unwrap();
            assert_eq!(proof, reference.consistency(old, size), "{old} to {size}");
            assert_eq!(
                verify_consistency(old, &old_root, size, &root, &proof),
                Ok(())
            );
        }
    }
}

#[test]
fn a_log_that_rewrote_its_past_has_no_consistency_proof() {
    let reference = Reference::new(9);
    let rewritten = leaf_hash(b"another past");
    let proof = reference.consistency(5, 9);
    let new_root = reference.root(0, 9);
    assert_eq!(
        verify_consistency(5, &rewritten, 9, &new_root, &proof),
        Err(ProofError::NotTheOldRoot)
    );
    assert_eq!(
        verify_consistency(5, &reference.root(0, 5), 9, &rewritten, &proof),
        Err(ProofError::NotThisRoot)
    );
}

#[test]
fn a_tree_of_the_same_size_or_none_needs_its_own_root() {
    let (none, one, other) = (empty_root(), leaf(0), leaf(1));
    assert_eq!(verify_consistency(0, &none, 1, &one, &[]), Ok(()));
    assert_eq!(
        verify_consistency(0, &one, 1, &one, &[]),
        Err(ProofError::NotTheOldRoot)
    );
    assert_eq!(
        verify_consistency(0, &none, 0, &one, &[]),
        Err(ProofError::NotThisRoot)
    );
    assert_eq!(verify_consistency(1, &one, 1, &one, &[]), Ok(()));
    assert_eq!(
        verify_consistency(1, &one, 1, &other, &[]),
        Err(ProofError::NotThisRoot)
    );
    assert_eq!(
        verify_consistency(1, &one, 1, &one, &[other]),
        Err(ProofError::TooLong { given: 1 })
    );
    assert_eq!(
        verify_consistency(2, &one, 1, &one, &[]),
        Err(ProofError::Shrinks { old: 2, new: 1 })
    );
}

#[test]
fn sizes_out_of_range_are_refused_and_not_computed_with() {
    let hash = leaf(0);
    for size in [1 << 63, u64::MAX] {
        assert_eq!(
            verify_inclusion(&hash, 0, size, &[], &hash),
            Err(ProofError::TooLarge { size })
        );
        assert_eq!(
            verify_consistency(1, &hash, size, &hash, &[]),
            Err(ProofError::TooLarge { size })
        );
    }
    assert_eq!(
        verify_inclusion(&hash, 0, 0, &[], &empty_root()),
        Err(ProofError::NoSuchLeaf { index: 0, size: 0 })
    );
}

/// One way to spoil a list of hashes; each always changes it.
#[derive(Clone, Debug)]
enum Spoil {
    Flip { at: prop::sample::Index, bit: usize },
    Drop { at: prop::sample::Index },
    Insert { at: prop::sample::Index },
    Append { count: usize },
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), 0_usize..256).prop_map(|(at, bit)| Spoil::Flip { at, bit }),
        at().prop_map(|at| Spoil::Drop { at }),
        at().prop_map(|at| Spoil::Insert { at }),
        (1_usize..80).prop_map(|count| Spoil::Append { count }),
    ]
}

fn spoiled(mut proof: Vec<Hash>, spoil: &Spoil) -> Vec<Hash> {
    match spoil {
        Spoil::Flip { at, bit } if !proof.is_empty() => {
            let hash = at.get_mut(&mut proof);
            let mut bytes = *hash.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            *hash = Hash::from_bytes(bytes);
        }
        Spoil::Drop { at } if !proof.is_empty() => {
            let at = at.index(proof.len());
            proof.remove(at);
        }
        Spoil::Insert { at } => proof.insert(at.index(proof.len() + 1), leaf(7)),
        Spoil::Append { count } => proof.extend(vec![leaf(7); *count]),
        Spoil::Flip { .. } | Spoil::Drop { .. } => proof.push(leaf(7)),
    }
    proof
}

proptest! {
    #[test]
    fn a_spoiled_inclusion_proof_is_refused(
        size in 1_u64..200, at: prop::sample::Index, spoil in spoil(),
    ) {
        let reference = Reference::new(size);
        let index = at.index(size as usize) as u64;
        let proof = spoiled(reference.inclusion(index, 0, size), &spoil);
        let root = reference.root(0, size);
        prop_assert!(verify_inclusion(&leaf(index), index, size, &proof, &root).is_err());
    }

    #[test]
    fn a_spoiled_consistency_proof_is_refused(
        size in 1_u64..200, at: prop::sample::Index, spoil in spoil(),
    ) {
        let reference = Reference::new(size);
        let old = at.index(size as usize + 1) as u64;
        let proof = spoiled(reference.consistency(old, size), &spoil);
        let (old_root, new_root) = (reference.root(0, old), reference.root(0, size));
        prop_assert!(verify_consistency(old, &old_root, size, &new_root, &proof).is_err());
    }

    #[test]
    fn an_inclusion_proof_is_good_for_one_index_only(
        size in 2_u64..200, at: prop::sample::Index, shift in 1_u64..199,
    ) {
        let reference = Reference::new(size);
        let index = at.index(size as usize) as u64;
        let other = (index + shift) % size;
        prop_assume!(other != index);
        let proof = reference.inclusion(index, 0, size);
        let root = reference.root(0, size);
        prop_assert!(verify_inclusion(&leaf(index), other, size, &proof, &root).is_err());
    }

    #[test]
    fn verifying_never_panics(
        index: u64, old: u64, new: u64, count in 0_usize..70,
    ) {
        let hash = leaf(0);
        let proof = vec![hash; count];
        let _ = verify_inclusion(&hash, index, new, &proof, &hash);
        let _ = verify_consistency(old, &hash, new, &hash, &proof);
        let _ = verify_consistency(old % 70, &hash, new % 70, &hash, &proof);
        let _ = verify_inclusion(&hash, index % 70, new % 70, &proof, &hash);
    }
}
