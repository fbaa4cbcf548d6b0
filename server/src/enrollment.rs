//! From a request to a certificate: *parse -> load -> decide -> commit*, one way for a first
//! certificate and for a renewal.

mod attest;
mod binding;
mod continuity;
mod decide;
mod denied;
mod failure;
mod foresee;
mod grant;
mod held;
mod issuance;
mod joining;
mod judge;
mod next_step;
mod refusal;
mod socket;
mod token;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dockmaster_certs::{csr::VerifiedCsr, key::random_serial};
use dockmaster_host::socket::Connection;
use dockmaster_proto::{
    api::identity::{CertificateRequest, HeldAnswer, IssuedCertificate},
    event::{Event, RequestHeld},
    id::{ContainerId, Name, RequestId},
};
use ring::rand::SystemRandom;

use tokio::time::Instant;

pub use attest::{Attestor, Claimed};
pub use binding::{Binding, BindingError};
use continuity::Seen;
pub use continuity::{Continuity, ContinuityError};
pub use decide::Policy;
use failure::Failure;
pub use failure::IssueError;
pub use foresee::{about_host_refused, ended, host_refused};
use grant::Decision;
pub use grant::Grant;
pub use next_step::{ABOUT_HELD, next_step};
pub use refusal::Refusal;
pub use socket::SocketVerdict;

use crate::{
    authorities::Authorities,
    env,
    journal::{Cause, Journal},
    origin::Origin,
    quota::{Allowance, Quota},
    refusals::Refusals,
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
    /// The connection that it speaks by.
    pub connection: Connection,
    /// The host that relays it; none where it came straight to the master.
    pub relay: Option<Name>,
    /// What its request has to be bound to.
    pub binding: Arc<Binding>,
    /// The container whose current certificate the peer showed; none at a first enrollment.
    pub renewing: Option<ContainerId>,
}

impl Applicant {
    /// The peer's IP.
    #[must_use]
    pub const fn source(&self) -> IpAddr {
        self.connection.source.ip().to_canonical()
    }

    /// Where its connection comes from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin {
            ip: self.source(),
            relay: self.relay.clone(),
        }
    }
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
    /// Requests with join tokens.
    attempts: Mutex<Quota<IpAddr>>,
    /// Whoever begins to wait for an operator, or uses an operator's word, goes before the next one.
    holding: tokio::sync::Mutex<()>,
}

/// What a request comes to that is not refused.
#[derive(Debug)]
pub enum Answer {
    /// A certificate.
    Issued(Box<IssuedCertificate>),
    /// It waits for an operator.
    Held(HeldAnswer),
}

/// When an agent whose request is held should ask again. It asks to be held on until there is a
/// decision, so this is only the pause between two such questions.
const ASK_AGAIN_MS: u64 = 2_000;

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
            attempts: Mutex::new(Quota::new(token::ATTEMPTS)),
            holding: tokio::sync::Mutex::default(),
        }
    }

    /// Issues a certificate to an applicant, or says why not. Returns only when the issuance is
    /// durable in the ledger; a refusal is recorded too, and that a request is held. One that is
    /// held is waited for up to `wait`: until an operator decides or the container ends.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn issue(
        &self,
        applicant: &Applicant,
        request: &CertificateRequest,
        cause: &Cause,
        wait: Duration,
    ) -> Result<Answer, IssueError> {
        let deadline = Instant::now() + wait;
        loop {
            match self.try_issue(applicant, request, cause).await {
                Ok(Answer::Held(held)) if self.is_decided(&held.request, deadline).await => {}
                Ok(answer) => return Ok(answer),
                Err(Failure::Refused(refusal)) => {
                    self.record(&applicant.origin(), &refusal, cause).await;
                    return Err(IssueError::Problem(refusal.into_problem()));
                }
                Err(Failure::Untold(refusal)) => {
                    self.record(&applicant.origin(), &refusal, cause).await;
                    return Err(IssueError::Problem(token::untold()));
                }
                Err(Failure::Ours(problem)) => return Err(IssueError::Problem(problem)),
                Err(Failure::Commit(error)) => return Err(IssueError::Commit(error)),
            }
        }
    }

    /// Waits until a request waits no more; false when it still does at the deadline, or the master
    /// stops.
    async fn is_decided(&self, request: &RequestId, deadline: Instant) -> bool {
        let mut changes = self.journal.request_generations();
        let mut stopping = self.attestor.stopping();
        loop {
            changes.mark_unchanged();
            if Instant::now() >= deadline {
                return false;
            }
            let waits = {
                let state = self.journal.state();
                let known = state.requests().get(request, env::now());
                known.is_some_and(|known| known.decision.is_none())
            };
            if !waits {
                return true;
            }
            tokio::select! {
                _ = tokio::time::timeout_at(deadline, changes.changed()) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return false,
            }
        }
    }

    async fn try_issue(
        &self,
        applicant: &Applicant,
        request: &CertificateRequest,
        cause: &Cause,
    ) -> Result<Answer, Failure> {
        if let Some(why) = self.continuity.trouble() {
            return Err(Failure::broken(why));
        }
        let csr = VerifiedCsr::parse(&request.csr, applicant.binding.exporter())
            .map_err(|error| Refusal::bad_csr(&error))?;
        // One set for all of it: they may be exchanged meanwhile.
        let signing = self.authorities.now();
        let key = csr.public_key().spki_sha256();
        // Both until the issuance is committed.
        let (mut _turn, mut _one_at_a_time) = (None, None);
        let admission = if let Some(redemption) = &request.token {
            let (admission, turn) = self.redeem(applicant, redemption, &key, &signing).await?;
            _turn = Some(turn);
            admission
        } else if let Some(grant) = self.renew_by_token(applicant, &signing)? {
            grant.into()
        } else if let Some((admission, turn)) = self.come_back(applicant, &key, &signing).await? {
            _turn = Some(turn);
            admission
        } else {
            let claimed = self.claim(applicant).await?;
            let permits = |ip| signing.containers.permits(ip);
            let decide = || {
                let state = self.journal.state();
                decide::decide(applicant, &claimed, &key, &self.given(&state, &permits))
            };
            let mut decision = decide()?;
            // What counts or burns an approval is decided once more when nobody else does: two at once
            // must not both be the last that may wait, nor both have the one certificate.
            if decision.counts() {
                _one_at_a_time = Some(self.holding.lock().await);
                decision = decide()?;
            }
            match decision {
                Decision::Grant(grant) => grant.into(),
                Decision::Wait(held) => return Ok(Answer::Held(answer(held))),
                Decision::Hold(held) => return self.hold(held, cause).await,
            }
        };
        let token::Admission { before, grant } = admission;
        let claim = applicant
            .binding
            .claim(key)
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
        leaf.validity = leaf.validity.within(signing.containers.not_after());
        let issued = signing
            .containers
            .issue_container(&csr, &leaf)
            .map_err(|error| Failure::internal(&error))?;
        let issued = self
            .commit(applicant, (before, grant), (issued, &signing), seen, cause)
            .await?;
        claim.keep();
        Ok(Answer::Issued(Box::new(issued)))
    }

    async fn hold(&self, held: RequestHeld, cause: &Cause) -> Result<Answer, Failure> {
        tracing::info!(
            request = %held.request, container = %held.container.short(), name = %held.name, rule = %held.rule,
            "a request waits for an operator: \"dockmaster request list\""
        );
        let event = Event::RequestHeld(held.clone());
        self.journal
            .commit(cause, vec![event], vec![])
            .await
            .map_err(Failure::Commit)?;
        Ok(Answer::Held(answer(held)))
    }

    /// The head of the log that the applicant has seen.
    fn seen<'r>(
        &self,
        container: ContainerId,
        request: &'r CertificateRequest,
    ) -> Result<Option<Seen<'r>>, Failure> {
        let Some(note) = request.seen.as_deref() else {
            return Ok(None);
        };
        let ledger = self.journal.ledger();
        let seen = self.continuity.read(ledger, container, note);
        seen.map(Some)
            .map_err(|error| Failure::unseen(container, &error))
    }
}

fn answer(held: RequestHeld) -> HeldAnswer {
    HeldAnswer {
        request: held.request,
        reason: held.reason,
        retry_after_ms: ASK_AGAIN_MS,
        expires_at_ms: held.expires_at_ms,
        master_time_ms: env::now(),
    }
}
