//! Where a connection comes from. An IP means something only on the host whose container has it: behind
//! another host's masquerade the same IP is someone else.

use std::{fmt, net::IpAddr};

use dockmaster_proto::id::Name;

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
}

/// Origins that share limits beyond those that each has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Group {
    /// All that one host relays: it says itself where connections begin.
    Relay(Name),
    /// All addresses that nobody is known to have: one container can speak from as many of them as its
    /// network has.
    Strangers,
}

/// An origin with the limits that count for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Has limits of its own.
    pub origin: Origin,
    /// Whose limits it shares besides; none for an address whose holder is known.
    pub group: Option<Group>,
}

impl Party {
    /// An origin whose holder is known; what a host relays is still the host's.
    #[must_use]
    pub fn known(origin: Origin) -> Self {
        let group = origin.relay.clone().map(Group::Relay);
        Self { origin, group }
    }

    /// An origin whose holder is not known; what a host relays is the host's.
    #[must_use]
    pub fn unknown(origin: Origin) -> Self {
        let group = origin.relay.clone().map_or(Group::Strangers, Group::Relay);
        Self {
            group: Some(group),
            origin,
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
