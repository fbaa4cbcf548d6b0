//! A container leaves a network while the master holds its request.

use std::{fs, thread};

use dockmaster_proto::route::Route;
use dockmaster_tests::{
    Container, HELLO_APP, Image, Network, Setup, docker, eventually, require_all,
};

use crate::renewal::{is_honoured, serials, was_left_alone};

/// How many connections to this port the container has.
fn connections(container: &Container, port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let table = fs::read_to_string(format!("/proc/{}/net/tcp", container.pid())).unwrap();
    let port = format!(":{port:04X}");
    let is_one = |line: &&str| {
        let words: Vec<_> = line.split_whitespace().collect();
        words[2].ends_with(&port) && words[3] == ESTABLISHED
    };
    table.lines().filter(is_one).count()
}

#[test]
fn a_lost_address_ends_held_requests_at_the_others_too_and_brings_a_certificate_without_it() {
    if !require_all(&["docker", "curl", "openssl"]) {
        return;
    }
    let (stays, leaves) = (Network::create("stays"), Network::create("leaves"));
    let master = Setup::docker(&[&stays, &leaves]).start();
    master.deploy("hello");
    let image = Image::shared();
    let web = image.run("web").label("role", "web");
    let web = web.agent(&master, &stays, &HELLO_APP).start();
    let id = web.id().to_string();
    let _ = master.reported(&web);
    docker(&["network", "connect", leaves.name(), &id]);
    // A new run, which enrolls with both addresses.
    web.stop();
    web.start_again();
    let ips = [&stays, &leaves].map(|network| format!("IP Address:{}", web.ip(network)));
    let (both, _) = eventually("a certificate for both addresses", || {
        let credentials = web.credentials();
        let extension = credentials.print(&["-ext", "subjectAltName"]);
        ips.iter()
            .all(|ip| extension.contains(ip))
            .then_some(credentials)
    });
    let node = master.reported(&web);
    let before = serials(&master, &web);

    let etag = format!("\"{}\"", node["catalog"].as_str().unwrap());
    let port = master.address().port();
    let url = format!(
        "https://{}{}",
        master.address_in(&stays),
        Route::Catalog.path("")
    );
    let mut curl = web.beside("curl");
    curl.args(["--header", "prefer: wait=120"]);
    curl.args(["--header", &format!("if-none-match: {etag}")]);
    let held = thread::spawn(move || both.get(curl, &url));
    eventually("a request beside the agent's", || {
        (connections(&web, port) >= 2).then_some(())
    });
    docker(&["network", "disconnect", leaves.name(), &id]);
    let ended = held.join().unwrap();
    assert_eq!(ended.problem(403), "certificate-revoked");

    // The agent, whose request ended the same way, gets what is still true.
    eventually("a certificate for the address that is left", || {
        let extension = web.credentials().print(&["-ext", "subjectAltName"]);
        (extension.contains(&ips[0]) && !extension.contains(&ips[1])).then_some(())
    });
    let now = serials(&master, &web);
    assert!(!now.contains(&before[0]), "{now:?} without {before:?}");
    is_honoured(&web, &master, &stays);
    let logs = web.logs();
    let starts = logs.lines().filter(|line| line.starts_with("started on"));
    assert_eq!(starts.count(), 2, "one for each run:\n{logs}");
}

#[test]
fn an_agent_notices_that_its_address_is_gone_and_is_itself_again_at_the_next_one() {
    if !require_all(&["docker", "curl", "openssl"]) {
        return;
    }
    let network = Network::create("moves");
    let master = Setup::docker(&[&network]).start();
    master.deploy("hello");
    let image = Image::shared();
    let web = image.run("web").label("role", "web");
    let web = web.agent(&master, &network, &HELLO_APP).start();
    let _ = master.reported(&web);
    let (id, old) = (web.id().to_string(), web.ip(&network));

    // Nothing tells the agent: its connection is silent, and its question is held for a minute.
    docker(&["network", "disconnect", network.name(), &id]);
    let heir = image.run("heir").agent(&master, &network, &[]).start();
    assert_eq!(heir.ip(&network), old, "the engine hands the address on");
    docker(&["network", "connect", network.name(), &id]);
    assert_ne!(web.ip(&network), old);
    eventually("a lease again", || {
        (!serials(&master, &web).is_empty()).then_some(())
    });
    is_honoured(&web, &master, &network);
    was_left_alone(&web);
}
