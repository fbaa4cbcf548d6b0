//! TLS handshakes in memory, of which the server's side is timed.

use std::{sync::Arc, time::Duration};

use dockmaster_certs::{authority::Authority, issue::Issued, key::KeyPair};
use dockmaster_tests::measure::of_this_thread;
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig,
    ServerConnection, SideData,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};

use super::{ROUNDS, TIMES, crypto::Material, median};

/// What the client shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Anonymous,
    WithCertificate,
}

/// The server's processor time for one handshake.
pub(crate) fn server_side(material: &Material, client: Client) -> Duration {
    let (server, client) = configurations(material, client);
    median((0..ROUNDS).map(|_| {
        let whole: Duration = (0..TIMES).map(|_| once(&server, &client)).sum();
        whole / TIMES
    }))
}

fn once(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Duration {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let begin = of_this_thread();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let mut taken = of_this_thread() - begin;
    while client.is_handshaking() || server.is_handshaking() {
        let hello = send(&mut client);
        let begin = of_this_thread();
        receive(&mut server, &hello);
        let answer = send(&mut server);
        taken += of_this_thread() - begin;
        receive(&mut client, &answer);
    }
    taken
}

fn send<S: SideData>(connection: &mut ConnectionCommon<S>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut bytes).unwrap();
    }
    bytes
}

fn receive<S: SideData>(connection: &mut ConnectionCommon<S>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        connection.read_tls(&mut bytes).unwrap();
        connection.process_new_packets().unwrap();
    }
}

/// As the master and the agents have them.
fn configurations(material: &Material, client: Client) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(material.root.certificate().clone()).unwrap();
    let roots = Arc::new(roots);
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .unwrap();
    let (key, issued) = material.master();
    let (chain, key) = shown(&key, &issued, &material.infra);
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    server.send_tls13_tickets = 0;
    server.session_storage = Arc::new(NoServerSessionStorage {});
    let trusting = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let client = match client {
        Client::Anonymous => trusting.with_no_client_auth(),
        Client::WithCertificate => {
            let (key, issued) = material.container();
            let (chain, key) = shown(&key, &issued, &material.containers);
            trusting.with_client_auth_cert(chain, key).unwrap()
        }
    };
    (Arc::new(server), Arc::new(client))
}

fn shown(
    key: &KeyPair,
    issued: &Issued,
    authority: &Authority,
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = vec![issued.der.clone(), authority.certificate().clone()];
    (chain, key.to_private_key_der())
}
