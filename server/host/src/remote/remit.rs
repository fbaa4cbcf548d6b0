//! What a host may vouch for. Pure: the wall between what a host says and what is believed.

use std::net::IpAddr;

use dockmaster_proto::{
    facts::ContainerFacts,
    id::{Name, NetworkName},
};
use ipnet::IpNet;

/// What a host may vouch for: addresses in its own networks and ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remit {
    /// The host.
    pub host: Name,
    /// The only ranges that it may vouch for; any where there are none.
    pub cidrs: Vec<IpNet>,
}

/// Why a host may not say what it said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trespass {
    /// A network that carries another host's name.
    #[error("network {network} is not one of host {host}")]
    ForeignNetwork {
        /// The host that said it.
        host: Name,
        /// The network.
        network: NetworkName,
    },
    /// An address in a network that several hosts share, without a range that says it is this host's.
    #[error(
        "{ip} in the shared network {network} is in no range that host {host} was enrolled with"
    )]
    SharedNetwork {
        /// The host that said it.
        host: Name,
        /// The network.
        network: NetworkName,
        /// The address.
        ip: IpAddr,
    },
    /// An address outside the host's ranges.
    #[error("{ip} is outside the ranges that host {host} was enrolled with")]
    OutsideRanges {
        /// The host that said it.
        host: Name,
        /// The address.
        ip: IpAddr,
    },
}

impl Remit {
    /// Whether all of a container's addresses are this host's to vouch for.
    ///
    /// # Errors
    /// The first that is not.
    pub fn admits(&self, facts: &ContainerFacts) -> Result<(), Trespass> {
        for attachment in &facts.attachments {
            let network = &attachment.network;
            let is_shared = match network.host() {
                Some(host) if host == self.host.as_str() => false,
                Some(_) => {
                    return Err(Trespass::ForeignNetwork {
                        host: self.host.clone(),
                        network: network.clone(),
                    });
                }
                None => true,
            };
            for ip in &attachment.ips {
                // Where nothing says which part of a shared network is whose, any host could take
                // another's addresses in it.
                if is_shared && self.cidrs.is_empty() {
                    return Err(Trespass::SharedNetwork {
                        host: self.host.clone(),
                        network: network.clone(),
                        ip: *ip,
                    });
                }
                if !self.covers(*ip) {
                    return Err(Trespass::OutsideRanges {
                        host: self.host.clone(),
                        ip: *ip,
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether an address is in the host's ranges, or it may have any.
    #[must_use]
    pub fn covers(&self, ip: IpAddr) -> bool {
        self.cidrs.is_empty() || contains(&self.cidrs, ip)
    }
}

fn contains(cidrs: &[IpNet], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    cidrs.iter().any(|cidr| cidr.contains(&ip))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dockmaster_proto::{
        facts::{Attachment, Limits, NetworkMode},
        id::ContainerId,
        time::UnixMs,
    };

    use super::*;

    fn container(network: &str, ip: &str) -> ContainerFacts {
        ContainerFacts {
            id: ContainerId::from_bytes([1; 32]),
            name: "c1".into(),
            image: "app".into(),
            image_digest: String::new(),
            labels: BTreeMap::new(),
            started_at_ms: UnixMs(1),
            limits: Limits::default(),
            network_mode: NetworkMode::Own,
            attachments: vec![Attachment {
                network: network.parse().unwrap(),
                ips: vec![ip.parse().unwrap()],
            }],
        }
    }

    fn remit(cidrs: &[&str]) -> Remit {
        Remit {
            host: "h2".parse().unwrap(),
            cidrs: cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn a_host_vouches_under_its_own_name_and_no_other() {
        let free = remit(&[]);
        assert_eq!(free.admits(&container("h2/bridge", "172.17.0.2")), Ok(()));
        for foreign in ["h1/bridge", "h22/bridge", "h/bridge"] {
            let said = free.admits(&container(foreign, "172.17.0.2"));
            assert!(
                matches!(said, Err(Trespass::ForeignNetwork { .. })),
                "{foreign}: {said:?}"
            );
        }
    }

    #[test]
    fn an_address_outside_the_ranges_is_refused_also_when_it_is_written_otherwise() {
        let narrow = remit(&["172.18.0.0/16"]);
        assert_eq!(narrow.admits(&container("h2/b", "172.18.0.2")), Ok(()));
        assert_eq!(
            narrow.admits(&container("h2/b", "::ffff:172.18.0.2")),
            Ok(())
        );
        for outside in ["172.17.0.2", "::ffff:172.17.0.2", "fd00::1"] {
            let said = narrow.admits(&container("h2/b", outside));
            assert!(
                matches!(said, Err(Trespass::OutsideRanges { .. })),
                "{outside}: {said:?}"
            );
        }
    }

    #[test]
    fn a_shared_network_needs_a_range_that_says_whose_part_it_is() {
        let shared = container("overlay", "10.9.0.2");
        assert!(matches!(
            remit(&[]).admits(&shared),
            Err(Trespass::SharedNetwork { .. })
        ));
        assert_eq!(remit(&["10.9.0.0/24"]).admits(&shared), Ok(()));
    }
}
