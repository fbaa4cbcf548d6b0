use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use dockmaster_proto::{
    catalog::{CATALOG_VERSION, Edge, EdgeKind, ResourceRef, Source},
    id::Digest,
    resource::{Content, Directory, Ensure, Exec, File, Process, Symlink},
};

use super::{blob::NoBlobs, *};

/// A catalog in the making and the tree that it is applied to.
struct Bench {
    folder: tempfile::TempDir,
    catalog: Catalog,
    previous: Option<Catalog>,
    mode: Mode,
    owed: RefCell<BTreeSet<ResourceRef>>,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            catalog: Catalog {
                version: CATALOG_VERSION,
                environment: String::new(),
                classes: vec![],
                resources: vec![],
                edges: vec![],
            },
            previous: None,
            mode: Mode::Apply,
            owed: RefCell::default(),
        }
    }

    fn add(&mut self, title: &str, kind: ResourceKind) -> ResourceRef {
        let resource = Resource {
            kind,
            title: title.into(),
            source: Source::default(),
        };
        self.catalog.resources.push(resource);
        self.catalog.resources.last().unwrap().reference()
    }

    fn text(&mut self, title: &str, text: &str) -> ResourceRef {
        self.add(title, ResourceKind::File(file(text)))
    }

    fn edge(&mut self, from: &ResourceRef, to: &ResourceRef, kind: EdgeKind) {
        let (from, to) = (from.clone(), to.clone());
        self.catalog.edges.push(Edge { from, to, kind });
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn apply(&self) -> Vec<Outcome> {
        self.apply_with(&mut NoBlobs("there are none".into()))
    }

    fn apply_with(&self, blobs: &mut dyn BlobSource) -> Vec<Outcome> {
        let applied = self.work(blobs, std::future::pending(), "");
        // In catalog order, whatever the order of the work.
        let outcome = |resource: &Resource| {
            let report = applied
                .resources
                .iter()
                .find(|report| report.resource == resource.reference());
            report.unwrap().outcome.clone()
        };
        self.catalog.resources.iter().map(outcome).collect()
    }

    /// Applies until a file is there, and no further.
    fn apply_until(&self, file: &Path, why: &str) -> Applied {
        let there = async {
            while !file.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        self.work(&mut NoBlobs("there are none".into()), there, why)
    }

    fn work(
        &self,
        blobs: &mut dyn BlobSource,
        interruption: impl Future<Output = ()>,
        why: &str,
    ) -> Applied {
        // Reapers of several tests in one process would collect each other's children.
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let root = Root::new(self.folder.path());
        let run = async {
            let reaper = Reaper::start().unwrap();
            let mut context = Context {
                root: &root,
                reaper: &reaper,
                blobs,
                processes: Processes::Left,
                mode: self.mode,
                scratch: None,
                previous: self.previous.as_ref(),
                foreseen: Foreseen::default(),
            };
            let mut record = Record::owing(self.owed.borrow().clone());
            tokio::select! {
                applied = apply(&self.catalog, &mut context, &mut record) => applied.unwrap(),
                () = interruption => return record.cut_short(&self.catalog, why),
            }
            self.owed.borrow_mut().clone_from(record.owed());
            record.complete()
        };
        tokio::task::LocalSet::new().block_on(&runtime, run)
    }
}

fn file(text: &str) -> File {
    File {
        content: Some(Content::Inline(text.into())),
        ..File::default()
    }
}

fn sh(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
}

fn what(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Changed { what, .. } | Outcome::WouldChange { what, .. } => what,
        Outcome::Failed { error } => error,
        Outcome::Skipped { reason } => reason,
        Outcome::Unchanged => "unchanged",
    }
}

#[test]
fn a_file_is_created_with_its_mode_and_then_left_alone() {
    let mut bench = Bench::new();
    let spec = File {
        mode: Some("0640".parse().unwrap()),
        ..file("hello\n")
    };
    bench.add("/etc", ResourceKind::Directory(Directory::default()));
    bench.add("/etc/motd", ResourceKind::File(spec));
    let first = bench.apply();
    assert_eq!(what(&first[1]), "created with 6 bytes, mode 0640");
    assert_eq!(bench.read("/etc/motd"), "hello\n");
    let before = fs::metadata(bench.path("/etc/motd")).unwrap();
    assert_eq!(before.mode() & 0o7777, 0o640);
    assert_eq!(bench.apply(), [Outcome::Unchanged, Outcome::Unchanged]);
    let after = fs::metadata(bench.path("/etc/motd")).unwrap();
    assert_eq!(
        (before.ino(), before.mtime_nsec()),
        (after.ino(), after.mtime_nsec())
    );
}

#[test]
fn a_change_is_shown_as_a_difference_and_keeps_the_mode() {
    let mut bench = Bench::new();
    fs::write(bench.path("/a"), "one\ntwo\n").unwrap();
    fs::set_permissions(bench.path("/a"), fs::Permissions::from_mode(0o664)).unwrap();
    bench.text("/a", "one\nthree\n");
    let outcomes = bench.apply();
    let Outcome::Changed { diff, change, .. } = &outcomes[0] else {
        panic!("{outcomes:?}");
    };
    assert!(diff.contains("-two\n+three"), "{diff}");
    assert_eq!(*change, Change::Intentional);
    assert_eq!(
        fs::metadata(bench.path("/a")).unwrap().mode() & 0o7777,
        0o664
    );
    assert_eq!(
        fs::read_dir(bench.folder.path()).unwrap().count(),
        1,
        "no leftovers"
    );
}

#[test]
fn what_not_everyone_may_read_shows_in_no_difference() {
    let with_mode = |mode: &str, text: &str| {
        ResourceKind::File(File {
            mode: Some(mode.parse().unwrap()),
            ..file(text)
        })
    };
    for (before, after) in [(0o600, "0644"), (0o644, "0640")] {
        let mut bench = Bench::new();
        fs::write(bench.path("/a"), "password old\n").unwrap();
        fs::set_permissions(bench.path("/a"), fs::Permissions::from_mode(before)).unwrap();
        bench.add("/a", with_mode(after, "password new\n"));
        bench.mode = Mode::Noop;
        let shown = format!("{:?}", bench.apply());
        assert!(!shown.contains("password"), "{shown}");
        assert!(shown.contains("not shown"), "{shown}");
    }
}

#[test]
fn files_of_one_group_whose_long_names_begin_alike_keep_their_own_contents() {
    let mut bench = Bench::new();
    let long = "x".repeat(100);
    let a = bench.text(&format!("/{long}a"), "of a");
    let b = bench.text(&format!("/{long}b"), "of b");
    let app = bench.add("app", ResourceKind::Process(Process::default()));
    bench.edge(&a, &app, EdgeKind::Notify);
    bench.edge(&b, &app, EdgeKind::Notify);
    bench.apply();
    assert_eq!(bench.read(&format!("/{long}a")), "of a");
    assert_eq!(bench.read(&format!("/{long}b")), "of b");
}

#[test]
fn a_file_with_another_name_elsewhere_gets_no_other_owner_or_mode() {
    let mut bench = Bench::new();
    fs::write(bench.path("/shadow"), "secret").unwrap();
    fs::set_permissions(bench.path("/shadow"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(bench.path("/app")).unwrap();
    fs::hard_link(bench.path("/shadow"), bench.path("/app/conf")).unwrap();
    let spec = File {
        mode: Some("0666".parse().unwrap()),
        ..File::default()
    };
    bench.add("/app/conf", ResourceKind::File(spec));
    let outcomes = bench.apply();
    assert!(what(&outcomes[0]).contains("hard links"), "{outcomes:?}");
    let mode = fs::metadata(bench.path("/shadow")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn what_the_last_catalog_had_just_so_is_corrected() {
    let mut bench = Bench::new();
    bench.text("/a", "right");
    bench.previous = Some(bench.catalog.clone());
    fs::write(bench.path("/a"), "drifted").unwrap();
    assert!(matches!(
        bench.apply()[0],
        Outcome::Changed {
            change: Change::Corrective,
            ..
        }
    ));
}

#[test]
fn a_dry_run_changes_nothing_and_runs_nothing() {
    let mut bench = Bench::new();
    fs::write(bench.path("/old"), "old").unwrap();
    bench.mode = Mode::Noop;
    bench.add("/dir", ResourceKind::Directory(Directory::default()));
    bench.text("/old", "new");
    let marker = bench.path("/marker");
    let script = format!("touch {}", marker.display());
    bench.add(
        "touch",
        ResourceKind::Exec(Exec {
            command: sh(&script),
            ..Exec::default()
        }),
    );
    let absent = File {
        ensure: Ensure::Absent,
        ..File::default()
    };
    fs::write(bench.path("/gone"), "x").unwrap();
    bench.add("/gone", ResourceKind::File(absent));
    let outcomes = bench.apply();
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::WouldChange { .. }))
    );
    assert_eq!(bench.read("/old"), "old");
    assert!(!bench.path("/dir").exists() && !marker.exists() && bench.path("/gone").exists());
}

#[test]
fn a_symbolic_link_in_a_files_place_is_refused() {
    let mut bench = Bench::new();
    fs::write(bench.path("/victim"), "secret").unwrap();
    symlink("victim", bench.path("/a")).unwrap();
    bench.text("/a", "x");
    assert!(what(&bench.apply()[0]).contains("symbolic link to victim"));
    assert_eq!(bench.read("/victim"), "secret");
}

#[test]
fn an_absolute_link_in_a_path_does_not_lead_out_of_the_root() {
    let outside = tempfile::tempdir().unwrap();
    let mut bench = Bench::new();
    symlink(outside.path(), bench.path("/out")).unwrap();
    bench.text("/out/a", "x");
    // The link's target does not exist below the root.
    assert!(what(&bench.apply()[0]).contains("does not exist"));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_failed_validation_leaves_the_old_file_and_says_why() {
    let mut bench = Bench::new();
    fs::write(bench.path("/a"), "good").unwrap();
    let spec = File {
        validate: Some(vec![
            "/bin/sh".into(),
            "-c".into(),
            "grep -q good % || { echo no good in it; exit 3; }".into(),
        ]),
        ..file("bad")
    };
    bench.add("/a", ResourceKind::File(spec));
    let outcomes = bench.apply();
    assert!(
        what(&outcomes[0]).contains("status 3: no good in it"),
        "{outcomes:?}"
    );
    assert_eq!(bench.read("/a"), "good");
    assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 1);
}

#[test]
fn files_that_notify_one_process_are_all_replaced_or_none_is() {
    let mut bench = Bench::new();
    fs::write(bench.path("/b"), "old").unwrap();
    let a = bench.text("/a", "new");
    let bad = File {
        validate: Some(sh("exit 1")),
        ..file("new")
    };
    let b = bench.add("/b", ResourceKind::File(bad));
    let alone = bench.text("/alone", "new");
    let app = bench.add("app", ResourceKind::Process(Process::default()));
    bench.edge(&a, &app, EdgeKind::Notify);
    bench.edge(&b, &app, EdgeKind::Notify);
    let outcomes = bench.apply();
    assert!(matches!(&outcomes[0], Outcome::Skipped { reason } if reason.contains("file[/b]")));
    assert!(matches!(outcomes[1], Outcome::Failed { .. }));
    assert!(
        matches!(outcomes[2], Outcome::Changed { .. }),
        "{alone} is not concerned"
    );
    assert!(matches!(outcomes[3], Outcome::Skipped { .. }));
    assert!(!bench.path("/a").exists());
    assert_eq!(bench.read("/b"), "old");
}

#[test]
fn a_failure_skips_what_depends_on_it_and_nothing_else() {
    let mut bench = Bench::new();
    let failing = bench.add(
        "false",
        ResourceKind::Exec(Exec {
            command: sh("echo oh; exit 7"),
            ..Exec::default()
        }),
    );
    let after = bench.text("/after", "x");
    let behind = bench.text("/behind", "x");
    bench.text("/other", "x");
    bench.edge(&failing, &after, EdgeKind::Before);
    bench.edge(&after, &behind, EdgeKind::Before);
    let outcomes = bench.apply();
    assert!(what(&outcomes[0]).contains("status 7: oh"));
    assert_eq!(what(&outcomes[1]), "exec[false] was not applied");
    assert_eq!(what(&outcomes[2]), "file[/after] was not applied");
    assert!(matches!(outcomes[3], Outcome::Changed { .. }));
}

#[test]
fn an_exec_runs_only_when_its_guards_say_so() {
    let mut bench = Bench::new();
    let count = bench.path("/count");
    let run = sh(&format!("echo x >> {}", count.display()));
    let exec = |change: fn(&mut Exec)| {
        let mut exec = Exec {
            command: run.clone(),
            ..Exec::default()
        };
        change(&mut exec);
        ResourceKind::Exec(exec)
    };
    fs::write(bench.path("/there"), "").unwrap();
    bench.add("creates", exec(|exec| exec.creates = Some("/there".into())));
    bench.add("onlyif", exec(|exec| exec.onlyif = Some(sh("false"))));
    bench.add("unless", exec(|exec| exec.unless = Some(sh("true"))));
    bench.add("refreshonly", exec(|exec| exec.refreshonly = true));
    assert!(
        bench
            .apply()
            .iter()
            .all(|outcome| *outcome == Outcome::Unchanged)
    );
    assert!(!count.exists());
    bench.add("free", exec(|exec| exec.onlyif = Some(sh("true"))));
    assert_eq!(what(&bench.apply()[4]), format!("ran {}", run.join(" ")));
    assert_eq!(bench.read("/count"), "x\n");
}

#[test]
fn a_change_refreshes_a_refreshonly_exec_once() {
    let mut bench = Bench::new();
    let count = bench.path("/count");
    let spec = Exec {
        command: sh(&format!("echo x >> {}", count.display())),
        refreshonly: true,
        ..Exec::default()
    };
    let (a, b) = (bench.text("/a", "x"), bench.text("/b", "x"));
    let exec = bench.add("reload", ResourceKind::Exec(spec));
    bench.edge(&a, &exec, EdgeKind::Notify);
    bench.edge(&b, &exec, EdgeKind::Notify);
    bench.apply();
    bench.apply();
    assert_eq!(bench.read("/count"), "x\n");
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "waits for the kernel, outside of a runtime"
)]
fn a_command_that_takes_too_long_is_killed_with_its_children() {
    let mut bench = Bench::new();
    let pid = bench.path("/pid");
    let spec = Exec {
        command: sh(&format!(
            "sleep 600 & echo $! > {}; echo waiting; wait",
            pid.display()
        )),
        timeout_s: Some(1),
        ..Exec::default()
    };
    bench.add("slow", ResourceKind::Exec(spec));
    let outcomes = bench.apply();
    assert!(
        what(&outcomes[0]).contains("killed after 1 s: waiting"),
        "{outcomes:?}"
    );
    // A process that was sent SIGKILL ends when it is next scheduled, not when `kill` returns.
    let stat = format!("/proc/{}/stat", bench.read("/pid").trim());
    let alive = || fs::read_to_string(&stat).is_ok_and(|state| !state.contains(") Z"));
    let patience = Instant::now() + Duration::from_secs(30);
    while alive() {
        assert!(Instant::now() < patience, "the child outlived its command");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_refresh_that_failed_or_was_not_reached_is_made_up_for() {
    let mut bench = Bench::new();
    let (there, count) = (bench.path("/there"), bench.path("/count"));
    let refresh = |script: String| {
        ResourceKind::Exec(Exec {
            command: sh(&script),
            refreshonly: true,
            ..Exec::default()
        })
    };
    let a = bench.text("/a", "x");
    let first = bench.add("first", refresh(format!("test -e {}", there.display())));
    let second = bench.add("second", refresh(format!("echo x >> {}", count.display())));
    bench.edge(&a, &first, EdgeKind::Notify);
    bench.edge(&a, &second, EdgeKind::Notify);
    bench.edge(&first, &second, EdgeKind::Before);
    let outcomes = bench.apply();
    assert!(matches!(outcomes[1], Outcome::Failed { .. }));
    assert!(matches!(outcomes[2], Outcome::Skipped { .. }));
    // The file is right by now, and notifies nobody again.
    fs::write(&there, "").unwrap();
    let outcomes = bench.apply();
    assert_eq!(outcomes[0], Outcome::Unchanged);
    assert!(matches!(outcomes[1], Outcome::Changed { .. }));
    assert!(matches!(outcomes[2], Outcome::Changed { .. }));
    assert!(
        bench
            .apply()
            .iter()
            .all(|outcome| *outcome == Outcome::Unchanged)
    );
    assert_eq!(bench.read("/count"), "x\n");
}

#[test]
fn links_and_directories_come_and_go() {
    let mut bench = Bench::new();
    let link = |target: &str, ensure| {
        ResourceKind::Symlink(Symlink {
            ensure,
            target: target.into(),
        })
    };
    bench.add(
        "/dir",
        ResourceKind::Directory(Directory {
            mode: Some("0700".parse().unwrap()),
            ..Directory::default()
        }),
    );
    bench.add("/link", link("/dir", Ensure::Present));
    bench.apply();
    assert_eq!(
        fs::metadata(bench.path("/dir")).unwrap().mode() & 0o7777,
        0o700
    );
    assert_eq!(
        fs::read_link(bench.path("/link")).unwrap(),
        PathBuf::from("/dir")
    );
    assert_eq!(bench.apply(), [Outcome::Unchanged, Outcome::Unchanged]);
    bench.catalog.resources[1].kind = link("/else", Ensure::Present);
    assert_eq!(what(&bench.apply()[1]), "target /dir to /else");
    let absent = Directory {
        ensure: Ensure::Absent,
        ..Directory::default()
    };
    bench.catalog.resources[0].kind = ResourceKind::Directory(absent);
    bench.catalog.resources[1].kind = link("", Ensure::Absent);
    fs::write(bench.path("/dir/x"), "").unwrap();
    let outcomes = bench.apply();
    assert!(
        what(&outcomes[0]).contains("only when it is empty"),
        "{outcomes:?}"
    );
    fs::remove_file(bench.path("/dir/x")).unwrap();
    bench.apply();
    assert!(!bench.path("/dir").exists() && fs::read_link(bench.path("/link")).is_err());
}

#[test]
fn blobs_are_checked_before_anything_is_written() {
    let mut bench = Bench::new();
    let bytes = vec![0xff; 5000];
    let digest = Digest::of(&bytes);
    let content = Content::Blob {
        sha256: digest,
        size: 5000,
    };
    bench.add(
        "/a",
        ResourceKind::File(File {
            content: Some(content),
            ..File::default()
        }),
    );
    assert!(what(&bench.apply()[0]).contains("there are none"));
    let blobs = bench.path("/catalog.blobs");
    fs::create_dir(&blobs).unwrap();
    fs::write(blobs.join(digest.to_string()), vec![0xfe; 5000]).unwrap();
    let mut source = blob::BlobFolder(blobs.clone());
    assert!(what(&bench.apply_with(&mut source)[0]).contains("damaged"));
    fs::write(blobs.join(digest.to_string()), &bytes).unwrap();
    assert!(matches!(
        bench.apply_with(&mut source)[0],
        Outcome::Changed { .. }
    ));
    assert_eq!(fs::read(bench.path("/a")).unwrap(), bytes);
    // Now it is right, and nothing has to be fetched.
    assert_eq!(bench.apply(), [Outcome::Unchanged]);
}

#[test]
fn a_dry_run_knows_of_what_the_same_catalog_would_make() {
    let mut bench = Bench::new();
    bench.mode = Mode::Noop;
    let link = |target: &str| {
        ResourceKind::Symlink(Symlink {
            ensure: Ensure::Present,
            target: target.into(),
        })
    };
    let directory = || ResourceKind::Directory(Directory::default());
    bench.add("/opt", directory());
    bench.add("/opt/app", directory());
    bench.text("/opt/app/conf", "x\n");
    bench.add("/opt/app/link", link("conf"));
    bench.add("/current", link("opt/app"));
    bench.text("/current/other", "x");
    // A link that is there already, and leads to what is to come.
    symlink("/opt", bench.path("/old")).unwrap();
    bench.text("/old/app/third", "x");
    // One that is to lead elsewhere: what lies where it leads now does not count.
    fs::create_dir(bench.path("/one")).unwrap();
    fs::write(bench.path("/one/file"), "x").unwrap();
    symlink("one", bench.path("/switch")).unwrap();
    bench.add("/switch", link("/opt"));
    bench.text("/switch/file", "x");
    let outcomes = bench.apply();
    for outcome in &outcomes {
        assert!(
            matches!(outcome, Outcome::WouldChange { .. }),
            "{outcomes:?}"
        );
    }
    assert_eq!(what(&outcomes[2]), "created with 2 bytes, mode 0644");
    let Outcome::WouldChange { diff, .. } = &outcomes[2] else {
        panic!()
    };
    assert!(diff.contains("+x"), "{diff}");
    assert!(!bench.path("/opt").exists());
    // And so it comes to be.
    bench.mode = Mode::Apply;
    for outcome in bench.apply() {
        assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}");
    }
}

#[test]
fn a_dry_run_invents_no_parent_that_nothing_makes() {
    let mut bench = Bench::new();
    bench.mode = Mode::Noop;
    bench.add("/made", ResourceKind::Directory(Directory::default()));
    bench.text("/not/made/file", "x");
    bench.text("/made/not/file", "x");
    let link = Symlink {
        ensure: Ensure::Present,
        target: "/nowhere".into(),
    };
    bench.add("/link", ResourceKind::Symlink(link));
    bench.text("/link/file", "x");
    let outcomes = bench.apply();
    for index in [1, 2, 4] {
        assert!(
            what(&outcomes[index]).contains("declare it as a directory"),
            "{outcomes:?}"
        );
    }
}

#[test]
fn what_should_not_be_there_is_not_missed_where_its_folder_is_missing() {
    let mut bench = Bench::new();
    let absent = Ensure::Absent;
    let file = File {
        ensure: absent,
        ..File::default()
    };
    let link = Symlink {
        ensure: absent,
        target: String::new(),
    };
    let directory = Directory {
        ensure: absent,
        ..Directory::default()
    };
    bench.add("/no/such/file", ResourceKind::File(file));
    bench.add("/no/such/link", ResourceKind::Symlink(link));
    bench.add("/no/such/dir", ResourceKind::Directory(directory));
    assert!(
        bench
            .apply()
            .iter()
            .all(|outcome| *outcome == Outcome::Unchanged)
    );
}

#[test]
fn an_apply_that_is_dropped_leaves_a_record_of_how_far_it_came() {
    let mut bench = Bench::new();
    let a = bench.text("/a", "x");
    let started = bench.path("/started");
    let slow = bench.add(
        "slow",
        ResourceKind::Exec(Exec {
            command: sh(&format!("touch {}; sleep 600", started.display())),
            ..Exec::default()
        }),
    );
    let b = bench.text("/b", "x");
    bench.edge(&a, &slow, EdgeKind::Before);
    bench.edge(&slow, &b, EdgeKind::Before);
    let applied = bench.apply_until(&started, "the end of the world");
    let outcomes: Vec<_> = applied.resources.iter().map(|it| &it.outcome).collect();
    assert!(matches!(outcomes[0], Outcome::Changed { .. }));
    assert_eq!(
        what(outcomes[1]),
        "interrupted: the end of the world; it may be half done"
    );
    assert_eq!(what(outcomes[2]), "not reached: the end of the world");
    assert_eq!(applied.status(), ApplyStatus::Failed);
    assert!(!bench.path("/b").exists());
}

#[test]
fn a_missing_parent_says_what_to_do() {
    let mut bench = Bench::new();
    bench.text("/no/such/file", "x");
    bench.text("relative", "x");
    bench.text("/a/../b", "x");
    let outcomes = bench.apply();
    assert!(what(&outcomes[0]).contains("declare it as a directory"));
    assert!(what(&outcomes[1]).contains("no absolute path"));
    assert!(what(&outcomes[2]).contains("no absolute path"));
}
