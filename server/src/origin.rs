//! Where a connection comes from. An IP means something only on the host whose container has it: behind
//! another host's masquerade the same IP is someone else.

use std::{fmt, net::IpAddr};

use dockmaster_proto::{id::Name, token::TOKEN_HOST};

use crate::state::State;

/// The true beginning of a connection: an IP, as seen by the master itself or by a host that relays.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The IP, in its one written form.
    pub ip: IpAddr,
    /// The host that relayed the connection; none where it came straight to the master.
    pub relay: Option<Name>,
}

impl Origin {
    /// A connection that came straight to the master.
    #[must_use]
    pub fn direct(ip: IpAddr) -> Self {
        Self {
            ip: ip.to_canonical(),
            relay: None,
        }
    }

    /// A connection that a host relayed.
    #[must_use]
    pub fn relayed(ip: IpAddr, host: Name) -> Self {
        Self {
            ip: ip.to_canonical(),
            relay: Some(host),
        }
    }

    /// Whether a container of this host may be at the other end: what a host relays is from its own
    /// containers, and what comes straight is from the master's own machine, from a host whose ranges
    /// an operator said to be routed, or from a machine that a join token let in.
    #[must_use]
    pub fn may_be_of(&self, host: &Name, state: &State) -> bool {
        match &self.relay {
            Some(relay) => relay == host,
            None => {
                host.as_str() == TOKEN_HOST
                    || state.is_here(host)
                    || state
                        .host(host)
                        .is_some_and(|enrolled| enrolled.is_reached_at(self.ip))
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.relay {
            None => self.ip.fmt(f),
            Some(host) => write!(f, "{} on host {host}", self.ip),
        }
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{
        event::{Event, HostEnrolled, HostEvicted, Reach},
        id::{Digest, Serial},
        time::UnixMs,
    };

    use super::*;
    use crate::testing::{apply, host};

    fn enroll(state: &mut State, name: &str, cidrs: &[&str], reach: Reach) {
        let enrolled = HostEnrolled {
            host: name.parse().unwrap(),
            cidrs: cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect(),
            reach,
            serial: Serial::from_bytes([9; 16]),
            spki_sha256: Digest::of(b""),
            not_after_ms: UnixMs(1 << 40),
        };
        apply(state, Event::HostEnrolled(enrolled));
    }

    #[test]
    fn a_connection_is_of_the_host_that_relays_it_or_of_the_masters_own() {
        let mut state = State::default();
        state.watch_here(host());
        enroll(&mut state, "h2", &[], Reach::Relay);
        enroll(&mut state, "h3", &["10.3.0.0/16"], Reach::Direct);
        let [h1, h2, h3] = ["h1", "h2", "h3"].map(|name| name.parse::<Name>().unwrap());
        let may = |origin: &Origin| [&h1, &h2, &h3].map(|host| origin.may_be_of(host, &state));
        let ip = "172.17.0.2".parse().unwrap();
        assert_eq!(may(&Origin::direct(ip)), [true, false, false]);
        assert_eq!(may(&Origin::relayed(ip, h2.clone())), [false, true, false]);
        assert_eq!(
            may(&Origin::direct("10.3.0.9".parse().unwrap())),
            [true, false, true]
        );
        assert_eq!(
            may(&Origin::direct("::ffff:10.3.0.9".parse().unwrap())),
            [true, false, true]
        );
    }

    #[test]
    fn nobody_comes_straight_to_a_master_without_a_host_of_its_own() {
        let mut state = State::default();
        let h3: Name = "h3".parse().unwrap();
        let origin = Origin::direct("10.3.0.9".parse().unwrap());
        assert!(!origin.may_be_of(&host(), &state));
        enroll(&mut state, "h3", &["10.3.0.0/16"], Reach::Direct);
        assert!(origin.may_be_of(&h3, &state));
        let evicted = HostEvicted { host: h3.clone() };
        apply(&mut state, Event::HostEvicted(evicted));
        assert!(!origin.may_be_of(&h3, &state));
    }
}
