//! What the policy says of the addresses of one node.

use std::net::IpAddr;

use dockmaster_proto::{
    event::{EvidenceKind, HeldAddress},
    node::NodeView,
};

use crate::{
    lifetime::Lifetime,
    policy::{self, Claim, Judgement, Rules, Verdict},
    state::NodeRecord,
};

/// The policy, held against one node and what supports its claim.
pub(super) struct Judge<'a> {
    rules: &'a Rules,
    view: NodeView,
    evidence: &'a [EvidenceKind],
}

impl<'a> Judge<'a> {
    /// The policy for a node with evidence of these kinds.
    pub(super) fn new(rules: &'a Rules, node: &NodeRecord, evidence: &'a [EvidenceKind]) -> Self {
        Self {
            rules,
            view: node.view(),
            evidence,
        }
    }

    /// The verdict on an address; none is that of a container which holds no address of its own.
    pub(super) fn of(&self, held: Option<&HeldAddress>) -> Judgement<'a> {
        let claim = Claim {
            address: held.map(|held| &held.address),
            node: &self.view,
            evidence: self.evidence,
        };
        policy::decide(self.rules, &claim)
    }
}

/// The addresses that a certificate of a node names, and how long it lasts: as long as the rule of the
/// shortest allows, and not longer than `lifetime`.
///
/// An address outside the permitted ranges would make the whole certificate invalid, and one that the
/// policy would not give by itself does not come along with another.
pub(super) fn addresses(
    node: &NodeRecord,
    judge: &Judge<'_>,
    permits: impl Fn(IpAddr) -> bool,
    mut lifetime: Lifetime,
) -> (Vec<HeldAddress>, Lifetime) {
    let mut addresses = Vec::new();
    let held = node.addresses.iter();
    for held in held.filter(|held| permits(held.address.ip)) {
        if let Verdict::Issue { lifetime: given } = judge.of(Some(held)).verdict {
            lifetime = lifetime.min(given);
            addresses.push(held.clone());
        }
    }
    (addresses, lifetime)
}
