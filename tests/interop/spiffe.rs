//! A library of SPIFFE reads what an agent has in its run dir.

use std::{fs, process::Command};

use dockmaster_tests::{Ran, checkout};

use crate::{
    house::{House, TRUST_DOMAIN, V4},
    python::interpreter,
};

#[test]
fn the_spiffe_library_reads_a_containers_chain_key_and_bundle() {
    let Some(python) = interpreter() else { return };
    let house = House::permitting(&["172.17.0.0/16"]);
    let container = house.container(&[V4]);
    let folder = tempfile::tempdir().unwrap();
    let mut read = Command::new(python);
    read.arg(checkout().join("tests/interop/python/svid.py"));
    for (name, text) in [
        ("cert.pem", &container.chain),
        ("key.pem", &container.key),
        ("bundle.pem", &house.bundle),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
        read.arg(folder.path().join(name));
    }
    let said = Ran::run(read.arg(TRUST_DOMAIN)).ok();
    let id = format!("spiffe://td.example/host/h1/container/{}", "c5".repeat(32));
    assert_eq!(said.lines().collect::<Vec<_>>(), [id.as_str(), "2", "1"]);
}
