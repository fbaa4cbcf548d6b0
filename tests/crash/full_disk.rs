//! The disk of the master is full.

use std::{fs, os::unix::fs::MetadataExt as _, process::Command};

use dockmaster_client::ClientError;
use dockmaster_proto::{problem::Problem, route::Route};
use dockmaster_tests::{
    Agent, Answer, Inventory, Master, Peer, Ran, Setup, SmallDisk, StandIn, binary, eventually,
    require_all,
};
use tokio::runtime::Runtime;

/// Room for a master and some entries, in mebibytes.
const SIZE: u32 = 16;

fn get(master: &Master, route: Route) -> Answer {
    let bundle = master.data().join("ca/bundle.pem");
    let url = format!("https://{}{}", master.address(), route.path(""));
    Answer::of(Command::new("curl"), &bundle, &url)
}

#[track_caller]
fn problem<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> Problem {
    match answer {
        Err(ClientError::Problem(problem)) => problem,
        other => panic!("no refusal but {other:?}"),
    }
}

#[test]
fn a_full_disk_stops_changes_and_not_catalogs_and_room_is_all_that_it_takes() {
    if !require_all(&["tmpfs", "curl"]) {
        return;
    }
    let disk = SmallDisk::mount(SIZE).unwrap();
    let stand_ins = [300, 301, 302].map(|number| StandIn::numbered(number).label("role", "web"));
    let inventory = Inventory::new(&stand_ins);
    let setup = Setup::inventory(&inventory).data(disk.path().join("data"));
    let mut master = setup.start();
    master.deploy("hello");
    master.classify("groups: [ { name: front, match: tier=front, classes: [base] } ]");
    let agent = Agent::start(&master, &stand_ins[0]);
    agent.says("nothing to apply");
    let peers = stand_ins.each_ref().map(|it| Peer::new(&master, it));
    let runtime = Runtime::new().unwrap();
    let enrolled = runtime.block_on(peers[1].enroll()).unwrap();
    let catalog = || {
        let reply = runtime.block_on(peers[1].catalog(&enrolled, None));
        reply.unwrap().body
    };
    let before = catalog();
    assert_eq!(get(&master, Route::Readyz).status, 200);

    disk.fill();
    // Some small entries still fit into the last page of a file.
    let (refused, _) = eventually("an enrollment that is refused", || {
        runtime.block_on(peers[2].enroll()).err()
    });
    let refused = problem::<()>(Err(refused));
    assert_eq!(refused.status, 503, "{refused:?}");
    for words in ["cannot commit the change", "No space left on device"] {
        assert!(refused.detail.contains(words), "{words} in {refused:?}");
    }
    assert!(refused.hint.contains("/readyz"), "{refused:?}");
    let readyz = get(&master, Route::Readyz);
    assert_eq!(readyz.status, 503, "{readyz:?}");
    assert!(
        readyz.body.contains("No space left on device"),
        "{readyz:?}"
    );
    assert!(
        readyz.body.contains("catalogs are still served"),
        "{readyz:?}"
    );
    assert_eq!(get(&master, Route::Healthz).status, 200);

    // Whoever has a certificate gets its catalog, and an operator sees what is; nothing changes.
    assert_eq!(catalog(), before);
    let label = |value: &str| {
        let label = format!("tier={value}");
        master.cli(["node", "label", &stand_ins[0].id, &label])
    };
    let (refused, _) = eventually("a label that is refused", || {
        let ran = label("back");
        (ran.code != 0).then_some(ran)
    });
    let said = refused.fails(1);
    assert!(said.contains("No space left on device"), "{said}");

    disk.free();
    eventually("a master that is ready again", || {
        (get(&master, Route::Readyz).status == 200).then_some(())
    });
    runtime.block_on(peers[2].enroll()).unwrap();
    let _ = label("front").ok();
    eventually("the change at the agent", || {
        agent.path("etc/motd").is_file().then_some(())
    });
    let _ = master.cli(["audit", "verify"]).ok();
    let denied = master.json(["audit", "list", "--event", "cert_denied"]);
    assert_eq!(denied["entries"].as_array().unwrap().len(), 0, "{denied}");

    // Nothing of it is lost at the next start.
    master.terminate();
    master.serve();
    let node = master.json(["node", "show", &stand_ins[0].id]);
    assert_eq!(node["labels"]["tier"]["value"], "front", "{node}");
    let _ = master.cli(["audit", "verify"]).ok();

    // A start on a full disk says what is missing and where, and harms nothing.
    master.terminate();
    let index = master.data().join("index.sled/db");
    let file = || fs::metadata(&index).unwrap().ino();
    let before = file();
    disk.fill();
    let mut serve = Command::new(binary("dockmaster"));
    serve.args(["serve", "--data"]).arg(master.data());
    let refused = Ran::run(&mut serve);
    let said = refused.fails(1);
    let data = master.data().display().to_string();
    for words in ["room", &data] {
        assert!(said.contains(words), "{words} in {said}");
    }
    assert_eq!(file(), before, "the index was made anew");
    disk.free();
    master.serve();
    let _ = master.cli(["audit", "verify"]).ok();
}
