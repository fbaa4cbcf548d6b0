//! Sites and classifications, put in force as an operator does it.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::{binaries::checkout, container::Container, eventually, master::Master};

/// What runs behind the agent in `examples/hello`.
pub const HELLO_APP: [&str; 5] = [
    "/hello-app",
    "--config",
    "/etc/hello/hello.conf",
    "--listen",
    "0.0.0.0:8080",
];

/// A folder of `examples`.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    checkout().join("examples").join(name)
}

impl Master {
    /// Puts an example's site and classification in force.
    ///
    /// # Panics
    /// When the master does not take them.
    pub fn deploy(&self, name: &str) {
        let site = example(name).join("site");
        let _ = self.cli(["site", "deploy", site.to_str().unwrap()]).ok();
        let classification = example(name).join("classification.yaml");
        self.classify(&fs::read_to_string(classification).unwrap());
    }

    /// Puts a classification in force.
    ///
    /// # Panics
    /// When the master does not take it.
    #[track_caller]
    pub fn classify(&self, text: &str) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("classification.yaml");
        fs::write(&file, text).unwrap();
        let _ = self
            .cli(["classify", "apply", "--yes", "-f", file.to_str().unwrap()])
            .ok();
    }

    /// What a listing says as JSON: `["node", "list"]`.
    ///
    /// # Panics
    /// When the command fails.
    #[must_use]
    #[track_caller]
    pub fn json<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Value {
        let args = args.into_iter().chain(["-o", "json"]);
        self.cli(args).json()
    }

    /// All that the master says of a container, once it has the report that its catalog is applied.
    ///
    /// # Panics
    /// When none comes.
    #[must_use]
    #[track_caller]
    pub fn reported(&self, container: &Container) -> Value {
        let id = container.id().to_string();
        let (node, _) = eventually("a report", || {
            let ran = self.cli(["node", "show", &id, "-o", "json"]);
            (ran.code == 0).then(|| ran.json()).filter(|node| {
                node["report"]["catalog"] == node["catalog"] && !node["report"].is_null()
            })
        });
        node
    }
}
