//! What is done to the master.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use dockmaster_certs::{bundle::TrustBundle, csr::create_request, key::KeyPair};
use dockmaster_client::{Call, ClientError, Dialer};
use dockmaster_proto::{
    api::identity::{CertificateRequest, IssuedCertificate},
    route::Route,
};
use dockmaster_tests::{Master, StandIn};
use ring::rand::SystemRandom;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use crate::fleet::{CONTAINERS, FLOODER};

/// Connections of a flood that does something on each.
const BUSY: u16 = 64;
/// Connections of one address that are only held: fewer than it may have.
const HELD: u16 = 240;
/// Connections of many containers that are only held.
const CROWD: u16 = 10_000;
/// How often something is done on a connection that is only held.
const SLOWLY: Duration = Duration::from_millis(200);
/// How long a connection of the crowd is tried.
const PATIENCE: Duration = Duration::from_secs(30);

/// One flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flood {
    /// Requests for certificates that are none, on open connections.
    Garbage,
    /// Requests for certificates that are right, each for a new key.
    Requests,
    /// Connections, one after the other, on which nothing is asked.
    Connections,
    /// The same from addresses that nobody is known to have.
    Strangers,
    /// TLS handshakes that go on no further, made again when the master ends them.
    HalfOpen,
    /// Bodies that come byte by byte.
    SlowBodies,
    /// Ten thousand connections of a thousand containers, on which nothing is asked.
    Crowd,
}

/// The master, as a flood needs it.
pub(super) struct Target {
    address: SocketAddr,
    bundle: Arc<TrustBundle>,
    tls: TlsConnector,
}

impl Target {
    pub(super) fn of(master: &Master) -> Self {
        let path = master.data().join("ca/bundle.pem");
        let bundle = std::fs::read_to_string(&path).unwrap();
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(path).unwrap() {
            roots.add(root.unwrap()).unwrap();
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec!["http/1.1".into()];
        Self {
            address: master.address(),
            bundle: Arc::new(TrustBundle::parse(&bundle).unwrap()),
            tls: Arc::new(config).into(),
        }
    }

    fn dialer(&self, from: IpAddr) -> Dialer {
        Dialer::new(self.address, Some(from), self.bundle.clone(), None).unwrap()
    }

    async fn tcp(&self, from: IpAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        socket.connect(self.address).await.unwrap()
    }
}

impl Flood {
    pub(super) const ALL: [Self; 7] = [
        Self::Garbage,
        Self::Requests,
        Self::Connections,
        Self::Strangers,
        Self::HalfOpen,
        Self::SlowBodies,
        Self::Crowd,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Garbage => "requests that are none",
            Self::Requests => "certificate requests",
            Self::Connections => "connections",
            Self::Strangers => "connections, 64 addresses",
            Self::HalfOpen => "half-open handshakes",
            Self::SlowBodies => "slow bodies",
            Self::Crowd => "10 000 connections",
        }
    }

    /// From where, once for each connection at a time.
    pub(super) fn origins(self) -> impl Iterator<Item = IpAddr> {
        let (connections, of): (u16, fn(u16) -> u16) = match self {
            Self::Garbage | Self::Requests | Self::Connections => (BUSY, |_| FLOODER),
            Self::HalfOpen | Self::SlowBodies => (HELD, |_| FLOODER),
            Self::Strangers => (BUSY, |connection| 30_000 + connection),
            Self::Crowd => (CROWD, |connection| 1 + connection % CONTAINERS),
        };
        (0..connections).map(move |connection| StandIn::numbered(of(connection)).ips[0])
    }

    /// At how many of what is counted it is under way.
    pub(super) fn under_way(self) -> u64 {
        match self {
            Self::Garbage | Self::Requests | Self::Connections => 10 * u64::from(BUSY),
            // When what they may ask for at once is used up.
            Self::Strangers => 1000,
            Self::HalfOpen | Self::SlowBodies => HELD.into(),
            Self::Crowd => CROWD.into(),
        }
    }

    /// Goes on until told to stop; counts what it does.
    pub(super) async fn run(
        self,
        target: &Target,
        from: IpAddr,
        stop: &AtomicBool,
        count: &AtomicU64,
    ) {
        let does = || {
            count.fetch_add(1, Relaxed);
            !stop.load(Relaxed)
        };
        match self {
            Self::Garbage => ask(&target.dialer(from), does, |_| vec![0x30; 500]).await,
            Self::Requests => {
                let request = |exporter: &[u8; 32]| {
                    let key = KeyPair::generate(&SystemRandom::new()).unwrap();
                    create_request(&key, exporter).unwrap()
                };
                ask(&target.dialer(from), does, request).await;
            }
            Self::Connections | Self::Strangers => {
                let dialer = target.dialer(from);
                while does() {
                    drop(dialer.dial().await.unwrap());
                }
            }
            Self::HalfOpen => {
                while does() {
                    let mut stream = target.tcp(from).await;
                    // The head of a record that never comes.
                    stream.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
                    hold(stop, async || drop(stream.read(&mut [0; 64]).await)).await;
                }
            }
            Self::SlowBodies => {
                while !stop.load(Relaxed) {
                    let name = ServerName::from(target.address.ip());
                    let stream = target.tcp(from).await;
                    // Those of the flood before may have its places for a moment yet.
                    let Ok(mut stream) = target.tls.connect(name, stream).await else {
                        sleep(SLOWLY).await;
                        continue;
                    };
                    does();
                    let head =
                        b"POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n";
                    stream.write_all(head).await.unwrap();
                    while !stop.load(Relaxed)
                        && stream.write_all(b" ").await.is_ok()
                        && stream.flush().await.is_ok()
                    {
                        sleep(SLOWLY).await;
                    }
                }
            }
            Self::Crowd => {
                let dialer = target.dialer(from);
                let connection = timeout(PATIENCE, dialer.dial()).await.unwrap();
                does();
                hold(stop, std::future::pending).await;
                drop(connection);
            }
        }
    }
}

/// Waits for the end of `what`, or of the flood.
async fn hold(stop: &AtomicBool, what: impl AsyncFnOnce()) {
    let stopped = async {
        while !stop.load(Relaxed) {
            sleep(SLOWLY).await;
        }
    };
    tokio::select! {
        () = what() => {}
        () = stopped => {}
    }
}

/// Asks for certificates on one connection, and is refused.
async fn ask(dialer: &Dialer, does: impl Fn() -> bool, csr: impl Fn(&[u8; 32]) -> Vec<u8>) {
    let mut connection = dialer.dial().await.unwrap();
    while does() {
        let request = CertificateRequest {
            csr: csr(connection.exporter()),
            agent_version: "flood".to_owned(),
            seen: None,
            token: None,
        };
        let call = Call::new(Route::Enroll).json(&request);
        match connection.call::<IssuedCertificate>(&call).await {
            // Some are right, until it has had too many.
            Ok(_) | Err(ClientError::Problem(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
