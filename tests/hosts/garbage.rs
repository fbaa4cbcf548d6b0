//! Nonsense at the relay and on the watch stream.

use std::{io::Write as _, path::Path, process::Stdio};

use dockmaster_client::{Call, ClientError, Context};
use dockmaster_proto::{
    api::hosts::{RELAY_PROTOCOL, RelayedFrom, WATCH_PROTOCOL},
    problem::ProblemCode,
    route::Route,
};
use dockmaster_tests::{Agent, FarMachine, Host, Space, require};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::stage::{container, listed, setup, watched};

/// Sends bytes to the relay, as a container would that has no agent.
fn send(space: &Space, bytes: &[u8]) {
    let mut nc = space.command(Path::new("bash"));
    let line = format!(
        "exec 3<>/dev/tcp/{}/8140; cat >&3; timeout 2 cat <&3",
        FarMachine::GATEWAY
    );
    let mut child = nc
        .args(["-c", &line])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The other side may close while it is being written to.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    let _ = child.wait();
}

#[test]
fn garbage_at_the_relay_harms_nobody() {
    if !require("netns") {
        return;
    }
    let master = setup().start();
    let host = Host::start(&master, "h2", &[container(1, 2)], &[]);
    let space = host.machine().container(2);
    for garbage in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 70_000],
        vec![0xff; 70_000],
        b"\x16\x03\x01\xff\xff".to_vec(),
        vec![],
    ] {
        send(&space, &garbage);
    }
    let agent = Agent::start_in(&space, &master);
    let _ = agent.credentials();
    watched(&master, &host, 1);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// What speaks with a host's own certificate, and means no good.
fn rogue(host: &Host) -> dockmaster_client::Dialer {
    Context::load(&host.context()).unwrap().dialer().unwrap()
}

#[test]
fn garbage_on_the_watch_stream_ends_the_stream_and_nothing_else() {
    if !require("netns") {
        return;
    }
    let master = setup().start();
    let host = Host::start(&master, "h2", &[container(1, 2)], &[]);
    watched(&master, &host, 1);
    let dialer = rogue(&host);
    runtime().block_on(async {
        for garbage in [
            &b"{}"[..],
            &[0xff; 100],
            &[0, 0, 0, 2, b'{', b'}'],
            b"\0\0\0\x0f{\"say\":\"nought\"}",
        ] {
            let connection = dialer.dial().await.unwrap();
            let (_, mut stream) = connection
                .upgrade(&Call::new(Route::HostWatch), WATCH_PROTOCOL)
                .await
                .unwrap();
            // The master may close while it is being written to.
            let _ = stream.write_all(garbage).await;
            let _ = stream.shutdown().await;
            let mut rest = vec![];
            let _ = stream.read_to_end(&mut rest).await;
        }
    });
    // The host itself took its stream back, and its container was never lost.
    watched(&master, &host, 1);
    assert_eq!(crate::stage::node_state(&master, 1), "running");
}

fn code(error: &ClientError) -> ProblemCode {
    match error {
        ClientError::Problem(problem) => problem.code,
        other => panic!("{other}"),
    }
}

#[test]
fn a_relay_cannot_name_what_is_not_its_own_or_have_the_master_certified_for_any_address() {
    if !require("netns") {
        return;
    }
    let master = setup().start();
    let host = Host::start(&master, "h2", &[], &["--cidr", "172.30.0.0/24"]);
    watched(&master, &host, 0);
    let dialer = rogue(&host);
    let ask = |origin: &str, dialled: &str| {
        let from = RelayedFrom {
            origin: origin.parse().unwrap(),
            dialled: dialled.parse().unwrap(),
        };
        let call = Call::new(Route::HostRelay).query(from.query());
        runtime().block_on(async {
            let connection = dialer.dial().await.unwrap();
            connection
                .upgrade(&call, RELAY_PROTOCOL)
                .await
                .map(drop)
                .map_err(|error| code(&error))
        })
    };
    let denied = Err(ProblemCode::AddressNotPermitted);
    assert_eq!(ask("172.30.0.2:1", "172.30.0.1:8140"), Ok(()));
    assert_eq!(ask("172.31.0.2:1", "172.30.0.1:8140"), denied);
    assert_eq!(ask("172.30.0.2:1", "8.8.8.8:8140"), denied);
    // So many addresses and no more.
    let answers: Vec<_> = (0..20)
        .map(|last| ask("172.30.0.2:1", &format!("10.0.0.{last}:8140")))
        .collect();
    assert_eq!(answers[0], Ok(()));
    assert_eq!(answers[19], Err(ProblemCode::TooManyRequests));

    // Nobody else may use a host's routes, and a host uses no operator's.
    let operator = Context::load(&master.context()).unwrap().dialer().unwrap();
    let wrong = runtime().block_on(async {
        let watch = operator.dial().await.unwrap();
        let watch = watch
            .upgrade(&Call::new(Route::HostWatch), WATCH_PROTOCOL)
            .await
            .map(drop);
        let list = dialer
            .dial()
            .await
            .unwrap()
            .send(&Call::new(Route::Nodes))
            .await;
        (code(&watch.unwrap_err()), code(&list.unwrap_err()))
    });
    assert_eq!(wrong, (ProblemCode::Forbidden, ProblemCode::Forbidden));
    assert_eq!(listed(&master, "h2")["state"], "watched");
}
