//! Containers that can do more than run an agent.

use std::{net::SocketAddr, process::Command};

use dockmaster_tests::{Container, Image, Master, Ran, Run};

/// A container with a shell, told of the master and its trust pin; it runs this script. The shell's
/// tools are `/bin/busybox TOOL`.
pub(crate) fn script(
    image: &Image,
    label: &str,
    master: &Master,
    at: SocketAddr,
    script: &str,
) -> Run {
    image
        .run(label)
        .option("--volume", "/usr/bin/busybox:/bin/busybox:ro")
        .env("DOCKMASTER_MASTER", &at.to_string())
        .env("DOCKMASTER_TRUST", &master.trust().to_string())
        .command(&["/bin/busybox", "sh", "-c", script])
}

/// A second agent in a container, which asks for a certificate of its own and ends.
pub(crate) fn enroll_again(container: &Container) -> Ran {
    let id = container.id().to_string();
    Ran::run(Command::new("docker").args([
        "exec",
        "--env",
        "DOCKMASTER_RUN_DIR=/tmp/again",
        &id,
        "/dockmaster-agent",
        "once",
    ]))
}
