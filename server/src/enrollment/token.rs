//! Machines that no container engine vouches for: what a join token gives them, and how they renew.
//! Pure.

use std::net::IpAddr;

use dockmaster_certs::issue::Validity;
use dockmaster_proto::{
    address::Address,
    api::tokens::{Redemption, TokenState},
    event::{Event, Evidence, EvidenceKind, HeldAddress, LeaseCause, LeaseOpened, NodeObserved},
    id::{ContainerId, Digest},
    problem::{Problem, ProblemCode},
    time::UnixMs,
};
use subtle::ConstantTimeEq as _;

mod returning;

use super::{Applicant, Grant, Refusal, decide::Given};
use crate::{
    leases,
    origin::Origin,
    policy::{self, Claim, Verdict},
    quota::Allowance,
    state::{NodeRecord, State, TokenRecord, machine_facts, token_host},
};

pub(super) use returning::{come_back, foresee};

/// Requests with a token from one address. Nobody guesses 256 random bits; this keeps whoever tries
/// from keeping the master busy.
pub(super) const ATTEMPTS: Allowance = Allowance {
    burst: 20,
    refill_ms: 3_000,
};

/// A certificate that may be issued, and what has to happen before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Admission {
    /// The lease that opens, and those that end for it.
    pub(super) before: Vec<Event>,
    /// The certificate.
    pub(super) grant: Grant,
}

impl From<Grant> for Admission {
    /// Nothing has to happen before: its lease is open.
    fn from(grant: Grant) -> Self {
        Self {
            before: Vec::new(),
            grant,
        }
    }
}

/// Why a token lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// The applicant has not shown a good token. It is told that and no more: what it may try next is
    /// not for it to learn. The log has the fact.
    Untold(Refusal),
    /// The token is good, and the applicant may know what stands against it.
    Told(Refusal),
}

/// What an applicant without a good token is told, whatever the reason.
pub(super) fn untold() -> Problem {
    Problem::new(
        ProblemCode::TokenRefused,
        "the join token is not accepted",
        "ask an operator for a new one (\"dockmaster token create\"); the master's log says why (\"dockmaster audit list --event cert_denied\")",
    )
}

/// Decides upon a request with a token for a certificate of `key` (SHA-256 of its
/// SubjectPublicKeyInfo).
pub(super) fn redeem(
    applicant: &Applicant,
    redemption: &Redemption,
    key: &Digest,
    given: &Given<'_>,
) -> Result<Admission, Refused> {
    let Given {
        state,
        permits,
        now,
        ..
    } = *given;
    let token = good_token(redemption, key, state, now).map_err(Refused::Untold)?;
    let (source, id) = (applicant.source(), redemption.machine.node());
    if !permits(source) {
        return Err(Refused::Told(not_permitted(source)));
    }
    if let Some(holder) = vouched_for(source, state) {
        return Err(Refused::Told(taken(source, holder)));
    }
    let known = state.node(&id);
    if known.is_some_and(|node| !node.is_by_token()) {
        return Err(Refused::Told(taken(source, id)));
    }
    let address = Address::new(token.network.clone(), source);
    // The answer was lost, and the same machine asks again: all is as it was.
    let same = known.filter(|node| {
        node.joined
            .as_ref()
            .is_some_and(|joined| joined.key == *key)
            && node.holds(&address)
    });
    let mut before = Vec::new();
    if let Some(known) = known.filter(|_| same.is_none()) {
        before.extend(leases::end(known, state, LeaseCause::Superseded));
    }
    // Who comes with a good token from an address has it now; who had it by an older one is gone. And a
    // key that comes as another machine is the old one no more: one use lets in one machine.
    let burnt = token.burn(key).and_then(|burn| state.node(&burn.node));
    let mut others: Vec<&NodeRecord> = by_token(source, state).chain(burnt).collect();
    others.retain(|other| *other.id() != id);
    others.sort_by_key(|other| *other.id());
    others.dedup_by_key(|other| *other.id());
    for other in others {
        before.extend(leases::end(other, state, LeaseCause::Superseded));
    }
    let started_at_ms = same.map_or(now, |node| node.facts.started_at_ms);
    let facts = machine_facts(id, &token.labels, (&token.network, source), started_at_ms);
    if same.is_none_or(|node| node.facts != facts) {
        before.push(Event::NodeObserved(NodeObserved {
            host: token_host(),
            facts: facts.clone(),
        }));
    }
    let held = same.and_then(|node| node.addresses.iter().find(|held| held.address == address));
    let held = held.cloned().unwrap_or_else(|| {
        let address = address.clone();
        let epoch = state.next_epoch(&address);
        before.push(Event::LeaseOpened(LeaseOpened {
            address: address.clone(),
            epoch,
            container: id,
            name: facts.name.clone(),
            image: facts.image.clone(),
            host: token_host(),
            cause: LeaseCause::Enrolled,
        }));
        HeldAddress { address, epoch }
    });
    let would_be = NodeRecord {
        // What operators said of a machine that ended is its again as soon as it is back.
        operator_labels: known
            .map(|node| &node.operator_labels)
            .or_else(|| state.dormant_labels(&id, &token_host()))
            .cloned()
            .unwrap_or_default(),
        addresses: vec![held],
        last_certificate: same.and_then(|node| node.last_certificate),
        ..NodeRecord::new(token_host(), facts)
    };
    let evidence = Evidence::Token {
        token: token.id,
        returned_with: None,
    };
    let grant = grant(&would_be, source, evidence, given).map_err(Refused::Told)?;
    Ok(Admission { before, grant })
}

/// Decides upon the renewal of a machine that a token let in: its certificate is what it shows.
pub(super) fn renew(
    applicant: &Applicant,
    node: &NodeRecord,
    given: &Given<'_>,
) -> Result<Grant, Refusal> {
    let (source, id) = (applicant.source(), *node.id());
    let holds = node.addresses.iter().any(|held| held.address.ip == source);
    let Some(joined) = node
        .joined
        .as_ref()
        .filter(|_| holds && !given.state.is_suspended(&id))
    else {
        return Err(Refusal::lease_closed(source, id));
    };
    if !(given.permits)(source) {
        return Err(not_permitted(source));
    }
    let evidence = Evidence::Token {
        token: joined.token,
        returned_with: None,
    };
    grant(node, source, evidence, given)
}

/// What is left to a machine that has lost its certificate: a request with the token that let it in
/// and a new key.
pub(super) fn again(
    applicant: &Applicant,
    node: &NodeRecord,
    key: &Digest,
    given: &Given<'_>,
) -> Result<Grant, Refusal> {
    let joined = node.joined.as_ref();
    let token = joined.and_then(|joined| given.state.tokens().get(&joined.token));
    let Some(token) = token else {
        return Err(bad(
            "the token that let the machine in ended more than an hour ago".to_owned(),
        ));
    };
    lets_in(token, key, given.now)?;
    renew(applicant, node, given)
}

/// The token of a request, when it is one and lets this key in.
fn good_token<'s>(
    redemption: &Redemption,
    key: &Digest,
    state: &'s State,
    now: UnixMs,
) -> Result<&'s TokenRecord, Refusal> {
    let id = redemption.token.id;
    let Some(token) = state.tokens().get(&id) else {
        return Err(bad(format!(
            "token {id} is not known, or ended more than an hour ago"
        )));
    };
    let digest = redemption.token.secret.digest();
    if !bool::from(
        digest
            .as_bytes()
            .ct_eq(token.secret_sha256.as_bytes().as_slice()),
    ) {
        return Err(bad(format!(
            "the secret that was shown is not that of token {id}"
        )));
    }
    // A machine says its ID itself, so the ban of one is the ban of its token.
    let mut burnt = token.burnt.iter();
    if let Some(burn) = burnt.find(|burn| state.ban(&burn.node).is_some()) {
        return Err(bad(format!(
            "token {id} let in machine {}, which is banned",
            burn.node.short()
        )));
    }
    lets_in(token, key, now)?;
    Ok(token)
}

/// How many times a key may come as another machine than before. One that is set up anew before it has
/// kept its first answer does so; each is remembered.
const MAX_MOVES: u32 = 8;

/// Whether a token lets a key in, once its secret was shown.
fn lets_in(token: &TokenRecord, key: &Digest, now: UnixMs) -> Result<(), Refusal> {
    let id = token.id;
    match (token.state(now), token.burn(key)) {
        (TokenState::Live | TokenState::UsedUp, Some(burn))
            if !burn.confirmed && burn.moves >= MAX_MOVES =>
        {
            Err(bad(format!(
                "token {id} gave this key certificates as {} machines, and none came back with its own",
                burn.moves + 1
            )))
        }
        (TokenState::Live | TokenState::UsedUp, Some(burn)) if !burn.confirmed => Ok(()),
        (TokenState::Live, None) => Ok(()),
        (TokenState::Live | TokenState::UsedUp, Some(_)) => Err(bad(format!(
            "token {id} gave this key a certificate already, and the machine came back with it"
        ))),
        (TokenState::UsedUp, None) => Err(bad(format!(
            "token {id} is used up: it lets {} in, and burned into other keys than this",
            machines(token.uses)
        ))),
        (TokenState::Expired, _) => Err(bad(format!("token {id} expired at {}", token.until_ms))),
        (TokenState::Revoked, _) => Err(bad(format!("token {id} was revoked"))),
        (TokenState::Restored, _) => Err(bad(format!(
            "token {id} is of before this master was restored from a backup"
        ))),
    }
}

fn machines(count: u32) -> String {
    if count == 1 {
        "one machine".to_owned()
    } else {
        format!("{count} machines")
    }
}

/// The machines that a token let in and that hold an IP.
fn by_token(ip: IpAddr, state: &State) -> impl Iterator<Item = &NodeRecord> {
    state
        .leases_of_ip(ip)
        .filter_map(|(_, lease)| state.node(&lease.container))
        .filter(|node| node.is_by_token())
}

/// The container that speaks straight to the master from an IP and that a host vouches for. Its word counts more than a token.
fn vouched_for(ip: IpAddr, state: &State) -> Option<ContainerId> {
    state
        .leases_from(&Origin::direct(ip))
        .map(|lease| lease.container)
        .find(|id| state.node(id).is_none_or(|node| !node.is_by_token()))
}

/// The certificate of a machine, if the policy gives it one for its address. A rule that would hold the
/// request does not: the operator's word is the token.
fn grant(
    node: &NodeRecord,
    source: IpAddr,
    evidence: Evidence,
    given: &Given<'_>,
) -> Result<Grant, Refusal> {
    let rules = &given.policy.rules;
    let id = *node.id();
    if let Some(ban) = given.state.ban(&id) {
        return Err(Refusal::banned(ban));
    }
    let view = node.view();
    let held = node.addresses.iter().find(|held| held.address.ip == source);
    let held = held.ok_or_else(|| Refusal::lease_closed(source, id))?;
    let claim = Claim {
        address: Some(&held.address),
        node: &view,
        evidence: &[EvidenceKind::Token],
    };
    let judgement = policy::decide(rules, &claim);
    let lifetime = match judgement.verdict {
        Verdict::Issue { lifetime } => lifetime,
        Verdict::Deny { reason } => {
            return Err(Refusal::denied_by_policy(id, judgement.rule, reason));
        }
        Verdict::Hold { .. } => {
            let reason = "what rests on a join token is not held for an operator: a rule with \"evidence: [token]\" has to say issue";
            return Err(Refusal::denied_by_policy(id, judgement.rule, reason));
        }
    };
    let started_at_ms = node.facts.started_at_ms;
    Ok(Grant {
        container: id,
        host: node.host.clone(),
        addresses: vec![held.clone()],
        started_at_ms,
        image_digest: String::new(),
        validity: Validity::of_container(given.now, started_at_ms, lifetime.as_ms()),
        evidence: vec![evidence],
        rule: judgement.rule.to_owned(),
        policy_sha256: rules.sha256(),
        prev: node.last_certificate,
        held: node.addresses.clone(),
        superseded: Vec::new(),
    })
}

fn bad(detail: String) -> Refusal {
    Refusal {
        code: ProblemCode::TokenRefused,
        detail,
        hint: String::new(),
        container: None,
        rule: String::new(),
    }
}

fn not_permitted(source: IpAddr) -> Refusal {
    Refusal {
        code: ProblemCode::AddressNotPermitted,
        detail: format!(
            "{source} lies outside the ranges that this master's authority may certify"
        ),
        hint: "the ranges are chosen by --permit at \"dockmaster init\"".into(),
        container: None,
        rule: String::new(),
    }
}

fn taken(source: IpAddr, holder: ContainerId) -> Refusal {
    Refusal {
        code: ProblemCode::TokenRefused,
        detail: format!(
            "{source} is the address of container {}, which its host vouches for, and a token cannot take it",
            holder.short()
        ),
        hint: "a watched container enrolls without a token: leave out DOCKMASTER_TOKEN_FILE; else the address is used twice".into(),
        container: Some(holder),
        rule: String::new(),
    }
}

pub(super) fn too_many(source: IpAddr, wait_ms: u64) -> Refusal {
    Refusal {
        code: ProblemCode::TooManyRequests,
        detail: format!("{source} asks with join tokens too often"),
        hint: format!("the next one is looked at in {} s", wait_ms.div_ceil(1000)),
        container: None,
        rule: String::new(),
    }
}

/// A refusal for want of a lease, where the address is that of a machine that a token let in.
pub(super) fn explained(refusal: Refusal, source: IpAddr, state: &State, now: UnixMs) -> Refusal {
    let machine = by_token(source, state).map(NodeRecord::id).next();
    match machine {
        None if refusal.code == ProblemCode::NoLease => {
            returning::explained(refusal, source, state, now)
        }
        Some(machine) if refusal.code == ProblemCode::NoLease => Refusal {
            detail: format!(
                "{source} is the address of machine {}, which a join token let in, and no host vouches for it",
                machine.short()
            ),
            hint: "it renews with its certificate, or comes back by the key of its newest one, which the agent keeps in its run dir; if that is lost, give the machine a new token (\"dockmaster token create\", DOCKMASTER_TOKEN_FILE)".into(),
            container: Some(*machine),
            ..refusal
        },
        _ => refusal,
    }
}

#[cfg(test)]
mod tests;
