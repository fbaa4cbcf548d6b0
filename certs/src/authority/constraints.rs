//! The name constraints of the container intermediate (RFC 5280 section 4.2.1.10).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};

/// The only DNS name below which names are permitted. Nobody can hold one there (RFC 6761), so all
/// DNS names are shut out; a constraint of IPs alone would not limit DNS names.
pub(crate) const NO_DNS_NAME: &str = "dockmaster.invalid";

/// Permitted when no IPv4 range is: the documentation network's own address (RFC 5737), which no
/// container can have.
const NO_IPV4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 0), 32);

/// Permitted when no IPv6 range is: the discard-only prefix (RFC 6666). Without any IPv6 range some
/// verifiers accept every IPv6 address.
const NO_IPV6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64);

/// Constraints that permit these ranges and no DNS name. Both families always have a range, because
/// a family without one is unconstrained.
pub(crate) fn permitting(ranges: &[IpNet]) -> NameConstraints {
    let mut ranges = IpNet::aggregate(&ranges.to_vec());
    if !ranges.iter().any(|range| range.addr().is_ipv4()) {
        ranges.push(NO_IPV4.into());
    }
    if !ranges.iter().any(|range| range.addr().is_ipv6()) {
        ranges.push(NO_IPV6.into());
    }
    let mut permitted_subtrees = vec![GeneralSubtree::DnsName(NO_DNS_NAME.to_owned())];
    permitted_subtrees.extend(ranges.iter().map(|range| {
        // The network, not the address as it was written: host bits must be zero.
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
            range.network(),
            range.prefix_len(),
        ))
    }));
    NameConstraints {
        permitted_subtrees,
        excluded_subtrees: Vec::new(),
    }
}

/// The range that an iPAddress constraint names: address, then mask.
pub(crate) fn range(bytes: &[u8]) -> Option<IpNet> {
    let (address, mask): (IpAddr, IpAddr) = match bytes.len() {
        8 => {
            let (address, mask) = bytes.split_at(4);
            let address: [u8; 4] = address.try_into().ok()?;
            let mask: [u8; 4] = mask.try_into().ok()?;
            (address.into(), mask.into())
        }
        32 => {
            let (address, mask) = bytes.split_at(16);
            let address: [u8; 16] = address.try_into().ok()?;
            let mask: [u8; 16] = mask.try_into().ok()?;
            (address.into(), mask.into())
        }
        _ => return None,
    };
    IpNet::with_netmask(address, mask).ok()
}
