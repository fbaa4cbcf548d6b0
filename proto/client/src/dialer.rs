//! Dialling a master whose trust bundle is known.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use dockmaster_certs::{bundle::TrustBundle, chain::verify_master};
use rustix::net::sockopt;
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, ServerName},
};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{ClientError, Connection, tls};

/// How long connecting and the handshake may take, each.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// When the kernel first asks whether a silent peer is still there, how often then, and how many
/// questions without an answer end the connection.
const PROBE_AFTER: Duration = Duration::from_secs(10);
const PROBE_EVERY: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// What a client shows of itself.
#[derive(Clone)]
pub struct Identity {
    /// Its certificate and the intermediate, in PEM.
    pub chain: String,
    /// Its private key, in PEM (PKCS#8).
    pub key: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

/// Dials a master. Cheap to clone and to use again.
#[derive(Debug, Clone)]
pub struct Dialer {
    master: SocketAddr,
    bind: Option<IpAddr>,
    bundle: Arc<TrustBundle>,
    config: Arc<ClientConfig>,
}

impl Dialer {
    /// A dialer that trusts the bundle, and shows the identity where there is one. `bind` is the
    /// local address to dial from, for a machine that has several.
    ///
    /// # Errors
    /// When the bundle or the identity cannot be used.
    pub fn new(
        master: SocketAddr,
        bind: Option<IpAddr>,
        bundle: Arc<TrustBundle>,
        identity: Option<&Identity>,
    ) -> Result<Self, ClientError> {
        let config = Arc::new(tls::trusting(&bundle, identity)?);
        Ok(Self {
            master,
            bind,
            bundle,
            config,
        })
    }

    /// Connects. The certificate that answers leads to the bundle, names the dialled IP, and is a
    /// master's: a container's never passes for one.
    ///
    /// # Errors
    /// When nobody answers, or not a master of this installation.
    pub async fn dial(&self) -> Result<Connection, ClientError> {
        let stream = handshake(self.master, self.bind, self.config.clone()).await?;
        check_master(self.master, &peer_chain(&stream), &self.bundle)?;
        Connection::start(self.master, stream).await
    }
}

/// A TCP connection and a TLS handshake on it.
pub(crate) async fn handshake(
    master: SocketAddr,
    bind: Option<IpAddr>,
    config: Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, ClientError> {
    let timeout = |_| ClientError::Timeout {
        master,
        after: CONNECT_TIMEOUT,
    };
    let tcp = tokio::time::timeout(CONNECT_TIMEOUT, connect(master, bind))
        .await
        .map_err(timeout)?;
    let tcp = tcp.map_err(|source| ClientError::Connect { master, source })?;
    let name = ServerName::IpAddress(master.ip().into());
    let stream = tokio::time::timeout(
        CONNECT_TIMEOUT,
        TlsConnector::from(config).connect(name, tcp),
    )
    .await
    .map_err(timeout)?;
    stream.map_err(|error| ClientError::Tls {
        master,
        why: error.to_string(),
    })
}

async fn connect(master: SocketAddr, bind: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let socket = if master.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(bind) = bind {
        socket.bind(SocketAddr::new(bind, 0))?;
    }
    probe(&socket)?;
    let stream = socket.connect(master).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whoever holds a question for minutes hears nothing of an address that was taken away from under
/// the connection, unless the kernel looks.
fn probe(socket: &TcpSocket) -> std::io::Result<()> {
    socket.set_keepalive(true)?;
    sockopt::set_tcp_keepidle(socket, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(socket, PROBE_EVERY)?;
    Ok(sockopt::set_tcp_keepcnt(socket, PROBES)?)
}

pub(crate) fn peer_chain(stream: &TlsStream<TcpStream>) -> Vec<CertificateDer<'static>> {
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    chain
        .iter()
        .map(|certificate| certificate.clone().into_owned())
        .collect()
}

pub(crate) fn check_master(
    master: SocketAddr,
    chain: &[CertificateDer<'static>],
    bundle: &TrustBundle,
) -> Result<(), ClientError> {
    match verify_master(chain, bundle, master.ip(), crate::now()) {
        Ok(_) => Ok(()),
        Err(error) => Err(ClientError::NotTheMaster {
            master,
            why: error.to_string(),
        }),
    }
}
