//! What socket evidence costs beside the fresh look that each enrollment takes anyway.
//!
//! `cargo bench -p dockmaster-host --bench socket`; needs root, an engine and `busybox-static`. One
//! container connects to this program and is asked about again and again: with its connection held by
//! the only process besides its first, and with 200 processes beside it. "without" is the engine's
//! inspection alone, "with" the inspection and the look at the socket.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark is a test with a clock: it fails by panic and speaks to the one who runs it"
)]

use std::{
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use dockmaster_host::{
    DockerInventory, Inventory,
    socket::{Connection, SocketEvidence, Subject, look},
};
use dockmaster_proto::id::ContainerId;

const ROUNDS: usize = 200;
const BUSYBOX: &str = "/usr/bin/busybox";

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A container that holds a connection to this program; removed when dropped.
struct Scene {
    name: String,
    id: ContainerId,
    connection: Connection,
    _stream: std::net::TcpStream,
}

impl Scene {
    fn start(processes: usize) -> Self {
        let name = format!("dmb-{}-{processes}", std::process::id());
        let dir = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&dir).unwrap();
        let tar = dir.join("image.tar");
        let tar = tar.to_str().unwrap();
        run("tar", &["-C", "/usr/bin", "-cf", tar, "busybox"]);
        run("docker", &["import", tar, &name]);
        let gateway = run(
            "docker",
            &[
                "network",
                "inspect",
                "bridge",
                "--format",
                "{{(index .IPAM.Config 0).Gateway}}",
            ],
        );
        let gateway = if gateway.is_empty() {
            "172.17.0.1".to_owned()
        } else {
            gateway
        };
        let listener = TcpListener::bind((gateway.as_str(), 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = format!(
            "b=/busybox; i=0
            while [ $i -lt {processes} ]; do $b sleep 3600 & i=$((i+1)); done
            $b sleep 3600 | $b nc {gateway} {port}"
        );
        let id = run(
            "docker",
            &[
                "run", "-d", "--name", &name, &name, "/busybox", "sh", "-c", &script,
            ],
        );
        let (stream, source) = listener.accept().unwrap();
        let local = stream.local_addr().unwrap();
        let _ = std::fs::remove_dir_all(dir);
        Self {
            name,
            id: id.parse().unwrap(),
            connection: Connection { source, local },
            _stream: stream,
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        run("docker", &["rm", "-f", &self.name]);
        run("docker", &["rmi", "-f", &self.name]);
    }
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!(
        "{what:<28} p50 {:>9.3?}  p90 {:>9.3?}  p99 {:>9.3?}",
        at(50),
        at(90),
        at(99)
    );
}

fn main() {
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    if !std::path::Path::new(BUSYBOX).exists() {
        println!("skipped: needs busybox");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let inventory = DockerInventory::new("/var/run/docker.sock", "h1".parse().unwrap()).unwrap();
    let inventory = Inventory::Docker(inventory);
    for processes in [0, 200] {
        let scene = Scene::start(processes);
        let (mut without, mut with, mut alone) = (Vec::new(), Vec::new(), Vec::new());
        runtime.block_on(async {
            for _ in 0..ROUNDS {
                let begun = Instant::now();
                let inspected = inventory.inspect(&scene.id).await.unwrap().unwrap();
                without.push(begun.elapsed());
                let subject = Subject {
                    id: scene.id,
                    main_pid: inspected.main_pid.unwrap(),
                };
                let asked = Instant::now();
                let evidence = look(scene.connection, vec![subject]).await;
                alone.push(asked.elapsed());
                with.push(begun.elapsed());
                assert!(
                    matches!(evidence, Ok(SocketEvidence::Owned { .. })),
                    "{evidence:?}"
                );
            }
        });
        println!(
            "{} processes in the container, {ROUNDS} rounds",
            processes + 3
        );
        show("  without (inspection)", without);
        show("  with", with);
        show("  the look at the socket", alone);
    }
}
