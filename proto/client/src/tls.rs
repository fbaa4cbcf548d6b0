//! TLS configurations of a client.

use std::sync::Arc;

use dockmaster_certs::bundle::TrustBundle;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};

use crate::{ClientError, Identity, provider::provider};

/// A configuration that trusts the bundle's roots and shows the identity, where there is one.
pub(crate) fn trusting(
    bundle: &TrustBundle,
    identity: Option<&Identity>,
) -> Result<ClientConfig, ClientError> {
    let bad_bundle = |why: String| ClientError::Credentials {
        what: "the trust bundle",
        why,
    };
    let provider = provider();
    let mut roots = RootCertStore::empty();
    for root in bundle.roots() {
        roots
            .add(root.clone())
            .map_err(|error| bad_bundle(error.to_string()))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| bad_bundle(error.to_string()))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| bad_bundle(error.to_string()))?
        .with_webpki_verifier(verifier);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let bad = |why: String| ClientError::Credentials {
                what: "the client certificate",
                why,
            };
            let chain: Vec<_> = CertificateDer::pem_slice_iter(identity.chain.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|error| bad(error.to_string()))?;
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())
                .map_err(|error| bad(error.to_string()))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| bad(error.to_string()))?
        }
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// A configuration that checks that the peer holds the key of the certificate it shows, and leaves
/// to the caller to verify where that certificate leads, before anything is believed.
pub(crate) fn deferring() -> Result<ClientConfig, ClientError> {
    let provider = provider();
    let verifier = Deferring {
        algorithms: provider.signature_verification_algorithms,
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| ClientError::Credentials {
            what: "the TLS library",
            why: error.to_string(),
        })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

#[derive(Debug)]
struct Deferring {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Deferring {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The chain is verified by `Bootstrap`, as soon as the pinned bundle is there.
        Ok(ServerCertVerified::assertion())
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

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}
