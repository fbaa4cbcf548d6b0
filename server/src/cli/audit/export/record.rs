//! What every form of a record is made of.

use dockmaster_tlog::hash::Hash;

/// An entry on its way out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    /// Its index in the log.
    pub(super) index: u64,
    /// Its leaf hash (RFC 6962 section 2.1).
    pub(super) leaf: &'a Hash,
    /// The raw line of JSON.
    pub(super) entry: &'a [u8],
}

/// How grave an entry is to whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gravity {
    /// Daily business.
    Info,
    /// Someone changed something, or something ended before its time.
    Notice,
    /// Someone was refused, or something cannot be watched.
    Warning,
}

impl Gravity {
    pub(super) fn of(event: &str) -> Self {
        match event {
            "cert_denied" | "host_lost" | "backup_taken" | "restored" => Self::Warning,
            "cert_revoked"
            | "ca_created"
            | "operator_granted"
            | "classification_changed"
            | "site_deployed"
            | "labels_changed"
            | "token_created"
            | "token_used"
            | "token_revoked"
            | "master_started" => Self::Notice,
            _ => Self::Info,
        }
    }
}
