//! The index is a projection: a master without it makes it anew.

use std::fs;

use dockmaster_tests::{HELLO_APP, Image, Master, Network, Setup, require_all, unique};
use serde_json::Value;

/// What is asked about.
struct Asked<'a> {
    /// Of this test's containers alone: others are on the same engine.
    label: &'a str,
    nodes: &'a [String],
    ip: &'a str,
    at: &'a str,
    /// An index of the ledger.
    bound: &'a str,
}

/// All that an operator can ask about the time before `bound`.
fn answers(master: &Master, asked: &Asked<'_>) -> Vec<Value> {
    let Asked {
        label,
        nodes,
        ip,
        at,
        bound,
    } = *asked;
    let mut questions = vec![
        vec!["node", "list", "--all", "-l", label],
        vec!["classify", "show"],
        vec!["audit", "list", "--limit", "1000", "--before", bound],
        vec!["audit", "who", ip, "--at", at],
    ];
    for node in nodes {
        questions.push(vec!["node", "show", node]);
        questions.push(vec!["cert", "list", "--all", "--node", node]);
        questions.push(vec!["audit", "list", "--node", node, "--before", bound]);
    }
    // The last of them is gone and has no catalog.
    questions.push(vec!["catalog", "show", &nodes[0]]);
    let answers = questions.into_iter().map(|it| master.json(it));
    // How far a node's clock is off is known from its last question, and in memory alone.
    let lasting = |mut answer: Value| {
        if let Some(fields) = answer.as_object_mut() {
            fields.remove("clock_skew_ms");
        }
        answer
    };
    answers.map(lasting).collect()
}

#[test]
fn deleting_the_index_changes_no_answer() {
    if !require_all(&["docker"]) {
        return;
    }
    let network = Network::create("index");
    let mut master = Setup::docker(&[&network]).start();
    master.deploy("hello");
    let image = Image::shared();
    let name = unique("index");
    let containers = ["web", "ended"].map(|label| {
        let run = image.run(label).label("role", "web").label("test", &name);
        let container = run.agent(&master, &network, &HELLO_APP).start();
        let _ = master.reported(&container);
        container
    });
    let ids = containers.each_ref().map(|it| it.id().to_string());
    let _ = master.cli(["node", "label", &ids[0], "tier=front"]).ok();
    let ip = containers[1].ip(&network).to_string();
    containers[1].stop();
    // Until here, and not further: a start adds entries of its own.
    master.terminate();
    master.serve();
    let newest = master.json(["audit", "list", "--limit", "1"]);
    let newest = &newest["entries"][0];
    let (bound, at) = (newest["index"].to_string(), newest["ts_ms"].to_string());

    let _ = master.reported(&containers[0]);

    let asked = Asked {
        label: &format!("test={name}"),
        nodes: &ids,
        ip: &ip,
        at: &at,
        bound: &bound,
    };
    let before = answers(&master, &asked);
    master.terminate();
    fs::remove_dir_all(master.data().join("index.sled")).unwrap();
    master.serve();
    let after = answers(&master, &asked);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    assert_eq!(
        before[0]["nodes"].as_array().unwrap().len(),
        2,
        "{}",
        before[0]
    );
    let _ = master.cli(["audit", "verify"]).ok();
}
