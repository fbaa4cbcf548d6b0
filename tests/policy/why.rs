//! Why somebody got no certificate.

use std::{collections::BTreeSet, time::Duration};

use dockmaster_client::ClientError;
use dockmaster_proto::problem::ProblemCode;
use dockmaster_tests::{Asked, Peer, StandIn, eventually};
use serde_json::{Value, json};

use crate::{
    held::key,
    scene::{Scene, container},
};

const POLICY: &str = "policy:
  - {name: never, labels: role=rogue, verdict: deny, reason: rogues get nothing}
  - {name: look, labels: role=db, verdict: hold, reason: databases are looked at}
  - {name: rest, verdict: issue, lifetime: 1h}
";

impl Scene {
    fn why(&self, subject: &str) -> Value {
        self.master.json(["node", "why-denied", subject])
    }

    /// The codes that `why-denied` names for a subject.
    fn codes(&self, subject: &str) -> BTreeSet<String> {
        let why = self.why(subject);
        let refusals = why["refusals"].as_array().unwrap();
        refusals
            .iter()
            .inspect(|one| {
                for field in ["detail", "hint", "source"] {
                    assert_ne!(one[field], "", "{field} in {one}");
                }
                assert!(one["count"].as_u64() > Some(0), "{one}");
            })
            .map(|one| one["code"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn refused(asked: &Result<Asked, ClientError>, code: ProblemCode) {
    match asked {
        Err(ClientError::Problem(problem)) => assert_eq!(problem.code, code, "{problem}"),
        other => panic!("{code} expected: {other:?}"),
    }
}

async fn ask(peer: &Peer) -> Result<Asked, ClientError> {
    peer.ask(&key(), Duration::ZERO).await
}

/// Each code that enrollment refuses with, and that it is held, brought about and then asked for.
#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_get_no_certificate_is_told_with_its_fact_and_the_next_step() {
    let outside = StandIn {
        ips: vec![[192, 0, 2, 9].into()],
        ..container(605)
    };
    let containers = vec![
        container(600).label("role", "rogue"),
        container(601).label("role", "db"),
        container(602),
        outside,
    ];
    let scene = Scene::new(containers, POLICY);
    let id = |number: usize| scene.containers[number].id.as_str();

    refused(&ask(&scene.peer(0)).await, ProblemCode::DeniedByPolicy);
    assert_eq!(scene.codes(id(0)), ["denied-by-policy".to_owned()].into());
    let why = scene.why(id(0));
    assert_eq!(why["refusals"][0]["rule"], "never");
    assert_eq!(why["now"][0]["verdict"], "refused");
    assert_eq!(why["now"][0]["rule"], "never");

    // Held, too many held, denied by an operator.
    for _ in 0..4 {
        let asked = ask(&scene.peer(1)).await;
        assert!(matches!(asked, Ok(Asked::Held(_))), "{asked:?}");
    }
    refused(&ask(&scene.peer(1)).await, ProblemCode::TooManyRequests);
    let held = scene.held(4).remove(0);
    let _ = scene.master.cli(["request", "deny", &held]).ok();
    refused(&ask(&scene.peer(1)).await, ProblemCode::RequestDenied);
    let codes = ["held", "too-many-requests", "request-denied"].map(str::to_owned);
    assert_eq!(scene.codes(id(1)), codes.into());
    assert_eq!(scene.why(id(1))["requests"].as_array().unwrap().len(), 4);

    // A request that is none; it names no container, and is found by the container all the same.
    let mut connection = scene.peer(2).connect(None).await.unwrap();
    let garbage = json!({ "csr": "Z2FyYmFnZQ==", "agent_version": "0" });
    let call = dockmaster_client::Call::new(dockmaster_proto::route::Route::Enroll).json(&garbage);
    assert!(connection.send(&call).await.is_err());
    assert!(scene.codes(id(2)).contains("bad-csr"));
    assert_eq!(scene.why(id(2))["now"][0]["verdict"], "issued");
    assert_eq!(scene.why(id(2))["now"][0]["rule"], "rest");

    // An address that no container holds, asked for and never asked for.
    let nobody = StandIn::numbered(609);
    refused(
        &ask(&Peer::new(&scene.master, &nobody)).await,
        ProblemCode::NoLease,
    );
    let ip = nobody.ips[0].to_string();
    assert_eq!(scene.codes(&ip), ["no-lease".to_owned()].into());
    let why = scene.why(&ip);
    assert_eq!(why["container"], json!(null));
    assert_eq!(why["now"][0]["code"], "no-lease");
    assert_eq!(scene.codes("203.0.113.77"), BTreeSet::new());

    // An address outside the permitted ranges cannot speak here: the view alone says it.
    let why = scene.why(id(3));
    assert_eq!(why["now"][0]["code"], "address-not-permitted");
    assert_ne!(why["now"][0]["hint"], "");
}

#[tokio::test(flavor = "multi_thread")]
async fn like_refusals_are_one_with_their_number_and_what_is_mended_is_said_to_be() {
    let scene = Scene::new(vec![container(620).label("role", "rogue")], POLICY);
    refused(&ask(&scene.peer(0)).await, ProblemCode::DeniedByPolicy);
    let text = scene
        .master
        .cli(["node", "why-denied", "stand-in-620"])
        .ok();
    for part in [
        "it would be refused by rule \"never\": denied-by-policy",
        "denied-by-policy by rule \"never\": the policy gives container",
        "rogues get nothing",
        "hint: ",
        "(entry ",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    scene.inventory.set(&[container(620).label("role", "web")]);
    eventually("the new label is known", || {
        let why = scene.why("stand-in-620");
        (why["now"][0]["verdict"] == "issued").then_some(())
    });
    let why = scene.why("stand-in-620");
    assert_eq!(why["now"][0]["rule"], "rest");
    assert_eq!(why["refusals"][0]["code"], "denied-by-policy");
}
