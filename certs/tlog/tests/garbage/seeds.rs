//! Right inputs, made of the log.

use dockmaster_tlog::evidence::Evidence;
use dockmaster_tlog::hash::Hash;
use dockmaster_tlog::note::{Cosigner, KeyName, SignedNote};
use dockmaster_tlog::proof::TlogProof;
use dockmaster_tlog::tile::{EntriesId, EntryBundle, HashTile, TileId};
use dockmaster_tlog::tree::{consistency_proof, inclusion_proof, root};

use crate::log::{Log, SIZE, checkpoint, entry, key, leaf};

fn proof(index: u64, size: u64) -> TlogProof {
    TlogProof {
        index,
        hashes: inclusion_proof(index, size, &Log).unwrap(),
        checkpoint: checkpoint(size).sign(&key()),
    }
}

/// With the cosignatures of two witnesses.
fn witnessed(size: u64) -> String {
    let mut note = SignedNote::parse(&checkpoint(size).sign(&key())).unwrap();
    for (name, seed) in [("example.net/one", 2), ("example.net/two", 3)] {
        let witness = Cosigner::from_seed(KeyName::new(name).unwrap(), &[seed; 32]);
        witness.cosign(&mut note, 1_700_000_000).unwrap();
    }
    note.to_string()
}

/// Behind its width, as the name of a tile or bundle says it.
fn wide(width: u64, bytes: &[u8]) -> Vec<u8> {
    [&(width as u16).to_be_bytes(), bytes].concat()
}

fn joined(numbers: [u64; 2], hashes: &[Hash]) -> Vec<u8> {
    let numbers = numbers.into_iter().flat_map(u64::to_be_bytes);
    let hashes = hashes.iter().flat_map(Hash::as_bytes).copied();
    numbers.chain(hashes).collect()
}

/// Right inputs for the target of this name.
pub(crate) fn seeds(target: &str) -> Vec<Vec<u8>> {
    let sizes = [1, 2, 7, 8, SIZE];
    match target {
        "note" | "checkpoint" => sizes
            .into_iter()
            .flat_map(|size| [checkpoint(size).sign(&key()), witnessed(size)])
            .map(String::into_bytes)
            .collect(),
        "verifier_key" => vec![key().verifier().to_string().into_bytes()],
        "tlog_proof" => sizes
            .into_iter()
            .map(|size| proof(size / 2, size).encode().into_bytes())
            .collect(),
        "evidence" => sizes
            .into_iter()
            .map(|size| (size / 2, proof(size / 2, size)))
            .map(|(index, proof)| Evidence {
                entry: entry(index),
                proof,
            })
            .map(|evidence| evidence.encode().into_bytes())
            .collect(),
        "inclusion" => (0..SIZE)
            .map(|index| {
                let mut hashes = vec![leaf(index)];
                hashes.extend(inclusion_proof(index, SIZE, &Log).unwrap());
                joined([index, SIZE], &hashes)
            })
            .collect(),
        "consistency" => (0..=SIZE)
            .map(|old| {
                let mut hashes = vec![root(old, &Log).unwrap()];
                hashes.extend(consistency_proof(old, SIZE, &Log).unwrap());
                joined([old, SIZE], &hashes)
            })
            .collect(),
        "entry_bundle" => sizes
            .into_iter()
            .map(|size| {
                let mut bundle = EntryBundle::new();
                (0..size).for_each(|index| bundle.push(&entry(index)).unwrap());
                wide(size, bundle.as_bytes())
            })
            .collect(),
        "hash_tile" => sizes
            .into_iter()
            .map(|size| TileId::in_tree(0, 0, size).unwrap())
            .map(|id| {
                wide(
                    id.width().into(),
                    &HashTile::collect(id, &Log).unwrap().encode(),
                )
            })
            .collect(),
        "tile_path" => [(0, 0, 256), (0, 273, 112), (1, 1_234_067, 256), (7, 0, 1)]
            .into_iter()
            .map(|(level, index, width)| TileId::new(level, index, width).unwrap().path())
            .chain([EntriesId::new(1067, 9).unwrap().path()])
            .map(String::into_bytes)
            .collect(),
        _ => Vec::new(),
    }
}
