//! A network namespace with a link of its own plays a virtual machine.

use std::{net::IpAddr, process::Command};

use dockmaster_tests::{Machine, Ran, Setup, require_all};

use crate::stage::Stage;

/// A namespace and its link to this machine; both are gone when it is dropped.
struct Namespace {
    name: String,
}

const HERE: &str = "198.18.79.1";
const THERE: &str = "198.18.79.2";

impl Namespace {
    /// None where this machine does not let it be made.
    fn new() -> Option<Self> {
        let name = format!("dmvm{}", std::process::id());
        let link = format!("dm{}", std::process::id());
        let ip = |line: &str| {
            let ran = Ran::run(Command::new("ip").args(line.split_whitespace()));
            (ran.code == 0).then_some(())
        };
        ip(&format!("netns add {name}"))?;
        let namespace = Self { name };
        let name = &namespace.name;
        ip(&format!(
            "link add {link} type veth peer name eth0 netns {name}"
        ))?;
        ip(&format!("addr add {HERE}/30 dev {link}"))?;
        ip(&format!("link set {link} up"))?;
        ip(&format!("-n {name} addr add {THERE}/30 dev eth0"))?;
        ip(&format!("-n {name} link set eth0 up"))?;
        Some(namespace)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Ran::run(Command::new("ip").args(["netns", "del", &self.name]));
    }
}

#[test]
fn a_virtual_machine_joins_from_a_network_that_nobody_watches() {
    if !require_all(&["ip"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else {
        println!("skipped: no network namespace can be made here");
        return;
    };
    let here: IpAddr = HERE.parse().unwrap();
    let stage = Stage::with(Setup::nobody().serving(here, "198.18.79.0/30"));
    let machine = Machine::at(THERE.parse().unwrap(), 120);
    machine.give(&stage.token(&["--label", "role=vm", "--network", "vms"]));
    let agent = machine.command(&stage.master);
    let mut inside = Command::new("ip");
    inside.args(["netns", "exec", &namespace.name]);
    inside.arg(agent.get_program()).arg("once").env_clear();
    for (name, value) in agent.get_envs() {
        inside.env(name, value.unwrap_or_default());
    }
    let port = stage.master.address().port();
    inside.env("DOCKMASTER_MASTER", format!("{here}:{port}"));
    inside.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let ran = Ran::run(&mut inside);
    assert_eq!(ran.code, 0, "{ran:?}");
    let node = stage.master.json(["node", "show", THERE]);
    assert_eq!(node["addresses"][0], format!("vms/{THERE}"), "{node}");
    assert_eq!(node["labels"]["role"]["tier"], "token");
}
