//! A neighbour on a further host takes a container's address, and asks through the relay.

use std::process::Command;

use dockmaster_tests::{
    Container, Host, Image, Master, Network, Ran, Setup, eventually, require_all,
};
use serde_json::Value;

/// Takes the address of another container over as its own, tells the whole bridge so until it is told to
/// be quiet, and asks for a certificate, again and again.
fn thief(
    image: &Image,
    master: &Master,
    host: &Host,
    network: &Network,
    victim: &Container,
) -> Container {
    let ip = victim.ip(network);
    let length = network.subnet().split_once('/').unwrap().1;
    let steal = format!(
        "b=/bin/busybox
        $b ip addr flush dev eth0
        $b ip addr add {ip}/{length} dev eth0
        while [ ! -e /quiet ]; do $b arping -q -U -c 1 -I eth0 {ip}; $b arping -q -A -c 1 -I eth0 {ip}; done &
        exec /dockmaster-agent run"
    );
    relayed(image, "thief", master, host)
        .network(network)
        .option("--cap-add", "NET_ADMIN")
        .command(&["/bin/busybox", "sh", "-c", &steal])
        .start()
}

/// A container that looks for the master at its host's relay.
fn relayed(image: &Image, label: &str, master: &Master, host: &Host) -> dockmaster_tests::Run {
    image
        .run(label)
        .env("DOCKMASTER_MASTER", &host.relay().to_string())
        .env("DOCKMASTER_TRUST", &master.trust().to_string())
        .option("--volume", "/usr/bin/busybox:/bin/busybox:ro")
}

/// A program in a container; one that hears nothing any more is ended.
fn exec(container: &Container, line: &[&str]) -> Ran {
    let id = container.id().to_string();
    let mut command = Command::new("timeout");
    command.args(["20", "docker", "exec", &id]);
    Ran::run(command.args(line))
}

/// A container asks for one more certificate, with another key.
fn enroll_again(container: &Container) -> Ran {
    let line = "DOCKMASTER_RUN_DIR=/tmp/again exec /dockmaster-agent once";
    exec(container, &["/bin/busybox", "sh", "-c", line])
}

fn certificates(master: &Master, container: &Container) -> Vec<Value> {
    let list = master.json(["cert", "list", "--node", &container.id().to_string()]);
    let list = list["certificates"].as_array().unwrap();
    list.iter().map(|it| it["serial"].clone()).collect()
}

#[test]
fn a_neighbour_on_a_further_host_that_takes_the_address_gets_nothing_by_the_relay() {
    if !require_all(&["docker", "busybox"]) {
        return;
    }
    let network = Network::create("hosts-thief");
    let image = Image::shared();
    let master = Setup::hosts(&[network.subnet()]).start();
    let host = Host::start_docker(&master, "h2", &network);
    let start = |label| {
        relayed(&image, label, &master, &host)
            .network(&network)
            .command(&["/dockmaster-agent", "run"])
            .start()
    };
    let (web, other) = (start("web"), start("other"));
    for container in [&web, &other] {
        eventually("a certificate by the relay", || {
            container.text("/run/dockmaster/cert.pem")
        });
    }
    let before = certificates(&master, &web);
    assert_eq!(before.len(), 1);

    let thief = thief(&image, &master, &host, &network, &web);
    eventually("the thief's refusal", || {
        let logs = thief.logs();
        logs.contains("does not come from its network namespace")
            .then_some(())
    });
    assert!(!thief.logs().contains("enrolled as"), "{}", thief.logs());
    assert_eq!(thief.file("/run/dockmaster/cert.pem"), None);
    let id = web.id().to_string();
    let denied = master.json(["audit", "list", "--event", "cert_denied", "--node", &id]);
    let denied = denied["entries"].as_array().unwrap();
    let is_the_thiefs = |it: &Value| it["reason"] == "socket-mismatch" && it["relay"] == "h2";
    assert!(denied.iter().any(is_the_thiefs), "{denied:?}");
    // The holder has lost nothing but the wire, and its neighbours not even that.
    assert_eq!(certificates(&master, &web), before);
    let _ = enroll_again(&other).ok();
    // The thief keeps the address, and asks on. Whenever the holder is heard it is served.
    let _ = exec(&thief, &["/bin/busybox", "touch", "/quiet"]).ok();
    let ip = web.ip(&network).to_string();
    eventually("a further certificate of the holder", || {
        let call = [
            "/bin/busybox",
            "arping",
            "-q",
            "-U",
            "-c",
            "1",
            "-I",
            "eth0",
            &ip,
        ];
        let _ = exec(&web, &call);
        (enroll_again(&web).code == 0).then_some(())
    });
    assert_eq!(thief.file("/run/dockmaster/cert.pem"), None);
    let who = master.json(["audit", "who", &ip]);
    let holders = who["holders"].as_array().unwrap();
    assert_eq!(holders.len(), 1, "{who}");
    assert_eq!(holders[0]["container"], id);
}
