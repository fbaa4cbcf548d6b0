//! A host that lies: what its own program would never say, by its own certificate.

use std::path::Path;

use dockmaster_client::{Call, Context};
use dockmaster_proto::{api::hosts::WATCH_PROTOCOL, route::Route};
use dockmaster_tests::{Master, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::stage::{events, listed, node_state, setup};

/// Enrolls a host that has no machine.
fn enroll(master: &Master, name: &str, file: &Path, further: &[&str]) {
    let mut args = vec!["host", "enroll", name, "-o", file.to_str().unwrap()];
    args.extend(further);
    let _ = master.cli(args).ok();
}

fn container(id: u16, network: &str, ip: &str) -> Value {
    json!({
        "id": format!("{id:064x}"), "name": format!("c{id}"), "image": "i",
        "started_at_ms": 1, "network_mode": "own",
        "attachments": [{"network": network, "ips": [ip]}],
    })
}

/// Says these as a host, and keeps the stream until `done`.
fn say(context: &Path, says: &[Value], done: impl FnOnce()) {
    let dialer = Context::load(context).unwrap().dialer().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let connection = dialer.dial().await.unwrap();
        let (_, mut stream) = connection
            .upgrade(&Call::new(Route::HostWatch), WATCH_PROTOCOL)
            .await
            .unwrap();
        for word in says {
            let json = word.to_string();
            let length = u32::try_from(json.len()).unwrap().to_be_bytes();
            stream.write_all(&length).await.unwrap();
            stream.write_all(json.as_bytes()).await.unwrap();
        }
        stream.flush().await.unwrap();
        stream
    });
    done();
    // It was not cut off for what it said.
    runtime.block_on(async {
        let mut stream = stream;
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).await.unwrap(), 1);
    });
}

#[test]
fn networks_of_other_hosts_and_parts_of_shared_ones_are_refused_and_recorded() {
    let master = setup().start();
    let dir = tempfile::tempdir().unwrap();
    let context = dir.path().join("h2");
    enroll(&master, "h2", &context, &[]);
    let word = |facts: Value| json!({"say": "container", "facts": facts});
    let says = [
        json!({"say": "snapshot_begins"}),
        word(container(1, "h2/bridge", "172.30.0.2")),
        word(container(2, "h1/bridge", "172.30.0.3")),
        word(container(3, "overlay", "10.9.0.3")),
        json!({"say": "snapshot_ends"}),
    ];
    say(&context, &says, || {
        eventually("the snapshot", || {
            (listed(&master, "h2")["containers"] == 1).then_some(())
        });
    });
    assert_eq!(
        [1, 2, 3].map(|id| node_state(&master, id)),
        ["running", "", ""]
    );
    let refused = events(&master, "host_refused");
    assert_eq!(refused.len(), 2, "{refused:?}");
    let text = serde_json::to_string(&refused).unwrap();
    assert!(
        text.contains("network h1/bridge is not one of host h2"),
        "{text}"
    );
    assert!(
        text.contains("10.9.0.3 in the shared network overlay"),
        "{text}"
    );
}

#[test]
fn no_host_takes_an_address_in_a_shared_network_from_another() {
    let master = setup().start();
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["h2", "h3"].map(|name| {
        let context = dir.path().join(name);
        enroll(&master, name, &context, &["--cidr", "10.9.0.0/24"]);
        context
    });
    let snapshot = |id| {
        [
            json!({"say": "snapshot_begins"}),
            json!({"say": "container", "facts": container(id, "overlay", "10.9.0.2")}),
            json!({"say": "snapshot_ends"}),
        ]
    };
    say(&one, &snapshot(1), || {
        eventually("the first holder", || {
            (node_state(&master, 1) == "running").then_some(())
        });
    });
    say(&two, &snapshot(2), || {
        eventually("the second container", || {
            (node_state(&master, 2) == "running").then_some(())
        });
    });
    let refused = events(&master, "host_refused");
    assert_eq!(refused.len(), 1, "{refused:?}");
    let opened = events(&master, "lease_opened");
    assert_eq!(opened.len(), 1, "{opened:?}");
    assert!(events(&master, "lease_closed").is_empty());
}
