//! One container asks for certificates as fast as it can.

use std::{net::SocketAddr, time::Duration};

use dockmaster_certs::{csr::create_request, key::KeyPair};
use dockmaster_client::{Call, ClientError};
use dockmaster_proto::{
    api::identity::{CertificateRequest, IssuedCertificate},
    problem::ProblemCode,
    route::Route,
};
use dockmaster_tests::{Peer, clock, eventually, measure::resident, require_all};
use futures_util::future::join_all;
use ring::rand::SystemRandom;
use tokio::net::TcpSocket;

use crate::stage::Stage;

/// Connections side by side, each with one request at a time.
const CONNECTIONS: usize = 16;
/// Requests that are none, on each connection.
const GARBAGE: usize = 60;
/// Whole ones, each on a connection of its own, since a request is for one.
const WHOLE: usize = 10;
/// Connections one after the other, more than are free.
const CONNECTED: usize = 400;
/// What a container may have at once; a few more while the flood lasts.
const BURST: usize = 20;
/// What the master may take more than before, in bytes.
const MOST: u64 = 32 << 20;

fn request(csr: Vec<u8>) -> Call {
    Call::new(Route::Enroll).json(&CertificateRequest {
        csr,
        agent_version: "flood".to_owned(),
        seen: None,
        token: None,
    })
}

/// Garbage, then whole requests; gives how many certificates there were.
async fn flood(peer: &Peer) -> usize {
    let mut connection = peer.connect(None).await.unwrap();
    for number in 0..GARBAGE {
        let garbage = request(vec![0x30; number]);
        let refused = connection.call::<IssuedCertificate>(&garbage).await;
        assert_eq!(code(refused), Some(ProblemCode::BadCsr));
    }
    let mut issued = 0;
    for _ in 0..WHOLE {
        let mut connection = peer.connect(None).await.unwrap();
        let key = KeyPair::generate(&SystemRandom::new()).unwrap();
        let whole = request(create_request(&key, connection.exporter()).unwrap());
        match code(connection.call::<IssuedCertificate>(&whole).await) {
            None => issued += 1,
            Some(code) => assert_eq!(code, ProblemCode::TooManyRequests),
        }
    }
    issued
}

fn code<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> Option<ProblemCode> {
    match answer {
        Ok(_) => None,
        Err(ClientError::Problem(problem)) => Some(problem.code),
        other => panic!("no refusal but {other:?}"),
    }
}

#[test]
fn a_flood_of_requests_fills_neither_the_log_nor_the_memory_and_keeps_nobody_out() {
    if !require_all(&["vdso"]) {
        return;
    }
    let stage = Stage::new(180..=189);
    let flooding = stage.peer(0);
    let before = resident(stage.master.pid().into());
    let others = async {
        for index in 1..10 {
            stage.peer(index).enroll().await.unwrap();
        }
    };
    let (issued, ()) = stage.runtime.block_on(async {
        let flood = join_all((0..CONNECTIONS).map(|_| flood(&flooding)));
        tokio::join!(flood, others)
    });
    let issued: usize = issued.into_iter().sum();
    assert!((1..=2 * BURST).contains(&issued), "{issued}");
    let grown = resident(stage.master.pid().into()).saturating_sub(before);
    assert!(grown < MOST, "{grown} bytes");
    assert!(stage.says_too_many("requests", 0));

    // Of each kind of refusal one entry at once, and one with the number of the rest after a minute.
    clock::pass(stage.master.pid(), Duration::from_secs(61));
    let counts = |code: &str| -> Vec<u64> {
        let denied = stage
            .master
            .json(["audit", "list", "--event", "cert_denied"]);
        let entries = denied["entries"].as_array().unwrap();
        let of_code = entries.iter().filter(|entry| entry["reason"] == code);
        of_code
            .map(|entry| entry["count"].as_u64().unwrap())
            .collect()
    };
    let garbage = u64::try_from(CONNECTIONS * GARBAGE).unwrap();
    let (refused, _) = eventually("the entry with the number of the rest", || {
        let counts = counts("bad-csr");
        (counts.iter().sum::<u64>() == garbage).then_some(counts)
    });
    assert!(refused.len() <= 4, "{refused:?}");
    let too_many = u64::try_from(CONNECTIONS * WHOLE - issued).unwrap();
    let (refused, _) = eventually("the same for those that were too many", || {
        let counts = counts("too-many-requests");
        (counts.iter().sum::<u64>() == too_many).then_some(counts)
    });
    assert!(refused.len() <= 4, "{refused:?}");
}

#[test]
fn whoever_connects_all_the_time_waits_for_its_turn_and_is_served() {
    let stage = Stage::new(190..=191);
    let (ip, master) = (stage.stand_ins[0].ips[0], stage.master.address());
    stage.runtime.block_on(async {
        for _ in 0..CONNECTED {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::new(ip, 0)).unwrap();
            drop(socket.connect(master).await.unwrap());
        }
        stage.peer(1).enroll().await.unwrap();
        stage.peer(0).enroll().await.unwrap();
    });
    assert!(stage.says_too_many("connections", 0));
    assert!(!stage.says_too_many("connections", 1));
}
