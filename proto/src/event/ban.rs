//! Who gets no certificate whatever its host says.

use serde::{Deserialize, Serialize};

use crate::id::ContainerId;

/// A container gets no certificate any more, until [`NodeUnbanned`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeBanned {
    /// The container. It stays banned when it is started again.
    pub container: ContainerId,
    /// Why, in the operator's words.
    pub reason: String,
}

/// A banned container may enroll again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeUnbanned {
    /// The container.
    pub container: ContainerId,
}
