//! SIGKILL between any two steps of a container's life.

use dockmaster_tests::{
    Container, HELLO_APP, Image, Master, Network, Setup, eventually, get, require_all,
};
use serde_json::Value;

fn serves(network: &Network, container: &Container, line: &str) {
    let at = container.at(network, 8080);
    eventually(&format!("\"{line}\""), || {
        let page = get(at, "/").ok()?;
        page.lines().any(|it| it == line).then_some(())
    });
}

/// The serials of the certificates that count now, of containers.
fn certificates(master: &Master, container: &Container) -> Vec<Value> {
    let id = container.id().to_string();
    let list = master.json(["cert", "list", "--node", &id]);
    let list = list["certificates"].as_array().unwrap();
    list.iter().map(|it| it["serial"].clone()).collect()
}

#[test]
fn a_master_killed_between_any_two_steps_loses_nothing() {
    if !require_all(&["docker"]) {
        return;
    }
    let network = Network::create("kill");
    let mut master = Setup::docker(&[&network]).start();
    let image = Image::shared();
    let run = |label: &str, master: &Master| {
        let run = image.run(label).label("role", "web");
        run.agent(master, &network, &HELLO_APP).start()
    };

    master.crash_and_restart();
    master.deploy("hello");
    master.crash_and_restart();

    // Enrolled, then killed: the certificate goes on to count, and is not asked for again.
    let first = run("first", &master);
    serves(&network, &first, "tier = none");
    let before = certificates(&master, &first);
    assert_eq!(before.len(), 1);
    let id = first.id().to_string();
    master.crash_and_restart();
    assert_eq!(certificates(&master, &first), before);

    // Labelled, then killed at once: the label was promised.
    let _ = master.cli(["node", "label", &id, "tier=front"]).ok();
    master.crash_and_restart();
    serves(&network, &first, "tier = front");
    assert_eq!(certificates(&master, &first), before);

    // Started while there is no master: it waits for one.
    master.kill();
    let second = run("second", &master);
    eventually("a word on the master's absence", || {
        second
            .logs()
            .contains("waiting for the master")
            .then_some(())
    });
    master.serve();
    serves(&network, &second, "tier = none");

    // Stopped while there is no master: its lease is closed all the same.
    let ip = second.ip(&network).to_string();
    master.kill();
    second.stop();
    master.serve();
    eventually("the end of the lease", || {
        let who = master.json(["audit", "who", &ip]);
        (who["certainty"] == "nobody").then_some(())
    });
    let gone = master.json(["node", "show", &second.id().to_string()]);
    assert_eq!(gone["state"], "gone", "{gone}");

    // Everything that was promised stands in the record, and the record is whole.
    master.crash_and_restart();
    let names = |event: &str| {
        let list = master.json(["audit", "list", "--event", event]);
        list["entries"].as_array().unwrap().len()
    };
    assert_eq!(names("labels_changed"), 1);
    assert_eq!(names("site_deployed"), 1);
    assert_eq!(names("classification_changed"), 1);
    assert_eq!(names("master_started"), 8);
    let _ = master.cli(["audit", "verify"]).ok();
    serves(&network, &first, "tier = front");
    let app = first.logs();
    let starts = app.lines().filter(|line| line.starts_with("started on"));
    assert_eq!(starts.count(), 1, "the application does not notice:\n{app}");
}
