//! Documents that people write, read one way: the site, the classification, the master's
//! configuration, the inventory file.
//!
//! In scope: YAML, bounded and without duplicate keys ([`yaml`]); mappings whose keys are known
//! ([`fields`]); everything that is wrong at once, with file, line and node ([`diagnostic`]).
//! Out of scope: what a document means, and where its text comes from.
//!
//! No I/O and no clock.
#![forbid(unsafe_code)]

pub mod diagnostic;
pub mod fields;
pub mod suggest;
pub mod yaml;
