//! Which rule decides.

use dockmaster_client::ClientError;
use dockmaster_proto::problem::ProblemCode;
use dockmaster_tests::{Asked, Enrolled, Peer};
use serde_json::{Value, json};

use crate::scene::{Scene, container};

const POLICY: &str = "policy:
  - {name: never, labels: 'role=rogue', verdict: deny, reason: rogues get nothing}
  - {name: web, labels: 'role=web', networks: ['h1/*'], verdict: issue, lifetime: 1h}
  - {name: late, labels: 'role in (rogue, web)', verdict: issue, lifetime: 30d}
  - {name: vip, labels: tier=front, label_tier: operator, verdict: issue, lifetime: 2h}
  - {name: rest, verdict: hold, reason: nobody knows it}
";

async fn issued(peer: &Peer) -> Enrolled {
    peer.enroll().await.unwrap()
}

#[tokio::test]
async fn the_first_rule_that_matches_decides_and_the_ledger_names_it_with_its_policy() {
    let containers = vec![
        container(300).label("role", "web"),
        container(301).label("role", "rogue"),
    ];
    let scene = Scene::new(containers, POLICY);
    let enrolled = issued(&scene.peer(0)).await;
    let life = enrolled
        .issued
        .not_after_ms
        .since(enrolled.issued.master_time_ms);
    // The rule's hour, and not the thirty days of the one behind it.
    assert!((3_590_000..=3_600_000).contains(&life), "{life}");
    let entry = &scene.issuances()[0];
    assert_eq!(entry["rule"], "web");
    let policy = entry["policy_sha256"].as_str().unwrap();
    let changed = &scene.entries("policy_changed")[0];
    assert_eq!(changed["policy_sha256"], policy);
    assert_eq!(changed["rules"], 5);
    // An auditor finds the very policy, and what was issued under it.
    let blob = std::fs::read_dir(scene.master.data().join("blobs")).unwrap();
    assert!(blob.count() > 0);
    let under = scene.master.json(["cert", "list", "--policy", policy]);
    assert_eq!(under["certificates"].as_array().unwrap().len(), 1);
    let by = scene.master.json(["cert", "list", "--rule", "vip"]);
    assert_eq!(by["certificates"], json!([]));

    let Err(ClientError::Problem(problem)) = scene.peer(1).enroll().await else {
        panic!("a rogue got a certificate");
    };
    assert_eq!(problem.code, ProblemCode::DeniedByPolicy);
    assert!(problem.detail.contains("rogues get nothing"), "{problem}");
    assert_eq!(scene.entries("cert_denied")[0]["rule"], "never");
}

#[tokio::test]
async fn a_label_counts_only_from_who_the_rule_trusts() {
    let scene = Scene::new(vec![container(310).label("tier", "front")], POLICY);
    let key = crate::held::key();
    let asked = scene.peer(0).ask(&key, std::time::Duration::ZERO).await;
    let Ok(Asked::Held(held)) = asked else {
        panic!("the host's word was taken for an operator's: {asked:?}");
    };
    assert_eq!(held.reason, "nobody knows it");
    let id = scene.containers[0].id.clone();
    let _ = scene.master.cli(["node", "label", &id, "tier=front"]).ok();
    issued(&scene.peer(0)).await;
    assert_eq!(scene.issuances()[0]["rule"], "vip");
}

#[tokio::test]
async fn a_policy_is_taken_up_at_a_start_and_said_once() {
    let mut scene = Scene::new(vec![container(320).label("role", "web")], POLICY);
    issued(&scene.peer(0)).await;
    scene.master.terminate();
    scene.master.serve();
    scene.is_watched();
    assert_eq!(scene.entries("policy_changed").len(), 1);
    scene.master.terminate();
    scene.master.set_policy(
        "policy: [{name: all, verdict: issue}, {name: behind, verdict: deny, reason: x}]\n",
    );
    scene.master.serve();
    scene.is_watched();
    issued(&scene.peer(0)).await;
    let changes = scene.entries("policy_changed");
    assert_eq!(changes.len(), 2);
    let entry = &scene.issuances()[0];
    assert_eq!(entry["rule"], "all");
    assert_eq!(entry["policy_sha256"], changes[0]["policy_sha256"]);
    let log = scene.master.log().join("\n");
    assert!(log.contains("\"behind\" is never reached"), "{log}");
}

#[test]
fn a_policy_with_errors_keeps_the_master_from_starting_and_says_all_of_them() {
    let mut scene = Scene::new(vec![], "");
    scene.master.terminate();
    scene
        .master
        .set_policy("policy:\n  - {name: a, verdict: maybe}\n  - {verdict: issue}\n");
    let ran = scene.master.fails_to_serve();
    for part in [
        "a verdict is issue, hold or deny",
        "the rule lacks \"name\"",
    ] {
        assert!(ran.stderr.contains(part), "{part} in\n{}", ran.stderr);
    }
    let file = scene.master.data().join("dockmaster.yaml");
    let checked = scene
        .master
        .cli(["policy", "check", file.to_str().unwrap()]);
    assert!(checked.fails(1).contains("the rule lacks \"name\""));
}

#[test]
fn the_dry_run_says_what_the_master_would() {
    let scene = Scene::new(vec![], POLICY);
    let data = scene.master.data().to_str().unwrap().to_owned();
    let test = |more: &[&str]| -> Value {
        let mut args = vec!["policy", "test", "--data", &data, "--ip", "127.77.0.1"];
        args.extend(["--network", "h1/inventory"]);
        args.extend(more);
        scene.master.json(args)
    };
    let web = test(&["--label", "role=web"]);
    assert_eq!(
        (&web["rule"], &web["verdict"]),
        (&json!("web"), &json!("issue"))
    );
    assert_eq!(web["lifetime"], "1h");
    assert_eq!(
        web["rules"][0]["first_failure"],
        "labels do not match role=rogue"
    );
    let host = test(&["--label", "tier=front"]);
    assert_eq!(host["verdict"], "hold");
    let operator = test(&["--label", "operator:tier=front"]);
    assert_eq!(operator["rule"], "vip");
    assert_eq!(
        web["policy_sha256"],
        scene.entries("policy_changed")[0]["policy_sha256"]
    );
}
