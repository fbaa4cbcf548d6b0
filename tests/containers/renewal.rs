//! An agent that lost its identity gets another one by itself, and its application does not notice.

use std::time::Duration;

use dockmaster_proto::route::Route;
use dockmaster_tests::{
    Container, HELLO_APP, Image, Master, Network, Setup, clock, docker, eventually, get,
    require_all,
};
use serde_json::Value;

/// The serials of the certificates that count now, newest first.
pub(crate) fn serials(master: &Master, container: &Container) -> Vec<Value> {
    let list = master.json(["cert", "list", "--node", &container.id().to_string()]);
    let list = list["certificates"].as_array().unwrap();
    list.iter().map(|it| it["serial"].clone()).collect()
}

fn serves(container: &Container, network: &Network, line: &str) {
    let at = container.at(network, 8080);
    eventually(&format!("\"{line}\""), || {
        let page = get(at, "/").ok()?;
        page.lines().any(|it| it == line).then_some(())
    });
}

/// The application has been started once.
pub(crate) fn was_left_alone(container: &Container) {
    let logs = container.logs();
    let starts = logs.lines().filter(|line| line.starts_with("started on"));
    assert_eq!(starts.count(), 1, "{logs}");
}

/// The master takes the certificate that lies in the container, from the container's address.
pub(crate) fn is_honoured(container: &Container, master: &Master, network: &Network) {
    let url = format!(
        "https://{}{}",
        master.address_in(network),
        Route::Catalog.path("")
    );
    let answer = container.credentials().get(container.beside("curl"), &url);
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn an_agent_that_slept_past_its_certificate_enrolls_again() {
    if !require_all(&["docker", "vdso", "curl", "openssl"]) {
        return;
    }
    let network = Network::create("slept");
    let mut master = Setup::docker(&[&network]).start();
    master.deploy("hello");
    let image = Image::shared();
    let web = image.run("web").label("role", "web");
    let web = web.agent(&master, &network, &HELLO_APP).start();
    let _ = master.reported(&web);
    let before = serials(&master, &web);
    assert_eq!(before.len(), 1);

    // Seven hours with the container paused and the master away; a certificate lasts six.
    let night = Duration::from_secs(7 * 3600);
    web.pause();
    master.terminate();
    clock::pass(web.pid(), night);
    master.serve();
    // It began in the morning: for it no time has passed.
    let seconds = i32::try_from(night.as_secs()).unwrap();
    clock::shift(master.pid(), clock::Clocks::TimeOfDay, seconds);
    web.unpause();

    eventually("another certificate", || {
        let now = serials(&master, &web);
        (!now.is_empty() && now[0] != before[0]).then_some(())
    });
    eventually("a word on it", || {
        web.logs()
            .contains("the certificate has expired")
            .then_some(())
    });
    // It is the agent again that it was: a change reaches it.
    let id = web.id().to_string();
    let _ = master.cli(["node", "label", &id, "tier=front"]).ok();
    serves(&web, &network, "tier = front");
    let _ = master.reported(&web);
    is_honoured(&web, &master, &network);
    was_left_alone(&web);
}

#[test]
fn an_agent_whose_address_changed_while_the_master_was_away_gets_a_certificate_for_the_new_one() {
    if !require_all(&["docker", "curl", "openssl"]) {
        return;
    }
    let network = Network::create("moved");
    let mut master = Setup::docker(&[&network]).start();
    master.deploy("hello");
    let image = Image::shared();
    let web = image.run("web").label("role", "web");
    let web = web.agent(&master, &network, &HELLO_APP).start();
    let _ = master.reported(&web);
    let old = web.ip(&network);
    serves(&web, &network, &format!("ip = {old}"));
    let before = serials(&master, &web);

    master.terminate();
    let id = web.id().to_string();
    docker(&["network", "disconnect", network.name(), &id]);
    // Somebody else gets the address.
    let heir = image.run("heir").agent(&master, &network, &[]).start();
    assert_eq!(heir.ip(&network), old, "the engine hands the address on");
    docker(&["network", "connect", network.name(), &id]);
    let new = web.ip(&network);
    assert_ne!(new, old);
    master.serve();

    let names =
        format!("URI:spiffe://dockmaster.internal/host/h1/container/{id}, IP Address:{new}");
    eventually("a certificate for the new address", || {
        let extension = web.credentials().print(&["-ext", "subjectAltName"]);
        (extension.lines().last()?.trim() == names).then_some(())
    });
    serves(&web, &network, &format!("ip = {new}"));
    let _ = master.reported(&web);
    let now = serials(&master, &web);
    assert!(!now.contains(&before[0]), "{now:?} without {before:?}");
    is_honoured(&web, &master, &network);
    was_left_alone(&web);
    let _ = master.reported(&heir);
    is_honoured(&heir, &master, &network);
}
