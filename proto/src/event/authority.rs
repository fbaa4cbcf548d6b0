//! How the authorities of an installation change. Certificates are named by the SHA-256 of their DER.

use serde::{Deserialize, Serialize};

use crate::id::Digest;

/// The intermediates were made anew under the same root; what they signed before goes on to count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaRenewed {
    /// The authority for containers.
    pub containers: Digest,
    /// The authority for masters and operators.
    pub infra: Digest,
}

/// A new root is trusted beside the old one; nothing is signed under it yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaRotationStarted {
    /// The new root.
    pub root: Digest,
    /// The authority for containers under it.
    pub containers: Digest,
    /// The authority for masters and operators under it.
    pub infra: Digest,
    /// The old authority for masters and operators, signed by the new root as well.
    pub cross: Digest,
    /// The trust bundle from now on: the old root and the new one.
    pub bundle_sha256: Digest,
    /// The trust bundle at the end: the new root.
    pub next_bundle_sha256: Digest,
}

/// Containers and operators get their certificates under the new root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaSwitched {
    /// Live nodes that had confirmed the bundle with both roots.
    pub acknowledged: u64,
    /// Live nodes at that time.
    pub nodes: u64,
}

/// Containers and operators get their certificates under the old root again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaSwitchedBack {}

/// The old root is trusted no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaRotationFinished {
    /// The trust bundle from now on.
    pub bundle_sha256: Digest,
    /// Live nodes and operators whose certificates do not count any more.
    pub left_behind: u64,
}

/// The new root is trusted no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaRolledBack {
    /// The trust bundle from now on: as it was before.
    pub bundle_sha256: Digest,
    /// Live nodes and operators whose certificates do not count any more.
    pub left_behind: u64,
}
