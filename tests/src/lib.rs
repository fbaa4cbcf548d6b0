//! Fixtures for tests that cross a process, a socket, a container or a crash.
//!
//! A test says what it needs ([`require`]), makes a [`Network`], a [`Master`] and an [`Image`], and
//! runs [`Container`]s. Everything has a name of its own, so that tests run side by side, and is
//! removed when it is dropped, also when the test fails; then the master's log and the containers'
//! are printed. What fails here panics: a fixture is a part of its test.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "fixtures are parts of tests: they fail by panic and speak to the one who runs them"
)]

mod agent;
mod binaries;
pub mod clock;
mod container;
mod credentials;
mod docker;
mod engine;
mod far;
mod host;
mod image;
mod inventory;
mod machine;
mod master;
pub mod measure;
mod names;
mod network;
mod peer;
mod podman;
mod port;
mod process;
mod require;
mod site;
mod small_disk;
mod wait;
mod web;

pub use self::{
    agent::Agent,
    binaries::{binary, checkout},
    container::{Container, FileStat, Run},
    credentials::{Answer, Credentials},
    docker::docker,
    engine::{Engine, OnStop},
    far::{FarMachine, Space},
    host::Host,
    image::Image,
    inventory::{Inventory, StandIn},
    machine::{Machine, RunningMachine},
    master::{Master, Setup, Watch},
    names::unique,
    network::Network,
    peer::{Asked, Enrolled, Peer, redemption},
    podman::Podman,
    process::Ran,
    require::{require, require_all, require_that},
    site::{HELLO_APP, example},
    small_disk::SmallDisk,
    wait::{eventually, patience},
    web::get,
};
