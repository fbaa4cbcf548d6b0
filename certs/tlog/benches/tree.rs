//! The tree of the log: what a commit and a proof cost.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panic")]

use std::{collections::HashMap, convert::Infallible, hint::black_box};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dockmaster_tlog::{
    hash::{Hash, leaf_hash},
    tree::{HashSource, RightEdge, inclusion_proof, verify_inclusion},
};

/// About the size of the entry of an issuance.
const ENTRY: [u8; 1024] = [b'e'; 1024];
/// The most entries of one commit.
const BATCH: u64 = 256;
const SIZE: u64 = 100_000;

/// Every hash of a tree.
struct Memory(HashMap<(u8, u64), Hash>);

impl HashSource for Memory {
    type Error = Infallible;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(self.0[&(level, index)])
    }
}

fn leaf(index: u64) -> Hash {
    leaf_hash(&index.to_be_bytes())
}

fn tree(criterion: &mut Criterion) {
    let mut hashes = HashMap::new();
    let mut edge = RightEdge::new();
    for index in 0..SIZE {
        edge.push_with(leaf(index), |level, index, hash| {
            hashes.insert((level, index), hash);
        });
    }
    let memory = Memory(hashes);
    let root = edge.root();
    let index = SIZE / 3;
    let proof = inclusion_proof(index, SIZE, &memory).unwrap();

    criterion.bench_function("a leaf of 1 KiB hashed", |bench| {
        bench.iter(|| leaf_hash(black_box(&ENTRY)));
    });
    criterion.bench_function("256 leaves added and the root taken", |bench| {
        bench.iter_batched(
            || edge.clone(),
            |mut edge| {
                (0..BATCH).for_each(|index| edge.push(leaf(index)));
                edge.root()
            },
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("an inclusion proof of 100 000 leaves made", |bench| {
        bench.iter(|| inclusion_proof(black_box(index), SIZE, &memory).unwrap());
    });
    criterion.bench_function("an inclusion proof of 100 000 leaves verified", |bench| {
        let leaf = leaf(index);
        bench.iter(|| verify_inclusion(&leaf, index, SIZE, black_box(&proof), &root).unwrap());
    });
}

criterion_group!(benches, tree);
criterion_main!(benches);
