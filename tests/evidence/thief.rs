//! A neighbour on the same bridge takes an address: as far as IP goes it is the container.

use dockmaster_tests::{Container, Image, Master, Network, Setup, eventually, require_all};

use serde_json::Value;

use crate::{
    log::{entries, kinds, serials},
    run::{enroll_again, script},
};

/// Takes the address of another container over as its own, tells the whole bridge so once a second,
/// and asks for a certificate.
fn thief(image: &Image, master: &Master, network: &Network, victim: &Container) -> Container {
    let ip = victim.ip(network);
    let length = network.subnet().split_once('/').unwrap().1;
    let steal = format!(
        "b=/bin/busybox
        gateway=$($b ip route | $b sed -n 's/^default via \\([^ ]*\\).*/\\1/p')
        $b ip addr flush dev eth0
        $b ip addr add {ip}/{length} dev eth0
        $b ip route add default via $gateway
        while :; do $b arping -q -U -c 1 -I eth0 {ip}; $b arping -q -A -c 1 -I eth0 {ip}; done &
        exec /dockmaster-agent run"
    );
    script(image, "thief", master, master.address_in(network), &steal)
        .network(network)
        .option("--cap-add", "NET_ADMIN")
        .start()
}

/// Waits for it, and looks at the holder while the thief is at work: it has what it had.
fn is_refused(master: &Master, victim: &Container, had: &[Value], thief: &Container) {
    eventually("the thief's refusal", || {
        let logs = thief.logs();
        logs.contains("does not come from its network namespace")
            .then_some(())
    });
    let denied = entries(master, "cert_denied", victim);
    assert!(
        denied.iter().any(|it| it["reason"] == "socket-mismatch"),
        "{denied:?}"
    );
    let why = master.json(["node", "why-denied", victim.name()]);
    let told = why["refusals"].as_array().unwrap();
    let told = told.iter().find(|one| one["code"] == "socket-mismatch");
    let hint = told.unwrap()["hint"].as_str().unwrap();
    assert!(hint.contains("NET_RAW"), "{hint}");
    assert!(!thief.logs().contains("enrolled as"), "{}", thief.logs());
    assert_eq!(thief.file("/run/dockmaster/cert.pem"), None);
    assert_eq!(serials(master, victim), had);
    assert!(thief.runs(), "{}", thief.logs());
}

#[test]
fn a_neighbour_that_takes_the_address_gets_nothing_and_its_holder_keeps_everything() {
    if !require_all(&["docker", "busybox"]) {
        return;
    }
    let network = Network::create("thief");
    let master = Setup::docker(&[&network]).start();
    let image = Image::shared();
    let web = image.run("web").agent(&master, &network, &[]).start();
    let _ = master.reported(&web);
    let (before, ip) = (serials(&master, &web), web.ip(&network));
    assert_eq!(before.len(), 1);
    let issued = &entries(&master, "cert_issued", &web)[0];
    assert_eq!(kinds(issued), ["host", "socket"]);
    let socket = &issued["evidence"][1];
    let source = socket["source"].as_str().unwrap();
    assert!(source.starts_with(&format!("{ip}:")), "{socket}");
    assert_eq!(socket["local"], master.address_in(&network).to_string());
    assert_eq!(socket["pid"], web.pid());

    let thief_at_work = thief(&image, &master, &network, &web);
    is_refused(&master, &web, &before, &thief_at_work);
    // While the holder cannot even move.
    drop(thief_at_work);
    web.pause();
    let thief_at_night = thief(&image, &master, &network, &web);
    is_refused(&master, &web, &before, &thief_at_night);
    drop(thief_at_night);
    web.unpause();

    assert_eq!(serials(&master, &web), before);
    let who = master.json(["audit", "who", &ip.to_string()]);
    assert_eq!(who["holders"][0]["container"], web.id().to_string());
    assert_eq!(who["holders"].as_array().unwrap().len(), 1, "{who}");
    let (again, _) = eventually("a further certificate of the holder", || {
        let again = enroll_again(&web);
        (again.code == 0).then_some(again)
    });
    assert!(again.stderr.contains("enrolled as"), "{again:?}");
    let _ = master.cli(["audit", "verify"]).ok();
}
