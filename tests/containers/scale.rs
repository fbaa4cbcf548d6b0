//! `examples/scale-web`: replicas come and go behind a load balancer.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use dockmaster_tests::{
    Container, Image, Master, Network, Setup, docker, eventually, get, require_all, unique,
};

const WEB: [&str; 5] = [
    "/hello-app",
    "--config",
    "/etc/web/web.conf",
    "--listen",
    "0.0.0.0:8080",
];

/// What a client has seen through the load balancer.
#[derive(Debug, Default)]
struct Seen {
    answers: usize,
    pages: BTreeSet<String>,
    failures: Vec<String>,
}

/// Asks again and again. Failures count from the first answer on.
fn poll(at: SocketAddr, done: &AtomicBool, seen: &Mutex<Seen>) {
    while !done.load(Ordering::Relaxed) {
        let answer = get(at, "/");
        let mut seen = seen.lock().unwrap();
        match answer {
            Ok(page) => {
                seen.answers += 1;
                seen.pages.insert(page);
            }
            Err(error) if seen.answers > 0 => {
                let after = seen.answers;
                seen.failures
                    .push(format!("after {after} answers: {error}"));
            }
            Err(_) => {}
        }
        drop(seen);
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Starts replicas, some at a time.
fn start(
    image: &Image,
    master: &Master,
    network: &Network,
    pool: &str,
    count: usize,
) -> Vec<Container> {
    const AT_A_TIME: usize = 4;
    let one = || {
        let run = image.run("web").label("role", "web").label("pool", pool);
        run.agent(master, network, &WEB).start()
    };
    thread::scope(|scope| {
        let workers = [(); AT_A_TIME]
            .map(|()| scope.spawn(|| (0..count / AT_A_TIME).map(|_| one()).collect::<Vec<_>>()));
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    })
}

/// Stops containers at once, as a scale-down does.
fn stop(containers: &[Container]) {
    let ids: Vec<String> = containers.iter().map(|it| it.id().to_string()).collect();
    let mut stop = vec!["stop", "--time", "20"];
    stop.extend(ids.iter().map(String::as_str));
    docker(&stop);
}

/// The backends in the load balancer's file.
fn listed(lb: &Container) -> Option<Vec<IpAddr>> {
    let conf = lb.text("/etc/lb/backends.conf")?;
    let backends = conf
        .lines()
        .filter_map(|line| line.strip_prefix("backend "));
    Some(
        backends
            .map(|at| at.parse::<SocketAddr>().unwrap().ip())
            .collect(),
    )
}

fn lists_exactly(lb: &Container, network: &Network, live: &[Container]) {
    let mut live: Vec<IpAddr> = live.iter().map(|it| it.ip(network)).collect();
    live.sort_unstable();
    eventually(&format!("exactly {} backends", live.len()), || {
        let mut listed = listed(lb)?;
        listed.sort_unstable();
        (listed == live).then_some(())
    });
}

#[test]
fn a_load_balancer_follows_20_then_5_then_1_replicas_and_loses_no_request() {
    if !require_all(&["docker"]) {
        return;
    }
    let network = Network::create("scale");
    let master = Setup::docker(&[&network]).start();
    master.deploy("scale-web");
    // Other tests' containers are on the same engine.
    let pool = unique("pool");
    master.classify(&format!(
        "groups:
  - {{ name: web, match: role=web, classes: [web] }}
  - {{ name: lb, match: role=lb, classes: [lb], params: {{ lb.backends: 'role=web, pool={pool}' }} }}
"
    ));
    let image = Image::shared();
    let proxy = ["/tiny-proxy", "--config", "/etc/lb/backends.conf"];
    let lb = image.run("lb").label("role", "lb");
    let lb = lb.agent(&master, &network, &proxy).start();
    let at = lb.at(&network, 80);

    let (done, seen) = (AtomicBool::new(false), Mutex::new(Seen::default()));
    let mut live = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| poll(at, &done, &seen));
        // The client ends before the last replica does, and also when the test fails.
        let _end = End(&done);

        lists_exactly(&lb, &network, &[]);
        live = start(&image, &master, &network, &pool, 20);
        lists_exactly(&lb, &network, &live);
        eventually("an answer of each", || {
            (seen.lock().unwrap().pages.len() == 20).then_some(())
        });

        for size in [5, 1] {
            let gone = live.split_off(size);
            stop(&gone);
            lists_exactly(&lb, &network, &live);
            let before = seen.lock().unwrap().answers;
            eventually("further answers", || {
                (seen.lock().unwrap().answers > before + 50).then_some(())
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    assert!(seen.failures.is_empty(), "{:?}", seen.failures);
    let logs = lb.logs();
    let starts = logs.lines().filter(|line| line.starts_with("started on"));
    assert_eq!(starts.count(), 1, "{logs}");
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
