//! Client certificates in the handshake. A client may come without one (to enroll); one that it
//! shows must lead to the trust bundle, signed by the authority that may issue it: the containers'
//! authority can make no operator, whoever stole its key.

use std::sync::Arc;

use dockmaster_certs::{
    bundle::TrustBundle,
    chain::{ChainError, verify_client},
};
use dockmaster_proto::time::UnixMs;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

/// Verifies what clients show. Whether it is revoked is asked at every request and not here: a
/// connection outlives a lease.
#[derive(Debug)]
pub(super) struct PeerVerifier {
    bundle: Arc<TrustBundle>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PeerVerifier {
    pub(super) const fn new(bundle: Arc<TrustBundle>, provider: &CryptoProvider) -> Self {
        Self {
            bundle,
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(end_entity)
            .chain(intermediates)
            .cloned()
            .collect();
        let now = UnixMs(now.as_secs().saturating_mul(1000));
        match verify_client(&chain, &self.bundle, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(error) => Err(Error::InvalidCertificate(alert(error))),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What the client is told: an expired certificate is the one fault that it can mend by itself.
fn alert(error: ChainError) -> CertificateError {
    match error {
        ChainError::Path(webpki::Error::CertExpired { .. }) => CertificateError::Expired,
        ChainError::Path(webpki::Error::UnknownIssuer) => CertificateError::UnknownIssuer,
        error => CertificateError::Other(OtherError(Arc::new(error))),
    }
}
