//! The one dialer: how an agent, a host watcher or an operator reaches a master.
//!
//! Addresses only, no DNS. TLS 1.3 with the trust bundle and nothing else; [`Bootstrap`] is for a
//! caller that has only the bundle's digest yet. Calls take their paths from
//! [`dockmaster_proto::route`]; problems come back as [`ClientError::Problem`].
#![forbid(unsafe_code)]

mod bootstrap;
mod connection;
#[cfg(feature = "context")]
mod context;
mod dialer;
mod error;
mod provider;
mod tls;

pub use bootstrap::Bootstrap;
pub use connection::{Call, Connection, Reply};
#[cfg(feature = "context")]
pub use context::{Context, ContextError};
pub use dialer::{Dialer, Identity};
pub use error::ClientError;

/// The time now: a certificate's validity is checked against it.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "dialling is I/O, and this is where it reads the clock"
)]
pub fn now() -> dockmaster_proto::time::UnixMs {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock before 1970 makes every certificate "not yet valid", which is then what the error says.
    dockmaster_proto::time::UnixMs(since_epoch.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }))
}
