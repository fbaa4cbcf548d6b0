//! Further machines: network namespaces of this one, each with a bridge of the same range behind a
//! masquerade, as every Docker host has one.

use std::{
    fs::File,
    net::Ipv4Addr,
    os::fd::AsFd as _,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::Ran;

/// A network namespace, removed when dropped.
#[derive(Debug)]
pub struct Space {
    name: String,
}

impl Space {
    fn new(label: &str) -> Self {
        let name = crate::unique(label);
        let _ = ip(&["netns", "add", &name]);
        let space = Self { name };
        space.ip(&["link", "set", "lo", "up"]);
        space
    }

    /// Whether this machine lets a test make one, with a masquerade in it.
    #[must_use]
    pub fn can_be_made() -> bool {
        let name = crate::unique("probe");
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        if !made.is_ok_and(|made| made.status.success()) {
            return false;
        }
        let space = Self { name };
        let mut masquerade = space.command(Path::new("iptables"));
        let listed = masquerade.args(["-t", "nat", "-L", "POSTROUTING"]).output();
        listed.is_ok_and(|listed| listed.status.success())
    }

    /// A program in the namespace, with an empty environment but for the search path.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path);
        command
    }

    /// Moves the calling thread into the namespace for good: what it dials from now on comes from there.
    ///
    /// # Panics
    /// When the kernel does not let it.
    pub fn enter(&self) {
        let file = File::open(Path::new("/run/netns").join(&self.name)).unwrap();
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// Gives a container one more address on its bridge.
    ///
    /// # Panics
    /// When it cannot be given.
    pub fn take(&self, ip: Ipv4Addr) {
        self.ip(&["address", "add", &format!("{ip}/24"), "dev", "eth0"]);
    }

    fn ip(&self, args: &[&str]) {
        let mut line = vec!["-n", &self.name];
        line.extend(args);
        let _ = ip(&line);
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let ended = Command::new("ip")
            .args(["netns", "del", &self.name])
            .output();
        if !ended.is_ok_and(|ended| ended.status.success()) {
            println!("left over: network namespace {}", self.name);
        }
    }
}

fn ip(args: &[&str]) -> String {
    Ran::run(Command::new("ip").args(args)).ok()
}

/// A further machine.
#[derive(Debug)]
pub struct FarMachine {
    space: Space,
    /// The end of its uplink on this machine: where it reaches a master.
    master: Ipv4Addr,
}

impl FarMachine {
    /// The range of every machine's bridge.
    pub const RANGE: &str = "172.30.0.0/24";
    /// Every machine's own address in it.
    pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);

    /// A machine without containers.
    ///
    /// # Panics
    /// When it cannot be made; see [`Space::can_be_made`].
    #[must_use]
    pub fn new(label: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // 198.18.0.0/15 is for tests (RFC 2544): a link of four addresses for each machine.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let link = std::process::id().wrapping_mul(64).wrapping_add(number) % (1 << 15);
        let base = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + 4 * link;
        let (master, machine) = (Ipv4Addr::from(base + 1), Ipv4Addr::from(base + 2));
        let space = Space::new(label);
        let here = format!("dmt{link}u");
        let (ours, theirs) = (format!("{master}/30"), format!("{machine}/30"));
        let _ = ip(&[
            "link",
            "add",
            &here,
            "type",
            "veth",
            "peer",
            "name",
            "uplink",
            "netns",
            &space.name,
        ]);
        let _ = ip(&["address", "add", &ours, "dev", &here]);
        let _ = ip(&["link", "set", &here, "up"]);
        space.ip(&["address", "add", &theirs, "dev", "uplink"]);
        space.ip(&["link", "set", "uplink", "up"]);
        space.ip(&["route", "add", "default", "via", &master.to_string()]);
        space.ip(&["link", "add", "br0", "type", "bridge"]);
        let gateway = format!("{}/24", Self::GATEWAY);
        space.ip(&["address", "add", &gateway, "dev", "br0"]);
        space.ip(&["link", "set", "br0", "up"]);
        let run = |program: &str, args: &[&str]| {
            let _ = Ran::run(space.command(Path::new(program)).args(args)).ok();
        };
        run("sysctl", &["-qw", "net.ipv4.ip_forward=1"]);
        run(
            "iptables",
            &[
                "-t",
                "nat",
                "-A",
                "POSTROUTING",
                "-s",
                Self::RANGE,
                "-o",
                "uplink",
                "-j",
                "MASQUERADE",
            ],
        );
        Self { space, master }
    }

    /// Its network namespace.
    #[must_use]
    pub const fn space(&self) -> &Space {
        &self.space
    }

    /// Where it reaches a master.
    #[must_use]
    pub const fn master(&self) -> Ipv4Addr {
        self.master
    }

    /// A container's network namespace on its bridge, at the address of this number.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn container(&self, number: u8) -> Space {
        let space = Space::new("c");
        let port = format!("v{number}");
        self.space.ip(&[
            "link",
            "add",
            &port,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            &space.name,
        ]);
        self.space
            .ip(&["link", "set", &port, "master", "br0", "up"]);
        let address = format!("172.30.0.{number}/24");
        space.ip(&["address", "add", &address, "dev", "eth0"]);
        space.ip(&["link", "set", "eth0", "up"]);
        let gateway = Self::GATEWAY.to_string();
        space.ip(&["route", "add", "default", "via", &gateway]);
        space
    }
}
