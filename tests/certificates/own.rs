//! The master's own certificate, while the master runs.

use std::{net::TcpStream, sync::Arc, time::Duration};

use dockmaster_certs::{bundle::TrustBundle, chain::verify_master};
use dockmaster_tests::{Master, clock, eventually, require};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    time_provider::TimeProvider,
};

use crate::stage::Stage;

const HOUR: Duration = Duration::from_secs(3_600);
/// What the master says when it has another.
const RENEWED: &str = "the master's certificate was renewed";

/// A clock for which so much more time has passed.
#[derive(Debug)]
struct Ahead(Duration);

impl TimeProvider for Ahead {
    fn current_time(&self) -> Option<UnixTime> {
        let now = Duration::from_millis(dockmaster_client::now().0);
        Some(UnixTime::since_unix_epoch(now + self.0))
    }
}

/// What the master shows on a new connection to a client that lives so much later, and finds it right.
fn shown(master: &Master, later: Duration) -> CertificateDer<'static> {
    let bundle = std::fs::read_to_string(master.data().join("ca/bundle.pem")).unwrap();
    let bundle = TrustBundle::parse(&bundle).unwrap();
    let mut roots = RootCertStore::empty();
    for root in bundle.roots() {
        roots.add(root.clone()).unwrap();
    }
    let config =
        ClientConfig::builder_with_details(Arc::new(default_provider()), Arc::new(Ahead(later)))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let name = ServerName::from(master.address().ip());
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut tcp = TcpStream::connect(master.address()).unwrap();
    while tls.is_handshaking() {
        let _ = tls.complete_io(&mut tcp).unwrap();
    }
    let chain = tls.peer_certificates().unwrap();
    let later = u64::try_from(later.as_millis()).unwrap();
    let then = dockmaster_client::now().plus_ms(later);
    verify_master(chain, &bundle, master.address().ip(), then).unwrap();
    chain[0].clone().into_owned()
}

#[test]
fn a_master_renews_its_certificate_at_half_of_its_life_and_outlives_it_without_a_restart() {
    if !require("vdso") {
        return;
    }
    let stage = Stage::new([1800]);
    let first = shown(&stage.master, Duration::ZERO);
    assert_eq!(shown(&stage.master, Duration::ZERO), first);

    // It is made for a day. New connections show the newest that there is.
    let renewed = |later: Duration, times: usize| {
        clock::pass(stage.master.pid(), later);
        eventually("a word on the renewal", || {
            let log = stage.master.log();
            let told = log.iter().filter(|line| line.contains(RENEWED));
            (told.count() == times).then_some(())
        });
        shown(&stage.master, later)
    };
    let second = renewed(13 * HOUR, 1);
    assert_ne!(second, first);
    // By now the first would be refused: its day is over.
    let third = renewed(26 * HOUR, 2);
    assert!(third != first && third != second);
}
