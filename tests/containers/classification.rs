//! An operator changes what containers are; those that it concerns learn of it, and no others.

use dockmaster_tests::{
    Container, HELLO_APP, Image, Master, Network, Setup, eventually, get, require_all,
};
use serde_json::Value;

/// What would change if a container had been told anything.
#[derive(Debug, PartialEq)]
struct Rest {
    received_at: Value,
    catalog: Value,
    logs: String,
}

fn rest(master: &Master, container: &Container) -> Rest {
    let node = master.reported(container);
    Rest {
        received_at: node["report"]["received_at_ms"].clone(),
        catalog: node["catalog"].clone(),
        logs: container.logs(),
    }
}

/// Waits until the container serves a page with this line, and the master has its report of it.
fn serves(master: &Master, network: &Network, container: &Container, line: &str) {
    let at = container.at(network, 8080);
    eventually(&format!("\"{line}\""), || {
        let page = get(at, "/").ok()?;
        page.lines().any(|it| it == line).then_some(())
    });
    let _ = master.reported(container);
}

fn count(container: &Container, what: &str) -> usize {
    let logs = container.logs();
    logs.lines().filter(|line| line.starts_with(what)).count()
}

const CLASSIFICATION: &str = "
groups:
  - { name: base, match: '', classes: [base] }
  - { name: web, match: 'role=web', classes: [hello], params: { hello.workers: 9 } }
  - { name: front, parent: web, match: 'tier=front', params: { hello.greeting: good day from the front } }
";

#[test]
fn a_label_and_a_classification_reach_those_that_they_concern_and_wake_no_others() {
    if !require_all(&["docker"]) {
        return;
    }
    let network = Network::create("classes");
    let master = Setup::docker(&[&network]).start();
    master.deploy("hello");
    let image = Image::shared();
    let web = |label: &str| {
        let run = image.run(label).label("role", "web");
        run.agent(&master, &network, &HELLO_APP).start()
    };
    let (relabelled, other) = (web("relabelled"), web("other"));
    let plain = image.run("plain").label("role", "db");
    let plain = plain.agent(&master, &network, &[]).start();
    serves(&master, &network, &relabelled, "tier = none");
    serves(&master, &network, &other, "tier = none");
    let others = || [rest(&master, &other), rest(&master, &plain)];
    let untouched = others();

    // A label: one container, one reload, no restart.
    let id = relabelled.id().to_string();
    let _ = master.cli(["node", "label", &id, "tier=front"]).ok();
    serves(&master, &network, &relabelled, "tier = front");
    serves(
        &master,
        &network,
        &relabelled,
        "greeting = good day from the front",
    );
    assert_eq!(count(&relabelled, "reloaded"), 1);
    assert_eq!(count(&relabelled, "started"), 1);
    assert_eq!(others(), untouched);

    // A classification: both of the group, and not the one outside it.
    let [_, untouched] = untouched;
    master.classify(CLASSIFICATION);
    for web in [&relabelled, &other] {
        serves(&master, &network, web, "workers = 9");
        assert_eq!(count(web, "started"), 1);
    }
    assert_eq!(count(&relabelled, "reloaded"), 2);
    assert_eq!(count(&other, "reloaded"), 1);
    assert_eq!(rest(&master, &plain), untouched);

    // A document that gives everyone what they have wakes nobody.
    let all = || [&relabelled, &other, &plain].map(|container| rest(&master, container));
    let untouched = all();
    master.classify(&format!("# The same in other words.\n{CLASSIFICATION}"));
    let more = "  - { name: nobody, match: 'role=cache', classes: [hello] }\n";
    master.classify(&format!("{CLASSIFICATION}{more}"));
    // What was on its way before this label's effect is there now.
    let _ = master.cli(["node", "label", &id, "tier-"]).ok();
    serves(&master, &network, &relabelled, "tier = none");
    assert_eq!(all()[1..], untouched[1..]);
    assert_eq!(count(&relabelled, "reloaded"), 3);
}
