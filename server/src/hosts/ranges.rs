//! What an operator should know of the ranges that a host is enrolled with. Pure.

use dockmaster_proto::id::Name;
use ipnet::IpNet;

use crate::state::State;

/// What is to be said of a host's ranges; none of it is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remarks {
    /// Those that do not lie wholly in what the master certifies.
    pub(super) uncertified: Vec<IpNet>,
    /// What the master certifies.
    pub(super) certified: Vec<IpNet>,
    /// The other hosts that may vouch for some of the same IPs.
    pub(super) overlapping: Vec<Name>,
}

/// Looks at the ranges of a host that is to be enrolled; any IP is in none at all.
pub(super) fn remarks(cidrs: &[IpNet], permitted: &[IpNet], state: &State) -> Remarks {
    let certified = IpNet::aggregate(&permitted.to_vec());
    let is_certified = |cidr: &IpNet| certified.iter().any(|range| range.contains(cidr));
    let enrolled = state.hosts().map(|(name, host)| (name, &host.cidrs[..]));
    // The master's own machine vouches for whatever its engine says.
    let here = state.here().map(|name| (name, &[][..]));
    let mut overlapping: Vec<Name> = enrolled
        .chain(here)
        .filter(|(_, others)| overlap(cidrs, others))
        .map(|(name, _)| name.clone())
        .collect();
    overlapping.sort();
    let uncertified = cidrs.iter().filter(|cidr| !is_certified(cidr));
    Remarks {
        uncertified: uncertified.copied().collect(),
        certified,
        overlapping,
    }
}

fn overlap(some: &[IpNet], others: &[IpNet]) -> bool {
    let meet = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
    some.is_empty() || others.is_empty() || some.iter().any(|a| others.iter().any(|b| meet(a, b)))
}

/// Ranges one after the other.
pub(super) fn joined(ranges: &[IpNet], between: &str) -> String {
    let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    ranges.join(between)
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{
        event::{Event, HostEnrolled, Reach},
        id::{Digest, Serial},
        time::UnixMs,
    };

    use super::*;
    use crate::testing::apply;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn enroll(state: &mut State, name: &str, cidrs: &[&str]) {
        let enrolled = HostEnrolled {
            host: name.parse().unwrap(),
            cidrs: nets(cidrs),
            reach: Reach::Relay,
            serial: Serial::from_bytes([1; 16]),
            spki_sha256: Digest::of(b""),
            not_after_ms: UnixMs(1),
        };
        apply(state, Event::HostEnrolled(enrolled));
    }

    #[test]
    fn a_range_that_the_master_does_not_certify_is_remarked() {
        let state = State::default();
        let permitted = nets(&["172.16.0.0/13", "172.24.0.0/13", "fd00::/8"]);
        let uncertified = |cidrs: &[&str]| remarks(&nets(cidrs), &permitted, &state).uncertified;
        // The two halves are one range.
        let inside = ["172.16.0.0/12", "172.17.0.0/16", "fd00:1::/64"];
        assert_eq!(uncertified(&inside), []);
        assert_eq!(uncertified(&[]), []);
        let outside = ["192.0.2.0/24", "172.0.0.0/8", "fc00::/7"];
        assert_eq!(uncertified(&outside), nets(&outside));
    }

    #[test]
    fn hosts_that_may_vouch_for_the_same_addresses_are_named() {
        let mut state = State::default();
        enroll(&mut state, "h4", &["10.4.0.0/16", "fd04::/64"]);
        enroll(&mut state, "h3", &["10.3.0.0/16"]);
        let named = |state: &State, cidrs: &[&str]| -> Vec<String> {
            let remarks = remarks(&nets(cidrs), &[], state);
            remarks.overlapping.iter().map(Name::to_string).collect()
        };
        assert_eq!(named(&state, &["10.5.0.0/16"]), Vec::<String>::new());
        assert_eq!(named(&state, &["10.3.7.0/24"]), ["h3"]);
        assert_eq!(named(&state, &["10.0.0.0/8"]), ["h3", "h4"]);
        assert_eq!(named(&state, &["fd04::/16"]), ["h4"]);
        assert_eq!(named(&state, &[]), ["h3", "h4"]);
        enroll(&mut state, "any", &[]);
        state.watch_here("m".parse().unwrap());
        assert_eq!(named(&state, &["10.5.0.0/16"]), ["any", "m"]);
    }
}
