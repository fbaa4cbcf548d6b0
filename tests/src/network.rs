//! A network of a test's own.

use std::net::IpAddr;

use serde_json::Value;

use crate::docker::{docker, try_docker};

/// A bridge network, removed when dropped. Declare it before what is attached to it: Rust drops in
/// the opposite order.
#[derive(Debug)]
pub struct Network {
    name: String,
    bridge: String,
    gateway: IpAddr,
    subnet: String,
}

impl Network {
    /// A new bridge network.
    ///
    /// # Panics
    /// When the engine makes none.
    #[must_use]
    pub fn create(label: &str) -> Self {
        Self::create_with(label, &[])
    }

    /// A new bridge network with further options of `docker network create`.
    ///
    /// # Panics
    /// When the engine makes none.
    #[must_use]
    pub fn create_with(label: &str, options: &[&str]) -> Self {
        let name = crate::unique(label);
        docker(&[&["network", "create"], options, &[&name]].concat());
        // Held from here on, so that it is removed whatever the inspection brings.
        let mut network = Self {
            name,
            bridge: String::new(),
            gateway: [0, 0, 0, 0].into(),
            subnet: String::new(),
        };
        let inspected = docker(&["network", "inspect", &network.name]);
        let inspected: Value = serde_json::from_str(&inspected).unwrap();
        let id = inspected[0]["Id"].as_str().unwrap();
        network.bridge = format!("br-{}", &id[..12]);
        let configs = inspected[0]["IPAM"]["Config"].as_array().unwrap();
        let is_ipv4 = |config: &&Value| config["Subnet"].as_str().unwrap().contains('.');
        let config = configs.iter().find(is_ipv4).expect("an IPv4 range");
        network.gateway = config["Gateway"].as_str().unwrap().parse().unwrap();
        config["Subnet"]
            .as_str()
            .unwrap()
            .clone_into(&mut network.subnet);
        network
    }

    /// The engine's name for it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The interface that it is on this machine.
    #[must_use]
    pub fn bridge(&self) -> &str {
        &self.bridge
    }

    /// The host's own address in it: where its containers reach a master.
    #[must_use]
    pub const fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// Its range, as `IP/LENGTH`.
    #[must_use]
    pub fn subnet(&self) -> &str {
        &self.subnet
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Err(error) = try_docker(&["network", "rm", &self.name]) {
            println!("left over: network {}: {error}", self.name);
        }
    }
}
