//! A container joins and leaves networks, sleeps, is renamed and started again.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use dockmaster_tests::{
    Container, HELLO_APP, Image, Master, Network, Setup, docker, eventually, require_all,
};
use serde_json::Value;

use crate::log::{entries, serials};

/// The IPs in the certificate that lies in the container.
fn ips(container: &Container) -> Vec<IpAddr> {
    let extension = container.credentials().print(&["-ext", "subjectAltName"]);
    let names = extension.lines().last().unwrap().trim();
    let mut ips: Vec<IpAddr> = names
        .split(", ")
        .filter_map(|name| name.strip_prefix("IP Address:")?.parse().ok())
        .collect();
    ips.sort_unstable();
    ips
}

/// Waits until the container's certificate names exactly these; the time that it took.
fn names(container: &Container, expected: &[IpAddr]) -> Duration {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let since = Instant::now();
    eventually(&format!("a certificate for {expected:?}"), || {
        (ips(container) == expected).then_some(())
    });
    since.elapsed()
}

fn one_certificate(master: &Master, container: &Container) -> Value {
    let (serial, _) = eventually("one certificate", || {
        let serials = serials(master, container);
        (serials.len() == 1).then(|| serials[0].clone())
    });
    serial
}

#[test]
fn a_container_that_joins_and_leaves_networks_has_one_certificate_for_what_it_holds() {
    if !require_all(&["docker", "openssl"]) {
        return;
    }
    let (first, second) = (Network::create("first"), Network::create("second"));
    let master = Setup::docker(&[&first, &second]).start();
    master.deploy("hello");
    let image = Image::shared();
    let web = image.run("web").label("role", "web");
    let web = web.agent(&master, &first, &HELLO_APP).start();
    let _ = master.reported(&web);
    let (id, alone) = (web.id().to_string(), web.ip(&first));
    names(&web, &[alone]);
    let before = one_certificate(&master, &web);

    docker(&["network", "connect", second.name(), &id]);
    let both = [alone, web.ip(&second)];
    let joined = names(&web, &both);
    let with_both = one_certificate(&master, &web);
    assert_ne!(with_both, before);
    let revoked = entries(&master, "cert_revoked", &web);
    assert_eq!(revoked[0]["serial"], before);
    assert_eq!(revoked[0]["reason"], "the addresses changed");

    // By its connection's own network: what it hears of it comes from its kernel alone.
    docker(&["network", "disconnect", first.name(), &id]);
    let left = names(&web, &both[1..]);
    let last = one_certificate(&master, &web);
    assert_ne!(last, with_both);
    println!("joined within {joined:?}, left within {left:?}");
    let who = master.json(["audit", "who", &alone.to_string()]);
    assert_eq!(who["certainty"], "nobody", "{who}");
    let logs = web.logs();
    let starts = logs.lines().filter(|line| line.starts_with("started on"));
    assert_eq!(starts.count(), 1, "the application was left alone:\n{logs}");
    let _ = master.cli(["audit", "verify"]).ok();
}

#[test]
fn a_container_of_a_dual_stack_network_has_both_addresses_in_its_certificate() {
    if !require_all(&["docker", "openssl"]) {
        return;
    }
    let network = Network::create_with("dual", &["--ipv6", "--subnet", "fd00:d0c4:1::/64"]);
    let master = Setup::docker(&[&network])
        .permit("fd00:d0c4:1::/64")
        .start();
    let image = Image::shared();
    let web = image.run("web").agent(&master, &network, &[]).start();
    let _ = master.reported(&web);
    let endpoint = &web.inspect()["NetworkSettings"]["Networks"][network.name()];
    let v6: IpAddr = endpoint["GlobalIPv6Address"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    names(&web, &[web.ip(&network), v6]);
    let node = master.json(["node", "show", &v6.to_string()]);
    assert_eq!(node["id"], web.id().to_string());
}

#[test]
fn a_container_that_speaks_ipv6_to_its_master_is_known_by_its_socket_too() {
    if !require_all(&["docker", "openssl"]) {
        return;
    }
    let network = Network::create_with("six", &["--ipv6", "--subnet", "fd00:d0c4:2::/64"]);
    let master = Setup::docker(&[&network])
        .listen("[::]")
        .address("fd00:d0c4:2::1".parse().unwrap())
        .permit("fd00:d0c4:2::/64")
        .start();
    let image = Image::shared();
    let at = format!("[fd00:d0c4:2::1]:{}", master.address().port());
    let web = image
        .run("web")
        .network(&network)
        .env("DOCKMASTER_MASTER", &at)
        .env("DOCKMASTER_TRUST", &master.trust().to_string())
        .command(&["/dockmaster-agent", "run"])
        .start();
    let _ = master.reported(&web);
    let issued = &entries(&master, "cert_issued", &web)[0];
    assert_eq!(issued["evidence"][1]["local"], at);
}

#[test]
fn a_container_sleeps_is_renamed_and_starts_again() {
    if !require_all(&["docker", "openssl"]) {
        return;
    }
    let network = Network::create("life");
    let master = Setup::docker(&[&network]).start();
    let image = Image::shared();
    let web = image.run("web").agent(&master, &network, &[]).start();
    let _ = master.reported(&web);
    let (id, ip) = (web.id().to_string(), web.ip(&network).to_string());
    let lease = || master.json(["audit", "who", &ip])["holders"][0].clone();
    let (serial, held) = (one_certificate(&master, &web), lease());

    web.pause();
    web.unpause();
    let name = dockmaster_tests::unique("renamed");
    docker(&["rename", &id, &name]);
    eventually("the new name", || {
        let nodes = master.json(["node", "list"]);
        let nodes = nodes["nodes"].as_array().unwrap();
        let node = nodes.iter().find(|node| node["id"] == id.as_str())?;
        (node["name"] == name.as_str()).then_some(())
    });
    assert_eq!(lease(), held);
    assert_eq!(serials(&master, &web), std::slice::from_ref(&serial));

    docker(&["restart", "--time", "10", &id]);
    eventually("a certificate of the new run", || {
        let now = serials(&master, &web);
        (now.len() == 1 && now[0] != serial).then_some(())
    });
    let again = lease();
    assert_eq!(again["container"], id.as_str());
    if again["address"] == held["address"] {
        assert!(again["epoch"].as_u64() > held["epoch"].as_u64(), "{again}");
    }
    let _ = master.cli(["audit", "verify"]).ok();
}
