//! Why a call has no answer.

use std::{io, net::SocketAddr, time::Duration};

use dockmaster_proto::{id::TrustPin, problem::Problem};

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing accepts connections there.
    #[error(
        "cannot connect to the master at {master}: {source}; is \"dockmaster serve\" running there, and does a firewall let this address through?"
    )]
    Connect {
        /// The master's address.
        master: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The TLS handshake failed.
    #[error("no TLS connection to the master at {master}: {why}")]
    Tls {
        /// The master's address.
        master: SocketAddr,
        /// Why.
        why: String,
    },
    /// The master's certificate does not lead to the trust bundle.
    #[error("what answers at {master} is not a master of this installation: {why}")]
    NotTheMaster {
        /// The master's address.
        master: SocketAddr,
        /// Why.
        why: String,
    },
    /// The trust bundle is not the pinned one.
    #[error(
        "the trust bundle of the master at {master} has the digest {got}, and {pinned} is pinned; either the pin is of another installation or someone is in between"
    )]
    WrongPin {
        /// The master's address.
        master: SocketAddr,
        /// What is pinned.
        pinned: TrustPin,
        /// What came.
        got: TrustPin,
    },
    /// The certificate, key or bundle that the caller has cannot be used.
    #[error("{what} cannot be used: {why}")]
    Credentials {
        /// Which.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// It took too long.
    #[error("the master at {master} did not answer within {} s", .after.as_secs())]
    Timeout {
        /// The master's address.
        master: SocketAddr,
        /// How long it was waited for.
        after: Duration,
    },
    /// The connection broke.
    #[error("the connection to the master at {master} broke: {why}")]
    Broken {
        /// The master's address.
        master: SocketAddr,
        /// Why.
        why: String,
    },
    /// The answer is not what the route gives.
    #[error(
        "the master at {master} gave an answer that cannot be read: {why}; is it of another version?"
    )]
    BadAnswer {
        /// The master's address.
        master: SocketAddr,
        /// Why.
        why: String,
    },
    /// The master refused, and says why.
    #[error(transparent)]
    Problem(#[from] Problem),
}

impl ClientError {
    /// Whether the master could not be reached at all: trying again later may help.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. } | Self::Timeout { .. } | Self::Broken { .. }
        )
    }
}
