//! What is taken for a proof.

use ct_merkle::digest::Output;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use dockmaster_tlog::hash::Hash;
use dockmaster_tlog::tree::{
    consistency_proof, inclusion_proof, root, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use sha2::Sha256;
use tlog_tiles::tlog;

use crate::others::{Stored, all_theirs, entry, joined, theirs};

/// What becomes of a right proof.
#[derive(Clone, Debug)]
enum Spoil {
    Nothing,
    /// It ends here, and goes on with another hash.
    Replace(prop::sample::Index, u64),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, u64),
    Swap(prop::sample::Index, prop::sample::Index),
    FlipBit(prop::sample::Index, usize, u32),
}

fn spoils() -> impl Strategy<Value = Spoil> {
    use prop::sample::Index;

    prop_oneof![
        Just(Spoil::Nothing),
        (any::<Index>(), 0_u64..40).prop_map(|(at, leaf)| Spoil::Replace(at, leaf)),
        any::<Index>().prop_map(Spoil::Cut),
        (any::<Index>(), 0_u64..40).prop_map(|(at, leaf)| Spoil::Insert(at, leaf)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Spoil::Swap(a, b)),
        (any::<Index>(), 0_usize..32, 0_u32..8)
            .prop_map(|(at, byte, bit)| Spoil::FlipBit(at, byte, bit)),
    ]
}

impl Spoil {
    fn of(&self, log: &Stored, mut proof: Vec<Hash>) -> Vec<Hash> {
        let count = proof.len();
        match self {
            Self::Nothing => {}
            Self::Replace(at, leaf) => {
                proof.truncate(at.index(count + 1));
                proof.push(log.leaf(*leaf));
            }
            Self::Insert(at, leaf) => proof.insert(at.index(count + 1), log.leaf(*leaf)),
            // The rest needs a hash to do it to.
            _ if count == 0 => {}
            Self::Cut(at) => proof.truncate(at.index(count)),
            Self::Swap(a, b) => proof.swap(a.index(count), b.index(count)),
            Self::FlipBit(at, byte, bit) => {
                let hash = &mut proof[at.index(count)];
                let mut bytes = *hash.as_bytes();
                bytes[*byte] ^= 1_u8 << *bit;
                *hash = Hash::from_bytes(bytes);
            }
        }
        proof
    }
}

fn ct_root(root: &Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new(*Output::<Sha256>::from_slice(root.as_bytes()), size)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_proof_of_an_entry_gets_the_same_verdict(
        size in 1_u64..40, index in 0_u64..40, spoil in spoils(), claimed in 0_u64..44,
    ) {
        let log = Stored::large();
        let index = index % size;
        let whole = root(size, log).unwrap();
        let leaf = log.leaf(index);
        let proof = spoil.of(log, inclusion_proof(index, size, log).unwrap());
        for claimed in [index, claimed] {
            let verdict = verify_inclusion(&leaf, claimed, size, &proof, &whole);
            let other = tlog::check_record(
                &all_theirs(&proof), size, theirs(&whole), claimed, theirs(&leaf),
            );
            prop_assert_eq!(verdict.is_ok(), other.is_ok(), "{:?} {:?}", verdict, other);
            let third = ct_root(&whole, size).verify_inclusion(
                &entry(index), claimed, &InclusionProof::from_bytes(joined(&proof)),
            );
            prop_assert_eq!(verdict.is_ok(), third.is_ok(), "{:?} {:?}", verdict, third);
        }
    }

    #[test]
    fn any_proof_of_an_earlier_size_gets_the_same_verdict(
        size in 1_u64..40, old in 0_u64..40, spoil in spoils(), claimed in 1_u64..44,
    ) {
        let log = Stored::large();
        // Neither of them has a proof from nothing.
        let old = 1 + old % size;
        let (whole, before) = (root(size, log).unwrap(), root(old, log).unwrap());
        let proof = spoil.of(log, consistency_proof(old, size, log).unwrap());
        for claimed in [old, claimed] {
            let verdict = verify_consistency(claimed, &before, size, &whole, &proof);
            let other = tlog::check_tree(
                &all_theirs(&proof), size, theirs(&whole), claimed, theirs(&before),
            );
            prop_assert_eq!(verdict.is_ok(), other.is_ok(), "{:?} {:?}", verdict, other);
            // It has none to the same size, either.
            if claimed < size {
                let third = ConsistencyProof::try_from_bytes(joined(&proof)).unwrap();
                let third = ct_root(&whole, size)
                    .verify_consistency(&ct_root(&before, claimed), &third);
                prop_assert_eq!(verdict.is_ok(), third.is_ok(), "{:?} {:?}", verdict, third);
            }
        }
    }
}
