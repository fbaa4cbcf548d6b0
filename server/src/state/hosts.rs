//! Hosts in the view: those that an operator enrolled, and which are being watched.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use dockmaster_proto::{
    event::{CertIssued, HostEnrolled, Reach},
    id::{Name, Serial},
    time::UnixMs,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A host that may vouch for containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolledHost {
    /// The only ranges that it may vouch for; any where there are none.
    pub cidrs: Vec<IpNet>,
    /// How its containers reach the master.
    pub reach: Reach,
    /// Since when.
    pub enrolled_at_ms: UnixMs,
    /// The certificates that are honoured, newest first.
    pub certificates: Vec<HostKey>,
}

/// A host's certificate that is honoured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostKey {
    /// Its serial number.
    pub serial: Serial,
    /// Valid until.
    pub not_after_ms: UnixMs,
    /// The key identifier of the authority that signed it, in hex.
    pub issuer_key_id: String,
}

impl HostKey {
    /// The certificate of an issuance.
    #[must_use]
    pub fn of(event: &CertIssued) -> Self {
        Self {
            serial: event.serial,
            not_after_ms: event.not_after_ms,
            issuer_key_id: event.issuer_key_id.clone(),
        }
    }
}

/// While a host renews, the old certificate must serve until the new one has arrived.
const MAX_HONOURED: usize = 2;

impl EnrolledHost {
    /// A host that was just enrolled; its certificate's own entry follows.
    #[must_use]
    pub fn new(event: &HostEnrolled, at: UnixMs) -> Self {
        Self {
            cidrs: event.cidrs.clone(),
            reach: event.reach,
            enrolled_at_ms: at,
            certificates: Vec::new(),
        }
    }

    /// Whether its containers come straight to the master from this address.
    #[must_use]
    pub fn is_reached_at(&self, ip: IpAddr) -> bool {
        self.reach == Reach::Direct && self.cidrs.iter().any(|cidr| cidr.contains(&ip))
    }

    /// Whether a certificate of it is honoured.
    #[must_use]
    pub fn honours(&self, serial: &Serial) -> bool {
        self.certificates.iter().any(|key| key.serial == *serial)
    }

    /// Takes up a certificate. Gives back those that are honoured no more.
    pub fn certify(&mut self, key: HostKey) -> Vec<HostKey> {
        self.certificates.insert(0, key);
        let honoured = self.certificates.len().min(MAX_HONOURED);
        self.certificates.split_off(honoured)
    }

    /// Ends a certificate.
    pub fn revoke(&mut self, serial: &Serial) {
        self.certificates.retain(|key| key.serial != *serial);
    }
}

/// Why and since when a host's watch is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostWatch {
    /// Since when.
    pub since: UnixMs,
    /// Why.
    pub reason: String,
}

/// All that the view knows of hosts.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    pub(super) enrolled: BTreeMap<Name, EnrolledHost>,
    /// Hosts that have reported in this life of the master, and since when: what is known of others
    /// may be past.
    pub(super) watched: HashMap<Name, UnixMs>,
    /// Hosts whose watch broke off and has not begun again.
    pub(super) lost: HashMap<Name, LostWatch>,
    /// The master's own machine, where it watches one. Not part of the fold.
    pub(super) here: Option<Name>,
}

impl Hosts {
    pub(super) fn evict(&mut self, host: &Name) {
        self.enrolled.remove(host);
        self.watched.remove(host);
        self.lost.remove(host);
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{
        event::{Event, HostEvicted},
        id::Digest,
    };

    use super::super::State;
    use crate::{
        origin::Origin,
        testing::{apply, host},
    };

    use super::*;

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
        let may = |origin: &Origin| [&h1, &h2, &h3].map(|host| state.may_come_from(host, origin));
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
    fn a_container_comes_by_its_hosts_relay_or_straight_and_every_way_is_one_that_it_may_come_by() {
        let mut state = State::default();
        state.watch_here(host());
        enroll(&mut state, "h2", &[], Reach::Relay);
        enroll(&mut state, "h3", &["10.3.0.0/16"], Reach::Direct);
        let ways = |host: &str, ip: &str| -> Vec<String> {
            let host = host.parse().unwrap();
            let ways = state.ways(&host, ip.parse().unwrap());
            assert!(ways.iter().all(|way| state.may_come_from(&host, way)));
            ways.iter().map(Origin::to_string).collect()
        };
        assert_eq!(ways("h1", "172.17.0.2"), ["172.17.0.2"]);
        assert_eq!(ways("h2", "172.17.0.2"), ["172.17.0.2 on host h2"]);
        let routed = ["10.3.0.9 on host h3", "10.3.0.9"];
        assert_eq!(ways("h3", "10.3.0.9"), routed);
        assert_eq!(ways("token", "10.0.0.9"), ["10.0.0.9"]);
        assert_eq!(ways("h4", "172.17.0.2"), [""; 0]);
    }

    #[test]
    fn nobody_comes_straight_to_a_master_without_a_host_of_its_own() {
        let mut state = State::default();
        let h3: Name = "h3".parse().unwrap();
        let origin = Origin::direct("10.3.0.9".parse().unwrap());
        assert!(!state.may_come_from(&host(), &origin));
        enroll(&mut state, "h3", &["10.3.0.0/16"], Reach::Direct);
        assert!(state.may_come_from(&h3, &origin));
        let evicted = HostEvicted { host: h3.clone() };
        apply(&mut state, Event::HostEvicted(evicted));
        assert!(!state.may_come_from(&h3, &origin));
    }
}
