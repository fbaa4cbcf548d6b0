//! Certificates of masters, hosts and operators.

use std::net::IpAddr;

use dockmaster_proto::{
    id::{Name, Serial},
    spiffe::{Principal, SpiffeId},
};

use crate::{
    authority::Authority,
    der::{self, DerError, Reader},
    issue::{Extension, IssueError, Issued, LeafTemplate, Usage, Validity},
    key::PublicKey,
};

/// Lifetime of a master's certificate in milliseconds: 24 hours.
pub const MASTER_LIFETIME_MS: u64 = 24 * 3_600_000;

/// Serial number and validity of a certificate to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The serial number: see [`crate::key::random_serial`].
    pub serial: Serial,
    /// From when until when: see [`Validity::backdated`].
    pub validity: Validity,
}

impl Authority {
    /// Signs a master's certificate with every IP by which it may be dialled.
    ///
    /// # Errors
    /// When this is no infrastructure authority, or a value cannot stand in a certificate.
    pub fn issue_master(
        &self,
        key: &PublicKey,
        name: &Name,
        ips: &[IpAddr],
        terms: Terms,
    ) -> Result<Issued, IssueError> {
        let principal = Principal::Master(name.clone());
        self.issue(&LeafTemplate {
            ips,
            usage: Usage::ServerAndClient,
            ..self.infra_template(key, principal, terms)
        })
    }

    /// Signs a host watcher's certificate. It is a client's and carries no IP.
    ///
    /// # Errors
    /// When this is no infrastructure authority, or a value cannot stand in a certificate.
    pub fn issue_host(
        &self,
        key: &PublicKey,
        name: &Name,
        terms: Terms,
    ) -> Result<Issued, IssueError> {
        let principal = Principal::Host(name.clone());
        self.issue(&self.infra_template(key, principal, terms))
    }

    /// Signs an operator's certificate, which says what the operator may do. It is a client's and
    /// carries no IP.
    ///
    /// # Errors
    /// When this is no infrastructure authority, or a value cannot stand in a certificate.
    pub fn issue_operator(
        &self,
        key: &PublicKey,
        name: &Name,
        role: &Name,
        terms: Terms,
    ) -> Result<Issued, IssueError> {
        let principal = Principal::Operator(name.clone());
        self.issue(&LeafTemplate {
            extension: Extension::Role(role_to_der(role)),
            ..self.infra_template(key, principal, terms)
        })
    }

    fn infra_template<'a>(
        &self,
        key: &'a PublicKey,
        principal: Principal,
        terms: Terms,
    ) -> LeafTemplate<'a> {
        LeafTemplate {
            key,
            subject: SpiffeId {
                trust_domain: self.trust_domain().clone(),
                principal,
            },
            // A name may have characters that a PrintableString may not; it stands in the SPIFFE ID.
            subject_serial: terms.serial.to_string(),
            ips: &[],
            usage: Usage::Client,
            extension: Extension::None,
            serial: terms.serial,
            validity: terms.validity,
        }
    }
}

const ROLE_VERSION: u64 = 1;

fn role_to_der(role: &Name) -> Vec<u8> {
    der::constructed(
        der::SEQUENCE,
        &[
            der::integer(ROLE_VERSION),
            der::value(der::UTF8_STRING, role.as_str().as_bytes()),
        ],
    )
}

pub(crate) fn role_from_der(bytes: &[u8]) -> Result<Name, DerError> {
    let mut outer = Reader::new(bytes);
    let mut fields = outer.enter(der::SEQUENCE)?;
    outer.finish()?;
    if fields.integer()? != ROLE_VERSION {
        return Err(DerError::Value("the version"));
    }
    let role = fields.utf8()?;
    fields.finish()?;
    role.parse().map_err(|_| DerError::Value("the role"))
}
