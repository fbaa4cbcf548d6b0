//! Names that no other test uses.

use std::sync::atomic::{AtomicU32, Ordering};

/// A name for something of this test: `dmt-PID-N-LABEL`. Whoever finds one left over can tell by
/// the process whether its test still runs.
#[must_use]
pub fn unique(label: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("dmt-{}-{number}-{label}", std::process::id())
}
