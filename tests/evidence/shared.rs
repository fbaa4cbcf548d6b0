//! Containers that share a network namespace: each is itself, and none holds an address.

use std::net::SocketAddr;

use dockmaster_proto::route::Route;
use dockmaster_tests::{
    Container, Credentials, Image, Master, Network, Setup, eventually, require_all,
};

use crate::{
    log::{entries, kinds, serials},
    run::script,
};

fn names(credentials: &Credentials) -> String {
    let extension = credentials.print(&["-ext", "subjectAltName"]);
    extension.lines().last().unwrap().trim().to_owned()
}

fn uri(container: &Container) -> String {
    format!(
        "URI:spiffe://dockmaster.internal/host/h1/container/{}",
        container.id()
    )
}

fn catalog(from: &Container, with: &Credentials, at: SocketAddr) -> u16 {
    let path = Route::Catalog.path("");
    let url = format!("https://{at}{path}");
    with.get(from.beside("curl"), &url).status
}

/// An agent alone, in the network that the option says.
fn beside(image: &Image, label: &str, master: &Master, at: SocketAddr, mode: &str) -> Container {
    let run = script(image, label, master, at, "exec /dockmaster-agent run");
    run.option("--network", mode).start()
}

#[test]
fn a_sidecar_gets_an_identity_of_its_own_without_an_address_and_never_its_neighbours() {
    if !require_all(&["docker", "busybox", "curl", "openssl"]) {
        return;
    }
    let network = Network::create("sidecar");
    let master = Setup::docker(&[&network]).start();
    let at = master.address_in(&network);
    let image = Image::shared();
    let web = image.run("web").agent(&master, &network, &[]).start();
    let _ = master.reported(&web);
    let before = serials(&master, &web);
    let mode = format!("container:{}", web.name());
    let sidecar = beside(&image, "sidecar", &master, at, &mode);
    let node = master.reported(&sidecar);
    assert_eq!(node["id"], sidecar.id().to_string());
    assert_eq!(
        node["addresses"].as_array().map(Vec::len),
        Some(0),
        "{node}"
    );

    let its = sidecar.credentials();
    assert_eq!(names(&its), uri(&sidecar));
    let issued = &entries(&master, "cert_issued", &sidecar)[0];
    assert_eq!(kinds(issued), ["host", "socket"]);
    assert_eq!(issued["evidence"][1]["pid"], sidecar.pid());
    // The neighbour has what it had, and gets no more and no less than before.
    assert_eq!(serials(&master, &web), before);
    let webs = web.credentials();
    assert_eq!(
        names(&webs),
        format!("{}, IP Address:{}", uri(&web), web.ip(&network))
    );
    assert_eq!(catalog(&web, &webs, at), 200);

    let why = master.json(["node", "why-denied", sidecar.name()]);
    let now = &why["now"][0];
    assert_eq!(now["verdict"], "issued", "{why}");
    assert_eq!(now["source"], web.ip(&network).to_string());

    // Its certificate counts from the namespace in which it was asked for, and from nowhere else.
    assert_eq!(catalog(&sidecar, &its, at), 200);
    let other = image.run("other").agent(&master, &network, &[]).start();
    let _ = master.reported(&other);
    assert_eq!(catalog(&other, &its, at), 403);

    // With the namespace's owner its address ends, and what counted from it.
    web.stop();
    eventually("the end of the owner's lease", || {
        let who = master.json(["audit", "who", &other.ip(&network).to_string()]);
        let gone = serials(&master, &web).is_empty();
        (gone && who["certainty"] == "held").then_some(())
    });
    let id = sidecar.id().to_string();
    let shown = master.json(["node", "show", &id]);
    assert_eq!(shown["id"], id.as_str());
    let _ = master.cli(["audit", "verify"]).ok();
}

#[test]
fn a_container_on_the_hosts_network_gets_an_identity_of_its_own_without_an_address() {
    if !require_all(&["docker", "busybox", "curl", "openssl"]) {
        return;
    }
    let network = Network::create("onhost");
    let master = Setup::docker(&[&network]).start();
    // Not at a bridge's address: the engine masquerades what the host sends there.
    let at = master.address();
    let image = Image::shared();
    let one = beside(&image, "one", &master, at, "host");
    let two = beside(&image, "two", &master, at, "host");
    for container in [&one, &two] {
        let node = master.reported(container);
        assert_eq!(node["id"], container.id().to_string());
        assert_eq!(names(&container.credentials()), uri(container));
    }
    let its = one.credentials();
    assert_eq!(catalog(&one, &its, at), 200);
    // Stolen by a container with an address of its own, it is worth nothing.
    let other = image.run("other").agent(&master, &network, &[]).start();
    let _ = master.reported(&other);
    assert_eq!(catalog(&other, &its, master.address_in(&network)), 403);
}
