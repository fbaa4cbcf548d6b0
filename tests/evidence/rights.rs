//! A master that may not ask the kernel.

use dockmaster_tests::{Image, Network, Setup, eventually, require_all};

use crate::log::{entries, kinds};

const RULES: &str = "\
policy:
  - name: front
    labels: role=front
    evidence: [socket]
    verdict: issue
  - name: back
    labels: role=back
    evidence: [host]
    verdict: issue
";

#[test]
fn a_master_without_the_right_to_look_at_sockets_says_so_and_its_policy_decides() {
    if !require_all(&["docker", "setpriv"]) {
        return;
    }
    let network = Network::create("rights");
    let setup = Setup::docker(&[&network]).without_sockets();
    let master = setup.policy(RULES).start();
    let image = Image::shared();
    let run = |role| {
        let run = image.run(role).label("role", role);
        run.agent(&master, &network, &[]).start()
    };
    // The host's word is enough for the one and not for the other.
    let (back, front) = (run("back"), run("front"));
    let _ = master.reported(&back);
    let issued = &entries(&master, "cert_issued", &back)[0];
    assert_eq!(kinds(issued), ["host"]);
    let why = issued["evidence"][0]["no_socket"].as_str().unwrap();
    assert!(why.contains("CAP_SYS_ADMIN"), "{why}");
    eventually("the other is held", || {
        let held = master.json(["request", "list"]);
        let held = held["requests"].as_array()?.first()?.clone();
        (held["container"] == front.id().to_string()).then_some(())
    });
    assert_eq!(entries(&master, "cert_issued", &front).len(), 0);
    let said = master.log().join("\n");
    assert!(said.contains("the host gives no socket evidence"), "{said}");
}
