//! What agents call: trust, certificates, catalogs, blobs, reports.

use std::time::Duration;

use bytes::Bytes;
use dockmaster_certs::authority::Authority;
use dockmaster_proto::{
    api::identity::{CertificateRequest, Trust},
    header as ours,
    id::{ContainerId, Digest, TrustPin},
    problem::{Problem, ProblemCode},
    report::Report,
    route::Route,
    time::UnixMs,
};
use http::{HeaderName, StatusCode, header};
use tokio::sync::watch;

use super::{Api, Caller, Reply, Request, auth, problem, reply, service};
use crate::{
    clocks::News,
    delivery::Assignment,
    enrollment::{Answer, Applicant, IssueError},
    env,
};

/// How long a request for a catalog may be held.
const MAX_WAIT: Duration = Duration::from_secs(300);
const BUNDLE: HeaderName = HeaderName::from_static(ours::BUNDLE);
const TIME: HeaderName = HeaderName::from_static(ours::TIME);
const RENEW: HeaderName = HeaderName::from_static(ours::RENEW);
const RENEW_WITHIN: HeaderName = HeaderName::from_static(ours::RENEW_WITHIN);
const CRL: HeaderName = HeaderName::from_static(ours::CRL);
/// When all nodes are to renew at once, they are spread so that not more do in a second.
const RENEWALS_PER_SECOND: usize = 50;
/// And over so many seconds at the least.
const MIN_RENEWAL_S: usize = 5;
/// How long a request for a certificate may be held that waits for an operator.
const MAX_HELD: Duration = Duration::from_secs(60);
/// How long a request waits for a first catalog that is still being compiled.
const FIRST_COMPILE: Duration = Duration::from_secs(30);

impl Api {
    pub(super) fn trust(&self, request: &Request) -> Result<Reply, Problem> {
        let pin = request.query_as::<TrustPin>("pin")?;
        let signing = self.authorities.now();
        Ok(reply::json(
            StatusCode::OK,
            &Trust {
                // While authorities are rotated there are three, and the peer's certificate leads to
                // the roots of each; whoever pins one trusts no other answer.
                bundle: signing.bundle_of(pin).to_pem(),
                operator_issuer: signing.operators.key_id().to_string(),
                master_time_ms: env::now(),
                authorities: signing
                    .container_authorities()
                    .map(Authority::certificate_pem)
                    .collect(),
            },
        ))
    }

    pub(super) async fn enroll(&self, request: &Request) -> Result<Reply, Problem> {
        let body: CertificateRequest = request.json()?;
        let renewing = match &request.caller {
            Caller::Node(id) if request.route == Route::Renew => Some(*id),
            _ => None,
        };
        let applicant = Applicant {
            connection: request.peer.connection(),
            relay: request.peer.relay.clone(),
            binding: request.peer.binding.clone(),
            renewing,
        };
        let wait = service::wait_preference(request, MAX_HELD).unwrap_or_default();
        let answer = self
            .enrollment
            .issue(&applicant, &body, &request.cause, wait)
            .await
            .map_err(|error| match error {
                IssueError::Problem(problem) => problem,
                IssueError::Commit(error) => problem::from_commit(&error),
            })?;
        Ok(match answer {
            Answer::Issued(issued) => reply::json(StatusCode::CREATED, &issued),
            Answer::Held(held) => {
                let seconds = held.retry_after_ms.div_ceil(1000).to_string();
                let reply = reply::json(StatusCode::ACCEPTED, &held);
                reply::with_header(reply, header::RETRY_AFTER, &seconds)
            }
        })
    }

    pub(super) async fn catalog(&self, request: &Request) -> Result<Reply, Problem> {
        let node = caller(request)?;
        let confirmed = service::header(request, &BUNDLE).and_then(|pin| pin.parse().ok());
        if let Some(pin) = confirmed {
            self.acknowledged.note(node, pin);
        }
        self.note_clock(request, node);
        let wait = service::wait_preference(request, MAX_WAIT);
        let mut assignments = self.delivery.subscribe(&node);
        let known = |assignment: &Assignment| match assignment {
            Assignment::Pending => true,
            Assignment::Compiled(compiled) => {
                service::matches_etag(request, &etag(&compiled.digest))
            }
            Assignment::Failed(_) => wait.is_some(),
        };
        let is_pending = matches!(*assignments.borrow(), Assignment::Pending);
        let deadline = wait.unwrap_or_default().max(if is_pending {
            FIRST_COMPILE
        } else {
            Duration::ZERO
        });
        // A timer rounds up to the next millisecond, also none at all.
        if !deadline.is_zero() {
            let mut stopping = self.stopping.clone();
            tokio::select! {
                _ = tokio::time::timeout(deadline, self.hold(request, &mut assignments, known)) => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
        }
        // The lease may have closed while the request was held.
        auth::authorise(
            request.route,
            &request.peer,
            &self.journal.state(),
            env::now(),
        )?;
        let assignment = assignments.borrow().clone();
        match assignment {
            Assignment::Pending => Err(Problem::new(
                ProblemCode::Unavailable,
                "the catalog is still being compiled",
                "ask again",
            )),
            Assignment::Failed(error) => Err(Problem::new(
                ProblemCode::CompileFailed,
                error.to_string(),
                "mend the site or the classification; \"dockmaster node show\" repeats the error",
            )),
            Assignment::Compiled(compiled) => {
                let etag = etag(&compiled.digest);
                let status = if service::matches_etag(request, &etag) {
                    StatusCode::NOT_MODIFIED
                } else {
                    StatusCode::OK
                };
                let reply = match status {
                    StatusCode::NOT_MODIFIED => reply::empty(status),
                    _ => reply::bytes(
                        status,
                        "application/json",
                        Bytes::from_owner(compiled.bytes.clone()),
                    ),
                };
                let reply = reply::with_header(reply, header::ETAG, &etag);
                let reply = self.with_authorities(reply, &node);
                let alerts = self.lists.urgent().to_string();
                let reply = reply::with_header(reply, CRL, &alerts);
                let reply = if self.should_renew(request) {
                    reply::with_header(reply, RENEW, "now")
                } else {
                    reply
                };
                Ok(reply::with_header(reply, TIME, &env::now().0.to_string()))
            }
        }
    }

    /// Takes up what the agent's clock says, and tells when it is wrong.
    fn note_clock(&self, request: &Request, node: ContainerId) {
        let its = service::header(request, &TIME).and_then(|time| time.parse().ok());
        let Some(its) = its.map(UnixMs) else { return };
        match self.clocks.note(node, its, env::now()) {
            News::None => {}
            News::Off(ms) => {
                let word = if ms > 0 { "ahead of" } else { "behind" };
                tracing::warn!(node = %node.short(), "the clock of this container's host is {} s {word} the master's; what verifies certificates there may take them for expired or not yet valid", ms.unsigned_abs() / 1000);
            }
            News::Right => {
                tracing::info!(node = %node.short(), "the clock of this container's host is right again");
            }
        }
    }

    /// Tells which bundle is in force, and in a rotation whether to renew before the time.
    fn with_authorities(&self, reply: Reply, node: &ContainerId) -> Reply {
        let signing = self.authorities.now();
        let pin = signing.bundle.pin().to_string();
        let reply = reply::with_header(reply, BUNDLE, &pin);
        let nodes = {
            let state = self.journal.state();
            let rotates = state.authorities().is_some_and(|it| it.rotation.is_some());
            let newest = state.node(node).and_then(|node| node.certificates.first());
            let issuer = signing.containers.key_id().to_string();
            if !rotates || newest.is_none_or(|newest| newest.issuer_key_id == issuer) {
                return reply;
            }
            state.nodes().count()
        };
        let within = (nodes / RENEWALS_PER_SECOND).max(MIN_RENEWAL_S);
        reply::with_header(reply, RENEW_WITHIN, &within.to_string())
    }

    /// Returns when the assignment is another one than the caller knows, the caller should renew its
    /// certificate, or may not have the catalog any more. Woken for this node alone: when its
    /// assignment or its addresses change.
    async fn hold(
        &self,
        request: &Request,
        assignments: &mut watch::Receiver<Assignment>,
        known: impl Fn(&Assignment) -> bool,
    ) {
        let urgent = self.lists.urgent();
        loop {
            let may = auth::authorise(
                request.route,
                &request.peer,
                &self.journal.state(),
                env::now(),
            )
            .is_ok();
            if !may
                || self.lists.urgent() != urgent
                || self.should_renew(request)
                || !known(&assignments.borrow_and_update())
                || assignments.changed().await.is_err()
            {
                return;
            }
        }
    }

    /// Whether the caller's addresses changed since its certificate was issued, and the caller would do
    /// something about it. Which of them its next one names is not asked here: that is for policy.
    fn should_renew(&self, request: &Request) -> bool {
        let (Caller::Node(id), Some(identity)) = (&request.caller, &request.peer.identity) else {
            return false;
        };
        if service::header(request, &RENEW).is_none() {
            return false;
        }
        let state = self.journal.state();
        state
            .node(id)
            .and_then(|node| Some((node, node.certificate(&identity.serial)?)))
            .is_some_and(|(node, certificate)| certificate.held != node.addresses)
    }

    pub(super) fn blob(&self, request: &Request) -> Result<Reply, Problem> {
        let node = caller(request)?;
        let digest: Digest = request
            .parameter
            .parse()
            .map_err(|error| problem::bad_request(format!("{error}")))?;
        // A blob that the caller's catalog does not name does not exist for it: blobs hold other nodes' files too.
        let bytes = self
            .delivery
            .blob(&node, &digest)
            .ok_or_else(|| problem::not_found(format_args!("blob {digest} in your catalog")))?;
        let reply = reply::bytes(
            StatusCode::OK,
            "application/octet-stream",
            Bytes::from_owner(bytes),
        );
        Ok(reply::with_header(
            reply,
            header::CACHE_CONTROL,
            "private, max-age=31536000, immutable",
        ))
    }

    pub(super) fn report(&self, request: &Request) -> Result<Reply, Problem> {
        let node = caller(request)?;
        let mut report: Report = request.json()?;
        report.bound_alarm();
        if !report.alarm.is_empty() {
            tracing::error!(node = %node.short(), alarm = %report.alarm, "a container raises an alarm");
        }
        self.reports
            .keep(&node, report, env::now())
            .map_err(|error| problem::from_report(&error))?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }
}

fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

fn caller(request: &Request) -> Result<ContainerId, Problem> {
    match &request.caller {
        Caller::Node(id) => Ok(*id),
        // The route table says that only nodes come here.
        Caller::Anyone | Caller::Host(_) | Caller::Operator(_) => {
            Err(problem::bad_request("the route is for containers"))
        }
    }
}
