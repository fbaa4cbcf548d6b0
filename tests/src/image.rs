//! An image with nothing in it but the programs under test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::{
    binary,
    container::Run,
    docker::{docker, try_docker},
    process::Ran,
};

/// An image, removed when the last holder drops it.
#[derive(Debug)]
pub struct Image {
    tag: String,
}

impl Image {
    /// The image that most tests use: `/dockmaster-agent`, `/hello-app`, `/tiny-proxy` and nothing
    /// else. All tests of a process share one.
    ///
    /// # Panics
    /// When it cannot be built.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Image>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let image = Arc::new(Self::with(&[]));
            *shared = Arc::downgrade(&image);
            image
        })
    }

    /// An image with further files (path from the root, content) beside the three programs.
    ///
    /// # Panics
    /// When it cannot be built.
    #[must_use]
    pub fn with(files: &[(&str, &[u8])]) -> Self {
        Self::with_programs(&[], files)
    }

    /// The same with programs of this machine, each where it lies here, beside the libraries that it loads.
    ///
    /// # Panics
    /// When it cannot be built.
    #[must_use]
    pub fn with_programs(programs: &[&Path], files: &[(&str, &[u8])]) -> Self {
        let staging = tempfile::tempdir().unwrap();
        let root = staging.path().join("root");
        fs::create_dir(&root).unwrap();
        for program in ["dockmaster-agent", "hello-app", "tiny-proxy"] {
            fs::copy(binary(program), root.join(program)).unwrap();
        }
        let copied = programs.iter().flat_map(|program| {
            let libraries = libraries(program);
            [program.to_path_buf()].into_iter().chain(libraries)
        });
        for path in copied {
            let into = root.join(path.strip_prefix("/").unwrap());
            fs::create_dir_all(into.parent().unwrap()).unwrap();
            fs::copy(path, into).unwrap();
        }
        for (path, content) in files {
            let path = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self::import(&root, &staging.path().join("image.tar"))
    }

    fn import(root: &Path, tar: &Path) -> Self {
        let made = Command::new("tar")
            .args(["--owner=0", "--group=0", "-C"])
            .arg(root)
            .arg("-cf")
            .arg(tar)
            .arg(".")
            .status();
        assert!(made.unwrap().success(), "tar failed");
        let tag = format!("{}:1", crate::unique("image"));
        docker(&["import", tar.to_str().unwrap(), &tag]);
        Self { tag }
    }

    /// The engine's name for it.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Prepares to run it.
    pub fn run(&self, label: &str) -> Run {
        Run::new(&self.tag, label)
    }
}

/// What a program loads, the loader included.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let listed = Ran::run(Command::new("ldd").arg(program)).ok();
    // "name => /path (0x…)", or the loader's "/path (0x…)".
    let words = listed.split_whitespace();
    words
        .filter(|it| it.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

impl Drop for Image {
    fn drop(&mut self) {
        if let Err(error) = try_docker(&["rmi", "-f", &self.tag]) {
            println!("left over: image {}: {error}", self.tag);
        }
    }
}
