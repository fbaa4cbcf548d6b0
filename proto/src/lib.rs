//! The language that the master, the agent, the host watcher and the command line share.
//!
//! In scope: identifiers, addresses, labels and selectors, facts, catalogs and their resources,
//! ledger events, requests and answers of the HTTP API, the route table and the problem codes.
//! Out of scope: anything that reads a file, a socket, a clock or a random number.
#![forbid(unsafe_code)]

pub mod address;
pub mod api;
pub mod catalog;
pub mod error;
pub mod event;
pub mod facts;
pub mod header;
pub mod id;
pub mod label;
pub mod node;
pub mod problem;
pub mod range;
pub mod report;
pub mod resource;
pub mod revocation;
pub mod route;
pub mod selector;
pub mod spiffe;
pub mod time;
pub mod token;

/// Bytes as base64 (RFC 4648 section 4) in JSON strings; for `#[serde(with = "base64_bytes")]`.
pub mod base64_bytes {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    /// Writes bytes as a base64 string.
    ///
    /// # Errors
    /// Whatever the serializer reports.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    /// Reads a base64 string.
    ///
    /// # Errors
    /// When the value is no string or no base64.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(de::Error::custom)
    }
}
