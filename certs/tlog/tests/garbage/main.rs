//! Whatever bytes come in, nothing panics, nothing is read that would be written otherwise, and nothing
//! is believed that the log did not sign.
//!
//! [`targets`] says what has to hold for one input, [`seeds`] has inputs that are right, and what is
//! made of them stands in [`mutation`]. `fuzz/` runs the same targets under cargo-fuzz.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod log;
mod mutation;
mod seeds;
mod targets;

use std::collections::HashMap;
use std::sync::LazyLock;

use proptest::prelude::*;

use crate::mutation::{Mutation, mutations};
use crate::seeds::seeds;
use crate::targets::{ALL, Target};

/// Right inputs of each target: signing them anew for each case would take most of the time.
static SEEDS: LazyLock<HashMap<&str, Vec<Vec<u8>>>> = LazyLock::new(|| {
    let named = |target: &Target| (target.name, seeds(target.name));
    ALL.iter().map(named).collect()
});

/// A right input is held to be right, or what is made of it would test nothing.
#[test]
fn every_target_takes_each_of_its_seeds() {
    for target in &ALL {
        let seeds = &SEEDS[target.name];
        assert!(!seeds.is_empty(), "{} has no seed", target.name);
        for seed in seeds {
            assert!((target.run)(seed), "{} refuses {seed:?}", target.name);
        }
    }
}

/// Applies mutations one after the other, and runs the target on each.
fn run(target: &Target, seed: Vec<u8>, other: &[u8], mutations: &[Mutation]) {
    let mut input = seed;
    for mutation in mutations {
        mutation.apply(&mut input, other);
        (target.run)(&input);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn right_input_with_something_changed_is_refused_or_still_right(
        target in prop::sample::select(&ALL[..]),
        seed: prop::sample::Index,
        other: prop::sample::Index,
        mutations in mutations(),
    ) {
        let seeds = &SEEDS[target.name];
        let other: &Vec<u8> = other.get(seeds);
        run(&target, seed.get(seeds).clone(), other, &mutations);
    }

    #[test]
    fn input_for_another_target_is_refused_or_right(
        target in prop::sample::select(&ALL[..]),
        other in prop::sample::select(&ALL[..]),
        seed: prop::sample::Index,
        mutations in mutations(),
    ) {
        let seed = seed.get(&SEEDS[other.name]);
        (target.run)(seed);
        run(&target, seed.clone(), seed, &mutations);
    }

    #[test]
    fn any_bytes_at_all_are_refused_or_right(
        target in prop::sample::select(&ALL[..]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        (target.run)(&bytes);
    }

    #[test]
    fn any_text_at_all_is_refused_or_right(
        target in prop::sample::select(&ALL[..]),
        text in "(\\PC|\n){0,80}|[0-9a-z./+=\n\u{2014} ]{0,80}",
    ) {
        (target.run)(text.as_bytes());
    }
}
