//! Why somebody got no certificate.

use std::{collections::BTreeSet, time::Duration};

use dockmaster_client::{Call, ClientError};
use dockmaster_proto::{
    api::identity::IssuedCertificate,
    id::TokenId,
    problem::ProblemCode,
    route::Route,
    token::{JoinToken, TokenSecret},
};
use dockmaster_tests::{Asked, Machine, Peer, StandIn, eventually, redemption};
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
    let twin = StandIn {
        ips: container(608).ips,
        network: Some("backend".to_owned()),
        ..container(610)
    };
    let containers = vec![
        container(600).label("role", "rogue"),
        container(601).label("role", "db"),
        container(602),
        outside,
        container(606),
        container(607),
        container(608),
        twin,
    ];
    let scene = Scene::new(containers, POLICY);
    let id = |number: usize| scene.containers[number].id.as_str();
    let mut told = BTreeSet::new();

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
    let call = Call::new(Route::Enroll).json(&garbage);
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

    told.extend((0..3).flat_map(|number| scene.codes(id(number))));
    told.extend(scene.codes(&ip));
    told.extend(who_is_not_who_it_says(&scene).await);
    let here = ProblemCode::ALL.into_iter();
    let mut here: BTreeSet<String> = here
        .filter(|code| matches!(brought_about(*code), Refuses::Here))
        .map(|code| code.as_str().to_owned())
        .collect();
    here.insert("held".to_owned());
    assert_eq!(told, here);
}

/// Whether enrollment refuses with a code, and where that is brought about and asked for.
enum Refuses {
    Here,
    In {
        file: &'static str,
        test: &'static str,
    },
    Never,
}

/// Without a rest: who adds a code has to say where `why-denied` is asked for it.
const fn brought_about(code: ProblemCode) -> Refuses {
    match code {
        ProblemCode::BadRequest
        | ProblemCode::BadCsr
        | ProblemCode::CertificateRevoked
        | ProblemCode::Banned
        | ProblemCode::NoLease
        | ProblemCode::AmbiguousAddress
        | ProblemCode::TokenRefused
        | ProblemCode::TooManyRequests
        | ProblemCode::DeniedByPolicy
        | ProblemCode::RequestDenied => Refuses::Here,
        ProblemCode::SocketMismatch => Refuses::In {
            file: include_str!("../evidence/thief.rs"),
            test: "fn is_refused",
        },
        ProblemCode::AddressNotPermitted => Refuses::In {
            file: include_str!("../hosts/why.rs"),
            test: "fn what_no_range_has_room_for_is_told_with_the_range_that_it_lacks",
        },
        // Foreseen and not recorded: the master's own fault.
        ProblemCode::Unavailable => Refuses::In {
            file: include_str!("../hosts/why.rs"),
            test: "fn a_host_that_is_lost_or_evicted_is_named_as_the_reason",
        },
        ProblemCode::TooLarge
        | ProblemCode::NoCertificate
        | ProblemCode::Forbidden
        | ProblemCode::NotFound
        | ProblemCode::Ambiguous
        | ProblemCode::MethodNotAllowed
        | ProblemCode::InvalidDocument
        | ProblemCode::CompileFailed
        | ProblemCode::Conflict
        | ProblemCode::Internal => Refuses::Never,
    }
}

#[test]
fn what_is_brought_about_elsewhere_is_there() {
    for code in ProblemCode::ALL {
        if let Refuses::In { file, test } = brought_about(code) {
            // The function in which it is asked: a test, or what one calls.
            let (_, rest) = file.split_once(&format!("{test}(")).unwrap();
            // To the end of the function.
            let body = rest.split("\n}\n").next().unwrap();
            assert!(
                body.contains("why-denied") || body.contains("why("),
                "{test}"
            );
            assert!(body.contains(&format!("\"{code}\"")), "{code} in {test}");
        }
    }
}

/// Bans, tokens that are none, certificates shown by others, and an IP that two containers hold; gives
/// the codes that are told of them.
async fn who_is_not_who_it_says(scene: &Scene) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    let mut tells = |subject: &str, code: ProblemCode| {
        let codes = scene.codes(subject);
        assert!(codes.contains(code.as_str()), "{code} in {codes:?}");
        told.extend(codes);
    };
    let id = |number: usize| scene.containers[number].id.as_str();

    // A certificate at another's address, and one that is shown with a token.
    let enrolled = scene.peer(4).enroll().await.unwrap();
    let stolen = scene.peer(5).catalog(&enrolled, None).await;
    assert!(
        matches!(&stolen, Err(ClientError::Problem(it)) if it.code == ProblemCode::CertificateRevoked)
    );
    tells(id(4), ProblemCode::CertificateRevoked);
    let why = scene.why(id(4));
    assert_eq!(
        why["refusals"][0]["source"],
        scene.containers[5].ips[0].to_string()
    );
    let token = JoinToken {
        id: TokenId::from_bytes([7; 8]),
        secret: TokenSecret::from_bytes([7; 32]),
    };
    let machine = Machine::numbered(605);
    let identity = Some(&enrolled.identity);
    let mut connection = scene.peer(4).connect(identity).await.unwrap();
    let request = redemption(&connection, &token, machine.id, &key());
    let call = Call::new(Route::Renew).json(&request);
    let renewed = connection.call::<IssuedCertificate>(&call).await;
    assert!(
        matches!(&renewed, Err(ClientError::Problem(it)) if it.code == ProblemCode::BadRequest)
    );
    tells(id(4), ProblemCode::BadRequest);

    let joined = scene.peer(5).redeem(&token, machine.id, &key()).await;
    assert!(joined.is_err());
    tells(id(5), ProblemCode::TokenRefused);

    let args = ["cert", "revoke", "--node", id(5), "--ban", "--yes"];
    let _ = scene.master.cli(args).ok();
    refused(&ask(&scene.peer(5)).await, ProblemCode::Banned);
    tells(id(5), ProblemCode::Banned);
    assert_eq!(scene.why(id(5))["now"][0]["code"], "banned");

    // Both by the master's own host, in two networks.
    refused(&ask(&scene.peer(6)).await, ProblemCode::AmbiguousAddress);
    let ip = scene.containers[6].ips[0].to_string();
    tells(&ip, ProblemCode::AmbiguousAddress);
    for number in [6, 7] {
        tells(id(number), ProblemCode::AmbiguousAddress);
        let why = scene.why(id(number));
        assert_eq!(why["now"][0]["code"], "ambiguous-address");
    }
    let why = scene.why(&ip);
    assert_eq!(why["subjects"].as_array().unwrap().len(), 2, "{why}");
    told
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
