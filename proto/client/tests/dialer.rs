//! First contact, trust and calls, over real connections on loopback.
#![allow(missing_docs, clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use dockmaster_client::{Bootstrap, Call, ClientError, Dialer};
use dockmaster_proto::{
    api::identity::Trust,
    id::TrustPin,
    problem::{Problem, ProblemCode},
    route::Route,
};
use http::{Response, StatusCode};
use http_body_util::Full;
use support::{Seen, World, serve};

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), test)
            .await
            .unwrap();
    });
}

fn trust(bundle: &str) -> Response<Full<Bytes>> {
    let trust = Trust {
        bundle: bundle.to_owned(),
        master_time_ms: dockmaster_client::now(),
        authorities: vec![],
        operator_issuer: String::new(),
    };
    Response::new(Full::new(serde_json::to_vec(&trust).unwrap().into()))
}

/// Answers `/v1/trust`, and anything else with the connection's exporter value and the peer.
fn honest(world: &World) -> impl Fn(Seen) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static {
    let bundle = world.bundle.to_pem();
    move |seen| {
        if seen.request.uri().path() == Route::Trust.template() {
            return trust(&bundle);
        }
        let mut body = seen.exporter.to_vec();
        body.extend(seen.peer.map(|peer| peer.to_vec()).unwrap_or_default());
        Response::new(Full::new(body.into()))
    }
}

fn dialer(world: &World, master: SocketAddr) -> Dialer {
    Dialer::new(master, None, Arc::new(world.bundle.clone()), None).unwrap()
}

#[test]
fn a_pin_leads_to_a_trusted_connection_and_both_ends_share_its_exporter_value() {
    block_on(async {
        let world = World::new();
        let master = serve(&world, &world.master("127.0.0.1"), honest(&world)).await;
        let contact = Bootstrap::dial(master, None).await.unwrap();
        let (mut connection, bundle) = contact.trust(world.bundle.pin()).await.unwrap();
        assert_eq!(bundle, world.bundle);
        let reply = connection.send(&Call::new(Route::Healthz)).await.unwrap();
        assert_eq!(&reply.body[..], connection.exporter());
        let mut other = dialer(&world, master).dial().await.unwrap();
        assert_ne!(other.exporter(), connection.exporter());
        assert_eq!(
            &other.send(&Call::new(Route::Healthz)).await.unwrap().body[..],
            other.exporter()
        );
    });
}

#[test]
fn another_bundle_than_the_pinned_one_is_refused() {
    block_on(async {
        let world = World::new();
        let master = serve(&world, &world.master("127.0.0.1"), honest(&world)).await;
        let contact = Bootstrap::dial(master, None).await.unwrap();
        let error = contact.trust(TrustPin::of("else")).await.unwrap_err();
        assert!(matches!(error, ClientError::WrongPin { .. }), "{error}");
    });
}

#[test]
fn the_right_bundle_from_a_stranger_is_refused() {
    block_on(async {
        let (world, stranger) = (World::new(), World::new());
        // It can show the public bundle, but not a certificate that leads to it.
        let master = serve(&stranger, &stranger.master("127.0.0.1"), honest(&world)).await;
        let contact = Bootstrap::dial(master, None).await.unwrap();
        let error = contact.trust(world.bundle.pin()).await.unwrap_err();
        assert!(matches!(error, ClientError::NotTheMaster { .. }), "{error}");
        let error = dialer(&world, master).dial().await.unwrap_err();
        assert!(matches!(error, ClientError::Tls { .. }), "{error}");
    });
}

#[test]
fn a_container_never_passes_for_a_master() {
    block_on(async {
        let world = World::new();
        let master = serve(&world, &world.container(), honest(&world)).await;
        let contact = Bootstrap::dial(master, None).await.unwrap();
        let error = contact.trust(world.bundle.pin()).await.unwrap_err();
        assert!(
            error.to_string().contains("in the master's place"),
            "{error}"
        );
        let error = dialer(&world, master).dial().await.unwrap_err();
        assert!(
            error.to_string().contains("in the master's place"),
            "{error}"
        );
    });
}

#[test]
fn a_master_of_another_address_is_refused() {
    block_on(async {
        let world = World::new();
        let master = serve(&world, &world.master("127.0.0.2"), honest(&world)).await;
        let contact = Bootstrap::dial(master, None).await.unwrap();
        let error = contact.trust(world.bundle.pin()).await.unwrap_err();
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
        assert!(dialer(&world, master).dial().await.is_err());
    });
}

#[test]
fn an_identity_is_shown_to_the_master() {
    block_on(async {
        let world = World::new();
        let master = serve(&world, &world.master("127.0.0.1"), honest(&world)).await;
        let container = world.container();
        let bundle = Arc::new(world.bundle.clone());
        let dialer = Dialer::new(master, None, bundle, Some(&container.identity())).unwrap();
        let mut connection = dialer.dial().await.unwrap();
        let reply = connection.send(&Call::new(Route::Healthz)).await.unwrap();
        assert_eq!(&reply.body[32..], &container.chain[0][..]);
    });
}

#[test]
fn answers_that_are_no_success_are_told_apart() {
    block_on(async {
        let world = World::new();
        let answer = |seen: Seen| {
            let header = |name: &str| {
                let value = seen.request.headers().get(name);
                value
                    .map(|value| value.to_str().unwrap().to_owned())
                    .unwrap_or_default()
            };
            let (status, body) = match seen.request.uri().path() {
                "/v1/catalog" => {
                    assert_eq!(
                        (header("if-none-match"), header("prefer")),
                        ("\"x\"".into(), "wait=7".into())
                    );
                    (StatusCode::NOT_MODIFIED, Vec::new())
                }
                "/v1/enroll" => {
                    let problem =
                        Problem::new(ProblemCode::NoLease, "no lease covers 127.0.0.1", "wait");
                    (StatusCode::FORBIDDEN, serde_json::to_vec(&problem).unwrap())
                }
                "/healthz" => (StatusCode::BAD_GATEWAY, b"<html>".to_vec()),
                "/readyz" => (StatusCode::OK, vec![b'x'; 17 << 20]),
                _ => (StatusCode::OK, b"not json".to_vec()),
            };
            Response::builder()
                .status(status)
                .body(Full::new(body.into()))
                .unwrap()
        };
        let master = serve(&world, &world.master("127.0.0.1"), answer).await;
        let mut connection = dialer(&world, master).dial().await.unwrap();
        let call = Call::new(Route::Catalog)
            .unless("\"x\"")
            .wait(Duration::from_secs(7));
        assert_eq!(
            connection.send(&call).await.unwrap().status,
            StatusCode::NOT_MODIFIED
        );
        let error = connection
            .send(&Call::new(Route::Enroll).json(&1))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ClientError::Problem(problem) if problem.code == ProblemCode::NoLease)
        );
        assert_eq!(error.to_string(), "no lease covers 127.0.0.1\n  wait");
        let error = connection
            .send(&Call::new(Route::Healthz))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("502"), "{error}");
        let error = connection
            .call::<u64>(&Call::new(Route::Nodes))
            .await
            .unwrap_err();
        assert!(matches!(error, ClientError::BadAnswer { .. }), "{error}");
        // Larger than anything that a master sends.
        assert!(connection.send(&Call::new(Route::Readyz)).await.is_err());
    });
}

#[test]
fn where_nobody_listens_the_error_says_what_to_look_for() {
    block_on(async {
        let world = World::new();
        let master = "127.0.0.1:1".parse().unwrap();
        for error in [
            Bootstrap::dial(master, None).await.unwrap_err(),
            dialer(&world, master).dial().await.unwrap_err(),
        ] {
            assert!(error.is_unreachable());
            assert!(error.to_string().contains("dockmaster serve"), "{error}");
        }
    });
}

#[test]
fn a_connection_that_the_master_closed_is_not_open() {
    block_on(async {
        let world = World::new();
        let answer = |_| {
            let mut response = Response::new(Full::default());
            response
                .headers_mut()
                .insert("connection", "close".parse().unwrap());
            response
        };
        let master = serve(&world, &world.master("127.0.0.1"), answer).await;
        let mut connection = dialer(&world, master).dial().await.unwrap();
        assert!(connection.is_open());
        connection.send(&Call::new(Route::Healthz)).await.unwrap();
        while connection.is_open() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(
            connection
                .send(&Call::new(Route::Healthz))
                .await
                .unwrap_err()
                .is_unreachable()
        );
    });
}
