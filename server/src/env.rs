//! The one place of the master that reads a clock or draws randomness.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use dockmaster_proto::time::UnixMs;
use ring::rand::{SecureRandom as _, SystemRandom};

/// The time now.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn now() -> UnixMs {
    // A clock before 1970 is no clock; 0 makes every certificate's validity plainly wrong instead of panicking.
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMs(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// Milliseconds since 1970, for parts that take a plain function.
#[must_use]
pub fn now_ms() -> u64 {
    now().0
}

/// The operating system gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error(
    "the operating system gives no random bytes; is getrandom(2) forbidden by a seccomp profile?"
)]
pub struct NoRandomness;

/// Random bytes.
///
/// # Errors
/// When the operating system refuses.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A new request ID: 96 random bits in hex.
#[must_use]
pub fn request_id() -> String {
    // An ID only has to be distinct; without randomness the time serves.
    match random::<12>() {
        Ok(bytes) => bytes
            .iter()
            .fold(String::with_capacity(24), |mut text, byte| {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            }),
        Err(NoRandomness) => format!("t{:x}", now().0),
    }
}
