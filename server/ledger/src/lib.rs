//! The ledger: an append-only log of raw entries, durable before anybody is answered and provable
//! from the moment it is.
//!
//! In scope: the write-ahead log with group commit ([`Ledger::commit`]), recovery
//! ([`Ledger::open`]), publication as C2SP tlog-tiles below `public/`, proofs, and the
//! content-addressed documents that entries name ([`Blobs`]). Out of scope: what an entry says,
//! HTTP, certificates, and the index, which follows the log as a [`Sink`].
//!
//! ```text
//!  commit() ─> queue ─> writer ── frame, fdatasync ──> wal/        the commit point
//!                         │  └─ sink.apply, answers
//!                         v
//!                      publisher ── tiles, checkpoint ─> public/
//!                            └─ sink.persist, drop old segments
//! ```
//!
//! The order of the steps and what a crash means between them stands in the modules `writer` (up to
//! the answer), `publish` (after it) and `recover` (at the next start).
//!
//! # Invariants
//!
//! - No answer leaves before its frame is synced, and no frame is acknowledged after a failed sync.
//! - Of each size exactly one root is ever signed: the frame holds the checkpoint itself.
//! - A segment goes only when tiles, checkpoint, documents and index have what it holds.
//! - One process has the ledger open.

#![forbid(unsafe_code)]

pub mod verify;

mod blobs;
mod commit;
mod config;
mod digest;
mod disk;
mod error;
mod frame;
mod growth;
mod import;
mod ledger;
mod lock;
mod nodes;
mod operation;
mod packs;
mod publish;
mod read;
mod recover;
mod repair;
mod resume;
mod tiles;
mod view;
mod wal;
mod writer;

pub use blobs::{BlobError, Blobs};
pub use commit::{CommitError, Draft, MAX_RIDING_BYTES, Proposal, Receipt, Sink, Stamp};
pub use config::{Clock, Config, Limits, Probe, Step};
pub use digest::{Digest, DigestError, MAX_BLOB_BYTES};
pub use disk::FileError;
pub use error::OpenError;
pub use import::{Import, ImportError, SignedBy};
pub use ledger::{Ledger, Opened};
pub use operation::{Act, Moment, Operation, Watch};
pub use read::{ConsistencyProof, Entries, ReadError};
pub use recover::Recovery;
pub use repair::{Repair, RepairError, repair};
pub use view::{Committed, Head, Status};
