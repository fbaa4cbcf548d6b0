//! Sites and classifications with mistakes in them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use dockmaster_tests::{Ran, example};

use crate::stand::Stand;

/// A copy of `examples/hello` in which a text stands in another's place.
struct Edited(tempfile::TempDir);

impl Edited {
    fn new(file: &str, old: &str, new: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(example("hello")).arg(dir.path());
        let _ = Ran::run(&mut copy).ok();
        let edited = Self(dir);
        let path = edited.path(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{file} has no {old}");
        fs::write(path, text.replacen(old, new, 1)).unwrap();
        edited
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join("hello").join(file)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The site is refused with these words, here and by the master, and nothing comes of it.
fn is_refused(stand: &Stand, edited: &Edited, words: &[&str]) {
    let site = edited.path("site");
    let before = stand.trace();
    for ran in [
        stand.master.cli(["site", "check", text(&site)]),
        stand.master.cli(["site", "deploy", text(&site)]),
    ] {
        let said = ran.fails(1);
        for word in words {
            assert!(said.contains(word), "{word} in\n{said}");
        }
    }
    assert!(stand.trace().only_entries_since(&before).is_empty());
}

#[test]
fn a_mistyped_word_in_a_site_is_shown_with_its_line_and_changes_nothing() {
    let stand = Stand::new(5);
    stand.master.deploy("hello");
    let class = "site/modules/hello/classes/hello.yaml";
    let edited = Edited::new(class, "mode: \"0755\"", "mood: \"0755\"");
    is_refused(
        &stand,
        &edited,
        &["modules/hello/classes/hello.yaml:8", "\"mood\"", "mode"],
    );
    let edited = Edited::new(class, "resources:", "resources: [");
    is_refused(&stand, &edited, &["modules/hello/classes/hello.yaml:"]);
}

#[test]
fn a_mistyped_word_in_a_classification_is_shown_with_its_line_and_changes_nothing() {
    let stand = Stand::new(6);
    stand.master.deploy("hello");
    let edited = Edited::new(
        "classification.yaml",
        "match: \"role=web\"",
        "macth: \"role=web\"",
    );
    let file = edited.path("classification.yaml");
    let before = stand.trace();
    for command in [&["plan"][..], &["apply", "--yes"]] {
        let args = ["classify"].iter().chain(command).chain(&["-f"]).copied();
        let ran = stand.master.cli(args.chain([text(&file)]));
        let said = ran.fails(1);
        for word in [
            "classification.yaml:8",
            "\"macth\"",
            "did you mean \"match\"?",
        ] {
            assert!(said.contains(word), "{word} in\n{said}");
        }
    }
    assert!(stand.trace().only_entries_since(&before).is_empty());
}

#[test]
fn a_template_that_fails_is_shown_with_its_line_and_changes_nothing() {
    let stand = Stand::new(7);
    stand.master.deploy("hello");
    let template = "site/modules/hello/templates/hello.conf.j2";
    let edited = Edited::new(template, "params.greeting", "params.greting");
    is_refused(
        &stand,
        &edited,
        &["modules/hello/templates/hello.conf.j2:2", "\"greting\""],
    );
}

#[test]
fn a_template_that_fails_for_one_node_is_shown_with_the_node_and_changes_nothing() {
    let stand = Stand::new(8);
    stand.master.deploy("hello");
    let template = "site/modules/hello/templates/hello.conf.j2";
    // The stand-in has no memory limit.
    let edited = Edited::new(
        template,
        "{{ params.greeting }}",
        "{{ node.limits.memory_bytes | mib }}",
    );
    let site = edited.path("site");
    let before = stand.trace();
    let deploy = stand.master.cli(["site", "deploy", text(&site)]);
    let said = deploy.fails(1);
    for word in [
        "1 of the live nodes",
        &stand.container.name,
        "modules/hello/templates/hello.conf.j2:2",
        "mib takes a whole number, not none",
        "nothing was changed",
    ] {
        assert!(said.contains(word), "{word} in\n{said}");
    }
    assert!(stand.trace().only_entries_since(&before).is_empty());
}
