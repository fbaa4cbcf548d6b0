//! What a test needs and a machine may lack.

use std::path::Path;

use crate::{clock, docker::try_docker, small_disk::SmallDisk};

/// Where Debian and those after it put the Go library with the checksum database's own log.
const GO_LIBRARY: &str = "/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog";

/// Whether a program is there. If it is not, the test prints one line and has to return; where
/// `DOCKMASTER_TEST_REQUIRE` (a list with commas) names the program, it fails instead.
///
/// ```no_run
/// if !dockmaster_tests::require("docker") {
///     return;
/// }
/// ```
///
/// # Panics
/// When the program is required and missing.
#[must_use]
pub fn require(program: &str) -> bool {
    require_that(
        program,
        match program {
            // The program is not enough: an engine has to answer it.
            "docker" => try_docker(&["version"]).is_ok(),
            // So is a compiler without the library that the verifier in `log/` is made of.
            "go" => in_path("go") && Path::new(GO_LIBRARY).is_dir(),
            "dockerd" => in_path("dockerd"),
            // What this machine lets a test do to a process and to its file systems.
            "vdso" => clock::can_be_shifted(),
            "tmpfs" => SmallDisk::mount(1).is_some(),
            _ => in_path(program),
        },
    )
}

/// The same where the test itself found out whether it is there.
///
/// # Panics
/// When the program is required and missing.
#[must_use]
pub fn require_that(program: &str, there: bool) -> bool {
    if there {
        return true;
    }
    let required = std::env::var("DOCKMASTER_TEST_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|it| it.trim() == program),
        "{program} is required here (DOCKMASTER_TEST_REQUIRE={required}) and missing"
    );
    println!("skipped: needs {program}");
    false
}

/// Whether all these programs are there; see [`require`].
///
/// # Panics
/// When one is required and missing.
#[must_use]
pub fn require_all(programs: &[&str]) -> bool {
    programs.iter().all(|program| require(program))
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| Path::new(&dir).join(program).is_file())
}
