//! The policy with containers of a real engine.

use dockmaster_tests::{Container, Image, Network, Setup, eventually, require_all};

const POLICY: &str = "policy:
  - {name: front, labels: tier=front, label_tier: operator, verdict: issue, lifetime: 1h}
  - {name: back, labels: tier=back, verdict: issue, lifetime: 2h}
  - {name: rest, verdict: hold, reason: nobody has said what it is}
";

/// What an agent without classes says when it has its catalog.
const DONE: &str = "nothing to apply";

fn says(container: &Container, words: &str) {
    eventually(&format!("\"{words}\" by {}", container.name()), || {
        container.logs().contains(words).then_some(())
    });
}

#[test]
fn what_docker_run_says_counts_where_the_host_may_say_it_and_waits_where_an_operator_has_to() {
    if !require_all(&["docker"]) {
        return;
    }
    let network = Network::create("policy");
    let master = Setup::docker(&[&network]).policy(POLICY).start();
    let image = Image::shared();
    let run = |tier: &str| {
        image
            .run(tier)
            .label("tier", tier)
            .agent(&master, &network, &[])
            .start()
    };
    let (back, front) = (run("back"), run("front"));
    let issued = |id: &str| {
        let list = master.json(["audit", "list", "--event", "cert_issued", "--node", id]);
        list["entries"].as_array().unwrap().first().cloned()
    };
    let (entry, _) = eventually("the certificate of the back", || {
        issued(&back.id().to_string())
    });
    assert_eq!(entry["rule"], "back");
    says(&back, DONE);

    // `docker run -l tier=front` is the host's word, and the rule wants an operator's.
    let (held, _) = eventually("the front waits", || {
        let list = master.json(["request", "list"]);
        list["requests"].as_array().unwrap().first().cloned()
    });
    let id = front.id().to_string();
    assert_eq!(held["container"], id);
    assert_eq!(held["rule"], "rest");
    assert_eq!(issued(&id), None);
    says(&front, "waiting for an operator");
    assert!(!front.logs().contains(DONE));
    let why = master.json(["node", "why-denied", &id]);
    assert_eq!(why["refusals"][0]["code"], "held");
    assert_eq!(why["now"][0]["verdict"], "held");

    // It gets its catalog when somebody has approved it, with the same key that asked.
    let request = held["request"].as_str().unwrap();
    let _ = master.cli(["request", "approve", request]).ok();
    says(&front, DONE);
    let entry = issued(&id).unwrap();
    assert_eq!(entry["spki_sha256"], held["spki_sha256"]);
    let evidence = entry["evidence"].as_array().unwrap();
    assert!(
        evidence.iter().any(|one| one["kind"] == "operator"),
        "{entry}"
    );

    // A new run is another request, unless an operator's label says what it is.
    let _ = master.cli(["node", "label", &id, "tier=front"]).ok();
    front.kill();
    front.start_again();
    eventually("another certificate", || {
        let entry = issued(&id)?;
        (entry["rule"] == "front").then_some(())
    });
}
