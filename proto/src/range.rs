//! Ranges of IPs, as people write them.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

use crate::id::serde_as_text;

/// The most characters of a bad range that an error repeats.
const SHOWN: usize = 96;

/// A range of IPs: a whole network, `10.0.0.0/8`, or one address. `10.0.0.1/8` is none: whoever writes it
/// means one address or the network, and would get the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range(IpNet);

/// Why a text is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// It is something else.
    #[error("{0:?} is no range of addresses; write one such as 10.0.0.0/8")]
    Unknown(String),
    /// It is an address with the length of a network around it.
    #[error("\"{written}\" lies within {network}; write that, or one address")]
    Within {
        /// What was written.
        written: IpNet,
        /// The network.
        network: IpNet,
    },
}

impl Range {
    /// The network.
    #[must_use]
    pub const fn net(self) -> IpNet {
        self.0
    }

    /// Whether an IP lies in it.
    #[must_use]
    pub fn contains(self, ip: IpAddr) -> bool {
        self.0.contains(&ip)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let unknown = |_| RangeError::Unknown(text.chars().take(SHOWN).collect());
        let written = match text.parse::<IpNet>() {
            Ok(net) => net,
            Err(_) => IpNet::from(text.parse::<IpAddr>().map_err(unknown)?),
        };
        let network = written.trunc();
        if network == written {
            Ok(Self(network))
        } else {
            Err(RangeError::Within { written, network })
        }
    }
}

serde_as_text!(Range);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_whole_network_or_one_address() {
        let read = |text: &str| text.parse::<Range>().map(|range| range.to_string());
        for network in ["10.0.0.0/8", "0.0.0.0/0", "fd00::/8", "10.0.0.1/32"] {
            assert_eq!(read(network).unwrap(), network);
        }
        assert_eq!(read("10.0.0.1").unwrap(), "10.0.0.1/32");
        assert_eq!(read("fd00::1").unwrap(), "fd00::1/128");
        for (text, error) in [
            (
                "10.0.0.1/8",
                "\"10.0.0.1/8\" lies within 10.0.0.0/8; write that, or one address",
            ),
            (
                "fd00::1/8",
                "\"fd00::1/8\" lies within fd00::/8; write that, or one address",
            ),
            (
                "10.0.0.0/33",
                "\"10.0.0.0/33\" is no range of addresses; write one such as 10.0.0.0/8",
            ),
            (
                "",
                "\"\" is no range of addresses; write one such as 10.0.0.0/8",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn a_range_in_json_is_the_text_and_bound_by_the_same_rule() {
        let range: Range = serde_json::from_str("\"10.2.0.0/16\"").unwrap();
        assert_eq!(serde_json::to_string(&range).unwrap(), "\"10.2.0.0/16\"");
        assert!(serde_json::from_str::<Range>("\"10.2.0.1/16\"").is_err());
    }
}
