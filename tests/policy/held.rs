//! Requests that wait for an operator, by agents and by hand.

use std::time::Duration;

use dockmaster_certs::key::KeyPair;
use dockmaster_client::{Call, ClientError};
use dockmaster_proto::{api::requests::Denial, problem::ProblemCode, route::Route};
use dockmaster_tests::{Agent, Asked, Peer, eventually};
use ring::rand::SystemRandom;
use serde_json::json;

use crate::scene::{HOLD, Scene, container};

pub(crate) fn key() -> KeyPair {
    KeyPair::generate(&SystemRandom::new()).unwrap()
}

/// What an agent without classes says when it is done.
const DONE: &str = "nothing to apply";

#[test]
fn an_agent_waits_for_an_operator_and_then_gets_certificate_and_catalog() {
    let scene = Scene::new(vec![container(400)], HOLD);
    let agent = Agent::start(&scene.master, &scene.containers[0]);
    let held = scene.held(1).remove(0);
    agent.says(&format!(
        "waiting for an operator: request {held}, somebody has to look at it"
    ));
    let status = agent.status().ok();
    assert!(
        status.contains(&format!("{held} waits for an operator")),
        "{status}"
    );
    let shown = scene.master.json(["request", "show", &held]);
    assert_eq!(shown["container"], scene.containers[0].id.as_str());
    assert_eq!(shown["source"], scene.containers[0].ips[0].to_string());
    assert_eq!(scene.issuances(), [] as [serde_json::Value; 0]);

    let approved = scene.master.cli(["request", "approve", &held]).ok();
    assert!(approved.contains("is approved by admin"), "{approved}");
    agent.says("enrolled as");
    agent.says(DONE);
    let entry = &scene.issuances()[0];
    assert_eq!(entry["rule"], "look");
    assert_eq!(entry["evidence"][1]["kind"], "operator");
    assert_eq!(entry["evidence"][1]["operator"], "admin");
    assert_eq!(entry["evidence"][1]["request"], held.as_str());
    // It is used up.
    scene.held(0);
    assert!(!agent.status().ok().contains("waits"));
    let again = scene.master.cli(["request", "approve", &held]);
    assert!(again.fails(1).contains("no request"), "{again:?}");
}

#[test]
fn an_agent_whose_request_is_denied_says_so_and_one_that_runs_once_ends_refused() {
    let scene = Scene::new(vec![container(410), container(411)], HOLD);
    let agent = Agent::start(&scene.master, &scene.containers[0]);
    let held = scene.held(1).remove(0);
    agent.says("waiting for an operator");
    let deny = ["request", "deny", &held, "--reason", "not this week"];
    let _ = scene.master.cli(deny).ok();
    let again = scene.master.cli(deny);
    assert!(
        again.fails(1).contains("takes the denial back"),
        "{again:?}"
    );
    agent.says("operator admin denied request");
    agent.says("not this week");
    let status = agent.status().ok();
    assert!(status.contains("denied"), "{status}");
    let denied = &scene.entries("cert_denied")[0];
    assert_eq!(denied["reason"], "request-denied");

    let once = {
        let (master, stand_in) = (&scene.master, &scene.containers[1]);
        std::thread::scope(|scope| {
            let once = scope.spawn(|| Agent::once(master, stand_in));
            let held = scene.held(2).remove(1);
            let _ = master.cli(["request", "deny", &held]).ok();
            once.join().unwrap()
        })
    };
    assert!(once.fails(3).contains("denied request"), "{once:?}");
}

#[test]
fn an_agent_that_runs_once_waits_and_is_done_when_it_is_approved() {
    let scene = Scene::new(vec![container(420)], HOLD);
    let once = std::thread::scope(|scope| {
        let once = scope.spawn(|| Agent::once(&scene.master, &scene.containers[0]));
        let held = scene.held(1).remove(0);
        let _ = scene.master.cli(["request", "approve", &held]).ok();
        once.join().unwrap()
    });
    let _ = once.ok();
}

#[test]
fn a_request_outlives_the_master_and_so_does_its_approval() {
    let mut scene = Scene::new(vec![container(430)], HOLD);
    let agent = Agent::start(&scene.master, &scene.containers[0]);
    let held = scene.held(1);
    agent.says("waiting for an operator");
    scene.master.crash_and_restart();
    scene.is_watched();
    assert_eq!(
        scene.held(1),
        held,
        "the same request, asked for with the same key"
    );
    let _ = scene.master.cli(["request", "approve", &held[0]]).ok();
    agent.says("enrolled as");
    assert_eq!(scene.entries("request_held").len(), 1);

    // Approved, and the master dies before anyone has fetched the certificate.
    drop(agent);
    let mut scene = Scene::new(vec![container(431)], HOLD);
    let peer = scene.peer(0);
    let (runtime, key) = (runtime(), key());
    let asked = runtime.block_on(peer.ask(&key, Duration::ZERO));
    assert!(matches!(asked, Ok(Asked::Held(_))), "{asked:?}");
    let held = scene.held(1).remove(0);
    let _ = scene.master.cli(["request", "approve", &held]).ok();
    scene.master.crash_and_restart();
    scene.is_watched();
    let asked = runtime.block_on(scene.peer(0).ask(&key, Duration::ZERO));
    assert!(matches!(asked, Ok(Asked::Issued(_))), "{asked:?}");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn a_container_that_ends_takes_its_request_with_it() {
    let scene = Scene::new(vec![container(440)], HOLD);
    let agent = Agent::start(&scene.master, &scene.containers[0]);
    let held = scene.held(1).remove(0);
    agent.says("waiting for an operator");
    scene.inventory.set(&[]);
    scene.held(0);
    let approve = scene.master.cli(["request", "approve", &held]);
    assert!(approve.fails(1).contains("no request"), "{approve:?}");
    // It is told, and another container at its address has to wait for itself.
    agent.says("no running container is known to hold");
    drop(agent);
    let next = dockmaster_tests::StandIn {
        ips: scene.containers[0].ips.clone(),
        ..container(441)
    };
    scene.inventory.set(std::slice::from_ref(&next));
    scene.is_watched();
    let _agent = Agent::start(&scene.master, &next);
    assert_ne!(scene.held(1).remove(0), held);
}

#[test]
fn a_restart_of_the_container_ends_an_approval() {
    let scene = Scene::new(vec![container(450)], HOLD);
    let (runtime, key) = (runtime(), key());
    let ask = || runtime.block_on(scene.peer(0).ask(&key, Duration::ZERO));
    assert!(matches!(ask(), Ok(Asked::Held(_))));
    let held = scene.held(1).remove(0);
    let _ = scene.master.cli(["request", "approve", &held]).ok();
    let again = container(450).started("2026-11-24T15:00:00Z");
    scene.inventory.set(&[again]);
    scene.held(0);
    let asked = ask();
    assert!(matches!(asked, Ok(Asked::Held(_))), "{asked:?}");
    assert_ne!(scene.held(1).remove(0), held);
}

#[test]
fn an_approval_is_for_one_certificate_of_one_key_however_many_ask_at_once() {
    let scene = Scene::new(vec![container(460)], HOLD);
    let (runtime, key, other) = (runtime(), key(), key());
    let peer = scene.peer(0);
    let ask = |key| runtime.block_on(peer.ask(key, Duration::ZERO));
    assert!(matches!(ask(&key), Ok(Asked::Held(_))));
    assert!(matches!(ask(&key), Ok(Asked::Held(_))));
    let held = scene.held(1).remove(0);
    let _ = scene.master.cli(["request", "approve", &held]).ok();
    let asked = ask(&other);
    assert!(matches!(asked, Ok(Asked::Held(_))), "{asked:?}");
    let both = runtime.block_on(async {
        let at_once = [(); 3].map(|()| peer.ask(&key, Duration::ZERO));
        futures_util::future::join_all(at_once).await
    });
    let issued = both
        .iter()
        .filter(|asked| matches!(asked, Ok(Asked::Issued(_))));
    assert_eq!(issued.count(), 1, "{both:?}");
    assert_eq!(scene.issuances().len(), 1);
}

#[test]
fn whoever_is_held_at_the_master_is_told_at_once() {
    let scene = Scene::new(vec![container(470), container(471)], HOLD);
    let runtime = runtime();
    let keys = [key(), key()];
    for (number, key) in keys.iter().enumerate() {
        let asked = runtime.block_on(scene.peer(number).ask(key, Duration::ZERO));
        assert!(matches!(asked, Ok(Asked::Held(_))), "{asked:?}");
    }
    let held = scene.held(2);
    let wait = |number: usize| -> Result<Asked, ClientError> {
        let peer: Peer = scene.peer(number);
        self::runtime().block_on(peer.ask(&keys[number], Duration::from_secs(60)))
    };
    std::thread::scope(|scope| {
        let (first, second) = (scope.spawn(|| wait(0)), scope.spawn(|| wait(1)));
        let _ = scene.master.cli(["request", "deny", &held[1]]).ok();
        let denied = second.join().unwrap();
        let Err(ClientError::Problem(problem)) = denied else {
            panic!("{denied:?}");
        };
        assert_eq!(problem.code, ProblemCode::RequestDenied);
        assert!(!first.is_finished(), "nobody has spoken of it");
        let _ = scene.master.cli(["request", "approve", &held[0]]).ok();
        let approved = first.join().unwrap();
        assert!(matches!(approved, Ok(Asked::Issued(_))), "{approved:?}");
    });
}

#[test]
fn a_flood_of_requests_is_bounded_and_its_log_too() {
    let scene = Scene::new(vec![container(480), container(481)], HOLD);
    let runtime = runtime();
    let flood = |number: usize, count: usize| {
        let peer = scene.peer(number);
        (0..count)
            .map(|_| runtime.block_on(peer.ask(&key(), Duration::ZERO)))
            .filter(|asked| matches!(asked, Ok(Asked::Held(_))))
            .count()
    };
    assert_eq!(flood(0, 30), 4);
    assert_eq!(scene.held(4).len(), 4);
    assert_eq!(scene.entries("request_held").len(), 4);
    assert_eq!(scene.entries("cert_denied").len(), 1);
    // It costs no other anything.
    assert_eq!(flood(1, 1), 1);
    let why = scene
        .master
        .cli(["node", "why-denied", "stand-in-480"])
        .ok();
    assert!(why.contains("4 of its requests do already"), "{why}");
}

#[test]
fn a_renewal_goes_on_from_an_approval() {
    let scene = Scene::new(vec![container(490)], HOLD);
    let (runtime, key) = (runtime(), key());
    let peer = scene.peer(0);
    let asked = runtime.block_on(peer.ask(&key, Duration::ZERO));
    assert!(matches!(asked, Ok(Asked::Held(_))), "{asked:?}");
    let held = scene.held(1).remove(0);
    let _ = scene.master.cli(["request", "approve", &held]).ok();
    let Ok(Asked::Issued(first)) = runtime.block_on(peer.ask(&key, Duration::ZERO)) else {
        panic!("approved, and no certificate");
    };
    let renewed = runtime.block_on(peer.renew(&first));
    assert!(matches!(renewed, Ok(Asked::Issued(_))), "{renewed:?}");
    let entry = &scene.entries("cert_renewed")[0];
    assert_eq!(entry["evidence"][1]["request"], held.as_str());
    // Without the certificate the container is as unknown as before.
    let anew = runtime.block_on(peer.ask(&self::key(), Duration::ZERO));
    assert!(matches!(anew, Ok(Asked::Held(_))), "{anew:?}");
}

#[test]
fn a_node_decides_upon_nobody() {
    let policy = "policy:
  - {name: web, labels: role=web, verdict: issue}
  - {name: look, verdict: hold, reason: look}
";
    let containers = vec![container(500).label("role", "web"), container(501)];
    let scene = Scene::new(containers, policy);
    let runtime = runtime();
    let node = runtime.block_on(scene.peer(0).enroll()).unwrap();
    let asked = runtime.block_on(scene.peer(1).ask(&key(), Duration::ZERO));
    assert!(matches!(asked, Ok(Asked::Held(_))), "{asked:?}");
    let held = scene.held(1).remove(0);
    let before = scene.requests();
    for (identity, code) in [
        (Some(&node.identity), ProblemCode::Forbidden),
        (None, ProblemCode::NoCertificate),
    ] {
        for call in [
            Call::new(Route::Requests),
            Call::new(Route::Request).parameter(&held),
            Call::new(Route::RequestApprove).parameter(&held),
            Call::new(Route::RequestDeny)
                .parameter(&held)
                .json(&Denial::default()),
        ] {
            let answer = runtime.block_on(scene.peer(0).call(identity, &call));
            let Err(ClientError::Problem(problem)) = answer else {
                panic!("a node decided: {answer:?}");
            };
            assert_eq!(problem.code, code);
        }
    }
    assert_eq!(scene.requests(), before);
    assert_eq!(before[0]["decision"], json!(null));
}

#[test]
fn a_denial_is_taken_back_by_an_approval() {
    let scene = Scene::new(vec![container(510)], HOLD);
    let (runtime, key) = (runtime(), key());
    let ask = || runtime.block_on(scene.peer(0).ask(&key, Duration::ZERO));
    assert!(matches!(ask(), Ok(Asked::Held(_))));
    let held = scene.held(1).remove(0);
    let _ = scene.master.cli(["request", "deny", &held]).ok();
    let twice = scene.master.cli(["request", "deny", &held]);
    assert!(twice.fails(1).contains("was denied by admin"), "{twice:?}");
    assert!(ask().is_err());
    let _ = scene.master.cli(["request", "approve", &held]).ok();
    assert!(matches!(ask(), Ok(Asked::Issued(_))));
    eventually("it is used up", || {
        scene.requests().is_empty().then_some(())
    });
}
