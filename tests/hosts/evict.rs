//! The end of a host.

use std::path::Path;

use dockmaster_tests::{Agent, FarMachine, Host, eventually, require};
use serde_json::Value;

use crate::stage::{container, events, listed, node_state, setup, watched};

#[test]
fn an_eviction_ends_all_that_the_host_vouched_for_and_nothing_else() {
    if !require("netns") {
        return;
    }
    let mut master = setup().start();
    let mut h2 = Host::start(&master, "h2", &[container(1, 2)], &[]);
    let h3 = Host::start(&master, "h3", &[container(2, 2)], &[]);
    let (space_2, space_3) = (h2.machine().container(2), h3.machine().container(2));
    let agent_2 = Agent::start_in(&space_2, &master);
    let agent_3 = Agent::start_in(&space_3, &master);
    let _ = (agent_2.credentials(), agent_3.credentials());
    eventually("both nodes", || {
        let both = [1, 2].map(|id| node_state(&master, id));
        (both == ["enrolled", "enrolled"]).then_some(())
    });

    // Its certificate ends with it, and in no other way.
    let enrolled = events(&master, "host_enrolled");
    let of_h2 = enrolled.iter().find(|entry| entry["host"] == "h2").unwrap();
    let serial = of_h2["serial"].as_str().unwrap();
    let revoked = master.cli(["cert", "revoke", serial, "--yes"]);
    assert!(
        revoked.fails(1).contains("dockmaster host evict h2"),
        "{revoked:?}"
    );

    let said = master.cli(["host", "evict", "h2"]).ok();
    assert!(said.contains("it vouched for 1 container"), "{said}");
    assert_eq!(listed(&master, "h2"), Value::Null);
    assert_eq!(node_state(&master, 1), "gone");
    assert_eq!(node_state(&master, 2), "enrolled");
    assert_eq!(events(&master, "host_evicted").len(), 1);
    // The container's certificate and the host's own.
    assert_eq!(events(&master, "cert_revoked").len(), 2);
    // Its watcher is told, and ends: nothing that it could do by itself would help.
    assert_eq!(h2.ended(), 3, "{}", h2.log());
    let ran = h2.run_to_its_end();
    assert!(ran.fails(3).contains("it was evicted"), "{}", ran.stderr);
    // The relay of the other host works on.
    let catalog = format!("https://{}:8140/v1/catalog", FarMachine::GATEWAY);
    let curl = space_3.command(Path::new("curl"));
    assert_eq!(agent_3.credentials().get(curl, &catalog).status, 200);
    assert!(
        master
            .cli(["host", "evict", "h2"])
            .fails(1)
            .contains("there is no enrolled host h2")
    );

    // A host of that name may be enrolled anew, and gets its containers back.
    drop((space_2, agent_2, h2));
    let h2 = Host::start(&master, "h2", &[container(1, 2)], &[]);
    watched(&master, &h2, 1);
    // The same after a start, and from an index that is made again.
    master.kill();
    std::fs::remove_dir_all(master.data().join("index.sled")).unwrap();
    master.serve();
    watched(&master, &h2, 1);
    watched(&master, &h3, 1);
    assert_eq!(node_state(&master, 2), "enrolled");
}
