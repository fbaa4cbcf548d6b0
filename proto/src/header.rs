//! The headers of our own.

/// In the answer to a question for a catalog: the master's time, in milliseconds since 1970.
pub const TIME: &str = "dockmaster-time";

/// In a question for a catalog: the agent renews its certificate when it is told to, so the question
/// need not be held for longer than the certificate names the container's addresses. In the answer:
/// it does not name them (any more); renew it now. An agent that cannot renew for the moment leaves
/// it out.
pub const RENEW: &str = "dockmaster-renew";
