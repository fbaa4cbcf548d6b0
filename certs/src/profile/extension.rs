//! The private extension of a container's certificate: what its host attested at issuance.
//!
//! ```text
//! 1.3.6.1.4.1.32473.8140.1, not critical:
//! SEQUENCE {
//!     version      INTEGER (1),
//!     container    OCTET STRING (SIZE (32)),
//!     host         UTF8String,
//!     addresses    SEQUENCE OF SEQUENCE {
//!         network  UTF8String,
//!         ip       OCTET STRING (SIZE (4 | 16)),
//!         epoch    INTEGER
//!     },
//!     startedAt    INTEGER,     -- milliseconds since 1970
//!     imageDigest  UTF8String   -- empty if unknown
//! }
//! ```
//! Labels stay out: they change while a certificate lives.

use std::net::IpAddr;

use dockmaster_proto::{
    address::Address,
    event::HeldAddress,
    id::{ContainerId, Name},
    time::UnixMs,
};

use super::ContainerLeaf;
use crate::{
    der::{self, DerError, Reader},
    form::{IssueError, MAX_IPS},
};

/// The longest image digest, in bytes; `sha256:` and 64 digits are 71.
pub const MAX_IMAGE_DIGEST_LENGTH: usize = 256;

const VERSION: u64 = 1;

/// The private extension, read or to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerExtension {
    /// The container.
    pub container: ContainerId,
    /// The host that vouched.
    pub host: Name,
    /// The addresses with the epochs of their leases.
    pub addresses: Vec<HeldAddress>,
    /// When the container's process was started.
    pub started_at_ms: UnixMs,
    /// The digest of its image; empty if unknown.
    pub image_digest: String,
}

impl ContainerExtension {
    pub(crate) fn of(leaf: &ContainerLeaf) -> Self {
        Self {
            container: leaf.container,
            host: leaf.host.clone(),
            addresses: leaf.addresses.clone(),
            started_at_ms: leaf.started_at_ms,
            image_digest: leaf.image_digest.clone(),
        }
    }

    /// Whether it is small enough to stand in a certificate.
    pub(crate) fn admit(&self) -> Result<(), IssueError> {
        if self.image_digest.len() > MAX_IMAGE_DIGEST_LENGTH {
            return Err(IssueError::TooLong {
                what: "image digest",
                length: self.image_digest.len(),
                limit: MAX_IMAGE_DIGEST_LENGTH,
            });
        }
        if self.addresses.len() > MAX_IPS {
            return Err(IssueError::TooManyIps(self.addresses.len()));
        }
        Ok(())
    }

    pub(crate) fn to_der(&self) -> Vec<u8> {
        let addresses: Vec<Vec<u8>> = self.addresses.iter().map(address_to_der).collect();
        der::constructed(
            der::SEQUENCE,
            &[
                der::integer(VERSION),
                der::value(der::OCTET_STRING, self.container.as_bytes()),
                der::value(der::UTF8_STRING, self.host.as_str().as_bytes()),
                der::constructed(der::SEQUENCE, &addresses),
                der::integer(self.started_at_ms.0),
                der::value(der::UTF8_STRING, self.image_digest.as_bytes()),
            ],
        )
    }

    /// Reads the extension's value.
    ///
    /// # Errors
    /// When it is not DER, of another version, or a name in it is none.
    pub fn from_der(bytes: &[u8]) -> Result<Self, DerError> {
        let mut outer = Reader::new(bytes);
        let mut fields = outer.enter(der::SEQUENCE)?;
        outer.finish()?;
        if fields.integer()? != VERSION {
            return Err(DerError::Value("the version"));
        }
        let container = fields.expect(der::OCTET_STRING)?.content;
        let container: [u8; 32] = container
            .try_into()
            .map_err(|_| DerError::Value("the container ID"))?;
        let host = fields.utf8()?;
        let mut list = fields.enter(der::SEQUENCE)?;
        let started_at_ms = UnixMs(fields.integer()?);
        let image_digest = fields.utf8()?.to_owned();
        fields.finish()?;
        let mut addresses = Vec::new();
        while !list.is_empty() {
            addresses.push(address_from_der(&mut list)?);
        }
        Ok(Self {
            container: ContainerId::from_bytes(container),
            host: host.parse().map_err(|_| DerError::Value("the host"))?,
            addresses,
            started_at_ms,
            image_digest,
        })
    }
}

fn address_to_der(held: &HeldAddress) -> Vec<u8> {
    let ip = match held.address.ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    der::constructed(
        der::SEQUENCE,
        &[
            der::value(der::UTF8_STRING, held.address.network.as_str().as_bytes()),
            der::value(der::OCTET_STRING, &ip),
            der::integer(held.epoch),
        ],
    )
}

fn address_from_der(list: &mut Reader<'_>) -> Result<HeldAddress, DerError> {
    let mut fields = list.enter(der::SEQUENCE)?;
    let network = fields.utf8()?;
    let ip = fields.expect(der::OCTET_STRING)?.content;
    let epoch = fields.integer()?;
    fields.finish()?;
    let network = network
        .parse()
        .map_err(|_| DerError::Value("the network"))?;
    let ip = ip_from_octets(ip).ok_or(DerError::Value("the IP"))?;
    Ok(HeldAddress {
        address: Address { network, ip },
        epoch,
    })
}

/// An IP of four or sixteen bytes in its one form: never an IPv4-mapped IPv6 address.
pub(crate) fn ip_from_octets(octets: &[u8]) -> Option<IpAddr> {
    let ip = match octets.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
        _ => return None,
    };
    (ip.to_canonical() == ip).then_some(ip)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    #[test]
    fn the_extension_reads_back_as_written() {
        let extension = ContainerExtension::of(&testing::container_leaf());
        let der = extension.to_der();
        assert_eq!(ContainerExtension::from_der(&der), Ok(extension));
    }

    #[test]
    fn another_version_is_not_guessed_at() {
        let mut der = ContainerExtension::of(&testing::container_leaf()).to_der();
        let at = der.windows(3).position(|part| part == [2, 1, 1]).unwrap();
        der[at + 2] = 2;
        assert_eq!(
            ContainerExtension::from_der(&der),
            Err(DerError::Value("the version"))
        );
    }

    proptest! {
        #[test]
        fn no_changed_byte_makes_the_reader_panic(at in 0_usize..4096, to: u8) {
            let mut der = ContainerExtension::of(&testing::container_leaf()).to_der();
            let at = at % der.len();
            der[at] = to;
            if let Ok(extension) = ContainerExtension::from_der(&der) {
                prop_assert_eq!(extension.to_der(), der);
            }
        }
    }
}
