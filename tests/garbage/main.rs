//! Whatever bytes come in, from a peer, an engine or a file, nothing panics and nothing is believed that
//! nobody said.
//!
//! [`targets`] says what has to hold for one input, [`seeds`] has inputs that are right; what is made of
//! them stands in [`json`], and in the same tests of the log's formats. `tests/fuzz` runs the same targets
//! under cargo-fuzz.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod json;
#[path = "../../certs/tlog/tests/garbage/mutation.rs"]
mod mutation;
mod seeds;
mod targets;

use std::{collections::HashMap, sync::LazyLock};

use proptest::prelude::*;

use crate::{
    json::replacements,
    mutation::mutations,
    seeds::seeds,
    targets::{ALL, Target},
};

/// Right inputs of each target.
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
            let shown = String::from_utf8_lossy(seed);
            assert!((target.run)(seed), "{} refuses {shown}", target.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_500))]

    #[test]
    fn right_input_with_bytes_changed_is_refused_or_still_right(
        target in prop::sample::select(&ALL[..]),
        seed: prop::sample::Index,
        other: prop::sample::Index,
        mutations in mutations(),
    ) {
        let seeds = &SEEDS[target.name];
        let mut input = seed.get(seeds).clone();
        for mutation in mutations {
            let other: &Vec<u8> = other.get(seeds);
            mutation.apply(&mut input, other);
            (target.run)(&input);
        }
    }

    #[test]
    fn right_input_with_values_changed_is_refused_or_still_right(
        target in prop::sample::select(&ALL[1..]),
        seed: prop::sample::Index,
        replacements in replacements(),
    ) {
        let mut input = seed.get(&SEEDS[target.name]).clone();
        for replacement in replacements {
            replacement.apply(&mut input);
            (target.run)(&input);
        }
    }

    #[test]
    fn input_for_another_target_is_refused_or_right(
        target in prop::sample::select(&ALL[..]),
        other in prop::sample::select(&ALL[..]),
        seed: prop::sample::Index,
    ) {
        let seed: &Vec<u8> = seed.get(&SEEDS[other.name]);
        (target.run)(seed);
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
        text in "(\\PC|\n){0,80}|[\\[\\]{}\":, \n0-9a-z-]{0,80}",
    ) {
        (target.run)(text.as_bytes());
    }
}
