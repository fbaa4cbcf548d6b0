//! A small installation and a small server for it.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails as they do")]

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use dockmaster_certs::{
    authority::{Authority, AuthoritySeed},
    bundle::TrustBundle,
    csr::{VerifiedCsr, create_request},
    infra::Terms,
    issue::{Issued, Validity},
    key::{KeyPair, random_serial},
    profile::ContainerLeaf,
};
use dockmaster_client::Identity;
use dockmaster_proto::{event::HeldAddress, id::ContainerId};
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use ring::rand::SystemRandom;
use rustls::{
    RootCertStore, ServerConfig, pki_types::CertificateDer, server::WebPkiClientVerifier,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const HOUR: u64 = 3_600_000;

/// Root, both intermediates and the bundle.
pub struct World {
    pub root: Authority,
    pub containers: Authority,
    pub infra: Authority,
    pub bundle: TrustBundle,
}

/// A certificate with its intermediate and its key.
pub struct Held {
    pub issued: Issued,
    pub key: KeyPair,
    pub chain: Vec<CertificateDer<'static>>,
    pub chain_pem: String,
}

impl Held {
    fn new(issued: Issued, key: KeyPair, authority: &Authority) -> Self {
        Self {
            chain: vec![issued.der.clone(), authority.certificate().clone()],
            chain_pem: issued.pem.clone() + &authority.certificate_pem(),
            issued,
            key,
        }
    }

    pub fn identity(&self) -> Identity {
        Identity {
            chain: self.chain_pem.clone(),
            key: self.key.to_pem(),
        }
    }
}

pub fn key() -> KeyPair {
    KeyPair::generate(&SystemRandom::new()).unwrap()
}

fn seed() -> AuthoritySeed {
    AuthoritySeed {
        key: key(),
        serial: random_serial(&SystemRandom::new()).unwrap(),
        now: dockmaster_client::now(),
    }
}

impl World {
    pub fn new() -> Self {
        let root = Authority::create_root(&"td.example".parse().unwrap(), seed()).unwrap();
        let permitted = ["127.0.0.0/8".parse().unwrap()];
        Self {
            containers: Authority::create_container_intermediate(&root, &permitted, seed())
                .unwrap(),
            infra: Authority::create_infra_intermediate(&root, seed()).unwrap(),
            bundle: TrustBundle::new(vec![root.certificate().clone()], "td.example/log+0+AA")
                .unwrap(),
            root,
        }
    }

    pub fn master(&self, ip: &str) -> Held {
        let key = key();
        let terms = Terms {
            serial: random_serial(&SystemRandom::new()).unwrap(),
            validity: Validity::backdated(dockmaster_client::now(), HOUR),
        };
        let (name, ips) = ("m1".parse().unwrap(), [ip.parse().unwrap()]);
        let issued = self
            .infra
            .issue_master(key.public_key(), &name, &ips, terms)
            .unwrap();
        Held::new(issued, key, &self.infra)
    }

    pub fn container(&self) -> Held {
        let key = key();
        let binding = [1; 32];
        let csr = VerifiedCsr::parse(&create_request(&key, &binding).unwrap(), &binding).unwrap();
        let now = dockmaster_client::now();
        let leaf = ContainerLeaf {
            trust_domain: "td.example".parse().unwrap(),
            host: "h1".parse().unwrap(),
            container: ContainerId::from_bytes([0xc5; 32]),
            addresses: vec![HeldAddress {
                address: "h1/lo/127.0.0.1".parse().unwrap(),
                epoch: 1,
            }],
            ips: vec!["127.0.0.1".parse().unwrap()],
            started_at_ms: now,
            image_digest: String::new(),
            validity: Validity::of_container(now, now, HOUR),
            serial: random_serial(&SystemRandom::new()).unwrap(),
        };
        let issued = self.containers.issue_container(&csr, &leaf).unwrap();
        Held::new(issued, key, &self.containers)
    }
}

/// What a request came with.
pub struct Seen {
    pub request: Request<Incoming>,
    pub exporter: [u8; 32],
    pub peer: Option<CertificateDer<'static>>,
}

/// Serves on a free port of 127.0.0.1 with this certificate until the runtime ends.
pub async fn serve<A>(world: &World, held: &Held, answer: A) -> SocketAddr
where
    A: Fn(Seen) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
{
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(world.root.certificate().clone()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(held.chain.clone(), held.key.to_private_key_der())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(tcp).await else {
                    return;
                };
                let tls = stream.get_ref().1;
                let exporter = tls
                    .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]))
                    .unwrap();
                let peer = tls
                    .peer_certificates()
                    .map(|chain| chain[0].clone().into_owned());
                let service = service_fn(move |request| {
                    let (answer, peer) = (answer.clone(), peer.clone());
                    async move {
                        Ok::<_, hyper::Error>(answer(Seen {
                            request,
                            exporter,
                            peer,
                        }))
                    }
                });
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}
