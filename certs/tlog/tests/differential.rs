//! This crate beside independent implementations of the same documents: `tlog_tiles` and `signed_note`.
//! Their paths predate today's, so tiles are compared by their coordinates.

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dockmaster_tlog::checkpoint::Checkpoint;
use dockmaster_tlog::hash::Hash;
use dockmaster_tlog::note::{KeyName, SignedNote, SigningKey, VerifierKey};
use dockmaster_tlog::tile::tiles_between;
use dockmaster_tlog::tree::{
    HashSource, RightEdge, consistency_proof, inclusion_proof, root, verify_consistency,
    verify_inclusion,
};
use proptest::prelude::*;
use signed_note::{StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::tlog::{self, HashReader};

/// A log as the other implementation stores it.
#[derive(Default)]
struct Theirs(Vec<tlog::Hash>);

impl Theirs {
    fn of(size: u64) -> Result<Self, tlog::Error> {
        let mut log = Self::default();
        for index in 0..size {
            let entry = format!("entry-{index}");
            let stored = tlog::stored_hashes(index, entry.as_bytes(), &log)?;
            log.0.extend(stored);
        }
        Ok(log)
    }

    fn leaf(&self, index: u64) -> Hash {
        ours(&self.0[tlog::stored_hash_index(0, index) as usize])
    }
}

impl HashReader for Theirs {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes
            .iter()
            .map(|&index| self.0[index as usize])
            .collect())
    }
}

impl HashSource for Theirs {
    type Error = Infallible;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(ours(
            &self.0[tlog::stored_hash_index(level, index) as usize],
        ))
    }
}

fn ours(hash: &tlog::Hash) -> Hash {
    Hash::from_bytes(hash.0)
}

fn theirs(hash: &Hash) -> tlog::Hash {
    tlog::Hash(*hash.as_bytes())
}

fn all_theirs(hashes: &[Hash]) -> Vec<tlog::Hash> {
    hashes.iter().map(theirs).collect()
}

#[test]
fn roots_and_proofs_are_the_same_at_every_size() {
    let log = Theirs::of(130).unwrap();
    for size in 1..=130 {
        let our_root = root(size, &log).unwrap();
        let their_root = tlog::tree_hash(size, &log).unwrap();
        assert_eq!(our_root, ours(&their_root), "size {size}");
        for index in 0..size {
            let proof = inclusion_proof(index, size, &log).unwrap();
            let other = tlog::prove_record(size, index, &log).unwrap();
            assert_eq!(all_theirs(&proof), other, "{index} in {size}");
            let leaf = theirs(&log.leaf(index));
            tlog::check_record(&other, size, their_root, index, leaf).unwrap();
        }
        for old in 1..=size {
            let proof = consistency_proof(old, size, &log).unwrap();
            let other = tlog::prove_tree(size, old, &log).unwrap();
            assert_eq!(all_theirs(&proof), other, "{old} to {size}");
        }
    }
}

#[test]
fn checkpoints_and_keys_are_read_by_the_others_and_theirs_by_us() {
    let name = KeyName::new("example.org/log").unwrap();
    let key = SigningKey::from_seed(name.clone(), &[7; 32]);
    let checkpoint = Checkpoint {
        origin: name,
        size: 0,
        root: RightEdge::new().root(),
    };
    let our_note = checkpoint.sign(&key);

    let verifier = StandardVerifier::new(&key.verifier().to_string()).unwrap();
    let known = VerifierList::new(vec![Box::new(verifier)]);
    let read = signed_note::Note::from_bytes(our_note.as_bytes()).unwrap();
    assert_eq!(read.verify(&known).unwrap().0.len(), 1);
    let read = tlog_tiles::Checkpoint::from_bytes(read.text()).unwrap();
    assert_eq!((read.origin(), read.size()), ("example.org/log", 0));
    assert_eq!(ours(read.hash()), checkpoint.root);

    let seed = STANDARD.encode([&[1_u8][..], &[7; 32]].concat());
    let private = format!("PRIVATE+KEY+example.org/log+{}+{seed}", key.verifier().id());
    let signer = StandardSigner::new(&private).unwrap();
    let mut note = signed_note::Note::new(checkpoint.to_text().as_bytes(), &[]).unwrap();
    note.add_sigs(&[&signer]).unwrap();
    // Ed25519 is deterministic, so even the signature is the same.
    assert_eq!(String::from_utf8(note.to_bytes()).unwrap(), our_note);
}

proptest! {
    #[test]
    fn any_proof_gets_the_same_verdict(
        size in 1_u64..40, a in 0_u64..40, spoil in prop::option::of((any::<prop::sample::Index>(), 0_u64..40)),
        claimed in 0_u64..44,
    ) {
        let log = Theirs::of(40).unwrap();
        let (index, old) = (a % size, 1 + a % size);
        let spoiled = |mut proof: Vec<Hash>| {
            if let Some((at, leaf)) = &spoil {
                let at = at.index(proof.len() + 1);
                proof.truncate(at);
                proof.push(log.leaf(*leaf));
            }
            proof
        };
        let size_root = root(size, &log).unwrap();
        let leaf = log.leaf(index);

        let proof = spoiled(inclusion_proof(index, size, &log).unwrap());
        for claimed in [index, claimed] {
            let verdict = verify_inclusion(&leaf, claimed, size, &proof, &size_root);
            let other = tlog::check_record(
                &all_theirs(&proof), size, theirs(&size_root), claimed, theirs(&leaf),
            );
            prop_assert_eq!(verdict.is_ok(), other.is_ok(), "{:?} {:?}", verdict, other);
        }

        let old_root = root(old, &log).unwrap();
        let proof = spoiled(consistency_proof(old, size, &log).unwrap());
        // They have no proof from nothing; the rest is the same.
        for claimed in [old, claimed.max(1)] {
            let verdict = verify_consistency(claimed, &old_root, size, &size_root, &proof);
            let other = tlog::check_tree(
                &all_theirs(&proof), size, theirs(&size_root), claimed, theirs(&old_root),
            );
            prop_assert_eq!(verdict.is_ok(), other.is_ok(), "{:?} {:?}", verdict, other);
        }
    }

    #[test]
    fn a_growing_log_writes_the_same_tiles(old in 0_u64..200_000, grown in 0_u64..70_000) {
        let new = old + grown;
        let tiles: Vec<_> = tiles_between(old, new)
            .iter()
            .map(|tile| (tile.level(), tile.index(), u32::from(tile.width())))
            .collect();
        let other: Vec<_> = tlog_tiles::Tile::new_tiles(8, old, new)
            .iter()
            .map(|tile| (tile.level(), tile.level_index(), tile.width()))
            .collect();
        prop_assert_eq!(tiles, other);
    }

    #[test]
    fn a_note_we_read_is_read_by_the_others(
        note in "(\\PC|\n){0,20}\n\n(\u{2014} [a-z]{1,3} [A-Za-z0-9+/]{8}\n){1,3}",
    ) {
        if SignedNote::parse(&note).is_ok() {
            let other = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
            prop_assert_eq!(other.to_bytes(), note.as_bytes());
        }
    }

    #[test]
    fn a_verifier_key_we_read_is_read_by_the_others(name in "[a-z./]{1,12}", seed: [u8; 32]) {
        let key = SigningKey::from_seed(KeyName::new(name).unwrap(), &seed);
        let text = key.verifier().to_string();
        prop_assert!(StandardVerifier::new(&text).is_ok());
        prop_assert_eq!(VerifierKey::parse(&text), Ok(key.verifier().clone()));
    }
}
