//! Problems: errors of the API (RFC 9457).

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong, in a word that programs may rely upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemCode {
    /// The request's bytes are not what the route takes.
    BadRequest,
    /// The body, the headers or the path are larger than the route takes.
    TooLarge,
    /// The certificate request is not acceptable.
    BadCsr,
    /// The route needs a client certificate and there is none.
    NoCertificate,
    /// The certificate is valid, but its kind or role may not use the route.
    Forbidden,
    /// The certificate was revoked, or its lease is closed.
    CertificateRevoked,
    /// An operator banned the container.
    Banned,
    /// No open lease covers the peer's address.
    NoLease,
    /// Several containers share the address and it cannot be told whose request it is.
    AmbiguousAddress,
    /// The connection is not that of the container that holds the peer's address.
    SocketMismatch,
    /// The address lies outside what this master may certify.
    AddressNotPermitted,
    /// The join token does not let this request in, or a machine that joined by one does not come back by
    /// this key.
    TokenRefused,
    /// Too many requests from one source.
    TooManyRequests,
    /// A rule of the policy says no.
    DeniedByPolicy,
    /// An operator said no to the request.
    RequestDenied,
    /// There is no such thing.
    NotFound,
    /// A name or prefix fits several things.
    Ambiguous,
    /// The method is not one of the route's.
    MethodNotAllowed,
    /// A document does not say what it should; the detail lists every error.
    InvalidDocument,
    /// The node's catalog cannot be compiled; the detail says where.
    CompileFailed,
    /// Someone else changed it meanwhile.
    Conflict,
    /// The master cannot commit now (its disk is full, or it shuts down).
    Unavailable,
    /// A fault of the master.
    Internal,
}

impl ProblemCode {
    /// All codes.
    pub const ALL: [Self; 23] = [
        Self::BadRequest,
        Self::TooLarge,
        Self::BadCsr,
        Self::NoCertificate,
        Self::Forbidden,
        Self::CertificateRevoked,
        Self::Banned,
        Self::NoLease,
        Self::AmbiguousAddress,
        Self::SocketMismatch,
        Self::AddressNotPermitted,
        Self::TokenRefused,
        Self::TooManyRequests,
        Self::DeniedByPolicy,
        Self::RequestDenied,
        Self::NotFound,
        Self::Ambiguous,
        Self::MethodNotAllowed,
        Self::InvalidDocument,
        Self::CompileFailed,
        Self::Conflict,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code as it stands in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::TooLarge => "too-large",
            Self::BadCsr => "bad-csr",
            Self::NoCertificate => "no-certificate",
            Self::Forbidden => "forbidden",
            Self::CertificateRevoked => "certificate-revoked",
            Self::Banned => "banned",
            Self::NoLease => "no-lease",
            Self::AmbiguousAddress => "ambiguous-address",
            Self::SocketMismatch => "socket-mismatch",
            Self::AddressNotPermitted => "address-not-permitted",
            Self::TokenRefused => "token-refused",
            Self::TooManyRequests => "too-many-requests",
            Self::DeniedByPolicy => "denied-by-policy",
            Self::RequestDenied => "request-denied",
            Self::NotFound => "not-found",
            Self::Ambiguous => "ambiguous",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::InvalidDocument => "invalid-document",
            Self::CompileFailed => "compile-failed",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest | Self::BadCsr => 400,
            Self::NoCertificate => 401,
            Self::Forbidden
            | Self::CertificateRevoked
            | Self::Banned
            | Self::NoLease
            | Self::AmbiguousAddress
            | Self::SocketMismatch
            | Self::AddressNotPermitted
            | Self::TokenRefused
            | Self::DeniedByPolicy
            | Self::RequestDenied => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Ambiguous | Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::InvalidDocument | Self::CompileFailed => 422,
            Self::TooManyRequests => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The body of an answer that is no success; `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}{}", if hint.is_empty() { String::new() } else { format!("\n  {hint}") })]
pub struct Problem {
    /// The code as a URI reference: `urn:dockmaster:problem:CODE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code.
    pub code: ProblemCode,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong and with which thing.
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// The request, as in the ledger and the master's log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
}

impl Problem {
    /// A problem with what is wrong and what to do next.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:dockmaster:problem:{code}"),
            code,
            status: code.status(),
            detail: detail.into(),
            hint: hint.into(),
            request_id: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_word_in_json_and_in_text() {
        for code in ProblemCode::ALL {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
            assert!((400..600).contains(&code.status()));
        }
    }
}
