//! The container's own IPs and its default gateway, out of `/proc/net`.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use dockmaster_proto::facts::Observed;

use crate::root::Root;

const IPV4: &str = "/proc/net/fib_trie";
const IPV6: &str = "/proc/net/if_inet6";
const ROUTES: &str = "/proc/net/route";

/// All IPs of this network namespace but loopback and link-local ones, sorted.
pub(super) fn own_ips(root: &Root) -> Observed<Vec<IpAddr>> {
    let v4 = root.read(IPV4);
    let v6 = root.read(IPV6);
    if let (Err(error), Err(_)) = (&v4, &v6) {
        return Observed {
            value: None,
            source: format!("{IPV4} cannot be read: {error}"),
        };
    }
    let mut ips: BTreeSet<IpAddr> = BTreeSet::new();
    ips.extend(v4.iter().flat_map(|text| local_ipv4(text)).map(IpAddr::V4));
    ips.extend(v6.iter().flat_map(|text| local_ipv6(text)).map(IpAddr::V6));
    Observed {
        value: Some(ips.into_iter().collect()),
        source: format!("{IPV4}, {IPV6}"),
    }
}

/// The gateway of the default IPv4 route with the smallest metric.
#[must_use]
pub fn default_gateway(root: &Root) -> Option<Ipv4Addr> {
    let text = root.read(ROUTES).ok()?;
    gateway_in(&text)
}

fn gateway_in(routes: &str) -> Option<Ipv4Addr> {
    /// Route flags: up, and by a gateway (linux/route.h).
    const UP_AND_GATEWAY: u16 = 0x3;
    let gateways = routes.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "00000000", gateway, flags, _, _, metric, "00000000", ..] = fields[..] else {
            return None;
        };
        let flags = u16::from_str_radix(flags, 16).ok()?;
        if flags & UP_AND_GATEWAY != UP_AND_GATEWAY {
            return None;
        }
        // The kernel prints the number in the byte order of the machine.
        let gateway = u32::from_str_radix(gateway, 16).ok()?.to_ne_bytes();
        Some((metric.parse::<u32>().ok()?, Ipv4Addr::from(gateway)))
    });
    gateways
        .min_by_key(|(metric, _)| *metric)
        .map(|(_, gateway)| gateway)
}

/// The leaves `|-- IP` that are followed by `/32 host LOCAL`.
fn local_ipv4(trie: &str) -> impl Iterator<Item = Ipv4Addr> {
    let mut leaf = None;
    trie.lines().filter_map(move |line| {
        let line = line.trim_start();
        if let Some(ip) = line.strip_prefix("|-- ") {
            leaf = ip.parse::<Ipv4Addr>().ok();
            return None;
        }
        let ip = leaf.filter(|_| line.starts_with("/32 host LOCAL"))?;
        (!ip.is_loopback() && !ip.is_link_local()).then_some(ip)
    })
}

fn local_ipv6(interfaces: &str) -> impl Iterator<Item = Ipv6Addr> {
    interfaces.lines().filter_map(|line| {
        let hex = line
            .split_whitespace()
            .next()
            .filter(|hex| hex.len() == 32)?;
        let ip = Ipv6Addr::from(u128::from_str_radix(hex, 16).ok()?);
        (!ip.is_loopback() && !ip.is_unicast_link_local()).then_some(ip)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_gateway_is_the_one_of_the_smallest_metric() {
        let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth1\t00000000\t010014AC\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        assert_eq!(gateway_in(routes), Some(Ipv4Addr::new(172, 17, 0, 1)));
        assert_eq!(gateway_in("Iface\n"), None);
        assert_eq!(gateway_in("Iface\neth0\tzz\n"), None);
    }

    #[test]
    fn only_addresses_of_ones_own_count() {
        let trie = "Local:\n  |-- 127.0.0.1\n     /32 host LOCAL\n  |-- 172.17.0.2\n     /32 host LOCAL\n  |-- 172.17.255.255\n     /32 link BROADCAST\n  |-- 10.0.0.0\n     /8 link UNICAST\n";
        assert_eq!(
            local_ipv4(trie).collect::<Vec<_>>(),
            [Ipv4Addr::new(172, 17, 0, 2)]
        );
        let interfaces = "fe800000000000000042acfffe110002 02 40 20 80 eth0\n\
            fd000000000000000000000000000002 02 40 00 80 eth0\n\
            00000000000000000000000000000001 01 80 10 80 lo\nzz\n";
        assert_eq!(
            local_ipv6(interfaces).collect::<Vec<_>>(),
            ["fd00::2".parse::<Ipv6Addr>().unwrap()]
        );
    }
}
