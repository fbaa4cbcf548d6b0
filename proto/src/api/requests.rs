//! Requests for a certificate that wait for an operator.

use serde::{Deserialize, Serialize};

use crate::{event::RequestHeld, id::Name, time::UnixMs};

/// A request that a policy holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRequest {
    /// What it was when it was held.
    #[serde(flatten)]
    pub held: RequestHeld,
    /// Since when.
    pub held_at_ms: UnixMs,
    /// The index of the entry that says so.
    pub index: u64,
    /// What an operator said; none while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

/// What an operator said of a held request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// It may have one certificate, which it has not fetched yet.
    Approved {
        /// Who said so.
        operator: Name,
        /// When.
        at_ms: UnixMs,
    },
    /// It gets none.
    Denied {
        /// Who said so.
        operator: Name,
        /// When.
        at_ms: UnixMs,
        /// Why; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
}

/// The answer of `GET /v1/requests`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestList {
    /// Those that wait and those that were decided and not used or forgotten yet, oldest first.
    pub requests: Vec<HeldRequest>,
}

/// The body of `POST /v1/requests/{id}/deny`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denial {
    /// Why, for the container's log and the ledger; at most [`MAX_REASON`] bytes, one line.
    #[serde(default)]
    pub reason: String,
}

/// The longest reason of a denial, in bytes.
pub const MAX_REASON: usize = 300;
