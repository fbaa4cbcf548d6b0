//! From a request to a certificate: *parse -> load -> decide -> commit*, one way for a first
//! certificate and for a renewal.

mod attest;
mod binding;
mod continuity;
mod decide;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use dockmaster_certs::{csr::VerifiedCsr, issue::Issued, key::random_serial};
use dockmaster_ledger::CommitError;
use dockmaster_proto::{
    api::identity::{CertificateRequest, IssuedCertificate},
    error::chain,
    event::{CertDenied, CertIssued, CertRevoked, Event},
    id::ContainerId,
    problem::{Problem, ProblemCode},
    revocation::RevocationReason,
};
use dockmaster_tlog::{checkpoint::Checkpoint, hash::Hash};
use ring::rand::SystemRandom;

use attest::Unclaimed;
pub use attest::{Attestor, Claimed};
pub use binding::{Binding, BindingError};
pub use continuity::{Continuity, ContinuityError, WAY_OUT};
pub use decide::{Grant, Policy, Refusal};

use crate::{
    authorities::{Authorities, Signing},
    env,
    journal::{Cause, Journal},
    quota::{Allowance, Quota},
    refusals::Refusals,
    state::NodeRecord,
};

/// Certificates of one container: enough for every honest agent, too few to fill a disk or to keep
/// the master busy with signing.
const CERTIFICATES: Allowance = Allowance {
    burst: 20,
    refill_ms: 5_000,
};

/// Who asks, as the connection tells it.
#[derive(Debug, Clone)]
pub struct Applicant {
    /// The peer's IP.
    pub source: IpAddr,
    /// What its request has to be bound to.
    pub binding: Arc<Binding>,
    /// The container whose current certificate the peer showed; none at a first enrollment.
    pub renewing: Option<ContainerId>,
}

/// The issuing part of a master.
#[derive(Debug)]
pub struct Enrollment {
    journal: Journal,
    attestor: Attestor,
    authorities: Authorities,
    policy: Policy,
    continuity: Arc<Continuity>,
    refusals: Mutex<Refusals>,
    quota: Mutex<Quota<ContainerId>>,
}

impl Enrollment {
    /// An issuing part.
    #[must_use]
    pub fn new(
        journal: Journal,
        attestor: Attestor,
        authorities: Authorities,
        policy: Policy,
        continuity: Arc<Continuity>,
    ) -> Self {
        Self {
            journal,
            attestor,
            authorities,
            policy,
            continuity,
            refusals: Mutex::default(),
            quota: Mutex::new(Quota::new(CERTIFICATES)),
        }
    }

    /// Issues a certificate to an applicant, or says why not. Returns only when the issuance is
    /// durable in the ledger; a refusal is recorded too.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn issue(
        &self,
        applicant: &Applicant,
        request: &CertificateRequest,
        cause: &Cause,
    ) -> Result<IssuedCertificate, IssueError> {
        match self.try_issue(applicant, request, cause).await {
            Err(Failure::Refused(refusal)) => {
                self.record(applicant.source, &refusal, cause).await;
                Err(IssueError::Problem(refusal.into_problem()))
            }
            Err(Failure::Ours(problem)) => Err(IssueError::Problem(problem)),
            Err(Failure::Commit(error)) => Err(IssueError::Commit(error)),
            Ok(issued) => Ok(issued),
        }
    }

    async fn try_issue(
        &self,
        applicant: &Applicant,
        request: &CertificateRequest,
        cause: &Cause,
    ) -> Result<IssuedCertificate, Failure> {
        if let Some(why) = self.continuity.trouble() {
            return Err(Failure::broken(why));
        }
        let csr = VerifiedCsr::parse(&request.csr, applicant.binding.exporter())
            .map_err(|error| Refusal::bad_csr(&error))?;
        let claimed = self.attestor.claim(&self.journal, applicant.source).await?;
        // One set for all of it: they may be exchanged meanwhile.
        let signing = self.authorities.now();
        let grant = {
            let state = self.journal.state();
            decide::decide(
                applicant,
                &claimed,
                &state,
                &self.policy,
                |ip| signing.containers.permits(ip),
                env::now(),
            )?
        };
        let claim = applicant
            .binding
            .claim(csr.public_key().spki_sha256())
            .map_err(|error| Refusal::repeated(grant.container, error))?;
        let seen = self.seen(grant.container, request)?;
        let taken = self
            .quota
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(grant.container, env::now());
        taken.map_err(|wait_ms| Refusal::too_many(grant.container, wait_ms))?;
        let serial =
            random_serial(&SystemRandom::new()).map_err(|error| Failure::internal(&error))?;
        let mut leaf = grant.leaf(&self.policy, serial);
        leaf.validity = leaf.validity.within(&signing.containers);
        let issued = signing
            .containers
            .issue_container(&csr, &leaf)
            .map_err(|error| Failure::internal(&error))?;
        let issued = self
            .commit(applicant, grant, (issued, &signing), seen, cause)
            .await?;
        claim.keep();
        Ok(issued)
    }

    /// The head of the log that the applicant has seen.
    fn seen<'r>(
        &self,
        container: ContainerId,
        request: &'r CertificateRequest,
    ) -> Result<Option<(&'r str, Checkpoint)>, Failure> {
        let Some(note) = request.seen.as_deref() else {
            return Ok(None);
        };
        let seen = self
            .continuity
            .read(self.journal.ledger(), container, note)?;
        Ok(Some((note, seen)))
    }

    async fn commit(
        &self,
        applicant: &Applicant,
        grant: Grant,
        (issued, signing): (Issued, &Signing),
        seen: Option<(&str, Checkpoint)>,
        cause: &Cause,
    ) -> Result<IssuedCertificate, Failure> {
        let container = grant.container;
        let record = grant.record(&issued);
        let event = if applicant.renewing.is_some() {
            Event::CertRenewed(record)
        } else {
            Event::CertIssued(record)
        };
        let receipt = self
            .journal
            .commit(cause, vec![event], vec![issued.der.to_vec()])
            .await
            .map_err(Failure::Commit)?;
        let (honoured, holds) = {
            let state = self.journal.state();
            let node = state.node(&container);
            let holds = |node: &NodeRecord| {
                grant
                    .addresses
                    .iter()
                    .all(|held| node.addresses.contains(held))
            };
            (
                node.is_some_and(|node| node.honours(&issued.serial)),
                node.is_some_and(holds),
            )
        };
        if holds && !honoured {
            return Err(Refusal::displaced(container).into());
        }
        if !honoured {
            // The lease closed while the entry was on its way to the disk. It is in the log, so its end must be too.
            let reason = "the lease closed while it was being issued".to_owned();
            let revoked = CertRevoked {
                serial: issued.serial,
                container: Some(container),
                reason,
                code: Some(RevocationReason::CessationOfOperation),
            };
            self.journal
                .commit(cause, vec![Event::CertRevoked(revoked)], vec![])
                .await
                .map_err(Failure::Commit)?;
            return Err(Refusal::lease_closed(applicant.source, container).into());
        }
        let Some((proof, committed)) = receipt.proof(0).zip(receipt.entries().first()) else {
            return Err(Failure::internal(&std::io::Error::other(
                "the receipt lacks the entry",
            )));
        };
        let consistency = match &seen {
            Some((note, seen)) => {
                let ledger = self.journal.ledger();
                self.continuity
                    .prove(ledger, container, (note, seen), &receipt)?
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
            renew_at_ms: decide::renew_at(env::now(), issued.not_after, &issued.serial),
            entry,
            proof: proof.encode(),
            consistency: consistency.iter().map(Hash::to_base64).collect(),
            master_time_ms: env::now(),
        })
    }

    async fn record(&self, source: IpAddr, refusal: &Refusal, cause: &Cause) {
        let denied = CertDenied {
            source,
            container: refusal.container,
            reason: refusal.code.as_str().to_owned(),
            detail: refusal.detail.clone(),
            count: 1,
        };
        let first = self
            .refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .record(refusal.code, denied, env::now());
        if let Some(denied) = first {
            self.commit_refusals(cause, vec![denied]).await;
        }
    }

    /// Commits the refusals of minutes that are over; called now and then.
    pub async fn flush_refusals(&self, cause: &Cause) {
        let over = self
            .refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .flush(env::now());
        if !over.is_empty() {
            self.commit_refusals(cause, over).await;
        }
    }

    async fn commit_refusals(&self, cause: &Cause, refusals: Vec<CertDenied>) {
        let events = refusals.into_iter().map(Event::CertDenied).collect();
        if let Err(error) = self.journal.commit(cause, events, vec![]).await {
            // The refusal itself stands; only its record is lost, and the log says so.
            tracing::error!(error = %chain(&error), "a refusal could not be recorded in the ledger");
        }
    }
}

/// Why there is no certificate.
#[derive(Debug)]
pub enum IssueError {
    /// What the applicant is told.
    Problem(Problem),
    /// The issuance could not be recorded.
    Commit(CommitError),
}

/// The same, before refusals are recorded.
enum Failure {
    /// The applicant's fault, or the policy's verdict: recorded.
    Refused(Refusal),
    /// The master's fault: not evidence about anyone.
    Ours(Problem),
    /// The ledger's.
    Commit(CommitError),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ContinuityError> for Failure {
    fn from(error: ContinuityError) -> Self {
        match error {
            ContinuityError::NotOurs(_) => {
                Self::Ours(Problem::new(ProblemCode::BadRequest, error.to_string(), ""))
            }
            ContinuityError::Broken(why) => Self::broken(&why),
            ContinuityError::Read(error) => Self::internal(&error),
        }
    }
}

impl From<Unclaimed> for Failure {
    fn from(unclaimed: Unclaimed) -> Self {
        match unclaimed {
            Unclaimed::Refused(refusal) => Self::Refused(refusal),
            Unclaimed::NoAnswer => Self::Ours(Problem::new(
                ProblemCode::Unavailable,
                "the container host gave no answer about this address in time",
                "ask again; /readyz and the master's log say how the host does",
            )),
            Unclaimed::Crowded => Self::Ours(Problem::new(
                ProblemCode::TooManyRequests,
                "several requests of this address are being looked into already",
                "one agent in a container is enough; ask again when they are answered",
            )),
            Unclaimed::Stopping => Self::Ours(Problem::new(
                ProblemCode::Unavailable,
                "the master stops, and does not wait for the host's report on this address any more",
                "ask again when it is back",
            )),
        }
    }
}

impl Failure {
    fn broken(why: &str) -> Self {
        Self::Ours(Problem::new(ProblemCode::Unavailable, why, WAY_OUT))
    }

    fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %chain(error), "a certificate could not be issued");
        Self::Ours(Problem::new(
            ProblemCode::Internal,
            "the master could not issue the certificate",
            "its log says why, under this request ID",
        ))
    }
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
        }
    }
}
