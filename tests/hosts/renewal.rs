//! A host's own certificate.

use std::fs;

use dockmaster_certs::{csr::create_request, key::KeyPair};
use dockmaster_client::{Call, ClientError, Context};
use dockmaster_proto::{
    api::hosts::{HostCertificate, HostRenewal},
    problem::ProblemCode,
    route::Route,
};
use dockmaster_tests::{Agent, Host, eventually, require};
use ring::rand::SystemRandom;

use crate::stage::{container, events, node_state, setup, watched};

/// Renews the certificate of a context, as its watcher does.
fn renew(context: &Context) -> Result<Context, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = context.dialer()?.dial().await?;
        let key = KeyPair::generate(&SystemRandom::new()).unwrap();
        let csr = create_request(&key, connection.exporter()).unwrap();
        let call = Call::new(Route::HostRenew).json(&HostRenewal { csr });
        let issued: HostCertificate = connection.call(&call).await?;
        Ok(Context {
            master: context.master,
            bundle: issued.bundle,
            certificate: issued.chain,
            key: key.to_pem(),
        })
    })
}

#[test]
fn the_last_two_certificates_of_a_host_are_honoured_and_no_older_one() {
    let master = setup().start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("h2");
    let args = ["host", "enroll", "h2", "-o", file.to_str().unwrap()];
    let _ = master.cli(args).ok();
    let first = Context::load(&file).unwrap();
    let second = renew(&first).unwrap();
    let third = renew(&first).unwrap();
    // Two are newer than the first; the second still counts, which its use shows.
    match renew(&first) {
        Err(ClientError::Problem(problem)) => {
            assert_eq!(problem.code, ProblemCode::CertificateRevoked);
        }
        other => panic!("{other:?}"),
    }
    renew(&second).unwrap();
    renew(&third).unwrap();
    assert_eq!(events(&master, "cert_renewed").len(), 4);
}

#[test]
fn a_watcher_renews_into_its_own_file_and_works_on_with_it() {
    use std::os::unix::fs::PermissionsExt as _;

    if !require("netns") {
        return;
    }
    let master = setup().start();
    let mut host = Host::start(&master, "h2", &[container(1, 2)], &[]);
    watched(&master, &host, 1);
    let before = fs::read_to_string(host.context()).unwrap();
    host.renew();
    eventually("another certificate in the context file", || {
        (fs::read_to_string(host.context()).unwrap() != before).then_some(())
    });
    let mode = fs::metadata(host.context()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    host.kill();
    host.run();
    watched(&master, &host, 1);
}

#[test]
fn a_rotation_takes_hosts_along_and_cuts_nobody_off_behind_them() {
    if !require("netns") {
        return;
    }
    let master = setup().start();
    let mut host = Host::start(&master, "h2", &[container(1, 2)], &[]);
    let space = host.machine().container(2);
    let agent = Agent::start_in(&space, &master);
    let first = agent.credentials().print(&["-serial"]);
    let _ = master.cli(["ca", "rotate", "--yes"]).ok();
    let rotation = || master.json(["ca", "show"])["rotation"].clone();
    eventually("the new authorities sign", || {
        (rotation()["phase"] == "switched").then_some(())
    });
    // Told by its watch stream; the container by its own.
    eventually("host and container are under the new root", || {
        let rotation = rotation();
        let is_through = rotation["hosts_behind"] == serde_json::json!([])
            && rotation["behind"] == serde_json::json!([])
            && rotation["renewed"] == 1;
        is_through.then_some(())
    });
    // It counts when it is in the log, and a moment later it is in the run dir.
    eventually("another certificate in the run dir", || {
        (agent.credentials().print(&["-serial"]) != first).then_some(())
    });
    let finished = master.json(["ca", "rotate", "--finish", "--yes"]);
    assert_eq!(finished["rotation"], serde_json::Value::Null);
    watched(&master, &host, 1);
    // A start of each finds what it needs in its file.
    host.kill();
    host.run();
    watched(&master, &host, 1);
    assert_eq!(node_state(&master, 1), "enrolled");
}
