//! The engine's networks, and what they are called here.

use std::collections::HashMap;

use dockmaster_proto::id::{Name, NetworkName};

/// What a network means for the addresses in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Network {
    /// Containers hold addresses in it.
    Addressed(NetworkName),
    /// The engine's stand-ins for "the host's namespace" and "no network": no addresses.
    Unaddressed,
}

/// The networks by the engine's ID. A name may be given again to another network; an ID never is. But
/// Podman, whose endpoints tell a name in place of the ID, leaves no choice.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    by_id: HashMap<String, Network>,
    by_name: HashMap<String, Network>,
}

/// Podman lists its default network under the name that Docker's has, and calls it otherwise in the
/// endpoints of containers.
const PODMANS_DEFAULT: &str = "podman";
const DOCKERS_DEFAULT: &str = "bridge";

impl Networks {
    /// Reads the engine's list.
    pub(crate) fn read(
        list: impl IntoIterator<Item = bollard::models::Network>,
        host: &Name,
    ) -> Self {
        let mut networks = Self::default();
        for network in list {
            let Some(id) = network.id.filter(|id| !id.is_empty()) else {
                continue;
            };
            let name = network.name.unwrap_or_default();
            let scope = network.scope.unwrap_or_default();
            let means = match network.driver.as_deref() {
                Some("host" | "null") => Some(Network::Unaddressed),
                _ => called(host, &id, &name, &scope).map(Network::Addressed),
            };
            if let Some(means) = means {
                networks.by_name.insert(name, means.clone());
                networks.by_id.insert(id, means);
            }
        }
        networks
    }

    /// The network that an endpoint means, if the engine has listed it: by its ID, or by its name.
    pub(crate) fn get(&self, id: &str) -> Option<&Network> {
        let named = |name: &str| self.by_name.get(name);
        self.by_id.get(id).or_else(|| match id {
            "" => None,
            PODMANS_DEFAULT => named(id).or_else(|| named(DOCKERS_DEFAULT)),
            name => named(name),
        })
    }
}

/// `NAME` for a network that the whole swarm shares, `HOST/NAME` for any other.
///
/// An engine accepts almost any name. One that is no network name here, a slash above all (a
/// shared network called `h2/bridge` must not pass for h2's bridge), gives way to the network's ID.
fn called(host: &Name, id: &str, name: &str, scope: &str) -> Option<NetworkName> {
    let usable = |name: &str| !name.contains('/') && name.parse::<NetworkName>().is_ok();
    let name = if usable(name) { name } else { id };
    match scope {
        "swarm" | "global" => name.parse().ok(),
        _ => NetworkName::local(host, name).ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host() -> Name {
        "h1".parse().unwrap()
    }

    #[test]
    fn a_bridge_is_the_hosts_own_and_an_overlay_is_shared() {
        let name = |name, scope| called(&host(), "0a1b", name, scope).unwrap().to_string();
        assert_eq!(name("bridge", "local"), "h1/bridge");
        assert_eq!(name("backend", "swarm"), "backend");
        assert_eq!(name("backend", ""), "h1/backend");
    }

    #[test]
    fn a_name_that_would_pass_for_another_hosts_network_is_not_used() {
        let name = |name, scope| called(&host(), "0a1b", name, scope).unwrap().to_string();
        assert_eq!(name("h2/bridge", "swarm"), "0a1b");
        assert_eq!(name("h2/bridge", "local"), "h1/0a1b");
        assert_eq!(name("", "local"), "h1/0a1b");
    }

    #[test]
    fn the_engines_list_is_read() {
        let list: Vec<bollard::models::Network> =
            serde_json::from_str(include_str!("fixtures/networks.json")).unwrap();
        let networks = Networks::read(list.clone(), &host());
        let by_name = |wanted: &str| {
            let found = list.iter().find(|n| n.name.as_deref() == Some(wanted));
            networks.get(found.unwrap().id.as_ref().unwrap()).unwrap()
        };
        assert_eq!(by_name("none"), &Network::Unaddressed);
        assert_eq!(by_name("host"), &Network::Unaddressed);
        assert_eq!(
            by_name("bridge"),
            &Network::Addressed("h1/bridge".parse().unwrap())
        );
    }

    proptest! {
        #[test]
        fn no_local_network_is_ever_called_as_if_it_were_elsewhere(
            name in "\\PC{0,160}", id in "[0-9a-f]{12,64}", scope in "[a-z]{0,6}"
        ) {
            if let Some(network) = called(&host(), &id, &name, &scope) {
                let text = network.to_string();
                prop_assert!(!text.contains('/') || text.starts_with("h1/"), "{}", text);
            }
        }
    }
}
