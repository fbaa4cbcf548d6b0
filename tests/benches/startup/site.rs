//! The site that is deployed: `examples/hello`.

use dockmaster_tests::{Master, checkout};

/// Where the class `hello` writes the application's configuration.
pub(crate) const CONFIG: &str = "/etc/hello/hello.conf";

/// Deploys the site and its classification.
pub(crate) fn deploy(master: &Master) {
    let example = checkout().join("examples/hello");
    let path = |below: &str| example.join(below).to_str().unwrap().to_owned();
    let site = path("site");
    let classification = path("classification.yaml");
    let _ = master.cli(["site", "deploy", &site]).ok();
    let apply = ["classify", "apply", "-f", &classification, "--yes"];
    let _ = master.cli(apply).ok();
}
