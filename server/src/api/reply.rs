//! Answers.

use std::sync::Arc;

use bytes::Bytes;
use dockmaster_proto::problem::Problem;
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Body;
use serde::Serialize;

use super::budget::Budget;
use crate::{flow::Flow, origin::Party};

/// A whole answer.
pub type Reply = Response<Full<Bytes>>;

#[expect(
    clippy::expect_used,
    reason = "answers are made of strings, numbers, lists and maps with string keys"
)]
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Reply {
    let body = serde_json::to_vec(value).expect("an answer serialises");
    bytes(status, "application/json", body.into())
}

pub(super) fn bytes(status: StatusCode, content_type: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// The answer after which the connection speaks another protocol (RFC 9110 section 7.8).
pub(super) fn switching(protocol: &'static str) -> Reply {
    let mut reply = empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = reply.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(protocol));
    reply
}

pub(super) fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}

#[expect(
    clippy::expect_used,
    reason = "a problem is made of strings and a number"
)]
pub(super) fn problem(problem: &Problem) -> Reply {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(problem).expect("a problem serialises");
    let reply = bytes(status, "application/problem+json", body.into());
    // What is not there yet may be a moment later: a cache before a log must not go on saying no.
    with_header(reply, header::CACHE_CONTROL, "no-store")
}

/// The answer to a `HEAD`: all of the same but the body. HTTP/2 has no way to leave out a body that
/// was begun, so that it must not reach the connection.
pub(super) fn without_body(mut reply: Reply) -> Reply {
    let length = Body::size_hint(reply.body()).exact().unwrap_or_default();
    // RFC 9110 section 8.6: none with 204, and with 304 only the length that a 200 would have.
    if length > 0 {
        reply
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    *reply.body_mut() = Full::default();
    reply
}

/// The answer, counted for as long as it is not sent.
///
/// # Errors
/// When the party has too much on its way already.
pub(super) fn counted(
    reply: Reply,
    budget: &Budget,
    flow: &Arc<Flow>,
    party: Party,
) -> Result<Reply, Problem> {
    let (head, body) = reply.into_parts();
    // A `Full` is one piece, and gives it without waiting.
    let whole = body.collect().now_or_never().and_then(Result::ok);
    let bytes = whole.map(Collected::to_bytes).unwrap_or_default();
    let bytes = budget.answer(party, flow, bytes)?;
    Ok(Response::from_parts(head, Full::new(bytes)))
}

/// Adds a header whose value is made of visible ASCII; another value is left out.
pub(super) fn with_header(mut reply: Reply, name: HeaderName, value: &str) -> Reply {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_its_body_still_says_how_long_it_is() {
        let whole = bytes(StatusCode::OK, "text/plain", "12345".into());
        let headless = without_body(whole);
        assert_eq!(headless.headers()[header::CONTENT_LENGTH], "5");
        assert_eq!(Body::size_hint(headless.body()).exact(), Some(0));
        let none = without_body(empty(StatusCode::NOT_MODIFIED));
        assert!(!none.headers().contains_key(header::CONTENT_LENGTH));
    }
}
