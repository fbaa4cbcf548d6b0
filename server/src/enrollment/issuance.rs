//! A certificate that is signed becomes one that counts: into the log, and out with its proof.

use dockmaster_certs::issue::Issued;
use dockmaster_proto::{
    api::identity::IssuedCertificate,
    event::{CertIssued, CertRevoked, Event},
    id::{ContainerId, Serial},
    problem::{Problem, ProblemCode},
    revocation::RevocationReason,
};
use dockmaster_tlog::hash::Hash;

use super::{
    Applicant, Enrollment, Grant, Refusal, continuity::Seen, decide::renew_at, failure::Failure,
};
use crate::{
    authorities::Signing,
    env,
    journal::Cause,
    state::{Ban, NodeRecord, Standing, State},
};

impl Enrollment {
    /// Commits an issuance; gives the answer if the certificate counts by then.
    ///
    /// # Errors
    /// When it cannot be recorded, or something came in between.
    pub(super) async fn commit(
        &self,
        applicant: &Applicant,
        (mut events, grant): (Vec<Event>, Grant),
        (issued, signing): (Issued, &Signing),
        seen: Option<Seen<'_>>,
        cause: &Cause,
    ) -> Result<IssuedCertificate, Failure> {
        let container = grant.container;
        let record = grant.record(&issued);
        let event = if applicant.renewing.is_some() {
            Event::CertRenewed(record)
        } else {
            Event::CertIssued(record)
        };
        let at = events.len();
        events.push(event);
        // Whoever was told to renew for another set of addresses is to be known by that set alone.
        events.extend(grant.superseded.iter().map(|serial| {
            Event::CertRevoked(CertRevoked {
                serial: *serial,
                container: Some(container),
                reason: "the addresses changed".to_owned(),
                code: Some(RevocationReason::Superseded),
            })
        }));
        let receipt = self
            .journal
            .commit(cause, events, vec![issued.der.to_vec()])
            .await
            .map_err(Failure::Commit)?;
        let outcome = {
            let state = self.journal.state();
            outcome(&state, &grant, &issued.serial)
        };
        match outcome {
            Outcome::Counts => {}
            Outcome::Displaced => return Err(Refusal::displaced(container).into()),
            // It is in the log, so its end must be too.
            Outcome::Closed => {
                let reason = "the lease closed while it was being issued";
                let code = RevocationReason::CessationOfOperation;
                self.take_back(&issued, container, (reason, code), cause)
                    .await?;
                return Err(Refusal::lease_closed(applicant.source(), container).into());
            }
            Outcome::Banned(ban) => {
                let reason = "banned while it was being issued";
                let code = RevocationReason::PrivilegeWithdrawn;
                self.take_back(&issued, container, (reason, code), cause)
                    .await?;
                return Err(Refusal::banned(&ban).into());
            }
            Outcome::Revoked => {
                let reason =
                    "an operator revoked the machine's certificates while it was being issued";
                let code = RevocationReason::PrivilegeWithdrawn;
                self.take_back(&issued, container, (reason, code), cause)
                    .await?;
                return Err(Refusal::revoked_meanwhile(container).into());
            }
            // Nobody would ever tell the agent.
            Outcome::Outdated => {
                return Err(Failure::Ours(Problem::new(
                    ProblemCode::Unavailable,
                    "the container's addresses changed while the certificate was being issued",
                    "ask again, for one with the addresses of now",
                )));
            }
        }
        let Some((proof, committed)) = receipt.proof(at).zip(receipt.entries().get(at)) else {
            return Err(Failure::internal(&std::io::Error::other(
                "the receipt lacks the entry",
            )));
        };
        let consistency = match &seen {
            Some(seen) => {
                let ledger = self.journal.ledger();
                let proved = self.continuity.prove(ledger, container, seen, &receipt);
                proved.map_err(|error| Failure::unseen(container, &error))?
            }
            None => Vec::new(),
        };
        let entry = String::from_utf8_lossy(&committed.entry).into_owned();
        Ok(IssuedCertificate {
            chain: issued.pem + &signing.containers.certificate_pem(),
            bundle: signing.bundle.to_pem(),
            container_id: container,
            addresses: grant
                .addresses
                .into_iter()
                .map(|held| held.address)
                .collect(),
            serial: issued.serial,
            not_after_ms: issued.not_after,
            renew_at_ms: renew_at(env::now(), issued.not_after, &issued.serial),
            entry,
            proof: proof.encode(),
            consistency: consistency.iter().map(Hash::to_base64).collect(),
            master_time_ms: env::now(),
        })
    }
}

impl Enrollment {
    async fn take_back(
        &self,
        issued: &Issued,
        container: ContainerId,
        (reason, code): (&str, RevocationReason),
        cause: &Cause,
    ) -> Result<(), Failure> {
        let revoked = CertRevoked {
            serial: issued.serial,
            container: Some(container),
            reason: reason.to_owned(),
            code: Some(code),
        };
        let events = vec![Event::CertRevoked(revoked)];
        let committed = self.journal.commit(cause, events, vec![]).await;
        committed.map(drop).map_err(Failure::Commit)
    }
}

/// What became of a node while the entry of its certificate was on its way to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// The certificate counts.
    Counts,
    /// Newer ones were issued, and only the newest count.
    Displaced,
    /// The container holds one of its addresses no more, or has ended, or runs anew.
    Closed,
    /// It was banned.
    Banned(Ban),
    /// It is a machine that a token let in, and an operator revoked what it had.
    Revoked,
    /// It holds an address more.
    Outdated,
}

fn outcome(state: &State, grant: &Grant, serial: &Serial) -> Outcome {
    // Without an address it is the run alone that tells.
    let holds = |node: &&NodeRecord| {
        let mut named = grant.addresses.iter();
        node.facts.started_at_ms == grant.started_at_ms
            && named.all(|held| node.addresses.contains(held))
    };
    if let Some(ban) = state.ban(&grant.container) {
        return Outcome::Banned(ban.clone());
    }
    match state.node(&grant.container).filter(holds) {
        None => Outcome::Closed,
        Some(node) if !node.honours(serial) => Outcome::Displaced,
        // No host vouches for it, so nothing else would keep it out.
        Some(node) if node.is_by_token() && is_revoked(state, &grant.container) => Outcome::Revoked,
        Some(node) if node.addresses != grant.held => Outcome::Outdated,
        Some(_) => Outcome::Counts,
    }
}

fn is_revoked(state: &State, machine: &ContainerId) -> bool {
    let machine = state.machines().get(machine);
    machine.is_some_and(|machine| machine.standing == Standing::Revoked)
}

impl Grant {
    fn record(&self, issued: &Issued) -> CertIssued {
        CertIssued {
            subject: issued.subject.clone(),
            container: Some(self.container),
            host: Some(self.host.clone()),
            addresses: self.addresses.clone(),
            ips: Vec::new(),
            serial: issued.serial,
            issuer_key_id: issued.issuer_key_id.to_string(),
            not_before_ms: issued.not_before,
            not_after_ms: issued.not_after,
            spki_sha256: issued.spki_sha256,
            der_sha256: issued.der_sha256,
            evidence: self.evidence.clone(),
            rule: self.rule.clone(),
            prev: self.prev,
            policy_sha256: Some(self.policy_sha256),
        }
    }
}
