//! Containers of an engine that nobody watches.

use std::collections::BTreeSet;

use dockmaster_tests::{Image, Machine, Network, Setup, eventually, require_all};

use crate::stage::Stage;

#[test]
fn containers_that_share_an_image_and_a_kernel_are_machines_of_their_own() {
    if !require_all(&["docker"]) {
        return;
    }
    let network = Network::create("tokens");
    let stage = Stage::with(Setup::nobody().serving(network.gateway(), network.subnet()));
    // Its file is what the containers are given; it is no machine itself.
    let holder = Machine::numbered(140);
    holder.give(&stage.token(&["--uses", "2", "--label", "role=far"]));
    let file = format!("{}:/token:ro", holder.token_file().display());
    let image = Image::shared();
    let containers: Vec<_> = ["one", "two"]
        .map(|label| {
            image
                .run(label)
                .agent(&stage.master, &network, &[])
                .option("--volume", &file)
                .env("DOCKMASTER_TOKEN_FILE", "/token")
                .start()
        })
        .into();
    eventually("both to come back", || {
        (stage.entries("token_used").len() == 2).then_some(())
    });
    let nodes = stage.master.json(["node", "list"]);
    let nodes = nodes["nodes"].as_array().unwrap();
    let ids: BTreeSet<&str> = nodes
        .iter()
        .map(|node| node["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 2, "{nodes:?}");
    for container in &containers {
        let ip = container.ip(&network).to_string();
        let node = stage.master.json(["node", "show", &ip]);
        assert_eq!(node["labels"]["role"]["tier"], "token", "{node}");
    }
}
