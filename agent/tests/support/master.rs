//! A stand-in for a master, on a thread of its own: honest, but for what a test has it answer.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use dockmaster_certs::{
    authority::{Authority, AuthoritySeed},
    bundle::TrustBundle,
    csr::VerifiedCsr,
    infra::Terms,
    issue::Validity,
    key::{KeyPair, random_serial},
    profile::ContainerLeaf,
};
use dockmaster_proto::{
    api::identity::{CertificateRequest, IssuedCertificate, Trust},
    event::HeldAddress,
    id::{ContainerId, Digest},
    problem::{Problem, ProblemCode},
    report::Report,
};
use dockmaster_tlog::{
    checkpoint::Checkpoint,
    hash::{Hash, leaf_hash},
    note::{KeyName, SigningKey},
    proof::TlogProof,
    tree::{HashSource, RightEdge, consistency_proof, inclusion_proof, root},
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::{
    body::{Body, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use ring::rand::SystemRandom;
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use tokio_rustls::TlsAcceptor;

const HOUR: u64 = 3_600_000;

/// What a test has the master do instead of what it would.
#[derive(Debug, Clone, Copy)]
pub enum Twist {
    /// Refuse.
    Refuse(ProblemCode),
    /// Never answer.
    Hold,
    /// Begin an answer and never end it.
    Trickle,
}

/// The body of an answer.
struct Answer {
    text: Option<Bytes>,
    ends: bool,
}

impl Answer {
    fn whole(text: impl Into<Bytes>) -> Self {
        Self {
            text: Some(text.into()),
            ends: true,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.text.take() {
            Some(text) => Poll::Ready(Some(Ok(Frame::data(text)))),
            None if self.ends => Poll::Ready(None),
            // Nobody will wake it.
            None => Poll::Pending,
        }
    }
}

/// `(path, how many came before on that path)`.
type Script = Box<dyn Fn(&str, usize) -> Option<Twist> + Send + Sync>;

/// The master.
pub struct Master {
    pub address: SocketAddr,
    pub pin: String,
    world: Arc<World>,
}

struct World {
    root: Authority,
    containers: Authority,
    infra: Authority,
    log: SigningKey,
    history: Mutex<History>,
    bundle: TrustBundle,
    catalog: String,
    script: Script,
    /// For how long it says that its certificates are valid.
    lifetime_ms: u64,
    seen: Mutex<Vec<String>>,
    reports: Mutex<Vec<Report>>,
}

/// The leaf hashes of its log.
#[derive(Debug, Default)]
struct History(Vec<Hash>);

impl HashSource for History {
    type Error = ();

    fn hash(&self, level: u8, index: u64) -> Result<Hash, ()> {
        let start = usize::try_from(index << level).unwrap();
        let mut edge = RightEdge::new();
        for leaf in &self.0[start..start + (1 << level)] {
            edge.push(*leaf);
        }
        Ok(edge.root())
    }
}

fn key() -> KeyPair {
    KeyPair::generate(&SystemRandom::new()).unwrap()
}

impl Master {
    /// A master that has this catalog for everyone.
    pub fn start(
        catalog: String,
        lifetime_ms: u64,
        script: impl Fn(&str, usize) -> Option<Twist> + Send + Sync + 'static,
    ) -> Self {
        let seed = || AuthoritySeed {
            key: key(),
            serial: random_serial(&SystemRandom::new()).unwrap(),
            now: dockmaster_client::now(),
        };
        let root = Authority::create_root(&"td.example".parse().unwrap(), seed()).unwrap();
        let permitted = ["127.0.0.0/8".parse().unwrap()];
        let log = SigningKey::from_seed(KeyName::new("td.example/log").unwrap(), &[7; 32]);
        let bundle = TrustBundle::new(
            vec![root.certificate().clone()],
            &log.verifier().to_string(),
        );
        let world = Arc::new(World {
            containers: Authority::create_container_intermediate(&root, &permitted, seed())
                .unwrap(),
            infra: Authority::create_infra_intermediate(&root, seed()).unwrap(),
            root,
            log,
            history: Mutex::default(),
            bundle: bundle.unwrap(),
            catalog,
            script: Box::new(script),
            lifetime_ms,
            seen: Mutex::default(),
            reports: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::clone(&world);
        // It ends with the test's process.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(serve(served, listener));
        });
        Self {
            address,
            pin: world.bundle.pin().to_string(),
            world,
        }
    }

    /// Begins the log anew: what it showed before never happened.
    pub fn rewrite_history(&self) {
        lock(&self.world.history).0.clear();
    }

    /// How often a path was asked for.
    pub fn count(&self, path: &str) -> usize {
        let seen = lock(&self.world.seen);
        seen.iter().filter(|seen| *seen == path).count()
    }

    /// All paths that were asked for, in their order.
    pub fn seen(&self) -> Vec<String> {
        lock(&self.world.seen).clone()
    }

    /// The reports that it took.
    pub fn reports(&self) -> Vec<Report> {
        lock(&self.world.reports).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(world: Arc<World>, listener: std::net::TcpListener) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(world.root.certificate().clone()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .unwrap();
    let key = key();
    let terms = Terms {
        serial: random_serial(&SystemRandom::new()).unwrap(),
        validity: Validity::backdated(dockmaster_client::now(), HOUR),
    };
    let ips = ["127.0.0.1".parse().unwrap()];
    let issued = world
        .infra
        .issue_master(key.public_key(), &"m1".parse().unwrap(), &ips, terms)
        .unwrap();
    let chain = vec![issued.der, world.infra.certificate().clone()];
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key.to_private_key_der())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((tcp, _)) = listener.accept().await {
        let (acceptor, world) = (acceptor.clone(), Arc::clone(&world));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(tcp).await else {
                return;
            };
            let tls = stream.get_ref().1;
            let exporter = tls
                .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]))
                .unwrap();
            let service = service_fn(|request| {
                let world = Arc::clone(&world);
                async move { Ok::<_, Infallible>(world.answer(request, exporter).await) }
            });
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl World {
    async fn answer(&self, request: Request<Incoming>, exporter: [u8; 32]) -> Response<Answer> {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let earlier = {
            let mut seen = lock(&self.seen);
            let earlier = seen.iter().filter(|seen| **seen == path).count();
            seen.push(path.clone());
            earlier
        };
        match (self.script)(&path, earlier) {
            Some(Twist::Hold) => return std::future::pending().await,
            Some(Twist::Trickle) => {
                return Response::new(Answer {
                    text: Some("a little".into()),
                    ends: false,
                });
            }
            Some(Twist::Refuse(code)) => {
                let problem = Problem::new(code, "the test wants it so", "");
                return json(StatusCode::from_u16(code.status()).unwrap(), &problem);
            }
            None => {}
        }
        let body = body.collect().await.unwrap().to_bytes();
        match path.as_str() {
            "/v1/trust" => json(
                StatusCode::OK,
                &Trust {
                    bundle: self.bundle.to_pem(),
                    master_time_ms: dockmaster_client::now(),
                    authorities: vec![],
                    operator_issuer: String::new(),
                },
            ),
            // As a master of an older release does.
            "/v1/crl" => json(
                StatusCode::NOT_FOUND,
                &Problem::new(ProblemCode::NotFound, "there is no such route", ""),
            ),
            "/v1/enroll" | "/v1/renew" => json(StatusCode::CREATED, &self.issue(&body, &exporter)),
            "/v1/reports" => {
                lock(&self.reports).push(serde_json::from_slice(&body).unwrap());
                empty(StatusCode::NO_CONTENT)
            }
            "/v1/catalog" if head.headers.contains_key("if-none-match") => {
                let prefer = head.headers["prefer"].to_str().unwrap();
                let wait = prefer.strip_prefix("wait=").unwrap().parse().unwrap();
                tokio::time::sleep(Duration::from_secs(wait)).await;
                empty(StatusCode::NOT_MODIFIED)
            }
            "/v1/catalog" => {
                let mut response = Response::new(Answer::whole(self.catalog.clone()));
                let etag = format!("\"{}\"", Digest::of(self.catalog.as_bytes()));
                response.headers_mut().insert("etag", etag.parse().unwrap());
                response
            }
            _ => panic!("{path}"),
        }
    }

    fn issue(&self, body: &[u8], exporter: &[u8; 32]) -> IssuedCertificate {
        let request: CertificateRequest = serde_json::from_slice(body).unwrap();
        let csr = VerifiedCsr::parse(&request.csr, exporter).unwrap();
        let now = dockmaster_client::now();
        let held = HeldAddress {
            address: "h1/lo/127.0.0.1".parse().unwrap(),
            epoch: 1,
        };
        let leaf = ContainerLeaf {
            trust_domain: "td.example".parse().unwrap(),
            host: "h1".parse().unwrap(),
            container: ContainerId::from_bytes([5; 32]),
            ips: vec![held.address.ip],
            addresses: vec![held.clone()],
            started_at_ms: now,
            image_digest: String::new(),
            validity: Validity::of_container(now, now, HOUR),
            serial: random_serial(&SystemRandom::new()).unwrap(),
        };
        let issued = self.containers.issue_container(&csr, &leaf).unwrap();
        let entry = serde_json::json!({
            "v": 1, "ts_ms": now, "event": "cert_issued", "container": leaf.container,
            "serial": issued.serial, "spki_sha256": issued.spki_sha256,
            "der_sha256": issued.der_sha256,
        })
        .to_string();
        let mut history = lock(&self.history);
        let index = history.0.len() as u64;
        history.0.push(leaf_hash(entry.as_bytes()));
        let size = index + 1;
        let checkpoint = Checkpoint {
            origin: self.log.name().clone(),
            size,
            root: root(size, &*history).unwrap(),
        };
        let proof = TlogProof {
            index,
            hashes: inclusion_proof(index, size, &*history).unwrap(),
            checkpoint: checkpoint.sign(&self.log),
        };
        let seen = request.seen.map(|note| {
            let seen = Checkpoint::open(&note, self.log.verifier()).unwrap();
            consistency_proof(seen.size, size, &*history).unwrap_or_default()
        });
        let consistency = seen.unwrap_or_default();
        IssuedCertificate {
            chain: issued.pem.clone() + &self.containers.certificate_pem(),
            bundle: self.bundle.to_pem(),
            container_id: leaf.container,
            addresses: vec![held.address],
            serial: issued.serial,
            not_after_ms: now.plus_ms(self.lifetime_ms),
            renew_at_ms: now.plus_ms(self.lifetime_ms / 2),
            entry,
            proof: proof.encode(),
            consistency: consistency.iter().map(Hash::to_base64).collect(),
            master_time_ms: now,
        }
    }
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<Answer> {
    let body = serde_json::to_vec(value).unwrap();
    let mut response = Response::new(Answer::whole(body));
    *response.status_mut() = status;
    response
}

fn empty(status: StatusCode) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(Vec::new()));
    *response.status_mut() = status;
    response
}
