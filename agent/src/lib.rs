//! The agent of Dockmaster: the entrypoint of a container.
//!
//! In scope: the facts of the container, its identity, its catalog made true, its processes kept.
//! Out of scope: any decision about what the container should be; the master compiles that.
//!
//! [`cli`] parses and dispatches to [`commands`]; `run` leads a [`life`]: a [`link`] to the master,
//! [`apply`] for each catalog, and [`supervise`] for the processes, all on one thread.
#![forbid(unsafe_code)]

pub mod apply;
pub mod backoff;
pub mod cli;
pub mod commands;
pub mod env;
pub mod exit;
pub mod facts;
pub mod identity;
pub mod join;
pub mod life;
pub mod link;
pub mod log;
pub mod root;
pub mod rundir;
pub mod settings;
pub mod signals;
pub mod supervise;
pub mod user;
