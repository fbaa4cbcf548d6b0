//! Whose a relayed connection is.

use std::path::Path;

use dockmaster_tests::{Agent, Answer, Credentials, FarMachine, Host, Space, eventually, require};

use crate::stage::{container, node_state, setup, watched};

fn get(space: &Space, credentials: &Credentials, url: &str) -> Answer {
    credentials.get(space.command(Path::new("curl")), url)
}

fn catalog() -> String {
    format!("https://{}:8140/v1/catalog", FarMachine::GATEWAY)
}

#[test]
fn two_containers_with_one_ip_on_two_hosts_are_two_nodes_and_neither_passes_for_the_other() {
    if !require("netns") {
        return;
    }
    let master = setup().start();
    let (one, two) = (container(1, 2), container(2, 2));
    let h2 = Host::start(&master, "h2", &[one], &[]);
    let h3 = Host::start(&master, "h3", &[two], &[]);
    let (space_2, space_3) = (h2.machine().container(2), h3.machine().container(2));
    // The agents are told nothing: the master is where their default gateway is.
    let agent_2 = Agent::start_in(&space_2, &master);
    let agent_3 = Agent::start_in(&space_3, &master);
    let (cert_2, cert_3) = (agent_2.credentials(), agent_3.credentials());
    let san = |credentials: &Credentials| credentials.print(&["-ext", "subjectAltName"]);
    assert!(san(&cert_2).contains(&format!("/host/h2/container/{:064x}", 1)));
    assert!(san(&cert_3).contains(&format!("/host/h3/container/{:064x}", 2)));
    assert!(san(&cert_2).contains("IP Address:172.30.0.2"));
    assert!(san(&cert_3).contains("IP Address:172.30.0.2"));
    eventually("both nodes", || {
        let both = [1, 2].map(|id| node_state(&master, id));
        (both == ["enrolled", "enrolled"]).then_some(())
    });

    // Each by its own relay, and by no other, although the IP is the same.
    assert_eq!(get(&space_2, &cert_2, &catalog()).status, 200);
    assert_eq!(get(&space_3, &cert_3, &catalog()).status, 200);
    let foreign = get(&space_3, &cert_2, &catalog());
    assert_eq!(foreign.problem(403), "certificate-revoked");
    assert!(foreign.body.contains("of host h2"), "{}", foreign.body);

    // Straight through the masquerade the address is the host's, and nobody's.
    let straight = format!("https://{}/v1/catalog", master.address_from(h2.machine()));
    let masked = get(&space_2, &cert_2, &straight);
    assert_eq!(masked.problem(403), "certificate-revoked");
    watched(&master, &h2, 1);
}

#[test]
fn a_container_that_overtakes_its_hosts_report_is_parked_and_one_that_nobody_vouches_for_refused() {
    if !require("netns") {
        return;
    }
    let master = setup().start();
    let host = Host::start(&master, "h2", &[], &[]);
    watched(&master, &host, 0);
    let space = host.machine().container(7);
    let agent = Agent::start_in(&space, &master);
    agent.says("172.30.0.7 on host h2");
    host.inventory().set(&[container(7, 7)]);
    let certificate = agent.credentials();
    assert_eq!(get(&space, &certificate, &catalog()).status, 200);
    // The refusal is in the log with the host that relayed it.
    let denied = crate::stage::events(&master, "cert_denied");
    let text = serde_json::to_string(&denied).unwrap();
    assert!(text.contains("172.30.0.7 on host h2"), "{text}");
}
