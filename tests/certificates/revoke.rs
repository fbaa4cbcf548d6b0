//! Certificates that end before their time.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use dockmaster_proto::{problem::ProblemCode, route::Route};
use dockmaster_tests::{Agent, Answer, Credentials, Enrolled, Peer, Ran, eventually, require_all};
use serde_json::{Value, json};

use crate::stage::{Stage, code, verify};

#[test]
fn a_revoked_node_is_refused_at_once_and_may_enroll_again_unless_it_is_banned() {
    let mut stage = Stage::new([120, 121]);
    let (first, other) = (stage.enroll(0).unwrap(), stage.enroll(1).unwrap());
    assert!(stage.catalog(0, &first).is_ok());

    // It holds a request that nothing but its revocation ends.
    let peer = Peer::new(&stage.master, &stage.stand_ins[0]);
    let etag = stage.catalog(0, &first).unwrap();
    let etag = etag.header("etag").unwrap().to_owned();
    let serial = first.issued.serial.to_string();
    let held = stage.runtime.spawn(async move {
        let answer = peer.catalog(&first, Some(&etag)).await;
        (first, answer)
    });
    let moment = async { tokio::time::sleep(Duration::from_millis(300)).await };
    stage.runtime.block_on(moment);
    assert!(!held.is_finished());
    let name = stage.stand_ins[0].name.clone();
    let name = name.as_str();
    let reason = ["--reason", "keyCompromise", "--message", "key in a backup"];
    let revoked = stage.master.json(
        ["cert", "revoke", "--node", name, "--yes"]
            .into_iter()
            .chain(reason),
    );
    assert_eq!(revoked["serials"], json!([serial]));
    let (first, answer) = stage.runtime.block_on(held).unwrap();
    assert_eq!(code(answer), ProblemCode::CertificateRevoked);
    assert_eq!(
        code(stage.catalog(0, &first)),
        ProblemCode::CertificateRevoked
    );
    assert!(stage.catalog(1, &other).is_ok(), "others go on");

    let second = stage.enroll(0).unwrap();
    assert!(stage.catalog(0, &second).is_ok());

    let ban = ["cert", "revoke", "--node", name, "--ban", "--yes"];
    let _ = stage.master.cli(ban).ok();
    assert_eq!(
        code(stage.catalog(0, &second)),
        ProblemCode::CertificateRevoked
    );
    assert_eq!(code(stage.enroll(0)), ProblemCode::Banned);
    // Another life of the container, and of the master, changes nothing.
    stage.inventory.set(&stage.stand_ins[1..]);
    let gone = || {
        stage.master.json(["node", "list"])["nodes"]
            .as_array()
            .unwrap()
            .len()
            == 1
    };
    eventually("the end of the node", || gone().then_some(()));
    stage.master.crash_and_restart();
    stage.inventory.set(&stage.stand_ins);
    assert_eq!(code(stage.enroll(0)), ProblemCode::Banned);
    let unbanned = stage.master.cli(["cert", "unban", name]).ok();
    assert_eq!(unbanned, format!("{name} may enroll again\n"));
    assert!(stage.enroll(0).is_ok());
    let again = stage.master.cli(["cert", "unban", name]);
    let told = again.fails(1);
    assert!(
        told.contains("is not banned") && told.contains("why-denied"),
        "{told}"
    );
}

/// A report whose body is on its way while something happens; gives the code that it was answered with.
fn report_slowly(
    stage: &Stage,
    index: usize,
    enrolled: &Enrolled,
    meanwhile: impl FnOnce(),
) -> Value {
    let identity = &enrolled.identity;
    let credentials = Credentials::new(&identity.chain, &identity.key, &enrolled.issued.bundle);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--verbose", "--max-time", "30", "--http1.1"])
        // The body goes when the master asks for it, and so when it has looked at the head.
        .args(["--header", "Expect: 100-continue"])
        .args(["--expect100-timeout", "30"])
        .args(["--request", "POST", "--upload-file", "-"])
        .args(["--interface", &stage.stand_ins[index].ips[0].to_string()])
        .arg("--cacert")
        .arg(credentials.path("bundle.pem"))
        .arg("--cert")
        .arg(credentials.path("cert.pem"))
        .arg("--key")
        .arg(credentials.path("key.pem"))
        .arg(format!(
            "https://{}{}",
            stage.master.address(),
            Route::Reports.path("")
        ))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut curl = curl.spawn().unwrap();
    let mut said = BufReader::new(curl.stderr.take().unwrap()).lines();
    let asked = said.find(|line| line.as_ref().unwrap().contains("100 Continue"));
    assert!(asked.is_some(), "the master asked for no body");
    meanwhile();
    let mut body = curl.stdin.take().unwrap();
    body.write_all(b"{\"no\":\"report\"}").unwrap();
    drop(body);
    said.for_each(drop);
    let answer = curl.wait_with_output().unwrap();
    let problem: Value = serde_json::from_slice(&answer.stdout).unwrap();
    problem["code"].clone()
}

#[test]
fn whoever_is_revoked_while_its_request_arrives_is_refused() {
    if !require_all(&["curl"]) {
        return;
    }
    let stage = Stage::new([129]);
    let enrolled = stage.enroll(0).unwrap();
    assert_eq!(
        report_slowly(&stage, 0, &enrolled, || {}),
        ProblemCode::BadRequest.as_str(),
        "it may report, and this is no report"
    );
    let name = stage.stand_ins[0].name.as_str();
    let revoke = || {
        let revoke = ["cert", "revoke", "--node", name, "--yes"];
        let _ = stage.master.cli(revoke).ok();
    };
    assert_eq!(
        report_slowly(&stage, 0, &enrolled, revoke),
        ProblemCode::CertificateRevoked.as_str()
    );
}

#[test]
fn a_revoked_operator_is_nobody_and_nobody_revokes_the_own_certificate() {
    let stage = Stage::new([122]);
    let granted = stage
        .master
        .json(["audit", "list", "--event", "operator_granted"]);
    let serial = granted["entries"][0]["serial"].as_str().unwrap();
    let own = stage.master.cli(["cert", "revoke", serial, "--yes"]);
    assert!(
        own.fails(1)
            .contains("the one that this very request is made with")
    );
    let asked = stage.master.cli(["cert", "revoke", serial]);
    assert!(asked.fails(3).contains("no terminal to ask on"));
    let what = stage.master.cli(["cert", "revoke", "--yes"]);
    assert!(what.fails(2).contains("<SERIAL|--node <NODE>>"), "{what:?}");
    let unknown = stage.master.cli(["cert", "show", &"0f".repeat(16)]);
    assert!(unknown.fails(1).contains("cert list --all"), "{unknown:?}");
}

#[test]
fn openssl_refuses_what_is_on_the_list_and_agents_have_the_list_in_their_run_dir() {
    if !require_all(&["openssl", "curl"]) {
        return;
    }
    let stage = Stage::new([123, 124, 125]);
    let agent = Agent::start(&stage.master, &stage.stand_ins[0]);
    agent.says("nothing to apply");
    let lists = agent.path("run/crl.pem");
    eventually("the first lists", || lists.exists().then_some(()));
    let (revoked, other) = (stage.enroll(1).unwrap(), stage.enroll(2).unwrap());
    let (revoked_files, other_files) = (stage.files(&revoked), stage.files(&other));
    assert!(verify(&revoked_files, &lists).ok().contains("OK"));

    // By an operator: told at once.
    let serial = revoked.issued.serial.to_string();
    let _ = stage.master.cli(["cert", "revoke", &serial, "--yes"]).ok();
    eventually("the revoked certificate on the agent's list", || {
        let verdict = verify(&revoked_files, &lists);
        (verdict.code != 0 && verdict.stderr.contains("certificate revoked")).then_some(())
    });
    assert!(verify(&other_files, &lists).ok().contains("OK"));

    // By the end of its container: with the next list.
    stage.inventory.set(&stage.stand_ins[..2]);
    let url = format!("https://{}/v1/crl", stage.master.address());
    let bundle = stage.master.data().join("ca/bundle.pem");
    let fetched =
        |query: &str| Answer::of(Command::new("curl"), &bundle, &format!("{url}?{query}"));
    let ended = other.issued.serial.to_string();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("list.der");
    let (text, _) = eventually("the ended certificate on the master's list", || {
        let text = print(&stage, &url, &file);
        text.contains(&ended.to_uppercase()[4..]).then_some(text)
    });
    assert!(text.contains("verify OK"), "{text}");
    assert!(text.contains("Cessation Of Operation"), "{text}");
    assert!(text.contains("X509v3 CRL Number"), "{text}");
    assert_eq!(fetched("form=other").status, 400);

    // Agents have it within a minute, and with the next urgent one.
    let again = stage.enroll(1).unwrap().issued.serial.to_string();
    let _ = stage.master.cli(["cert", "revoke", &again, "--yes"]).ok();
    eventually("the ended certificate on the agent's list", || {
        let verdict = verify(&other_files, &lists);
        verdict.stderr.contains("certificate revoked").then_some(())
    });
}

/// Fetches the list in DER; what OpenSSL prints of it, and whether its signature is the authority's.
fn print(stage: &Stage, url: &str, file: &Path) -> String {
    let ca = stage.master.data().join("ca");
    let mut fetch = Command::new("curl");
    fetch.args(["--silent", "--show-error", "--fail", "--cacert"]);
    fetch.arg(ca.join("bundle.pem")).arg("-o").arg(file);
    let _ = Ran::run(fetch.arg(url)).ok();
    assert_eq!(fs::read(file).unwrap()[0], 0x30);
    let mut print = Command::new("openssl");
    print.args([
        "crl", "-inform", "DER", "-noout", "-text", "-verify", "-CAfile",
    ]);
    let intermediate = ca.join("intermediate.pem");
    print.arg(intermediate).arg("-in").arg(file);
    let ran = Ran::run(&mut print);
    format!("{}{}", String::from_utf8_lossy(&ran.stdout), ran.stderr)
}
