//! What holds with Docker's engine, with Podman.

use dockmaster_tests::{HELLO_APP, Image, Master, Podman, Setup, eventually, get, require_all};
use serde_json::Value;

/// The newest certificate of a node that counts: its serial and its IPs.
fn certificate(master: &Master, id: &str) -> Option<(Value, Vec<String>)> {
    // It runs before the master has heard of it.
    let listed = master.cli(["cert", "list", "--node", id, "-o", "json"]);
    let list = (listed.code == 0).then(|| listed.json())?;
    let newest = list["certificates"].as_array()?.first()?.clone();
    let addresses = newest["addresses"].as_array()?.iter();
    let mut ips: Vec<_> = addresses
        .map(|held| held["address"].as_str().unwrap())
        .map(|address| address.rsplit('/').next().unwrap().to_owned())
        .collect();
    ips.sort_unstable();
    Some((newest["serial"].clone(), ips))
}

/// Waits until the node's certificate names exactly these.
fn names(master: &Master, id: &str, expected: &[&str]) -> Value {
    let (serial, _) = eventually(&format!("a certificate for {expected:?}"), || {
        let (serial, ips) = certificate(master, id)?;
        (ips == expected).then_some(serial)
    });
    serial
}

#[test]
fn a_container_of_podman_is_known_by_its_socket_and_followed_through_its_life() {
    if !require_all(&["docker", "podman"]) {
        return;
    }
    let image = Image::shared();
    let podman = Podman::start();
    let master = Setup::podman(&podman).start();
    master.deploy("hello");
    let mut command = vec!["/dockmaster-agent", "run", "--"];
    command.extend(HELLO_APP);
    let [master_is, trust] = master.options_at(Podman::gateway(0));
    let args = ["--label", "role=web", &master_is, &trust];
    let id = podman.run(&image, &args, &command);
    let inspect = || podman.docker(&["inspect", &id]).json()[0].take();
    let ip = |network: &str| {
        let networks = &inspect()["NetworkSettings"]["Networks"];
        networks[network]["IPAddress"].as_str().unwrap().to_owned()
    };
    let serves = |ip: &str| {
        let at = format!("{ip}:8080").parse().unwrap();
        eventually("the application's answer", || {
            let page = get(at, "/").ok()?;
            page.lines()
                .any(|line| line == "greeting = hello")
                .then_some(())
        });
    };
    let first = ip("first");
    let alone = names(&master, &id, &[&first]);
    serves(&first);
    let node = master.json(["node", "show", &id]);
    let kinds: Vec<_> = node["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["kind"])
        .collect();
    assert_eq!(kinds, ["host", "socket"], "{node}");

    let _ = podman.docker(&["network", "connect", "second", &id]).ok();
    let second = ip("second");
    let both = names(&master, &id, &[&first, &second]);
    assert_ne!(both, alone);
    let _ = podman
        .docker(&["network", "disconnect", "second", &id])
        .ok();
    assert_ne!(names(&master, &id, &[&first]), both);

    // A stop ends the lease; the next run of the same container is another.
    let before = certificate(&master, &id).unwrap();
    let _ = podman.docker(&["stop", "--time", "5", &id]).ok();
    let (_, took) = eventually("the end of the lease", || {
        let who = master.json(["audit", "who", &first]);
        (who["certainty"] == "nobody").then_some(())
    });
    println!("the lease ended within {took:?}");
    let _ = podman.docker(&["start", &id]).ok();
    let again = ip("first");
    eventually("a certificate of the new run", || {
        let now = certificate(&master, &id)?;
        (now.0 != before.0 && now.1 == [again.clone()]).then_some(())
    });
    serves(&again);
    let _ = master.cli(["audit", "verify"]).ok();
}

#[test]
fn containers_of_podman_sleep_are_renamed_and_share_networks() {
    if !require_all(&["docker", "podman"]) {
        return;
    }
    let image = Image::shared();
    let podman = Podman::start();
    let master = Setup::podman(&podman).start();
    let [master_is, trust] = master.options_at(Podman::gateway(0));
    let agent = ["/dockmaster-agent", "run"];
    let id = podman.run(&image, &[&master_is, &trust], &agent);
    let ip = {
        let inspected = podman.docker(&["inspect", &id]).json()[0].take();
        let network = &inspected["NetworkSettings"]["Networks"]["first"];
        network["IPAddress"].as_str().unwrap().to_owned()
    };
    let serial = names(&master, &id, &[&ip]);
    let lease = || master.json(["audit", "who", &ip])["holders"][0].clone();
    let held = lease();

    let _ = podman.docker(&["pause", &id]).ok();
    let _ = podman.docker(&["unpause", &id]).ok();
    let name = dockmaster_tests::unique("renamed");
    let _ = podman.docker(&["rename", &id, &name]).ok();
    eventually("the new name", || {
        let node = master.json(["node", "show", &id]);
        (node["name"] == name.as_str()).then_some(())
    });
    assert_eq!(lease(), held);
    assert_eq!(certificate(&master, &id).unwrap().0, serial);

    // Who shares a network has a name of its own, and no address.
    for mode in [format!("container:{id}"), "host".to_owned()] {
        let sharing = podman.run_in(&mode, &image, &[&master_is, &trust], &agent);
        assert_ne!(names(&master, &sharing, &[]), serial);
        let node = master.json(["node", "show", &sharing]);
        assert_eq!(node["evidence"][1]["kind"], "socket", "{node}");
    }
    assert_eq!(certificate(&master, &id).unwrap().0, serial);
    let _ = master.cli(["audit", "verify"]).ok();
}
