//! Authorities that are made anew while everybody goes on.

use std::{fs, process::Stdio, time::Instant};

use dockmaster_certs::{bundle::TrustBundle, chain::verify_client};
use dockmaster_client::{Bootstrap, ClientError};
use dockmaster_proto::id::TrustPin;
use dockmaster_tests::{Agent, StandIn, clock, eventually, require_all, unique};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    follower::{Follower, Manner},
    stage::Stage,
};

/// How many stand-ins; `DOCKMASTER_TEST_FLEET` sets another number.
fn fleet() -> u16 {
    let number = std::env::var("DOCKMASTER_TEST_FLEET").ok();
    number.and_then(|number| number.parse().ok()).unwrap_or(20)
}

/// Has a follower follow until it is told to stop.
fn follow(
    stage: &Stage,
    stand_in: &StandIn,
    manner: Manner,
    stop: watch::Receiver<bool>,
) -> JoinHandle<Result<Follower, ClientError>> {
    let (master, pin, ip) = (
        stage.master.address(),
        stage.master.trust(),
        stand_in.ips[0],
    );
    stage.runtime.spawn(async move {
        let follower = Follower::begin(master, ip, pin).await?;
        follower.follow(manner, stop).await
    })
}

fn show(stage: &Stage) -> Value {
    stage.master.json(["ca", "show"])
}

fn phase(report: &Value) -> &str {
    report["rotation"]["phase"].as_str().unwrap_or("none")
}

fn pin(report: &Value, which: &str) -> TrustPin {
    report["rotation"][which].as_str().unwrap().parse().unwrap()
}

/// Trusts the master by this pin alone, as a new container does.
fn bootstrap(stage: &Stage, pin: TrustPin) -> Result<TrustBundle, ClientError> {
    stage.runtime.block_on(async {
        let contact = Bootstrap::dial(stage.master.address(), None).await?;
        contact.trust(pin).await.map(|(_, bundle)| bundle)
    })
}

/// Waits for a phase; the steps that the master makes by itself come within some ten seconds.
fn reaches(stage: &Stage, wanted: &str) -> Value {
    let (report, _) = eventually(&format!("the phase {wanted}"), || {
        let report = show(stage);
        (phase(&report) == wanted).then_some(report)
    });
    report
}

#[test]
fn a_fleet_goes_on_while_the_authorities_are_rotated_and_ends_under_the_new_root() {
    let number = fleet();
    let stage = Stage::new(1000..1000 + number);
    let (agents, followers) = stage.stand_ins.split_at(2);
    let agents: Vec<Agent> = agents
        .iter()
        .map(|stand_in| Agent::start(&stage.master, stand_in))
        .collect();
    for agent in &agents {
        agent.says("nothing to apply");
    }
    let stop = watch::Sender::new(false);
    let old_pin = stage.master.trust();
    // Most have a request that the master holds, which must not be dropped.
    let manner = |number: usize| match number % 10 {
        0 => Manner::Restless,
        _ => Manner::Held,
    };
    let following: Vec<_> = (0..)
        .zip(followers)
        .map(|(number, stand_in)| follow(&stage, stand_in, manner(number), stop.subscribe()))
        .collect();
    eventually("certificates for all", || {
        let list = stage.master.json(["cert", "list"]);
        let count = list["certificates"].as_array().unwrap().len();
        (count > usize::from(number)).then_some(())
    });

    let begin = Instant::now();
    let took = |what: &str| println!("{number} nodes: {what} after {:?}", begin.elapsed());
    let started = stage.master.json(["ca", "rotate", "--yes"]);
    let pins = ["old_pin", "both_pin", "new_pin"].map(|which| pin(&started, which));
    assert_eq!(pins[0], old_pin);
    for pin in pins {
        assert_eq!(bootstrap(&stage, pin).unwrap().pin(), pin);
    }
    let too_early = stage.master.cli(["ca", "rotate", "--finish", "--yes"]);
    assert!(too_early.fails(1).contains("in another phase"));
    reaches(&stage, "switched");
    took("all know both roots, and the new one signs");
    for pin in pins {
        assert_eq!(bootstrap(&stage, pin).unwrap().pin(), pin);
    }
    eventually("certificates under the new root", || {
        let report = show(&stage);
        (report["rotation"]["renewed"] == number).then_some(())
    });
    took("all have certificates under the new root");
    // The operator's command line has renewed its own certificate by now.
    let finished = stage.master.json(["ca", "rotate", "--finish", "--yes"]);
    assert_eq!(phase(&finished), "none");
    assert_eq!(finished["pin"], pins[2].to_string());
    assert!(bootstrap(&stage, pins[2]).is_ok());
    assert!(matches!(
        bootstrap(&stage, old_pin),
        Err(ClientError::WrongPin { .. })
    ));
    eventually("the new bundle everywhere", || {
        let report = show(&stage);
        let confirmed = report["confirmed"].as_array().unwrap().clone();
        (confirmed.len() == 1 && confirmed[0]["nodes"] == number).then_some(())
    });
    took("the rotation is finished, and all trust the new root alone");

    stop.send_replace(true);
    let bundle = fs::read_to_string(stage.master.data().join("ca/bundle.pem")).unwrap();
    let bundle = TrustBundle::parse(&bundle).unwrap();
    assert_eq!((bundle.roots().len(), bundle.pin()), (1, pins[2]));
    let is_new = |chain: &str| {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
            .map(Result::unwrap)
            .collect();
        verify_client(&chain, &bundle, dockmaster_client::now()).unwrap();
    };
    for follower in following {
        let follower = stage.runtime.block_on(follower).unwrap();
        let follower = follower.expect("no request of a follower fails");
        assert_eq!((follower.renewals, follower.bundle.pin()), (1, pins[2]));
        // Before, with both roots, and with the new one alone; each of them twice, to confirm it.
        assert!(follower.requests >= 4, "{follower:?}");
        is_new(&follower.identity.unwrap().chain);
    }
    for agent in &agents {
        eventually("the agent's new certificate and bundle", || {
            let text = fs::read_to_string(agent.path("run/bundle.pem")).unwrap();
            (text == bundle.to_pem()).then_some(())
        });
        is_new(&fs::read_to_string(agent.path("run/cert.pem")).unwrap());
        let log = agent.log();
        assert_eq!(log.matches("enrolled as").count(), 1, "{log}");
        assert_eq!(log.matches("renewed as").count(), 1, "{log}");
    }
}

#[test]
fn a_rotation_survives_a_crash_in_each_phase_and_a_backup_has_all_of_it() {
    let mut stage = Stage::new([1500]);
    let _ = stage.master.cli(["ca", "rotate", "--yes"]).ok();
    let announced = show(&stage);
    stage.master.crash_and_restart();
    let after = show(&stage);
    assert_eq!(announced["authorities"], after["authorities"]);
    // Without nodes there is nobody to wait for.
    let switched = reaches(&stage, "switched");
    let of_next = stage.enroll(0).unwrap();
    stage.master.crash_and_restart();
    assert_eq!(show(&stage)["authorities"], switched["authorities"]);
    eventually("the host's first report", || {
        stage.catalog(0, &of_next).ok()
    });

    let dir = tempfile::tempdir().unwrap();
    let (file, data) = (dir.path().join("backup.tar"), dir.path().join("restored"));
    let _ = stage.master.cli(["backup", file.to_str().unwrap()]).ok();
    let restored = [
        "restore",
        file.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ];
    let _ = stage.master.cli(restored).ok();
    for name in ["authorities.pem", "root-next.key", "bundle.pem"] {
        let of = |dir: &std::path::Path| fs::read(dir.join("ca").join(name)).unwrap();
        assert_eq!(of(&data), of(stage.master.data()), "{name}");
    }

    let finished = stage.master.json(["ca", "rotate", "--finish", "--yes"]);
    stage.master.crash_and_restart();
    assert_eq!(show(&stage)["authorities"], finished["authorities"]);
    eventually("the host's first report", || {
        stage.catalog(0, &of_next).ok()
    });
    let keys = finished["authorities"].as_array().unwrap();
    assert!(keys.iter().all(|it| it["has_key"] == true), "{keys:?}");
    assert!(!stage.master.data().join("ca/root-next.key").exists());
}

#[test]
fn a_rotation_that_is_taken_back_leaves_the_old_pin_and_everybody_served() {
    let stage = Stage::new([1600]);
    let of_old = stage.enroll(0).unwrap();
    let started = stage.master.json(["ca", "rotate", "--yes"]);
    let new_pin = pin(&started, "new_pin");
    // The one node is no agent and confirms nothing.
    let careful = stage.master.cli(["ca", "rotate", "--finish", "--yes"]);
    assert!(careful.fails(1).contains("another phase"));
    let forced = stage.master.json(["ca", "rotate", "--force", "--yes"]);
    assert_eq!(phase(&forced), "switched");
    let behind = stage.master.cli(["ca", "rotate", "--finish", "--yes"]);
    assert!(
        behind
            .fails(1)
            .contains("would be left behind: stand-in-1600")
    );
    let back = stage.master.json(["ca", "rotate", "--rollback", "--yes"]);
    assert_eq!(phase(&back), "withdrawing");
    assert!(stage.catalog(0, &of_old).is_ok());
    // The operator's certificate, which was renewed meanwhile, is renewed once more.
    reaches(&stage, "none");
    assert!(stage.catalog(0, &of_old).is_ok());
    assert_eq!(
        bootstrap(&stage, stage.master.trust())
            .unwrap()
            .roots()
            .len(),
        1
    );
    assert!(bootstrap(&stage, new_pin).is_err());
    let _ = stage.master.cli(["node", "list"]).ok();
}

#[test]
fn a_rotation_that_is_taken_back_before_the_switch_is_as_if_it_had_never_been() {
    let mut stage = Stage::new([1610, 1611]);
    let agent = Agent::start(&stage.master, &stage.stand_ins[0]);
    agent.says("nothing to apply");
    // It is no agent and confirms nothing, so the master waits.
    let silent = stage.enroll(1).unwrap();
    let old_pin = stage.master.trust();
    let before = show(&stage);
    // There is nothing yet that could be forced.
    let forced = stage.master.cli(["ca", "rotate", "--force", "--yes"]);
    assert!(forced.fails(1).contains("no rotation goes on"));
    assert_eq!(show(&stage), before);

    let started = stage.master.json(["ca", "rotate", "--yes"]);
    let new_pin = pin(&started, "new_pin");
    eventually("the agent's word on both roots", || {
        let rotation = show(&stage)["rotation"].clone();
        assert_eq!(
            (&rotation["nodes"], &rotation["renewed"]),
            (&json!(2), &json!(0))
        );
        (rotation["acknowledged"] == 1).then(|| assert_eq!(rotation["phase"], "announced"))
    });

    let back = stage.master.json(["ca", "rotate", "--rollback", "--yes"]);
    assert_eq!((phase(&back), &back["pin"]), ("none", &before["pin"]));
    assert_eq!(back["authorities"], before["authorities"]);
    eventually("the agent's word on the old root", || {
        let confirmed = json!([{ "pin": old_pin.to_string(), "nodes": 1 }]);
        (show(&stage)["confirmed"] == confirmed).then_some(())
    });
    assert_eq!(bootstrap(&stage, old_pin).unwrap().roots().len(), 1);
    assert!(bootstrap(&stage, new_pin).is_err());
    assert!(stage.catalog(1, &silent).is_ok());
    assert!(!agent.log().contains("renewed as"), "{}", agent.log());
    stage.master.crash_and_restart();
    assert_eq!(show(&stage)["authorities"], before["authorities"]);
    assert!(!stage.master.data().join("ca/root-next.key").exists());
    // And there can be another.
    let again = stage.master.json(["ca", "rotate", "--yes"]);
    assert_ne!(pin(&again, "new_pin"), new_pin);
}

#[test]
fn whoever_waits_for_a_rotation_is_told_of_each_phase_and_waits_for_the_last_node() {
    let stage = Stage::new([1620, 1621]);
    let agent = Agent::start(&stage.master, &stage.stand_ins[0]);
    agent.says("nothing to apply");
    let _ = stage.enroll(1).unwrap();
    let mut waiting = stage
        .master
        .command(["ca", "rotate", "--wait", "--yes", "-o", "json"]);
    let waiting = waiting.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut waiting = waiting.spawn().unwrap();
    eventually("the agent's word on both roots", || {
        (show(&stage)["rotation"]["acknowledged"] == 1).then_some(())
    });
    assert!(waiting.try_wait().unwrap().is_none(), "one is missing");

    let stop = watch::Sender::new(false);
    let late = follow(&stage, &stage.stand_ins[1], Manner::Held, stop.subscribe());
    let waited = waiting.wait_with_output().unwrap();
    let told = String::from_utf8(waited.stderr).unwrap();
    assert!(waited.status.success(), "{told}");
    assert_eq!(
        told,
        "nodes that know the new root: 2 of 2\nnodes with new certificates: 2 of 2\n"
    );
    let report: Value = serde_json::from_slice(&waited.stdout).unwrap();
    assert_eq!(phase(&report), "switched");
    assert_eq!(report["rotation"]["renewed"], 2);
    assert_eq!(report["rotation"]["behind"], json!([]));
    // There is nothing more to wait for.
    let again = stage.master.cli(["ca", "rotate", "--wait", "--yes"]);
    assert!(again.ok().contains("2 of 2 nodes"));
    stop.send_replace(true);
    let late = stage.runtime.block_on(late).unwrap();
    assert_eq!(late.unwrap().renewals, 1);
    agent.says("renewed as");
}

#[test]
fn intermediates_are_renewed_before_they_end_under_the_same_root_and_pin() {
    if !require_all(&["vdso", "openssl", "curl"]) {
        return;
    }
    let mut stage = Stage::new([1700]);
    let ca = stage.master.data().join("ca");
    let text = |name: &str| fs::read_to_string(ca.join(name)).unwrap();
    let (bundle, intermediate) = (text("bundle.pem"), text("intermediate.pem"));
    // Two thirds of their ninety days, without the root's key.
    let away = ca.join(unique("away"));
    fs::rename(ca.join("root.key"), &away).unwrap();
    clock::shift(stage.master.pid(), clock::Clocks::TimeOfDay, 61 * 86_400);
    let says = |stage: &Stage, words: &str| {
        eventually(&format!("{words:?} in the master's log"), || {
            let log = stage.master.log();
            log.iter().any(|line| line.contains(words)).then_some(())
        });
    };
    says(&stage, "put it back as ca/root.key");
    assert_eq!(text("intermediate.pem"), intermediate);
    fs::rename(&away, ca.join("root.key")).unwrap();
    says(&stage, "the intermediate authorities were renewed");
    eventually("the new files", || {
        (text("intermediate.pem") != intermediate).then_some(())
    });
    assert_eq!(text("bundle.pem"), bundle);

    // An agent that lives in that time gets a certificate of the new one.
    stage.master.kill();
    let agent = Agent::start(&stage.master, &stage.stand_ins[0]);
    agent.says("waiting for the master");
    clock::shift(agent.pid(), clock::Clocks::TimeOfDay, 61 * 86_400);
    stage.master.serve();
    clock::shift(stage.master.pid(), clock::Clocks::TimeOfDay, 61 * 86_400);
    agent.says("enrolled as");
    let (chain, _) = eventually("the chain", || {
        fs::read_to_string(agent.path("run/cert.pem")).ok()
    });
    assert!(chain.ends_with(&text("intermediate.pem")), "{chain}");
}
