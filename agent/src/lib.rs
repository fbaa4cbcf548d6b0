//! The agent of Dockmaster: the entrypoint of a container.
//!
//! In scope: the facts of the container, its identity, its catalog made true, its processes kept.
//! Out of scope: any decision about what the container should be; the master compiles that.
#![forbid(unsafe_code)]

pub mod apply;
pub mod env;
pub mod facts;
pub mod log;
pub mod root;
pub mod supervise;
pub mod user;
