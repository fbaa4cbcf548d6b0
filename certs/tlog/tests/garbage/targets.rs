//! What has to hold for any input.
//!
//! A target gives whether it took the input for right, and panics where something does not hold.

use dockmaster_tlog::checkpoint::Checkpoint;
use dockmaster_tlog::evidence::Evidence;
use dockmaster_tlog::hash::Hash;
use dockmaster_tlog::note::{SignedNote, VerifierKey};
use dockmaster_tlog::proof::TlogProof;
use dockmaster_tlog::tile::{EntriesId, EntryBundle, HashTile, TileId};
use dockmaster_tlog::tree::{root, verify_consistency, verify_inclusion};

use crate::log::{Log, SIZE, checkpoint, entry, key, leaf};

/// One way in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&[u8]) -> bool,
}

const fn target(name: &'static str, run: fn(&[u8]) -> bool) -> Target {
    Target { name, run }
}

/// All ways in.
pub(crate) const ALL: [Target; 10] = [
    target("note", note),
    target("checkpoint", open_checkpoint),
    target("verifier_key", verifier_key),
    target("tlog_proof", tlog_proof),
    target("evidence", evidence),
    target("inclusion", inclusion),
    target("consistency", consistency),
    target("entry_bundle", entry_bundle),
    target("hash_tile", hash_tile),
    target("tile_path", tile_path),
];

fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}

/// That the log published this.
fn published(head: &Checkpoint) -> bool {
    head.size <= SIZE && *head == checkpoint(head.size)
}

fn note(input: &[u8]) -> bool {
    let Some(Ok(note)) = text(input).map(SignedNote::parse) else {
        return false;
    };
    assert_eq!(note.to_string().as_bytes(), input, "another spelling");
    let Ok(note) = note.verify(std::slice::from_ref(key().verifier())) else {
        return false;
    };
    assert_eq!(note.signatures().len(), 1, "one key signs once");
    let head = Checkpoint::parse(note.text()).unwrap();
    assert!(published(&head), "forged: {note:?}");
    true
}

fn open_checkpoint(input: &[u8]) -> bool {
    let Some(input) = text(input) else {
        return false;
    };
    if let Ok(head) = Checkpoint::parse(input) {
        assert!(input.starts_with(&head.to_text()), "another spelling");
    }
    let Ok(head) = Checkpoint::open(input, key().verifier()) else {
        return false;
    };
    assert!(published(&head), "forged: {head:?}");
    true
}

fn verifier_key(input: &[u8]) -> bool {
    let Some(Ok(key)) = text(input).map(VerifierKey::parse) else {
        return false;
    };
    assert_eq!(key.to_string().as_bytes(), input, "another spelling");
    true
}

fn tlog_proof(input: &[u8]) -> bool {
    let Some(Ok(proof)) = text(input).map(TlogProof::parse) else {
        return false;
    };
    // An extra line is passed over; without one there is one spelling.
    if Evidence::parse(text(input).unwrap()).is_err() {
        assert_eq!(proof.encode().as_bytes(), input, "another spelling");
    }
    let mut proved = false;
    for index in 0..SIZE {
        if let Ok(head) = proof.verify(&entry(index), key().verifier()) {
            assert!(published(&head), "forged: {head:?}");
            assert!(proof.index == index && index < head.size, "{proof:?}");
            proved = true;
        }
    }
    proved
}

fn evidence(input: &[u8]) -> bool {
    let Some(Ok(evidence)) = text(input).map(Evidence::parse) else {
        return false;
    };
    assert_eq!(evidence.encode().as_bytes(), input, "another spelling");
    let Ok(head) = evidence.verify(key().verifier()) else {
        return false;
    };
    let index = evidence.proof.index;
    assert!(published(&head) && index < head.size, "forged: {head:?}");
    assert_eq!(evidence.entry, entry(index), "not in the log");
    true
}

/// Two numbers, then hashes.
fn numbers_and_hashes(input: &[u8]) -> Option<(u64, u64, Hash, Vec<Hash>)> {
    let (first, rest) = input.split_first_chunk()?;
    let (second, rest) = rest.split_first_chunk()?;
    let (head, rest) = rest.split_first_chunk()?;
    let (hashes, _) = rest.as_chunks();
    Some((
        u64::from_be_bytes(*first),
        u64::from_be_bytes(*second),
        Hash::from_bytes(*head),
        hashes.iter().copied().map(Hash::from_bytes).collect(),
    ))
}

fn inclusion(input: &[u8]) -> bool {
    let Some((index, size, claimed, proof)) = numbers_and_hashes(input) else {
        return false;
    };
    let whole = root(SIZE, &Log).unwrap();
    let verdict = verify_inclusion(&claimed, index, size, &proof, &whole);
    // A root says nothing of its size; the checkpoint around it does.
    let proved = verdict.is_ok() && size == SIZE;
    assert!(
        !proved || claimed == leaf(index),
        "entry {index} is another"
    );
    proved
}

fn consistency(input: &[u8]) -> bool {
    let Some((old, new, claimed, proof)) = numbers_and_hashes(input) else {
        return false;
    };
    let whole = root(SIZE, &Log).unwrap();
    let verdict = verify_consistency(old, &claimed, new, &whole, &proof);
    let proved = verdict.is_ok() && new == SIZE;
    assert!(
        !proved || claimed == root(old, &Log).unwrap(),
        "the log at {old} was another"
    );
    proved
}

fn width_and_bytes(input: &[u8]) -> Option<(u16, &[u8])> {
    let (width, bytes) = input.split_first_chunk()?;
    Some((u16::from_be_bytes(*width), bytes))
}

fn entry_bundle(input: &[u8]) -> bool {
    let Some((width, bytes)) = width_and_bytes(input) else {
        return false;
    };
    let Ok(bundle) = EntryBundle::parse(bytes, width) else {
        return false;
    };
    assert_eq!(bundle.len(), usize::from(width));
    let mut again = EntryBundle::new();
    bundle.iter().for_each(|entry| again.push(entry).unwrap());
    assert_eq!(again.as_bytes(), bytes, "another spelling");
    true
}

fn hash_tile(input: &[u8]) -> bool {
    let Some((width, bytes)) = width_and_bytes(input) else {
        return false;
    };
    let Ok(tile) = HashTile::parse(bytes, width) else {
        return false;
    };
    assert_eq!(tile.hashes().len(), usize::from(width));
    assert_eq!(tile.encode(), bytes, "another spelling");
    for height in 0..=9 {
        for offset in [0, 1, width / 2, width.wrapping_sub(1), u16::MAX] {
            let whole = usize::from(offset) + (1 << height) <= tile.hashes().len();
            let subtree = tile.subtree(offset, height);
            assert!(whole || subtree.is_none(), "{height} at {offset}");
        }
    }
    true
}

fn tile_path(input: &[u8]) -> bool {
    let Some(path) = text(input) else {
        return false;
    };
    let (tile, entries) = (TileId::parse(path), EntriesId::parse(path));
    assert!(
        tile.is_err() || entries.is_err(),
        "both a tile and a bundle"
    );
    if let Ok(tile) = &tile {
        assert_eq!(tile.path(), path, "another spelling");
    }
    if let Ok(entries) = &entries {
        assert_eq!(entries.path(), path, "another spelling");
    }
    // What reaches a file system leads nowhere else.
    assert!((tile.is_err() && entries.is_err()) || !path.contains(".."));
    tile.is_ok() || entries.is_ok()
}
