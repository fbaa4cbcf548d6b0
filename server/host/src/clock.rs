//! The one place of this crate that reads the clock.

use std::time::{Duration, SystemTime};

/// Time since 1970, by this machine's clock: the engine's clock too, since its socket is local.
#[expect(
    clippy::disallowed_methods,
    reason = "where to resume the engine's events is a question about the clock"
)]
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
