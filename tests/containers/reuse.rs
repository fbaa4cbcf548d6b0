//! An address outlives its container; an identity does not.

use std::time::{SystemTime, UNIX_EPOCH};

use dockmaster_proto::route::Route;
use dockmaster_tests::{
    Answer, Container, Credentials, Image, Master, Network, Setup, require_all,
};

/// Asks for the catalog from a container's address, with some container's certificate.
fn catalog(from: &Container, with: &Credentials, master: &Master, network: &Network) -> Answer {
    let path = Route::Catalog.path("");
    let url = format!("https://{}{path}", master.address_in(network));
    with.get(from.beside("curl"), &url)
}

/// Milliseconds since 1970, as the ledger counts them.
#[expect(
    clippy::disallowed_methods,
    reason = "the test asks about its own past"
)]
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis().to_string()
}

#[test]
fn the_next_container_at_an_address_inherits_nothing() {
    if !require_all(&["docker", "curl"]) {
        return;
    }
    let network = Network::create("reuse");
    let master = Setup::docker(&[&network]).start();
    let image = Image::shared();
    let first = image.run("first").agent(&master, &network, &[]).start();
    let _ = master.reported(&first);
    let ip = first.ip(&network);
    let old = first.credentials();
    let used = catalog(&first, &old, &master, &network);
    assert_eq!(used.status, 200, "{used:?}");
    let then = now();
    first.stop();

    let second = image.run("second").agent(&master, &network, &[]).start();
    assert_eq!(second.ip(&network), ip, "the engine hands the address on");
    let node = master.reported(&second);
    assert_eq!(node["id"], second.id().to_string());

    // From the very address that it names, the old certificate is refused; the new one is not.
    let refused = catalog(&second, &old, &master, &network);
    assert_eq!(refused.problem(403), "certificate-revoked");
    let new = second.credentials();
    let taken = catalog(&second, &new, &master, &network);
    assert_eq!(taken.status, 200, "{taken:?}");

    let who = |at: &str| {
        let who = master.json(["audit", "who", &ip.to_string(), "--at", at]);
        let holders = who["holders"].as_array().unwrap();
        assert_eq!(
            (&who["certainty"], holders.len()),
            (&"held".into(), 1),
            "{who}"
        );
        holders[0].clone()
    };
    let (before, after) = (who(&then), who(&now()));
    assert_eq!(before["container"], first.id().to_string());
    assert_eq!(before["closed_cause"], "died");
    assert_eq!(after["container"], second.id().to_string());
    assert_eq!(after["closed_at_ms"], serde_json::Value::Null);
    let epoch = |lease: &serde_json::Value| lease["epoch"].as_u64().unwrap();
    assert_eq!(epoch(&after), epoch(&before) + 1);
    assert_ne!(before["certificates"], after["certificates"]);
    assert_eq!(before["certificates"].as_array().unwrap().len(), 1);
    assert_eq!(after["certificates"].as_array().unwrap().len(), 1);
}
