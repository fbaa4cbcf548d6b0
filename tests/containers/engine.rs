//! The engine is restarted under a running master.

use dockmaster_tests::{
    Engine, HELLO_APP, Image, Master, OnStop, Ran, Setup, eventually, get, require_all,
};
use serde_json::Value;

/// A container of the test's own engine.
struct Web {
    id: String,
}

impl Web {
    fn start(engine: &Engine, master: &Master, image: &Image) -> Self {
        let mut command = vec!["/dockmaster-agent", "run", "--"];
        command.extend(HELLO_APP);
        let [master_is, trust] = master.options_at(engine.gateway());
        let args = ["--label", "role=web", &master_is, &trust];
        let id = engine.run(image, &args, &command);
        Self { id }
    }

    fn inspect(&self, engine: &Engine) -> Value {
        engine.docker(&["inspect", &self.id]).json()[0].take()
    }

    fn ip(&self, engine: &Engine) -> String {
        let networks = &self.inspect(engine)["NetworkSettings"]["Networks"];
        networks["own"]["IPAddress"].as_str().unwrap().to_owned()
    }

    /// Waits until it serves the page that the master wrote for this address.
    fn serves(&self, ip: &str) {
        let at = format!("{ip}:8080").parse().unwrap();
        eventually("the application's answer", || {
            let page = get(at, "/").ok()?;
            page.lines()
                .any(|line| line == format!("ip = {ip}"))
                .then_some(())
        });
    }

    fn serials(&self, master: &Master) -> Vec<Value> {
        let list = master.json(["cert", "list", "--node", &self.id]);
        let list = list["certificates"].as_array().unwrap();
        list.iter().map(|it| it["serial"].clone()).collect()
    }

    /// Waits until the master says of the address what it should.
    fn is_held(&self, master: &Master, ip: &str) -> Value {
        let (holder, _) = eventually(&format!("{ip} held by {}", &self.id[..12]), || {
            let who = master.json(["audit", "who", ip]);
            let holder = &who["holders"][0];
            let held = who["certainty"] == "held" && holder["container"] == self.id.as_str();
            held.then(|| holder.clone())
        });
        holder
    }
}

fn has_seen(master: &Master, event: &str, count: usize) {
    eventually(&format!("{count} entries {event}"), || {
        let list = master.json(["audit", "list", "--event", event]);
        (list["entries"].as_array()?.len() >= count).then_some(())
    });
}

fn is_whole(master: &Master) {
    let verified: Ran = master.cli(["audit", "verify"]);
    let _ = verified.ok();
}

#[test]
fn a_restart_of_an_engine_that_keeps_its_containers_changes_nothing() {
    if !require_all(&["docker", "dockerd"]) {
        return;
    }
    let image = Image::shared();
    let mut engine = Engine::start(OnStop::Live);
    let mut master = Setup::engine(&engine).start();
    master.deploy("hello");
    let web = Web::start(&engine, &master, &image);
    let ip = web.ip(&engine);
    web.serves(&ip);
    let lease = web.is_held(&master, &ip);
    let serials = web.serials(&master);
    assert_eq!(serials.len(), 1);

    // Not seeing is no evidence: the lease stands while nobody can be asked.
    engine.stop();
    has_seen(&master, "host_lost", 1);
    assert_eq!(web.is_held(&master, &ip), lease);
    web.serves(&ip);
    engine.start_again();
    has_seen(&master, "host_watched", 2);
    assert_eq!(web.is_held(&master, &ip), lease);
    assert_eq!(web.serials(&master), serials);

    // The same when the master ends meanwhile. Without a socket there is nothing to wait for at a
    // start, or a mistyped path would never be found.
    engine.stop();
    has_seen(&master, "host_lost", 2);
    master.terminate();
    let refused = master.fails_to_serve();
    let said = refused.fails(1);
    assert!(said.contains("no container engine at "), "{said}");
    engine.start_again();
    master.serve();
    has_seen(&master, "host_watched", 3);
    assert_eq!(web.is_held(&master, &ip), lease);
    assert_eq!(web.serials(&master), serials);

    // A change reaches the agent that went through all of it.
    let _ = master.cli(["node", "label", &web.id, "tier=front"]).ok();
    let at = format!("{ip}:8080").parse().unwrap();
    eventually("the change", || {
        get(at, "/").ok()?.contains("tier = front").then_some(())
    });
    is_whole(&master);
}

#[test]
fn a_restart_of_an_engine_that_ends_its_containers_ends_their_leases() {
    if !require_all(&["docker", "dockerd"]) {
        return;
    }
    let image = Image::shared();
    let mut engine = Engine::start(OnStop::End);
    let mut master = Setup::engine(&engine).start();
    master.deploy("hello");
    let web = Web::start(&engine, &master, &image);
    let ip = web.ip(&engine);
    web.serves(&ip);
    let lease = web.is_held(&master, &ip);
    let old = web.serials(&master);

    engine.stop();
    engine.start_again();
    eventually("the end of the lease", || {
        let who = master.json(["audit", "who", &ip]);
        (who["certainty"] == "nobody").then_some(())
    });
    assert_eq!(web.serials(&master), Vec::<Value>::new());

    // Started again it is a new run, with a new lease and a new certificate.
    let _ = engine.docker(&["start", &web.id]).ok();
    let ip = web.ip(&engine);
    web.serves(&ip);
    let again = web.is_held(&master, &ip);
    assert!(again["epoch"].as_u64() > lease["epoch"].as_u64() || again["ip"] != lease["ip"]);
    let new = web.serials(&master);
    assert_eq!(new.len(), 1);
    assert_ne!(new, old);

    // The same when the master is away all the while.
    master.terminate();
    engine.stop();
    engine.start_again();
    master.serve();
    eventually("the end of the lease", || {
        let who = master.json(["audit", "who", &ip]);
        (who["certainty"] == "nobody").then_some(())
    });
    is_whole(&master);
}
