//! Verification of chains: from a leaf to the trust bundle, and who the leaf may be.
//!
//! Beyond the path of RFC 5280 it is checked that the right kind of authority signed: the root
//! alone gives an intermediate its name, so the key of the container authority makes no master and
//! no operator, and a container's own certificate passes for nothing else.

use std::{net::IpAddr, time::Duration};

use dockmaster_proto::{
    id::TrustDomain,
    spiffe::{Principal, SpiffeId},
    time::UnixMs,
};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::{
    authority::{AuthorityFacts, AuthorityFault, AuthorityKind, MAX_CERTIFICATE_LENGTH},
    bundle::TrustBundle,
    identity::{IdentityError, PeerIdentity, peer_identity},
};

/// The most certificates that a peer may send.
pub const MAX_CHAIN_LENGTH: usize = 4;

/// The one signature algorithm of the profile.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[webpki::ring::ECDSA_P256_SHA256];

/// Why a chain is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No certificate, or more or larger ones than any honest peer sends.
    #[error(
        "the peer sent {0} certificates; expected its own and its intermediate, of reasonable size"
    )]
    Size(usize),
    /// No valid path to the bundle.
    #[error("{}", no_path(.0))]
    Path(#[from] webpki::Error),
    /// The leaf is directly below the root.
    #[error("the peer's certificate was not signed by an intermediate")]
    NoIntermediate,
    /// The intermediate is none of ours.
    #[error("the intermediate of the peer's certificate is no authority of Dockmaster")]
    Authority(#[from] AuthorityFault),
    /// The leaf names nobody that we know.
    #[error("the peer's certificate verifies, but does not say who the peer is")]
    Identity(#[from] IdentityError),
    /// Another installation's name under our root.
    #[error("the peer is of trust domain {peer}, the trust bundle of {bundle}")]
    TrustDomain {
        /// The peer's.
        peer: TrustDomain,
        /// The bundle's.
        bundle: TrustDomain,
    },
    /// The wrong authority signed.
    #[error("{peer} holds a certificate of the {authority} authority, which may not issue it")]
    WrongAuthority {
        /// Who the peer claims to be.
        peer: SpiffeId,
        /// Who signed.
        authority: AuthorityKind,
    },
    /// Somebody else answered at the master's address.
    #[error("{0} answered in the master's place; a master has spiffe://DOMAIN/master/NAME")]
    NotAMaster(SpiffeId),
    /// The master does not have the address that was dialled.
    #[error(
        "the master {master} has no certificate for {dialled}; add it with --address when the master is made"
    )]
    WrongAddress {
        /// Who answered.
        master: SpiffeId,
        /// What was dialled.
        dialled: IpAddr,
    },
}

/// Why there is no path: a wrong clock is by far the most likely where only the time does not fit, so
/// both times are told.
fn no_path(error: &webpki::Error) -> String {
    let at = |time: &UnixTime| UnixMs(time.as_secs().saturating_mul(1000));
    match error {
        webpki::Error::CertNotValidYet { time, not_before } => format!(
            "the peer's certificate is valid from {} on, and the clock here says {}; set the clock that is wrong",
            at(not_before),
            at(time)
        ),
        webpki::Error::CertExpired { time, not_after } => format!(
            "the peer's certificate was valid until {}, and the clock here says {}; set the clock if it is wrong, or see why the peer has no newer certificate",
            at(not_after),
            at(time)
        ),
        _ => "the peer's certificate does not verify against the trust bundle; is it of another installation?".to_owned(),
    }
}

/// Verifies the chain of a server that should be a master: a path to the bundle for use as a server,
/// the dialled IP among its names, and a master's SPIFFE ID in the bundle's trust domain, given by
/// the infrastructure authority. `chain` is as the peer sent it, its own certificate first.
///
/// # Errors
/// When any of that does not hold.
pub fn verify_master(
    chain: &[CertificateDer<'_>],
    bundle: &TrustBundle,
    dialled: IpAddr,
    now: UnixMs,
) -> Result<PeerIdentity, ChainError> {
    let peer = verify(chain, bundle, KeyUsage::server_auth(), now)?;
    if !matches!(peer.id.principal, Principal::Master(_)) {
        return Err(ChainError::NotAMaster(peer.id));
    }
    if !peer.ips.contains(&dialled.to_canonical()) {
        return Err(ChainError::WrongAddress {
            master: peer.id,
            dialled,
        });
    }
    Ok(peer)
}

/// Verifies the chain of a client, whoever it is: a path to the bundle for use as a client, and a
/// SPIFFE ID in the bundle's trust domain that the signing authority may give. Whether its
/// certificate is revoked and what it may do are the caller's questions.
///
/// # Errors
/// When any of that does not hold.
pub fn verify_client(
    chain: &[CertificateDer<'_>],
    bundle: &TrustBundle,
    now: UnixMs,
) -> Result<PeerIdentity, ChainError> {
    verify(chain, bundle, KeyUsage::client_auth(), now)
}

fn verify(
    chain: &[CertificateDer<'_>],
    bundle: &TrustBundle,
    usage: KeyUsage,
    now: UnixMs,
) -> Result<PeerIdentity, ChainError> {
    let oversized = chain
        .iter()
        .any(|certificate| certificate.len() > MAX_CERTIFICATE_LENGTH);
    let Some((leaf, intermediates)) = chain.split_first() else {
        return Err(ChainError::Size(0));
    };
    if chain.len() > MAX_CHAIN_LENGTH || oversized {
        return Err(ChainError::Size(chain.len()));
    }
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.seconds()));
    let entity = EndEntityCert::try_from(leaf)?;
    let path = entity.verify_for_usage(
        ALGORITHMS,
        bundle.anchors(),
        intermediates,
        now,
        usage,
        None,
        None,
    )?;
    let issuer = path
        .intermediate_certificates()
        .next()
        .ok_or(ChainError::NoIntermediate)?;
    let authority = AuthorityFacts::parse(&issuer.der())?;
    let peer = peer_identity(leaf)?;
    if peer.id.trust_domain != *bundle.trust_domain() {
        return Err(ChainError::TrustDomain {
            peer: peer.id.trust_domain,
            bundle: bundle.trust_domain().clone(),
        });
    }
    if !authority.kind.issues_to(&peer.id.principal) {
        return Err(ChainError::WrongAuthority {
            peer: peer.id,
            authority: authority.kind,
        });
    }
    Ok(peer)
}

#[cfg(test)]
mod tests;
