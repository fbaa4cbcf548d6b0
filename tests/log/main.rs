//! The published log, verified by a program that shares no code with Dockmaster: `verifier/`, in Go.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod damage;
mod forge;
mod go;
mod headers;
mod proof;
mod published;
mod stage;
mod web;
