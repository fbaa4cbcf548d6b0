//! Answers.

use bytes::Bytes;
use dockmaster_proto::problem::Problem;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

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
    bytes(status, "application/problem+json", body.into())
}

/// Adds a header whose value is made of visible ASCII; another value is left out.
pub(super) fn with_header(mut reply: Reply, name: HeaderName, value: &str) -> Reply {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
    reply
}
