//! A Python of the tests' own, with the packages of `python/requirements.txt`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use dockmaster_tests::{Ran, checkout, require, require_that};

/// Its interpreter; `None`, with a line that says so, where there is no Python or the packages cannot be
/// had (`DOCKMASTER_TEST_REQUIRE=pip`).
pub(crate) fn interpreter() -> Option<PathBuf> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        if !require("python3") {
            return None;
        }
        let made = environment();
        require_that("pip", made.is_some())
            .then_some(made)
            .flatten()
    });
    made.clone()
}

/// Made once, and again when the list of packages is another.
fn environment() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-python");
    let list = checkout().join("tests/interop/python/requirements.txt");
    let (wanted, python) = (fs::read(&list).unwrap(), folder.join("bin/python"));
    let installed = folder.join("installed");
    if fs::read(&installed).is_ok_and(|it| it == wanted) {
        return Some(python);
    }
    let done = |command: &mut Command| {
        let ran = Ran::run(command);
        if ran.code != 0 {
            eprintln!("{}\n{}", ran.line, ran.stderr);
        }
        (ran.code == 0).then_some(())
    };
    done(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--requirement"]);
    done(install.arg(&list))?;
    fs::write(&installed, wanted).unwrap();
    Some(python)
}
