//! Connections that do what no client of ours does.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use dockmaster_tests::{Master, eventually};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

/// A TCP connection from this address, with a receive buffer as small as the kernel allows.
pub(crate) fn tcp(master: &Master, from: IpAddr) -> TcpStream {
    let stream = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&stream, 1).unwrap();
    bind(&stream, &SocketAddr::new(from, 0)).unwrap();
    connect(&stream, &master.address()).unwrap();
    let stream = TcpStream::from(stream);
    // Or the end of a handshake waits for the master's kernel, which is in no hurry to confirm what came
    // before.
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PAUSE)).unwrap();
    stream.set_write_timeout(Some(PAUSE)).unwrap();
    stream
}

/// Returns when the master has read all that was sent to it from this address.
pub(crate) fn all_is_read(master: &Master, from: IpAddr) {
    eventually("the master reads what was sent", || {
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let mut theirs = sockets.lines().skip(1).map(Socket::parse);
        theirs
            .all(|it| it.local != master.address().port() || it.remote != from || it.unread == 0)
            .then_some(())
    });
}

/// A line of `/proc/net/tcp` (proc(5)).
struct Socket {
    /// The local port.
    local: u16,
    /// The other side's address.
    remote: IpAddr,
    /// Bytes that came and were not read.
    unread: u32,
}

impl Socket {
    fn parse(line: &str) -> Self {
        let fields: Vec<_> = line.split_whitespace().collect();
        let halves = |field: usize| fields[field].split_once(':').unwrap();
        let number = |hex| u32::from_str_radix(hex, 16).unwrap();
        let (local, remote, queues) = (halves(1).1, halves(2).0, halves(4).1);
        Self {
            local: u16::from_str_radix(local, 16).unwrap(),
            // In the order of the bytes in memory.
            remote: Ipv4Addr::from(number(remote).to_ne_bytes()).into(),
            unread: number(queues),
        }
    }
}

/// How long a read or a write may take that is not expected to get anywhere.
const PAUSE: Duration = Duration::from_millis(500);

/// A TLS connection on which anything may be written.
pub(crate) struct Raw(StreamOwned<ClientConnection, TcpStream>);

impl Raw {
    /// One that speaks HTTP/1.1 (`http/1.1`) or HTTP/2 (`h2`), without a certificate.
    pub(crate) fn open(master: &Master, from: IpAddr, protocol: &str) -> Self {
        let bundle = master.data().join("ca/bundle.pem");
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(bundle).unwrap() {
            roots.add(root.unwrap()).unwrap();
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.into()];
        let name = ServerName::from(master.address().ip());
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(tls, tcp(master, from));
        while stream.conn.is_handshaking() {
            match stream.conn.complete_io(&mut stream.sock) {
                Err(error) if is_pause(&error) => {}
                done => drop(done.unwrap()),
            }
        }
        Self(stream)
    }

    /// Writes, and never reads; `false` when the other side takes no more.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        match self.0.write_all(bytes).and_then(|()| self.0.flush()) {
            Ok(()) => true,
            Err(error) if is_pause(&error) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// What there is to read now; nothing when the connection has ended.
    pub(crate) fn read(&mut self) -> Read {
        let mut bytes = vec![0; 16 << 10];
        match self.0.read(&mut bytes) {
            Ok(0) => Read::End,
            Ok(length) => {
                bytes.truncate(length);
                Read::Bytes(bytes)
            }
            Err(error) if is_pause(&error) => Read::Nothing,
            // Without a farewell, or with a reset.
            Err(_) => Read::End,
        }
    }

    /// Writes what need not be taken whole, and reads to the end of the connection, or until nothing more
    /// comes.
    pub(crate) fn exchange(mut self, bytes: &[u8]) -> String {
        // A refusal may come, and the connection end, before all is taken.
        let _ = self.0.write_all(bytes).and_then(|()| self.0.flush());
        let mut answer = Vec::new();
        let mut pauses = 0;
        // Some answers are long in coming.
        while pauses < if answer.is_empty() { 10 } else { 1 } {
            match self.read() {
                Read::Bytes(bytes) => answer.extend(bytes),
                Read::Nothing => pauses += 1,
                Read::End => break,
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Whether the kernel knows that the other side has ended it.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.0.sock.take_error().unwrap().is_some()
    }
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Bytes(Vec<u8>),
    Nothing,
    End,
}

fn is_pause(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};

    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

/// Whether a TCP connection has ended.
pub(crate) fn has_ended(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(length) => length == 0,
        Err(error) => !is_pause(&error),
    }
}
