//! Authorities that are made anew while everybody goes on.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use dockmaster_certs::{bundle::TrustBundle, chain::verify_client};
use dockmaster_client::{Bootstrap, ClientError};
use dockmaster_proto::id::TrustPin;
use dockmaster_tests::{Agent, StandIn, clock, eventually, require_all, unique};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::Value;

use crate::{follower::Follower, stage::Stage};

/// How many stand-ins; `DOCKMASTER_TEST_FLEET` sets another number.
fn fleet() -> u16 {
    let number = std::env::var("DOCKMASTER_TEST_FLEET").ok();
    number.and_then(|number| number.parse().ok()).unwrap_or(20)
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
    let stop = Arc::new(AtomicBool::new(false));
    let (master, old_pin) = (stage.master.address(), stage.master.trust());
    let begin = |stand_in: &StandIn| {
        let (ip, stop) = (stand_in.ips[0], stop.clone());
        stage.runtime.spawn(async move {
            let follower = Follower::begin(master, ip, old_pin).await?;
            follower.follow(stop).await
        })
    };
    let following: Vec<_> = followers.iter().map(begin).collect();
    eventually("certificates for all", || {
        let list = stage.master.json(["cert", "list"]);
        let count = list["certificates"].as_array().unwrap().len();
        (count > usize::from(number)).then_some(())
    });

    let started = stage.master.json(["ca", "rotate", "--yes"]);
    let pins = ["old_pin", "both_pin", "new_pin"].map(|which| pin(&started, which));
    assert_eq!(pins[0], old_pin);
    for pin in pins {
        assert_eq!(bootstrap(&stage, pin).unwrap().pin(), pin);
    }
    let too_early = stage.master.cli(["ca", "rotate", "--finish", "--yes"]);
    assert!(too_early.fails(1).contains("in another phase"));
    reaches(&stage, "switched");
    for pin in pins {
        assert_eq!(bootstrap(&stage, pin).unwrap().pin(), pin);
    }
    eventually("certificates under the new root", || {
        let report = show(&stage);
        (report["rotation"]["renewed"] == number).then_some(())
    });
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

    stop.store(true, Ordering::Relaxed);
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
        assert!(follower.requests > 5);
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
