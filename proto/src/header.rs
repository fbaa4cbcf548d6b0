//! The headers of our own.

/// Milliseconds since 1970: in a question for a catalog the agent's, in the answer the master's.
pub const TIME: &str = "dockmaster-time";

/// In a question for a catalog: the agent renews its certificate when it is told to, so the question
/// need not be held for longer than the certificate names the container's addresses. In the answer:
/// it does not name them (any more); renew it now. An agent that cannot renew for the moment leaves
/// it out.
pub const RENEW: &str = "dockmaster-renew";

/// The pin of a trust bundle: in a question for a catalog of the one that the agent trusts, in the
/// answer of the one in force.
pub const BUNDLE: &str = "dockmaster-bundle";

/// In the answer to a question for a catalog: the seconds within which to renew the certificate, at a
/// random moment.
pub const RENEW_WITHIN: &str = "dockmaster-renew-within";

/// In the answer to a question for a catalog: a number. When it is another one than before, it is
/// time to fetch the revocation lists.
pub const CRL: &str = "dockmaster-crl";
