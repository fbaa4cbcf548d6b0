//! Further hosts: who may vouch for containers besides the master's own machine.

mod ranges;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dockmaster_certs::{
    csr::VerifiedCsr,
    infra::Terms,
    issue::{Issued, Validity},
    key::random_serial,
};
use dockmaster_host::{Inventory, RemoteInventory, remote::Remit};
use dockmaster_ledger::CommitError;
use dockmaster_proto::{
    api::hosts::{HostCertificate, HostEnrollment, HostProposal, MAX_CIDRS, RelayedFrom},
    error::chain,
    event::{CertIssued, Event, Evidence, HostEnrolled, Reach},
    id::Name,
    problem::{Problem, ProblemCode},
    range::Range,
    time::UnixMs,
    token::TOKEN_HOST,
};
use ring::rand::SystemRandom;

use ranges::Remarks;

use crate::{
    authorities::{Authorities, Signing},
    enrollment::Binding,
    env,
    journal::{Cause, Journal},
    quota::{Allowance, Quota},
    state::State,
    watchers::Watchers,
};

/// Lifetime of a host's certificate: 30 days. A host that is switched off for less comes back by itself.
const LIFETIME_MS: u64 = 30 * 86_400_000;
/// Certificates of one host: far more than half a life asks for.
const CERTIFICATES: Allowance = Allowance {
    burst: 10,
    refill_ms: 600_000,
};
/// Addresses of a host that its relay may name as dialled: each makes the master's certificate name
/// one more.
const MAX_DIALLED: usize = 16;

/// Why a host is not enrolled or gets no certificate.
#[derive(Debug)]
pub enum HostsError {
    /// What the caller is told.
    Problem(Problem),
    /// It could not be recorded.
    Commit(CommitError),
}

impl From<Problem> for HostsError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<CommitError> for HostsError {
    fn from(error: CommitError) -> Self {
        Self::Commit(error)
    }
}

/// Enrolls, certifies and evicts hosts.
#[derive(Debug)]
pub struct Hosts {
    journal: Journal,
    watchers: Watchers,
    authorities: Authorities,
    /// The name of the master's own machine, whether or not it watches it.
    own: Name,
    /// How long a host may be lost before its leases end.
    lost_after: Duration,
    /// Held while a host is enrolled or evicted.
    changing: tokio::sync::Mutex<()>,
    quota: Mutex<Quota<Name>>,
    dialled: Mutex<Vec<(Name, IpAddr)>>,
}

impl Hosts {
    /// The hosts of an installation; those that are enrolled are waited for from now on.
    #[must_use]
    pub fn new(
        journal: Journal,
        watchers: Watchers,
        authorities: Authorities,
        own: Name,
        lost_after: Duration,
    ) -> Self {
        let hosts = Self {
            journal,
            watchers,
            authorities,
            own,
            lost_after,
            changing: tokio::sync::Mutex::default(),
            quota: Mutex::new(Quota::new(CERTIFICATES)),
            dialled: Mutex::default(),
        };
        let remits: Vec<Remit> = {
            let state = hosts.journal.state();
            let enrolled = state.hosts().map(|(name, host)| Remit {
                host: name.clone(),
                cidrs: host.cidrs.clone(),
            });
            enrolled.collect()
        };
        for remit in remits {
            hosts.watch(remit);
        }
        hosts
    }

    /// The hosts that are watched.
    #[must_use]
    pub const fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn watch(&self, remit: Remit) {
        let host = remit.host.clone();
        let inventory = Inventory::Remote(RemoteInventory::new(remit));
        self.watchers
            .start(&self.journal, &host, inventory, Some(self.lost_after));
    }

    /// Enrolls a host.
    ///
    /// # Errors
    /// When it may not be, or cannot be recorded.
    pub async fn enroll(
        &self,
        proposal: HostProposal,
        binding: &Binding,
        cause: &Cause,
    ) -> Result<HostEnrollment, HostsError> {
        let _changing = self.changing.lock().await;
        decide(&proposal, &self.own, &self.journal.state())?;
        let HostProposal {
            name,
            csr,
            cidrs,
            reach,
        } = proposal;
        let cidrs: Vec<_> = cidrs.into_iter().map(Range::net).collect();
        let (issued, signing) = self.sign(&name, &csr, binding)?;
        let remarks = ranges::remarks(
            &cidrs,
            signing.containers.permitted().unwrap_or_default(),
            &self.journal.state(),
        );
        let enrolled = HostEnrolled {
            host: name.clone(),
            cidrs: cidrs.clone(),
            reach,
            serial: issued.serial,
            spki_sha256: issued.spki_sha256,
            not_after_ms: issued.not_after,
        };
        let rule = "a host that an operator enrolled";
        let events = vec![
            Event::HostEnrolled(enrolled),
            Event::CertIssued(record(&issued, rule)),
        ];
        self.journal
            .commit(cause, events, vec![issued.der.to_vec()])
            .await?;
        self.watch(Remit { host: name, cidrs });
        let Remarks {
            uncertified,
            certified,
            overlapping,
        } = remarks;
        Ok(HostEnrollment {
            certificate: Self::certificate(issued, &signing),
            uncertified,
            certified,
            overlapping,
        })
    }

    /// Gives a host a certificate for a new key.
    ///
    /// # Errors
    /// When the request is not acceptable, the host asks too often, or it cannot be recorded.
    pub async fn renew(
        &self,
        host: &Name,
        csr: &[u8],
        binding: &Binding,
        cause: &Cause,
    ) -> Result<HostCertificate, HostsError> {
        let taken = self
            .quota
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(host.clone(), env::now());
        taken.map_err(|wait_ms| {
            Problem::new(
                ProblemCode::TooManyRequests,
                format!("host {host} asks for too many certificates"),
                format!("the next one is given in {} s", wait_ms.div_ceil(1000)),
            )
        })?;
        let (issued, signing) = self.sign(host, csr, binding)?;
        let event = Event::CertRenewed(record(&issued, "a host renews"));
        self.journal
            .commit(cause, vec![event], vec![issued.der.to_vec()])
            .await?;
        let is_honoured = self
            .journal
            .state()
            .host(host)
            .is_some_and(|enrolled| enrolled.honours(&issued.serial));
        if !is_honoured {
            return Err(evicted(host).into());
        }
        Ok(Self::certificate(issued, &signing))
    }

    /// Evicts a host: its connections end, its leases close, its certificates and those that it
    /// vouched for are revoked. Gives how many containers it vouched for.
    ///
    /// # Errors
    /// When there is no such host.
    pub async fn evict(&self, host: &Name, cause: &Cause) -> Result<u64, HostsError> {
        let _changing = self.changing.lock().await;
        if self.journal.state().host(host).is_none() {
            let hint = if *host == self.own {
                "it is the master's own machine; start the master without --docker to watch it no more"
            } else {
                "\"dockmaster host list\" shows the hosts"
            };
            return Err(Problem::new(
                ProblemCode::NotFound,
                format!("there is no enrolled host {host}"),
                hint,
            )
            .into());
        }
        let evicted = self.watchers.evict(host, cause).await;
        let mut dialled = self.dialled.lock().unwrap_or_else(PoisonError::into_inner);
        dialled.retain(|(of, _)| of != host);
        evicted.ok_or_else(|| {
            let why = format!("host {host} cannot be evicted now; the master stops");
            Problem::new(ProblemCode::Unavailable, why, "ask again").into()
        })
    }

    /// Whether a host may relay this connection.
    ///
    /// # Errors
    /// When its origin is not in the host's ranges, or what was dialled cannot be an address of a host.
    pub fn admit_relay(&self, host: &Name, from: &RelayedFrom) -> Result<(), Problem> {
        let cidrs = match self.journal.state().host(host) {
            Some(enrolled) => enrolled.cidrs.clone(),
            None => return Err(evicted(host)),
        };
        let remit = Remit {
            host: host.clone(),
            cidrs,
        };
        admit(&remit, from)?;
        let mut dialled = self.dialled.lock().unwrap_or_else(PoisonError::into_inner);
        let ip = from.dialled.ip().to_canonical();
        if dialled.iter().any(|(of, known)| of == host && *known == ip) {
            return Ok(());
        }
        if dialled.iter().filter(|(of, _)| of == host).count() >= MAX_DIALLED {
            return Err(Problem::new(
                ProblemCode::TooManyRequests,
                format!(
                    "the relay of host {host} has named {MAX_DIALLED} addresses as dialled already, and {ip} is one more"
                ),
                "let agents dial one address of their host, by DOCKMASTER_MASTER",
            ));
        }
        dialled.push((host.clone(), ip));
        Ok(())
    }

    fn sign(
        &self,
        name: &Name,
        csr: &[u8],
        binding: &Binding,
    ) -> Result<(Issued, Arc<Signing>), Problem> {
        let bad = |error: &dyn std::error::Error| {
            Problem::new(
                ProblemCode::BadCsr,
                format!(
                    "the certificate request is not acceptable: {}",
                    chain(error)
                ),
                "let \"dockmaster host\" make the request",
            )
        };
        let csr = VerifiedCsr::parse(csr, binding.exporter()).map_err(|error| bad(&error))?;
        binding
            .certify_once(csr.public_key().spki_sha256())
            .map_err(|error| bad(&error))?;
        let ours = |error: &dyn std::error::Error| {
            tracing::error!(error = %chain(error), "a host's certificate could not be issued");
            Problem::new(
                ProblemCode::Internal,
                "the master could not issue the certificate",
                "its log says why, under this request ID",
            )
        };
        let serial = random_serial(&SystemRandom::new()).map_err(|error| ours(&error))?;
        // A host is a client as an operator is: in a rotation it changes to the new root with them.
        let signing = self.authorities.now();
        let authority = &signing.operators;
        let validity = Validity::backdated(env::now(), LIFETIME_MS).within(authority.not_after());
        let issued = authority
            .issue_host(csr.public_key(), name, Terms { serial, validity })
            .map_err(|error| ours(&error))?;
        Ok((issued, signing))
    }

    fn certificate(issued: Issued, signing: &Signing) -> HostCertificate {
        let half = issued.not_after.since(issued.not_before) / 2;
        HostCertificate {
            chain: issued.pem + &signing.operators.certificate_pem(),
            bundle: signing.bundle.to_pem(),
            serial: issued.serial,
            not_after_ms: issued.not_after,
            renew_at_ms: UnixMs(issued.not_before.0 + half),
        }
    }
}

/// Whether a host may be enrolled. Pure.
fn decide(proposal: &HostProposal, own: &Name, state: &State) -> Result<(), Problem> {
    let HostProposal {
        name,
        csr: _,
        cidrs,
        reach,
    } = proposal;
    if name.as_str() == TOKEN_HOST {
        return Err(Problem::new(
            ProblemCode::Conflict,
            format!("{name} is the name under which machines with join tokens are known"),
            "give the host another name",
        ));
    }
    if name == own {
        return Err(Problem::new(
            ProblemCode::Conflict,
            format!("{name} is the name of the master's own machine"),
            "give the host another name; two hosts of one name could not be told apart",
        ));
    }
    if state.host(name).is_some() {
        return Err(Problem::new(
            ProblemCode::Conflict,
            format!("a host {name} is enrolled already"),
            "give another name, or evict that one first: \"dockmaster host evict\"",
        ));
    }
    // Containers from before: of a master that watched its own machine under this name once.
    if state.nodes().any(|node| node.host == *name) {
        return Err(Problem::new(
            ProblemCode::Conflict,
            format!("containers of another host {name} are still known"),
            "give the host another name",
        ));
    }
    if cidrs.len() > MAX_CIDRS {
        return Err(Problem::new(
            ProblemCode::BadRequest,
            format!("{} ranges; a host has at most {MAX_CIDRS}", cidrs.len()),
            "give wider ranges",
        ));
    }
    if *reach == Reach::Direct && cidrs.is_empty() {
        return Err(Problem::new(
            ProblemCode::BadRequest,
            "a host whose containers come straight to the master needs ranges: nothing else tells whose an address is",
            "give --cidr with --direct",
        ));
    }
    Ok(())
}

/// Whether a host may relay a connection from and to these addresses. Pure.
fn admit(remit: &Remit, from: &RelayedFrom) -> Result<(), Problem> {
    let host = &remit.host;
    let origin = from.origin.ip().to_canonical();
    if !remit.covers(origin) {
        return Err(Problem::new(
            ProblemCode::AddressNotPermitted,
            format!(
                "{origin} is outside {}, the ranges that host {host} was enrolled with",
                ranges::joined(&remit.cidrs, ", ")
            ),
            format!(
                "to let the host vouch for it as well: \"dockmaster host evict {host}\", then \"dockmaster host enroll {host} --cidr {} --cidr RANGE\" with the range of the network of {origin}",
                ranges::joined(&remit.cidrs, " --cidr ")
            ),
        ));
    }
    let dialled = from.dialled.ip().to_canonical();
    // The master's certificate will name it, so it must not be anybody's on the Internet.
    let is_ranged = !remit.cidrs.is_empty() && remit.covers(dialled);
    if !is_private(dialled) && !is_ranged {
        return Err(Problem::new(
            ProblemCode::AddressNotPermitted,
            format!(
                "the relay of host {host} was dialled at {dialled}, which is neither private nor in the host's ranges"
            ),
            "let agents dial the gateway of their network, or enroll the host with the range",
        ));
    }
    Ok(())
}

/// Addresses that are nobody's on the Internet: RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291
/// section 2.5.6, and loopback.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// What a host that was evicted is told.
pub(crate) fn evicted(host: &Name) -> Problem {
    Problem::new(
        ProblemCode::CertificateRevoked,
        format!(
            "host {host} is not enrolled with this certificate; it was evicted, or enrolled anew"
        ),
        "enroll it again: \"dockmaster host enroll\"",
    )
}

fn record(issued: &Issued, rule: &str) -> CertIssued {
    CertIssued {
        subject: issued.subject.clone(),
        container: None,
        host: None,
        addresses: Vec::new(),
        ips: Vec::new(),
        serial: issued.serial,
        issuer_key_id: issued.issuer_key_id.to_string(),
        not_before_ms: issued.not_before,
        not_after_ms: issued.not_after,
        spki_sha256: issued.spki_sha256,
        der_sha256: issued.der_sha256,
        evidence: vec![Evidence::Master],
        rule: rule.to_owned(),
        policy_sha256: None,
        prev: None,
    }
}

#[cfg(test)]
mod tests;
