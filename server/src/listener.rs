//! Connections: accept, TLS handshake, who is it, HTTP.

mod addresses;
mod sources;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use dockmaster_certs::identity::peer_identity;
use dockmaster_proto::{error::chain, id::Name};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use sources::{Place, Sources};

use crate::{
    api::{Api, Peer, Relayed, Slots},
    enrollment::Binding,
    flow::{Flow, Metered, PATIENCE},
    identity::{IdentityError, MasterIdentity},
    open_files,
    origin::{Origin, Party},
    pace::Pace,
};

/// Connections at a time; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 20_000;
/// Open files that are kept for the ledger, the index and the blobs.
const RESERVED_FILES: usize = 128;
/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request's head may take to arrive, and a connection without a request may stay.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long requests in progress may go on after the signal to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// RFC 9266 section 4.2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
/// Request heads larger than this are refused.
const MAX_HEAD: usize = 32 << 10;

/// Serves connections until told to stop, then lets requests in progress end.
pub async fn serve(
    listener: TcpListener,
    identity: Arc<MasterIdentity>,
    api: Arc<Api>,
    mut relays: mpsc::Receiver<Relayed>,
    mut stopping: watch::Receiver<bool>,
) {
    let most = open_files::raise_limit()
        .saturating_sub(RESERVED_FILES)
        .min(MAX_CONNECTIONS);
    let connections = Arc::new(Semaphore::new(most));
    let graceful = GracefulShutdown::new();
    let desk = Desk {
        sources: Arc::new(Sources::new(most, api.dir.host_addresses())),
        handshakes: Arc::new(Pace::of_handshakes()),
        identity,
        api,
    };
    let mut complained = None;
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            Some(relayed) = relays.recv() => {
                let origin = Origin::relayed(relayed.from.origin.ip(), relayed.host.clone());
                if let Some(admitted) = desk.admit(Party::known(origin)) {
                    tokio::spawn(desk.clone().serve_relayed(relayed, admitted, graceful.watcher()));
                }
                continue;
            }
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let (stream, address, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: give others time to close some.
                if complained.is_none_or(|since: Instant| since.elapsed() > Duration::from_secs(10))
                {
                    tracing::warn!(%error, "connections cannot be accepted");
                    complained = Some(Instant::now());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let origin = Origin::direct(address.ip());
        let party = desk.api.journal.state().party(origin);
        if let Some(admitted) = desk.admit(party) {
            let (desk, ends) = (desk.clone(), (graceful.watcher(), stopping.clone()));
            tokio::spawn(desk.serve((stream, address), permit, admitted, ends));
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not end within {} s", DRAIN.as_secs());
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = connections
        .clone()
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, permit))
}

/// What the connections share. Cheap to clone.
#[derive(Clone)]
struct Desk {
    identity: Arc<MasterIdentity>,
    api: Arc<Api>,
    sources: Arc<Sources>,
    handshakes: Arc<Pace>,
}

/// A connection that may stay until its handshake tells more.
struct Admitted {
    party: Party,
    place: Place,
}

impl Desk {
    fn admit(&self, party: Party) -> Option<Admitted> {
        let place = self.sources.admit(&party, &self.api.journal.state());
        if place.is_none() {
            tracing::debug!(origin = %party.origin, "more connections of one address, or of all strangers, than may be; this one is closed");
        }
        place.map(|place| Admitted { party, place })
    }

    /// A connection that came straight.
    async fn serve(
        self,
        (stream, address): (TcpStream, SocketAddr),
        permit: OwnedSemaphorePermit,
        Admitted { party, place }: Admitted,
        (watcher, mut stopping): (Watcher, watch::Receiver<bool>),
    ) {
        // An enrolled host's address has all of its containers' connections, and those that they
        // dial themselves: they must not make it late.
        let pays = !self
            .sources
            .is_hosts(address.ip(), &self.api.journal.state());
        if pays {
            tokio::select! {
                () = self.handshakes.handshake(&party) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
        let from = match arrival(&stream, address) {
            Ok(from) => from,
            Err(reason) => {
                tracing::debug!(%address, %reason, "no TLS connection");
                return;
            }
        };
        let handshake = handshake(stream, from, &self.identity);
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
            Ok(Ok((stream, mut peer))) => {
                let Some(place) = self.sources.seat(place, &peer, &self.api) else {
                    tracing::debug!(%address, "more connections of one address or host than may be; this one is closed");
                    return;
                };
                peer.seat = Some(Arc::new((permit, place)));
                if pays && self.api.appoints(&peer) {
                    self.handshakes.forgive_handshake(&party);
                }
                converse(stream, peer, self.api, watcher).await;
            }
            Ok(Err(reason)) => tracing::debug!(%address, %reason, "no TLS connection"),
            Err(_) => tracing::debug!(%address, "the TLS handshake took too long"),
        }
    }

    /// A connection that a host relays: the same as one that came straight, with the container's address.
    async fn serve_relayed(
        self,
        relayed: Relayed,
        Admitted { party, place }: Admitted,
        watcher: Watcher,
    ) {
        let Relayed {
            stream,
            host,
            from,
            mut gone,
            carrier,
        } = relayed;
        let arrival = Arrival {
            address: from.origin,
            local: from.dialled,
            relay: Some(host.clone()),
        };
        let address = from.origin;
        let served = async {
            self.handshakes.handshake(&party).await;
            let handshake = handshake(stream, arrival, &self.identity);
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
                Ok(Ok((stream, mut peer))) => {
                    peer.seat = Some(Arc::new((place, carrier)));
                    converse(stream, peer, self.api.clone(), watcher).await;
                }
                Ok(Err(reason)) => tracing::debug!(%host, %address, %reason, "no TLS connection"),
                Err(_) => tracing::debug!(%host, %address, "the TLS handshake took too long"),
            }
        };
        tokio::select! {
            () = served => {}
            _ = gone.wait_for(|gone| *gone) => {}
        }
    }
}

/// What is known of a connection before its handshake.
struct Arrival {
    /// Where it comes from.
    address: SocketAddr,
    /// What was dialled.
    local: SocketAddr,
    /// The host that relays it.
    relay: Option<Name>,
}

fn arrival(stream: &TcpStream, address: SocketAddr) -> io::Result<Arrival> {
    stream.set_nodelay(true)?;
    // What the kernel has taken is out of our sight, and a peer may leave it there too.
    let patience = u32::try_from(PATIENCE.as_millis()).unwrap_or(u32::MAX);
    set_tcp_user_timeout(stream, patience)?;
    Ok(Arrival {
        address,
        local: stream.local_addr()?,
        relay: None,
    })
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    arrival: Arrival,
    identity: &MasterIdentity,
) -> Result<(TlsStream<Metered<S>>, Peer), String> {
    let Arrival {
        address,
        local,
        relay,
    } = arrival;
    let config = identity.tls_for(local.ip()).await.map_err(|error| {
        // What anyone may cause is not for anyone to fill the log with.
        if matches!(error, IdentityError::TooManyAddresses { .. }) {
            tracing::debug!(error = %chain(&error), "no certificate for a connection to {}", local.ip());
        } else {
            tracing::error!(error = %chain(&error), "no certificate for a connection to {}", local.ip());
        }
        error.to_string()
    })?;
    let flow = Arc::new(Flow::default());
    let stream = TlsAcceptor::from(config)
        .accept(Metered::new(stream, flow.clone()))
        .await
        .map_err(|error| error.to_string())?;
    let (_, tls) = stream.get_ref();
    let binding = tls
        .export_keying_material([0; 32], EXPORTER_LABEL, Some(&[]))
        .map_err(|error| error.to_string())?;
    let identity = match tls.peer_certificates().and_then(|chain| chain.first()) {
        // The chain was verified; a leaf that is none of ours all the same is nobody's identity.
        Some(leaf) => Some(peer_identity(leaf).map_err(|error| error.to_string())?),
        None => None,
    };
    Ok((
        stream,
        Peer {
            address,
            local,
            relay,
            identity,
            binding: Arc::new(Binding::new(binding)),
            flow,
            slots: Slots::default(),
            seat: None,
        },
    ))
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: TlsStream<Metered<S>>,
    peer: Peer,
    api: Arc<Api>,
    watcher: Watcher,
) {
    let peer = Arc::new(peer);
    let (address, flow) = (peer.address, peer.flow.clone());
    let service = service_fn(move |request| {
        let (api, peer) = (api.clone(), peer.clone());
        async move { Ok::<_, std::convert::Infallible>(api.handle(&peer, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(16 << 10)
        .max_concurrent_streams(Slots::MOST)
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .keep_alive_timeout(Duration::from_secs(20));
    let connection = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .into_owned();
    tokio::select! {
        ended = watcher.watch(connection) => if let Err(error) = ended {
            tracing::debug!(%address, error = %chain(error.as_ref()), "a connection ended early");
        },
        () = flow.stalled() => {
            tracing::debug!(%address, "the peer takes nothing of what is due to it; its connection is closed");
        }
    }
}
