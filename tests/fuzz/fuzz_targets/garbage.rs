//! One of the targets of `tests/garbage`, named by `DOCKMASTER_FUZZ_TARGET`.
#![no_main]

#[path = "../../garbage/targets.rs"]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let name = std::env::var("DOCKMASTER_FUZZ_TARGET").unwrap_or_default();
    let target = targets::ALL.into_iter().find(|target| target.name == name);
    target.unwrap_or_else(|| panic!("DOCKMASTER_FUZZ_TARGET={name} names no target"))
});

fuzz_target!(|input: &[u8]| {
    (TARGET.run)(input);
});
