//! What a thief of the log's key can do, and what gives him away.

use std::{collections::HashMap, convert::Infallible, fs, path::Path};

use dockmaster_tests::require_all;
use dockmaster_tlog::{
    checkpoint::Checkpoint,
    hash::{Hash, leaf_hash},
    note::SigningKey,
    tile::{EntriesId, EntryBundle, HashTile, entries_between, tiles_between},
    tree::{HashSource, RightEdge},
};

use crate::stage::Stage;

/// All hashes of a log that is made up.
#[derive(Default)]
struct Tree {
    edge: RightEdge,
    nodes: HashMap<(u8, u64), Hash>,
}

impl HashSource for Tree {
    type Error = Infallible;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(self.nodes[&(level, index)])
    }
}

/// Publishes these entries as a log in which everything fits.
fn publish(entries: &[Vec<u8>], key: &SigningKey, folder: &Path) {
    let mut tree = Tree::default();
    for entry in entries {
        let nodes = &mut tree.nodes;
        tree.edge.push_with(leaf_hash(entry), |level, index, hash| {
            nodes.insert((level, index), hash);
        });
    }
    let write = |path: &str, bytes: &[u8]| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let size = entries.len() as u64;
    for tile in tiles_between(0, size) {
        let Ok(hashes) = HashTile::collect(tile, &tree);
        write(&tile.path(), &hashes.encode());
    }
    for id in entries_between(0, size) {
        let mut bundle = EntryBundle::new();
        for index in id.entry_indexes() {
            bundle.push(&entries[index as usize]).unwrap();
        }
        write(&id.path(), bundle.as_bytes());
    }
    let head = Checkpoint {
        origin: key.name().clone(),
        size,
        root: tree.edge.root(),
    };
    write("checkpoint", head.sign(key).as_bytes());
}

/// The entries of a published log.
fn entries(public: &Path, size: u64) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    for id in entries_between(0, size) {
        let bytes = fs::read(public.join(id.path())).unwrap();
        let bundle = EntryBundle::parse(&bytes, EntriesId::width(&id)).unwrap();
        entries.extend(bundle.iter().map(<[u8]>::to_vec));
    }
    entries
}

fn stolen_key(stage: &Stage) -> SigningKey {
    let seed = fs::read_to_string(stage.master.data().join("ledger/log.key")).unwrap();
    let seed = seed.trim().as_bytes().chunks(2).map(|digits| {
        let digits = std::str::from_utf8(digits).unwrap();
        u8::from_str_radix(digits, 16).unwrap()
    });
    let seed: Vec<u8> = seed.collect();
    let name = stage.log_key.name().clone();
    SigningKey::from_seed(name, &seed.try_into().unwrap())
}

#[test]
fn a_past_that_was_rewritten_with_the_logs_own_key_fits_no_kept_checkpoint() {
    if !require_all(&["go"]) {
        return;
    }
    let stage = Stage::new(6_000);
    let before = stage.keep();
    let untouched = stage.head().size as usize;
    stage.arrive();
    let (kept, size) = (stage.keep(), stage.head().size);
    let verifier = stage.verifier();
    let (key, true_log) = (stolen_key(&stage), entries(&stage.public(), size));
    let forge = |entries: &[Vec<u8>]| {
        let forged = tempfile::tempdir().unwrap();
        publish(entries, &key, forged.path());
        forged
    };

    // What is forged here is as whole as the truth: the same entries give the same files.
    let copied = forge(&true_log);
    let _ = verifier.extension(copied.path(), &kept).ok();

    let mut changed = true_log.clone();
    changed[untouched][5] ^= 1;
    let mut removed = true_log.clone();
    removed.remove(untouched);
    let mut longer = changed.clone();
    longer.extend((0..300).map(|n| format!("{{\"made up\":{n}}}").into_bytes()));
    for (what, forgery) in [
        ("changed", changed),
        ("removed", removed),
        ("longer", longer),
    ] {
        let forged = forge(&forgery);
        // Whoever has seen nothing of the log cannot know, nor who left before the forgery begins.
        let _ = verifier.folder(forged.path()).ok();
        let _ = verifier.extension(forged.path(), &before).ok();
        let caught = verifier.extension(forged.path(), &kept);
        assert!(
            caught.fails(1).contains("no extension"),
            "{what}: {caught:?}"
        );
    }
}
