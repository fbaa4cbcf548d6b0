//! Other people's servers read the revocation lists in the run dir as they are.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use dockmaster_tests::{Agent, Answer, Credentials, checkout, eventually, require_all};

use crate::stage::Stage;

/// A server with the files of an agent's run dir, ended when dropped.
struct Proxy {
    running: Child,
    _own: tempfile::TempDir,
}

impl Proxy {
    /// Starts `program` with one of the configurations beside this file.
    fn start(program: &[&str], configuration: &str, agent: &Agent, address: SocketAddr) -> Self {
        let own = tempfile::tempdir().unwrap();
        let run = agent.path("run");
        let read = |name: &str| fs::read_to_string(run.join(name)).unwrap();
        let both = format!("{}{}", read("cert.pem"), read("key.pem"));
        fs::write(own.path().join("chain-and-key.pem"), both).unwrap();
        let template = checkout()
            .join("tests/certificates/proxies")
            .join(configuration);
        let text = fs::read_to_string(template).unwrap();
        let text = text
            .replace("@OWN", own.path().to_str().unwrap())
            .replace("@RUN", run.to_str().unwrap())
            .replace("@ADDRESS", &address.to_string());
        let path = own.path().join(configuration);
        fs::write(&path, text).unwrap();
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(path).stdin(Stdio::null());
        Self {
            running: command.spawn().unwrap(),
            _own: own,
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The first process ends its workers, where it has any.
        let pid = self.running.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &pid]).status();
        let _ = self.running.wait();
    }
}

fn get(credentials: &Credentials, address: SocketAddr) -> Answer {
    credentials.get(Command::new("curl"), &format!("https://{address}/"))
}

/// Waits until the server is there and takes or refuses a client; whether it takes another.
fn takes(program: &[&str], configuration: &str, number: u16) {
    let stage = Stage::new([number, number + 1, number + 2]);
    let agent = Agent::start(&stage.master, &stage.stand_ins[0]);
    agent.says("nothing to apply");
    let lists = agent.path("run/crl.pem");
    eventually("the first lists", || lists.exists().then_some(()));
    let (client, other) = (stage.enroll(1).unwrap(), stage.enroll(2).unwrap());
    let (clients, others) = (stage.files(&client), stage.files(&other));
    let address = SocketAddr::new(stage.stand_ins[0].ips[0], 8443);

    let proxy = Proxy::start(program, configuration, &agent, address);
    let (welcome, _) = eventually("an answer", || {
        let answer = get(&clients, address);
        (answer.status != 0).then_some(answer)
    });
    assert_eq!(
        (welcome.status, welcome.body.trim()),
        (200, "welcome"),
        "{welcome:?}"
    );
    drop(proxy);

    let before = fs::read(&lists).unwrap();
    let serial = client.issued.serial.to_string();
    let _ = stage.master.cli(["cert", "revoke", &serial, "--yes"]).ok();
    eventually("another list", || {
        (fs::read(&lists).unwrap() != before).then_some(())
    });
    let _proxy = Proxy::start(program, configuration, &agent, address);
    let (welcome, _) = eventually("an answer to another client", || {
        let answer = get(&others, address);
        (answer.status != 0).then_some(answer)
    });
    assert_eq!(welcome.status, 200, "{welcome:?}");
    let refused = get(&clients, address);
    // nginx says it with a page of its own, HAProxy by an alert.
    let reason = format!("{}{}", refused.body, refused.stderr);
    assert_ne!(refused.status, 200, "{refused:?}");
    assert!(
        reason.contains("SSL certificate error") || reason.contains("certificate revoked"),
        "{refused:?}"
    );
}

#[test]
fn nginx_refuses_a_client_that_is_on_the_list_in_the_run_dir() {
    if require_all(&["nginx", "curl"]) {
        takes(&["nginx", "-e", "stderr", "-c"], "nginx.conf", 130);
    }
}

#[test]
fn haproxy_refuses_a_client_that_is_on_the_list_in_the_run_dir() {
    if require_all(&["haproxy", "curl"]) {
        takes(&["haproxy", "-db", "-f"], "haproxy.cfg", 133);
    }
}
