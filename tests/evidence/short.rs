//! A machine that is short of what a look at a socket takes.

use std::{
    collections::HashSet,
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use dockmaster_tests::{Image, Network, Setup, eventually, require_all};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::{
    log::{entries, kinds},
    run::enroll_again,
};

/// Sets how many files a process may have open; gives what it was.
fn limit_files(pid: u32, files: u64) -> u64 {
    let pid = Pid::from_raw(pid.try_into().unwrap());
    let limit = Rlimit {
        current: Some(files),
        // It has ours.
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    let was = prlimit(pid, Resource::Nofile, limit).unwrap();
    was.current.unwrap_or(u64::MAX)
}

/// The limit under which a process can open so many more files: they get the lowest numbers that are free.
fn limit_for(pid: u32, more: usize) -> u64 {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let names = open.map(|file| file.unwrap().file_name());
    let open: HashSet<u64> = names
        .map(|name| name.to_str().unwrap().parse().unwrap())
        .collect();
    let mut free = (0..).filter(|number| !open.contains(number));
    free.nth(more).unwrap()
}

#[test]
fn a_master_that_is_out_of_files_believes_nobody_by_the_address_alone() {
    if !require_all(&["docker"]) {
        return;
    }
    let network = Network::create("short");
    let master = Setup::docker(&[&network]).start();
    let image = Image::shared();
    let web = image.run("web").agent(&master, &network, &[]).start();
    let _ = master.reported(&web);

    let pid = master.pid();
    let is_felt = || {
        let log = master.log();
        log.iter()
            .any(|line| line.contains("whose socket it is cannot be told now"))
    };
    let before = limit_files(pid, limit_for(pid, 0));
    let id = web.id().to_string();
    // A request takes some files before the look at its socket does: how many is not known here, and how
    // many are open changes by itself.
    for more in (1..10).cycle().take(40) {
        limit_files(pid, limit_for(pid, more));
        let mut asking = Command::new("docker")
            .args(["exec", "--env", "DOCKMASTER_RUN_DIR=/tmp/short", &id])
            .args(["/dockmaster-agent", "once"])
            .spawn()
            .unwrap();
        // It tries on and on while the master takes no connection.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(4)
            && !is_felt()
            && asking.try_wait().unwrap().is_none()
        {
            thread::park_timeout(Duration::from_millis(100));
        }
        let _ = asking.kill();
        let _ = asking.wait();
        if is_felt() {
            break;
        }
    }
    limit_files(pid, before);
    assert!(is_felt(), "the master was never short of files in a look");
    let (again, _) = eventually("a certificate when there are files again", || {
        let again = enroll_again(&web);
        (again.code == 0).then_some(again)
    });
    assert!(again.stderr.contains("enrolled as"), "{again:?}");
    let issued = entries(&master, "cert_issued", &web);
    assert!(issued.len() >= 2, "{issued:?}");
    for issued in &issued {
        assert_eq!(kinds(issued), ["host", "socket"], "{issued}");
    }
}
