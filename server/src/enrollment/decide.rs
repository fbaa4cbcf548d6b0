//! The decision: a pure function of the claim, the view and the policy.

use std::net::{IpAddr, SocketAddr};

use dockmaster_certs::issue::Validity;
use dockmaster_proto::{
    event::{Evidence, EvidenceKind, RequestHeld},
    id::{Digest, Serial, TrustDomain},
    problem::ProblemCode,
    time::UnixMs,
};

use super::{
    Applicant, Claimed, Grant, Refusal, SocketVerdict,
    grant::Decision,
    held,
    judge::{Judge, addresses},
};
use crate::{
    policy::{Rules, Verdict},
    state::{
        NodeRecord, State,
        requests::{KEPT_MS, request_id},
    },
};

/// What may be issued.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The trust domain of every certificate.
    pub trust_domain: TrustDomain,
    /// What is issued, held or denied.
    pub rules: Rules,
}

/// What the decision rests on beside the request.
pub(super) struct Given<'a> {
    /// The view.
    pub state: &'a State,
    /// The policy.
    pub policy: &'a Policy,
    /// Whether the authority may certify an address.
    pub permits: &'a dyn Fn(IpAddr) -> bool,
    /// The time.
    pub now: UnixMs,
}

/// Decides upon the request of an applicant for a certificate of `key` (SHA-256 of its
/// SubjectPublicKeyInfo).
pub(super) fn decide(
    applicant: &Applicant,
    claimed: &Claimed,
    key: &Digest,
    given: &Given<'_>,
) -> Result<Decision, Refusal> {
    let Given {
        state,
        policy,
        permits,
        now,
    } = *given;
    let (source, container) = (applicant.source(), claimed.container);
    let Some(node) = state.node(&container) else {
        return Err(Refusal::lease_closed(source, container));
    };
    // A host's word counts for its own containers only, whatever it answers.
    if node.host != claimed.host {
        return Err(Refusal::of_another_host(source, container, &claimed.host));
    }
    let holds = node.addresses.iter().any(|held| held.address.ip == source);
    let is_shared = node.shares_its_address();
    let may_be = state.may_come_from(&node.host, &applicant.origin());
    if state.is_suspended(&container) || !may_be || !(holds || is_shared) {
        return Err(Refusal::lease_closed(source, container));
    }
    if let Some(ban) = state.ban(&container) {
        return Err(Refusal::banned(ban));
    }
    if let Some(other) = applicant.renewing.filter(|other| *other != container) {
        return Err(Refusal {
            code: ProblemCode::CertificateRevoked,
            detail: format!(
                "{source} belongs to container {}, and the certificate shown is that of container {}",
                container.short(),
                other.short()
            ),
            hint: "a container must enroll for a certificate of its own".into(),
            container: Some(container),
            rule: String::new(),
        });
    }
    check_socket(applicant, claimed, is_shared)?;
    if !is_shared && !permits(source) {
        return Err(Refusal {
            code: ProblemCode::AddressNotPermitted,
            detail: format!("{source} of container {} lies outside the ranges that this master's authority may certify", container.short()),
            hint: "the ranges are chosen by --permit at \"dockmaster init\"; \"openssl x509 -text -in DIR/ca/intermediate.pem\" shows them".into(),
            container: Some(container),
            rule: String::new(),
        });
    }
    let evidence = evidence(node, claimed, applicant, key, given);
    let kinds: Vec<EvidenceKind> = evidence.iter().map(Evidence::kind).collect();
    let judge = Judge::new(&policy.rules, node, &kinds);
    // The network of the address that asks decides; an IP that two networks of a container hold is
    // judged by the first of them that does not issue.
    let asking = node
        .addresses
        .iter()
        .filter(|held| held.address.ip == source);
    let judged: Vec<_> = if is_shared {
        vec![judge.of(None)]
    } else {
        asking.map(|held| judge.of(Some(held))).collect()
    };
    let refusing = judged
        .iter()
        .find(|judged| !matches!(judged.verdict, Verdict::Issue { .. }));
    let Some(judgement) = refusing.or(judged.first()) else {
        return Err(Refusal::lease_closed(source, container));
    };
    let lifetime = match judgement.verdict {
        Verdict::Issue { lifetime } => lifetime,
        Verdict::Deny { reason } => {
            return Err(Refusal::denied_by_policy(container, judgement.rule, reason));
        }
        Verdict::Hold { reason, .. } => {
            let held = RequestHeld {
                request: request_id(&container, node.facts.started_at_ms, key),
                container,
                name: node.facts.name.clone(),
                image: node.facts.image.clone(),
                image_digest: node.facts.image_digest.clone(),
                host: node.host.clone(),
                started_at_ms: node.facts.started_at_ms,
                source,
                addresses: node.addresses.clone(),
                spki_sha256: *key,
                evidence,
                rule: judgement.rule.to_owned(),
                policy_sha256: policy.rules.sha256(),
                reason: reason.to_owned(),
                expires_at_ms: now.plus_ms(KEPT_MS),
            };
            return held::decide(held, state, now);
        }
    };
    let (addresses, lifetime) = addresses(node, &judge, permits, lifetime);
    let superseded = node
        .certificates
        .iter()
        .filter(|certificate| certificate.addresses != addresses)
        .map(|certificate| certificate.serial)
        .collect();
    Ok(Decision::Grant(Grant {
        container,
        host: node.host.clone(),
        addresses,
        started_at_ms: node.facts.started_at_ms,
        image_digest: node.facts.image_digest.clone(),
        validity: Validity::of_container(now, node.facts.started_at_ms, lifetime.as_ms()),
        evidence,
        rule: judgement.rule.to_owned(),
        policy_sha256: policy.rules.sha256(),
        prev: node.last_certificate,
        held: node.addresses.clone(),
        superseded,
    }))
}

/// When the holder should ask for the next certificate: at half its life, a tenth earlier or later
/// by the serial's own random bits, so that containers started together do not renew together.
pub(super) fn renew_at(issued_at: UnixMs, not_after: UnixMs, serial: &Serial) -> UnixMs {
    // From the issuance and not from the beginning of the validity, which lies minutes before it.
    let life = not_after.since(issued_at);
    let jitter = life / 5 * u64::from(serial.as_bytes()[15]) / 255;
    UnixMs(issued_at.0 + life * 2 / 5 + jitter)
}

/// The host's word, what its kernel says of the connection, whatever else supports the claim, and an
/// operator's word where there is one: for this very key, or, at a renewal, that on which the
/// certificate shown rests.
fn evidence(
    node: &NodeRecord,
    claimed: &Claimed,
    applicant: &Applicant,
    key: &Digest,
    given: &Given<'_>,
) -> Vec<Evidence> {
    let host = Evidence::Host {
        host: node.host.clone(),
        facts_sha256: facts_digest(claimed),
        no_socket: claimed.socket.unavailable().unwrap_or_default().to_owned(),
    };
    let socket = match claimed.socket {
        SocketVerdict::Owned { pid } => Some(Evidence::Socket {
            host: node.host.clone(),
            source: canonical(applicant.connection.source),
            local: canonical(applicant.connection.local),
            pid,
        }),
        _ => None,
    };
    let requests = given.state.requests();
    let for_key = requests.approval(node.id(), node.facts.started_at_ms, key, given.now);
    let for_run = node
        .approved
        .as_ref()
        .filter(|_| applicant.renewing.is_some());
    let for_run = for_run.map(|approved| Evidence::Operator {
        operator: approved.operator.clone(),
        request: approved.request,
    });
    std::iter::once(host)
        .chain(socket)
        .chain(claimed.further.iter().cloned())
        .chain(for_key.or(for_run))
        .collect()
}

fn canonical(at: SocketAddr) -> SocketAddr {
    SocketAddr::new(at.ip().to_canonical(), at.port())
}

/// Why what is known of the connection's socket forbids an issuance, where it does.
fn check_socket(applicant: &Applicant, claimed: &Claimed, is_shared: bool) -> Result<(), Refusal> {
    let (source, container) = (applicant.source(), claimed.container);
    match &claimed.socket {
        SocketVerdict::Owned { .. } => Ok(()),
        SocketVerdict::NotThere => Err(Refusal::elsewhere(source, container)),
        SocketVerdict::Foreign => Err(Refusal::foreign(source, container)),
        SocketVerdict::Unavailable { why, .. } if is_shared => {
            Err(Refusal::shared_without_socket(source, container, why))
        }
        // A renewal shows the key of the container's own certificate, which the others do not have.
        SocketVerdict::Unavailable { why, sharing }
            if !sharing.is_empty() && applicant.renewing != Some(container) =>
        {
            Err(Refusal::shared_address(source, container, sharing, why))
        }
        SocketVerdict::Unavailable { .. } => Ok(()),
    }
}

#[expect(
    clippy::expect_used,
    reason = "facts are strings, numbers, lists and a map with string keys"
)]
fn facts_digest(claimed: &Claimed) -> Digest {
    Digest::of(&serde_json::to_vec(&claimed.facts).expect("facts serialise"))
}

#[cfg(test)]
mod tests;
