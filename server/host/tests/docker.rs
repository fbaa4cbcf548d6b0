//! The watcher against a real engine.
//!
//! The containers run this very test program, which is static: see [`stays_alive`].

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests"
)]

use std::{
    net::IpAddr,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, OnceLock},
    time::Duration,
};

use dockmaster_host::{DockerInventory, Inventory, Observation};
use dockmaster_proto::{event::LeaseCause, facts::ContainerFacts, id::ContainerId};
use tokio::sync::mpsc;

const SOCKET: &str = "/var/run/docker.sock";

/// What the containers of the other tests run.
#[test]
#[ignore = "the program inside the containers of the other tests"]
fn stays_alive() {
    while std::env::var_os("DOCKMASTER_TEST_STAY").is_some() {
        std::thread::park();
    }
}

/// Whether to go on: without an engine a test is skipped, or fails where it is required.
fn engine_answers() -> bool {
    if Path::new(SOCKET).exists() && docker(&["version"]).is_ok() {
        return true;
    }
    let required = std::env::var("DOCKMASTER_TEST_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|it| it == "docker"),
        "docker is required and does not answer"
    );
    println!("skipped: needs docker");
    false
}

fn docker(args: &[&str]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The image of all tests in this run, removed with the last of them.
fn image() -> Arc<Image> {
    static IMAGE: OnceLock<std::sync::Mutex<std::sync::Weak<Image>>> = OnceLock::new();
    let mut held = IMAGE.get_or_init(Default::default).lock().unwrap();
    held.upgrade().unwrap_or_else(|| {
        let image = Arc::new(Image::build());
        *held = Arc::downgrade(&image);
        image
    })
}

struct Image(String);

impl Image {
    fn build() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(std::env::current_exe().unwrap(), dir.path().join("stay")).unwrap();
        let tar = dir.path().join("image.tar");
        let made = Command::new("tar")
            .args([
                "-C",
                dir.path().to_str().unwrap(),
                "-cf",
                tar.to_str().unwrap(),
                "stay",
            ])
            .status();
        assert!(made.unwrap().success());
        let tag = format!("dockmaster-host-test:{}", std::process::id());
        docker(&["import", tar.to_str().unwrap(), &tag]).unwrap();
        Self(tag)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "-f", &self.0]);
    }
}

/// Things of one test, all named after it and removed after it.
struct Scene {
    name: String,
    image: Arc<Image>,
    networks: Vec<String>,
    containers: Vec<String>,
}

impl Scene {
    fn new(name: &str) -> Self {
        Self {
            name: format!("dmh{}-{name}", std::process::id()),
            image: image(),
            networks: Vec::new(),
            containers: Vec::new(),
        }
    }

    fn network(&mut self, suffix: &str) -> String {
        let name = format!("{}-{suffix}", self.name);
        docker(&["network", "create", &name]).unwrap();
        self.networks.push(name.clone());
        name
    }

    fn run(&mut self, suffix: &str, options: &[&str]) -> ContainerId {
        let name = format!("{}-{suffix}", self.name);
        self.containers.push(name.clone());
        let mut args = vec!["run", "-d", "--name", &name, "-e", "DOCKMASTER_TEST_STAY=1"];
        args.extend(options);
        args.extend([
            &self.image.0,
            "/stay",
            "--ignored",
            "--exact",
            "stays_alive",
        ]);
        docker(&args).unwrap().parse().unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for container in &self.containers {
            let _ = docker(&["rm", "-f", container]);
        }
        for network in &self.networks {
            let _ = docker(&["network", "rm", network]);
        }
    }
}

/// A watch that shows only the news about containers of one test.
struct Watch {
    inventory: Arc<Inventory>,
    observations: mpsc::Receiver<Observation>,
    of_interest: Vec<ContainerId>,
    prefix: String,
}

impl Watch {
    /// The fresh truth about a container.
    async fn facts(&self, id: &ContainerId) -> Option<ContainerFacts> {
        let inspected = self.inventory.inspect(id).await.unwrap();
        inspected.map(|inspected| inspected.facts)
    }

    fn begin(scene: &Scene) -> Self {
        Self::through(SOCKET.as_ref(), scene)
    }

    fn through(socket: &Path, scene: &Scene) -> Self {
        let docker = DockerInventory::new(socket, "h1".parse().unwrap()).unwrap();
        let inventory = Arc::new(Inventory::Docker(docker));
        let (tx, observations) = mpsc::channel(64);
        let watched = Arc::clone(&inventory);
        tokio::spawn(async move { watched.watch(tx).await });
        Self {
            inventory,
            observations,
            of_interest: Vec::new(),
            prefix: scene.name.clone(),
        }
    }

    async fn snapshot(&mut self) -> Vec<ContainerFacts> {
        match self.any().await {
            Observation::Snapshot {
                containers: all, ..
            } => self.of_this_test(all),
            other => panic!("a snapshot comes first, not {other:?}"),
        }
    }

    fn of_this_test(&mut self, mut all: Vec<ContainerFacts>) -> Vec<ContainerFacts> {
        all.retain(|facts| facts.name.starts_with(&self.prefix));
        self.of_interest.extend(all.iter().map(|facts| facts.id));
        all
    }

    async fn any(&mut self) -> Observation {
        tokio::time::timeout(Duration::from_secs(30), self.observations.recv())
            .await
            .expect("news within thirty seconds")
            .expect("the watch goes on")
    }

    async fn up(&mut self) -> ContainerFacts {
        match self.next().await {
            Observation::Up(facts) => facts,
            other => panic!("not up: {other:?}"),
        }
    }

    /// Ups until one is as wanted: a change of several parts may be told in several news.
    async fn until(&mut self, wanted: impl Fn(&ContainerFacts) -> bool) -> ContainerFacts {
        loop {
            let facts = self.up().await;
            if wanted(&facts) {
                return facts;
            }
        }
    }

    async fn down(&mut self) -> (ContainerId, LeaseCause) {
        match self.next().await {
            Observation::Down { id, cause } => (id, cause),
            other => panic!("not down: {other:?}"),
        }
    }

    async fn next(&mut self) -> Observation {
        loop {
            match self.any().await {
                Observation::Up(facts) if facts.name.starts_with(&self.prefix) => {
                    self.of_interest.push(facts.id);
                    return Observation::Up(facts);
                }
                Observation::Down { id, cause } if self.of_interest.contains(&id) => {
                    return Observation::Down { id, cause };
                }
                Observation::Up(_) | Observation::Down { .. } => {}
                other => panic!("neither up nor down: {other:?}"),
            }
        }
    }
}

fn ip(facts: &ContainerFacts, network: &str) -> Option<IpAddr> {
    let network = format!("h1/{network}");
    let mut attachments = facts.attachments.iter();
    let attachment = attachments.find(|at| at.network.as_str() == network)?;
    attachment.ips.first().copied()
}

#[tokio::test]
async fn a_container_is_told_with_its_facts_and_its_end() {
    if !engine_answers() {
        return;
    }
    let mut scene = Scene::new("life");
    let network = scene.network("n");
    let mut watch = Watch::begin(&scene);
    assert_eq!(watch.snapshot().await, []);

    let id = scene.run(
        "a",
        &[
            "--network",
            &network,
            "-m",
            "56m",
            "--cpus",
            "0.5",
            "-l",
            "role=web",
        ],
    );
    let facts = watch.up().await;
    assert_eq!(facts.id, id);
    assert_eq!(facts.labels["role"], "web");
    assert_eq!(facts.limits.memory_bytes, Some(58_720_256));
    assert_eq!(facts.limits.cpu_millis, Some(500));
    assert_eq!(facts.image, scene.image.0);
    assert!(facts.image_digest.starts_with("sha256:"));
    let address = ip(&facts, &network).expect("an address in its network");

    assert_eq!(watch.facts(&id).await, Some(facts.clone()));
    let mut found = watch.inventory.find(address).await.unwrap();
    found.retain(|it| it.id == id);
    assert_eq!(found, std::slice::from_ref(&facts));

    docker(&["rename", &facts.name, &format!("{}-b", scene.name)]).unwrap();
    scene.containers.push(format!("{}-b", scene.name));
    assert_eq!(watch.up().await.name, format!("{}-b", scene.name));

    docker(&["kill", &id.to_string()]).unwrap();
    assert_eq!(watch.down().await, (id, LeaseCause::Died));
    assert_eq!(watch.inventory.inspect(&id).await.unwrap(), None);
    let found = watch.inventory.find(address).await.unwrap();
    assert!(found.iter().all(|it| it.id != id));
}

#[tokio::test]
async fn an_address_is_free_before_its_next_holder_is_told() {
    if !engine_answers() {
        return;
    }
    let mut scene = Scene::new("reuse");
    let network = scene.network("n");
    let mut watch = Watch::begin(&scene);
    watch.snapshot().await;
    let mut last = None;
    for round in 0..4 {
        let name = format!("c{round}");
        let id = scene.run(&name, &["--network", &network]);
        if let Some((before, address)) = last.take() {
            assert_eq!(watch.down().await, (before, LeaseCause::Died));
            let facts = watch.up().await;
            assert_eq!((facts.id, ip(&facts, &network)), (id, Some(address)));
            last = Some((id, address));
        } else {
            let facts = watch.up().await;
            last = Some((id, ip(&facts, &network).unwrap()));
        }
        docker(&["rm", "-f", &id.to_string()]).unwrap();
    }
}

#[tokio::test]
async fn a_restart_ends_one_run_and_begins_another() {
    if !engine_answers() {
        return;
    }
    let mut scene = Scene::new("restart");
    let id = scene.run("a", &[]);
    let mut watch = Watch::begin(&scene);
    let before = watch.snapshot().await;
    docker(&["restart", "-t", "0", &id.to_string()]).unwrap();
    assert_eq!(watch.down().await, (id, LeaseCause::Died));
    let after = watch.up().await;
    assert!(after.started_at_ms > before[0].started_at_ms);
}

#[tokio::test]
async fn networks_are_joined_and_left_while_it_runs() {
    if !engine_answers() {
        return;
    }
    let mut scene = Scene::new("nets");
    let (one, two) = (scene.network("one"), scene.network("two"));
    let id = scene.run("a", &["--network", &one]);
    let mut watch = Watch::begin(&scene);
    let before = watch.snapshot().await.remove(0);
    assert!(ip(&before, &one).is_some() && ip(&before, &two).is_none());

    let text = id.to_string();
    docker(&["network", "connect", &two, &text]).unwrap();
    let both = watch.until(|facts| ip(facts, &two).is_some()).await;
    assert_eq!(ip(&both, &one), ip(&before, &one));

    // A redundant connect fails; whatever it blanks must not be taken for the loss of an address.
    docker(&["network", "connect", &two, &text]).unwrap_err();
    assert_eq!(watch.facts(&id).await, Some(both.clone()));

    docker(&["network", "disconnect", &one, &text]).unwrap();
    let left = watch.until(|facts| ip(facts, &one).is_none()).await;
    assert_eq!(ip(&left, &two), ip(&both, &two));
    assert_eq!(left.attachments.len(), 1);
}

#[tokio::test]
async fn who_shares_a_namespace_is_told_without_an_address() {
    if !engine_answers() {
        return;
    }
    use dockmaster_proto::facts::NetworkMode;

    let mut scene = Scene::new("shared");
    let first = scene.run("a", &[]);
    scene.run("b", &["--network", &format!("container:{first}")]);
    scene.run("c", &["--network", "host"]);
    scene.run("d", &["--network", "none"]);
    let mut watch = Watch::begin(&scene);
    let mut all = watch.snapshot().await;
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let modes: Vec<_> = all.iter().map(|facts| facts.network_mode.clone()).collect();
    let own = NetworkMode::Own;
    let of_first = NetworkMode::Container(first.to_string());
    assert_eq!(modes, [own.clone(), of_first, NetworkMode::Host, own]);
    let attached: Vec<_> = all.iter().map(|facts| facts.attachments.len()).collect();
    assert_eq!(attached, [1, 0, 0, 0]);
}

#[tokio::test]
async fn twenty_that_start_together_are_all_told() {
    if !engine_answers() {
        return;
    }
    let mut scene = Scene::new("many");
    let network = scene.network("n");
    let mut watch = Watch::begin(&scene);
    watch.snapshot().await;
    let names: Vec<_> = (0..20).map(|n| format!("{}-c{n}", scene.name)).collect();
    scene.containers.extend(names.iter().cloned());
    for name in &names {
        let args = [
            "create",
            "--name",
            name,
            "--network",
            &network,
            "-e",
            "DOCKMASTER_TEST_STAY=1",
            &scene.image.0,
            "/stay",
            "--ignored",
            "--exact",
            "stays_alive",
        ];
        docker(&args).unwrap();
    }
    let mut start = vec!["start".to_owned()];
    start.extend(names.iter().cloned());
    let started = tokio::task::spawn_blocking(move || {
        let start: Vec<_> = start.iter().map(String::as_str).collect();
        docker(&start)
    });
    let mut addresses = Vec::new();
    for _ in &names {
        addresses.push(ip(&watch.up().await, &network).unwrap());
    }
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), names.len());
    started.await.unwrap().unwrap();
}

/// Stands between a watcher and the engine, until it is dropped: then it is as if the engine died.
struct Between(tokio::task::JoinSet<()>);

impl Between {
    fn listen(path: &Path) -> Self {
        let _ = std::fs::remove_file(path);
        let listener = tokio::net::UnixListener::bind(path).unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut engine = tokio::net::UnixStream::connect(SOCKET).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut engine).await;
                });
            }
        });
        Self(tasks)
    }

    async fn die(mut self) {
        self.0.shutdown().await;
    }
}

#[tokio::test]
async fn what_happens_while_the_engine_is_away_is_in_the_next_snapshot() {
    if !engine_answers() {
        return;
    }
    let mut scene = Scene::new("away");
    let (stays, goes) = (scene.run("a", &[]), scene.run("b", &[]));
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    let between = Between::listen(&socket);
    if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&socket).unwrap()) != 0 {
        println!("skipped: needs root");
        return;
    }
    let mut watch = Watch::through(&socket, &scene);
    assert_eq!(watch.snapshot().await.len(), 2);

    between.die().await;
    let lost = watch.any().await;
    assert!(
        matches!(&lost, Observation::Lost(why) if why.contains("engine.sock")),
        "{lost:?}"
    );
    assert!(watch.inventory.inspect(&stays).await.is_err());
    docker(&["rm", "-f", &goes.to_string()]).unwrap();
    let comes = scene.run("c", &[]);

    let _between = Between::listen(&socket);
    let ids: Vec<_> = loop {
        match watch.any().await {
            Observation::Lost(_) => {}
            Observation::Snapshot {
                containers: all, ..
            } => {
                break watch
                    .of_this_test(all)
                    .iter()
                    .map(|facts| facts.id)
                    .collect();
            }
            other => panic!("a snapshot comes first, not {other:?}"),
        }
    };
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&stays) && ids.contains(&comes));
    docker(&["kill", &stays.to_string()]).unwrap();
    assert_eq!(watch.down().await, (stays, LeaseCause::Died));
}
