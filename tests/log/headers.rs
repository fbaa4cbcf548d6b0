//! What the master says of the files of the log when it serves them: a cache between it and a verifier
//! keeps what never changes, and nothing else.

use std::{fs, process::Command};

use dockmaster_tests::{Ran, require_all};

use crate::stage::Stage;

/// An answer, with its headers by their lower-case names.
struct Answer {
    status: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn to(stage: &Stage, path: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--path-as-is", "--cacert"]);
        curl.arg(stage.master.data().join("ca/bundle.pem"));
        curl.arg("--dump-header").arg(dir.path().join("head"));
        curl.arg(format!("https://{}{path}", stage.master.address()));
        let ran = Ran::run(&mut curl);
        let _ = ran.ok();
        let head = fs::read_to_string(dir.path().join("head")).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: ran.stdout,
        }
    }

    #[track_caller]
    fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(it, _)| it == name);
        let (_, value) = values.next().unwrap_or_else(|| panic!("no {name}"));
        assert!(values.next().is_none(), "{name} twice");
        value
    }
}

#[test]
fn what_never_changes_may_be_kept_for_ever_and_the_checkpoint_never() {
    if !require_all(&["curl"]) {
        return;
    }
    let stage = Stage::grown(8_000);
    let size = stage.head().size;
    let checkpoint = Answer::to(&stage, "/log/checkpoint");
    assert_eq!(checkpoint.status, "200");
    assert_eq!(
        checkpoint.header("content-type"),
        "text/plain; charset=utf-8"
    );
    assert_eq!(checkpoint.header("cache-control"), "no-cache");
    assert_eq!(
        checkpoint.body,
        fs::read(stage.public().join("checkpoint")).unwrap()
    );

    let width = size % 256;
    let partial = format!("tile/0/{:03}.p/{width}", size / 256);
    let bundle = partial.replace("tile/0", "tile/entries");
    for path in ["tile/0/000", "tile/entries/000", &partial, &bundle] {
        let tile = Answer::to(&stage, &format!("/log/{path}"));
        assert_eq!(tile.status, "200", "{path}");
        assert_eq!(tile.header("content-type"), "application/octet-stream");
        let kept = tile.header("cache-control");
        assert!(
            kept.contains("immutable") && kept.contains("public"),
            "{kept}"
        );
        assert_eq!(
            tile.body,
            fs::read(stage.public().join(path)).unwrap(),
            "{path}"
        );
    }
}

#[test]
fn what_is_not_there_yet_must_not_be_kept_and_nothing_else_is_served() {
    if !require_all(&["curl"]) {
        return;
    }
    let stage = Stage::new(9_000);
    for path in [
        "tile/0/999",
        "tile/7/000",
        "tile/entries/x001/000",
        "tile/0/000.p/255",
        // Other spellings, and ways out.
        "tile/0/0",
        "tile/00/000",
        "tile/0/000.p/256",
        "tile/entries/../../checkpoint",
        "tile/../../log.key",
        "tile/..%2f..%2flog.key",
        "log.key",
        "",
    ] {
        let answer = Answer::to(&stage, &format!("/log/{path}"));
        assert_eq!(answer.status, "404", "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
}
