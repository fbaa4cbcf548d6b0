//! Addresses: an IP means something only inside a network.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use crate::id::{IdError, NetworkName, serde_as_text};

/// An IP in a network. Two hosts may both have 172.17.0.2; they do not have the same `Address`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The network in which the IP is unique.
    pub network: NetworkName,
    /// The IP; never an IPv4-mapped IPv6 address.
    pub ip: IpAddr,
}

impl Address {
    /// An address in its one written form.
    #[must_use]
    pub fn new(network: NetworkName, ip: IpAddr) -> Self {
        Self {
            network,
            ip: ip.to_canonical(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.ip)
    }
}

impl FromStr for Address {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError::new("an address", "NETWORK/IP or HOST/NETWORK/IP", text);
        let (network, ip) = text.rsplit_once('/').ok_or_else(error)?;
        let ip: IpAddr = ip.parse().map_err(|_| error())?;
        Ok(Self::new(network.parse()?, ip))
    }
}

serde_as_text!(Address);

/// The sixteen bytes by which an IP is sorted and indexed: IPv4 as its IPv4-mapped IPv6 form.
#[must_use]
pub fn ip_key(ip: IpAddr) -> [u8; 16] {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The IP of [`ip_key`].
#[must_use]
pub fn ip_from_key(key: [u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(key)).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_written() {
        for text in ["h1/bridge/172.17.0.2", "overlay/fd00::1"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(ip_from_key(ip_key(address.ip)), address.ip);
        }
        assert!("172.17.0.2".parse::<Address>().is_err());
    }

    #[test]
    fn a_mapped_ip_is_the_ipv4_address_that_it_maps() {
        let address: Address = "n/::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(address.to_string(), "n/10.0.0.1");
    }
}
