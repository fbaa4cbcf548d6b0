//! The X.509 profile of Dockmaster: who may hold which certificate, and what a certificate proves.
//!
//! In scope: keys, certificate requests and their proof of possession, the three authorities (root,
//! containers, infrastructure), the leaf profiles, the trust bundle that agents pin, verification of
//! chains and the identity of a peer, revocation lists.
//! Out of scope: anything that reads a file, a socket or a clock; TLS configurations; revocation
//! (the master keeps its own set of revoked serials); the decision who gets a certificate.
//!
//! Keys and serials come from a random source that the caller passes. The one exception is the nonce
//! of an ECDSA signature, which the signing library draws itself.
#![forbid(unsafe_code)]

pub mod authority;
pub mod bundle;
pub mod chain;
pub mod crl;
pub mod csr;
pub mod identity;
pub mod infra;
pub mod issue;
pub mod key;
pub mod pem;
pub mod profile;

mod der;
mod form;
mod kind;
mod oid;
#[cfg(test)]
mod testing;
mod validity;
