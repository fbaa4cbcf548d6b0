//! The programs under test.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The path of a program of this workspace, such as `dockmaster`.
///
/// All programs are built once per test process, in the profile and the target folder of the test
/// itself: an old program beside a new test would tell lies. Where `DOCKMASTER_TEST_BIN` names a
/// folder, its programs are taken as they are.
///
/// # Panics
/// When the program does not build, or is not where it should be.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| match std::env::var_os("DOCKMASTER_TEST_BIN") {
        Some(folder) => folder.into(),
        None => build(),
    });
    let path = folder.join(name);
    assert!(path.is_file(), "there is no program {}", path.display());
    path
}

/// The root of the checkout that the tests were built from.
///
/// # Panics
/// Never: the package lies one level below it.
#[must_use]
pub fn checkout() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the package lies in the checkout")
}

/// Builds the programs, and gives the folder in which they are.
fn build() -> PathBuf {
    // TARGET/TRIPLE/PROFILE/deps/TEST-HASH
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).expect("PROFILE").to_owned();
    let target = folder.ancestors().nth(2).expect("TARGET");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => panic!("{} is in no profile's folder", test.display()),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // What cargo tells a test of its own package must not reach other packages: ring's build
    // script looks at it, so that half the workspace would be built anew, and again the next time.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            build.env_remove(name);
        }
    }
    let status = build
        .args(["build", "--quiet", "--bins", "--profile", profile])
        .args([
            "-p",
            "dockmaster",
            "-p",
            "dockmaster-agent",
            "-p",
            "dockmaster-examples",
        ])
        .env("CARGO_TARGET_DIR", target)
        .current_dir(checkout())
        .status();
    assert!(
        status.unwrap().success(),
        "the programs under test do not build"
    );
    folder
}
