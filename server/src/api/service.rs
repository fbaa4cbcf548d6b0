//! One request from head to answer: admission, the bounded body, dispatch, the log line.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use dockmaster_proto::{
    problem::{Problem, ProblemCode},
    route::Route,
};
use http::{HeaderName, Method, Version, header};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};

use super::{
    Admitted, Api, Caller, Peer, Reply, Request, admit, auth, budget::Held, reply, too_large,
};
use crate::{env, journal::Cause, origin::Party};

/// How long the body of a request may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a refused request is read on, and for how long.
const MAX_DISCARDED: usize = 4 << 20;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl Api {
    /// Answers a request. Every answer carries the request's ID.
    pub async fn handle(&self, peer: &Arc<Peer>, request: http::Request<Incoming>) -> Reply {
        let request_id = env::request_id();
        let (mut head, mut body) = request.into_parts();
        let upgrade = head.extensions.remove::<OnUpgrade>();
        let incoming = Arriving {
            head: &head,
            body: &mut body,
            upgrade,
        };
        let party = self.party(peer);
        let result = self.answer(peer, &party, incoming, &request_id).await;
        if result.is_err() && !head.headers.contains_key(header::EXPECT) {
            discard(&mut body).await;
        }
        let reply = result.unwrap_or_else(|mut problem| {
            problem.request_id.clone_from(&request_id);
            // What anyone may cause is not for anyone to fill the log with.
            if peer.identity.is_some() {
                tracing::info!(
                    %request_id, peer = %peer.actor(), method = %head.method, path = head.uri.path(),
                    status = problem.status, code = %problem.code, detail = %problem.detail, "refused"
                );
            } else {
                tracing::debug!(
                    %request_id, peer = %peer.actor(), method = %head.method, path = head.uri.path(),
                    status = problem.status, code = %problem.code, detail = %problem.detail, "refused"
                );
            }
            let reply = reply::problem(&problem);
            // What was revoked is of no use any more: HTTP/2, which has no such header, idles out.
            let reply = if problem.code == ProblemCode::CertificateRevoked
                && head.version < Version::HTTP_2
            {
                reply::with_header(reply, header::CONNECTION, "close")
            } else {
                reply
            };
            // There is always room for saying no, though it may have been refused for want of room.
            reply::counted(reply.clone(), &self.budget, &peer.flow, party).unwrap_or(reply)
        });
        let reply = reply::with_header(reply, REQUEST_ID, &request_id);
        if head.method == Method::HEAD {
            reply::without_body(reply)
        } else {
            reply
        }
    }

    async fn answer(
        &self,
        peer: &Arc<Peer>,
        party: &Party,
        incoming: Arriving<'_>,
        request_id: &str,
    ) -> Result<Reply, Problem> {
        let Arriving {
            head,
            body,
            upgrade,
        } = incoming;
        // Operators and hosts are few and known; who shares their address must not keep them waiting.
        let turn = if self.appoints(peer) {
            None
        } else {
            let slot = peer.slots.take().await;
            Some(self.pace.request(party.clone(), slot).await)
        };
        // Before the body: whoever may not call at all need not be read from.
        let Admitted {
            route,
            parameter,
            query,
            cause,
        } = match admit(self, peer, head, request_id) {
            Ok(admitted) => admitted,
            Err(problem) => {
                self.note_elsewhere(peer, &problem, request_id).await;
                return Err(problem);
            }
        };
        // Held until the request is dealt with.
        let mut held = self.budget.hold(party.clone());
        let body = read(route, body, &mut held).await?;
        // And after it: a body may take its time, and what was honoured before may be no more.
        let caller = auth::authorise(route, peer, &self.journal.state(), env::now())?;
        if let (Caller::Node(node), Some(shown)) = (&caller, &peer.identity) {
            self.tokens.confirm(node, &shown.serial, &cause).await;
        }
        let request = Request {
            route,
            parameter,
            query,
            headers: head.headers.clone(),
            body,
            upgrade,
            peer: peer.clone(),
            caller,
            cause,
        };
        let reply = self.dispatch(&request).await?;
        let reply = reply::counted(reply, &self.budget, &peer.flow, party.clone())?;
        if let Some(turn) = turn {
            turn.answered();
        }
        tracing::debug!(request_id, peer = %peer.actor(), method = %head.method, path = head.uri.path(), status = reply.status().as_u16(), "answered");
        Ok(reply)
    }
}

impl Api {
    /// Records that a container's certificate was shown from an address that is not its own.
    async fn note_elsewhere(&self, peer: &Peer, problem: &Problem, request_id: &str) {
        if problem.code != ProblemCode::CertificateRevoked {
            return;
        }
        let shown = auth::shown_elsewhere(peer, &self.journal.state());
        if let Some(container) = shown {
            let cause = Cause {
                actor: peer.actor(),
                request_id: request_id.to_owned(),
            };
            let (origin, of) = (peer.origin(), Some(container));
            let enrollment = &self.enrollment;
            enrollment
                .record_problem(&origin, of, problem, &cause)
                .await;
        }
    }
}

/// A request as it arrives.
struct Arriving<'a> {
    head: &'a http::request::Parts,
    body: &'a mut Incoming,
    upgrade: Option<OnUpgrade>,
}

/// Reads on for a moment after a refusal: whoever is still sending would be cut off before the answer
/// is heard. A client that asked first (`Expect: 100-continue`) does not send.
async fn discard(body: &mut Incoming) {
    let rest = async {
        let mut left = MAX_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    // Whoever is slower than that has to do without the reason.
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, rest).await;
}

async fn read(route: Route, body: &mut Incoming, held: &mut Held) -> Result<Bytes, Problem> {
    let arrived = async {
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                super::problem::bad_request(format!("the body broke off: {error}"))
            })?;
            // Trailers say nothing to us.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if whole.len() + data.len() > route.max_body() {
                return Err(too_large(route));
            }
            held.grow(data.len())?;
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    };
    match tokio::time::timeout(BODY_TIMEOUT, arrived).await {
        Ok(arrived) => arrived,
        Err(_) => Err(Problem::new(
            ProblemCode::BadRequest,
            format!(
                "the body did not arrive within {} s",
                BODY_TIMEOUT.as_secs()
            ),
            "",
        )),
    }
}

pub(super) fn header<'a>(request: &'a Request, name: &HeaderName) -> Option<&'a str> {
    request.headers.get(name)?.to_str().ok()
}

/// The seconds of `Prefer: wait=SECONDS` (RFC 7240 section 4.3), at most `most`.
pub(super) fn wait_preference(request: &Request, most: Duration) -> Option<Duration> {
    let prefer = header(request, &HeaderName::from_static("prefer"))?;
    let seconds = prefer
        .split([',', ';'])
        .find_map(|part| part.trim().strip_prefix("wait="))?;
    seconds
        .parse()
        .ok()
        .map(|seconds| Duration::from_secs(seconds).min(most))
}

/// Whether `If-None-Match` names this ETag.
pub(super) fn matches_etag(request: &Request, etag: &str) -> bool {
    header(request, &header::IF_NONE_MATCH).is_some_and(|tags| {
        tags.split(',')
            .any(|tag| tag.trim().trim_start_matches("W/") == etag)
    })
}
