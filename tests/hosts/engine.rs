//! A host with the real engine.

use dockmaster_tests::{Host, Image, Network, Setup, eventually, require};

#[test]
fn containers_of_an_engine_on_another_host_get_certificates_by_its_relay() {
    if !require("docker") {
        return;
    }
    let network = Network::create("hosts");
    let image = Image::shared();
    let master = Setup::hosts(&[network.subnet()]).start();
    let host = Host::start_docker(&master, "h2", &network);
    let relay = host.relay().to_string();
    let container = image
        .run("relayed")
        .network(&network)
        .env("DOCKMASTER_MASTER", &relay)
        .env("DOCKMASTER_TRUST", &master.trust().to_string())
        .command(&["/dockmaster-agent", "run"])
        .start();
    let (certificate, _) = eventually("a certificate by the relay", || {
        container.text("/run/dockmaster/cert.pem")
    });
    assert!(certificate.contains("BEGIN CERTIFICATE"));
    let san = container.credentials().print(&["-ext", "subjectAltName"]);
    assert!(san.contains("/host/h2/container/"), "{san}");
    let node = master
        .cli(["node", "show", container.name(), "-o", "json"])
        .json();
    assert_eq!(node["host"], "h2");
    // The host's kernel was asked about the socket of the agent's connection to the relay.
    let evidence = |id: &str| {
        let shown = master.cli(["audit", "list", "--event", "cert_issued", "-o", "json"]);
        let entries = shown.ok().replace(['\\', ' ', '\n'], "");
        let issued = entries.split("\"event\":\"cert_issued\"");
        let of = issued.filter(|entry| entry.contains(&format!("\"container\":\"{id}\"")));
        of.collect::<String>()
    };
    let id = container.id().to_string();
    assert!(
        evidence(&id).contains("\"kind\":\"socket\""),
        "{}",
        evidence(&id)
    );

    // A container that shares its network namespace is known by its own socket, and gets no IP.
    let sidecar = image
        .run("sidecar")
        .option("--network", &format!("container:{}", container.name()))
        .env("DOCKMASTER_MASTER", &relay)
        .env("DOCKMASTER_TRUST", &master.trust().to_string())
        .command(&["/dockmaster-agent", "run"])
        .start();
    eventually("the sidecar's certificate", || {
        sidecar.text("/run/dockmaster/cert.pem")
    });
    let san = sidecar.credentials().print(&["-ext", "subjectAltName"]);
    assert!(
        san.contains(&format!("/container/{}", sidecar.id())),
        "{san}"
    );
    assert!(!san.contains("IP Address"), "{san}");
    sidecar.kill();
    container.kill();
    eventually("the end of its node", || {
        let list = master.cli(["node", "list", "-o", "json"]).ok();
        (!list.contains(container.name())).then_some(())
    });
}
