//! What happens when a host is not heard of.

use dockmaster_tests::{Agent, Host, Master, eventually, require};

use crate::stage::{container, events, listed, node_state, setup, watched};

fn wait_for(master: &Master, host: &str, state: &str) {
    eventually(&format!("host {host} is {state}"), || {
        (listed(master, host)["state"] == state).then_some(())
    });
}

#[test]
fn a_watcher_that_is_away_for_a_moment_loses_nobody() {
    if !require("netns") {
        return;
    }
    let mut master = setup().start();
    let mut host = Host::start(&master, "h2", &[container(1, 2), container(2, 3)], &[]);
    let space = host.machine().container(2);
    let agent = Agent::start_in(&space, &master);
    let before = agent.credentials().print(&["-serial"]);
    host.kill();
    wait_for(&master, "h2", "lost");
    assert_eq!(node_state(&master, 1), "enrolled");
    // What ended meanwhile is found gone; what did not, stays.
    host.inventory().set(&[container(1, 2)]);
    host.run();
    watched(&master, &host, 1);
    assert_eq!(node_state(&master, 1), "enrolled");
    assert_eq!(node_state(&master, 2), "gone");
    assert_eq!(events(&master, "host_lost").len(), 1);

    // The same when the master is away: the host comes back by itself, and the certificate counts.
    master.crash_and_restart();
    watched(&master, &host, 1);
    assert_eq!(node_state(&master, 1), "enrolled");
    assert_eq!(agent.credentials().print(&["-serial"]), before);
    assert_eq!(events(&master, "cert_revoked").len(), 0);
}

#[test]
fn a_host_that_is_lost_for_longer_loses_its_leases_and_gets_them_anew_when_it_is_back() {
    if !require("netns") {
        return;
    }
    let master = setup().setting("host_lost_after", "2s").start();
    let mut host = Host::start(&master, "h2", &[container(1, 2)], &[]);
    let space = host.machine().container(2);
    let agent = Agent::start_in(&space, &master);
    let first = agent.credentials().print(&["-serial"]);
    host.kill();
    eventually("the end of its leases", || {
        (node_state(&master, 1) == "gone").then_some(())
    });
    let closed = events(&master, "lease_closed");
    assert!(closed[0].to_string().contains("host_lost"), "{closed:?}");
    assert!(!events(&master, "cert_revoked").is_empty());

    host.run();
    watched(&master, &host, 1);
    eventually("another certificate", || {
        (agent.credentials().print(&["-serial"]) != first).then_some(())
    });
    eventually("the node is enrolled again", || {
        (node_state(&master, 1) == "enrolled").then_some(())
    });
}

#[test]
fn a_host_that_does_not_come_back_after_a_start_of_the_master_loses_its_leases_too() {
    if !require("netns") {
        return;
    }
    let mut master = setup().setting("host_lost_after", "3s").start();
    let mut host = Host::start(&master, "h2", &[container(1, 2)], &[]);
    watched(&master, &host, 1);
    master.kill();
    host.kill();
    master.serve();
    assert_eq!(listed(&master, "h2")["state"], "unseen");
    eventually("the end of its leases", || {
        (node_state(&master, 1) == "gone").then_some(())
    });
}
