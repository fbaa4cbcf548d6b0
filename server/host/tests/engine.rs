//! The watcher against an engine that misbehaves on purpose, in ways that a real one does rarely.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests"
)]

use std::{
    collections::HashMap,
    net::IpAddr,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use dockmaster_host::{DockerInventory, Inventory, Observation};
use dockmaster_proto::{event::LeaseCause, facts::ContainerFacts, id::ContainerId};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::{Notify, broadcast, mpsc},
};

const NETWORK: &str = "4f0c3ec25a51b7cd318196d131fabf962b7e0151c22df7f2e88d752343039afa";
/// When containers were started, in milliseconds since 1970.
const STARTED: u64 = 1_795_528_980_000;

fn id(digit: u8) -> ContainerId {
    ContainerId::from_bytes([digit; 32])
}

/// What the engine has: answers by path, and the events that it sends.
struct Engine {
    _dir: tempfile::TempDir,
    socket: PathBuf,
    answers: Arc<Mutex<HashMap<String, Vec<Value>>>>,
    events: broadcast::Sender<Value>,
    subscribed: Arc<Notify>,
}

impl Engine {
    /// `None`, with a word of why, for whoever cannot make a socket that is trusted.
    fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        if std::fs::metadata(&socket).unwrap().uid() != 0 {
            println!("skipped: needs root");
            return None;
        }
        let engine = Self {
            _dir: dir,
            socket,
            answers: Arc::default(),
            events: broadcast::channel(64).0,
            subscribed: Arc::default(),
        };
        let (answers, events) = (Arc::clone(&engine.answers), engine.events.clone());
        let subscribed = Arc::clone(&engine.subscribed);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(
                    stream,
                    Arc::clone(&answers),
                    events.subscribe(),
                    Arc::clone(&subscribed),
                ));
            }
        });
        engine.answer(
            "/networks",
            [json!([{"Id": NETWORK, "Name": "net", "Scope": "local", "Driver": "bridge"}])],
        );
        engine.list(&[]);
        Some(engine)
    }

    /// Answers requests for a path with these, one after the other, and then always the last.
    fn answer(&self, path: &str, answers: impl Into<Vec<Value>>) {
        let mut all = self.answers.lock().unwrap();
        all.insert(path.to_owned(), answers.into());
    }

    fn list(&self, containers: &[u8]) {
        let list: Vec<_> = containers
            .iter()
            .map(|digit| json!({"Id": id(*digit)}))
            .collect();
        self.answer("/containers/json", [list.into()]);
    }

    fn inspect(&self, digit: u8, answers: impl Into<Vec<Value>>) {
        self.answer(&format!("/containers/{}/json", id(digit)), answers);
    }

    fn event(&self, action: &str, digit: u8, at_ms: u64) {
        let event = json!({
            "Type": "container", "Action": action,
            "Actor": {"ID": id(digit)}, "timeNano": at_ms * 1_000_000,
        });
        self.events.send(event).unwrap();
    }

    /// Watches, with the events subscribed to.
    async fn watch(&self) -> News {
        let docker = DockerInventory::new(&self.socket, "h1".parse().unwrap()).unwrap();
        let (tx, observations) = mpsc::channel(64);
        tokio::spawn(async move { Inventory::Docker(docker).watch(tx).await });
        self.subscribed.notified().await;
        News(observations)
    }
}

async fn serve(
    mut stream: UnixStream,
    answers: Arc<Mutex<HashMap<String, Vec<Value>>>>,
    mut events: broadcast::Receiver<Value>,
    subscribed: Arc<Notify>,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        request.push(byte);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap();
    let path = path.split('?').next().unwrap();
    if path == "/events" {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        subscribed.notify_one();
        while let Ok(event) = events.recv().await {
            let line = format!("{event}\n");
            if stream.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
        return;
    }
    let (status, body) = {
        let mut answers = answers.lock().unwrap();
        match answers.get_mut(path) {
            None => (404, json!({"message": "no such thing"})),
            Some(all) => {
                let answer = all[0].clone();
                if all.len() > 1 {
                    all.remove(0);
                }
                let trouble = answer.get("message").is_some();
                (if trouble { 500 } else { 200 }, answer)
            }
        }
    };
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// A running container's inspection, with its address or none.
fn running(digit: u8, name: &str, ip: &str) -> Value {
    json!({
        "Id": id(digit), "Name": format!("/{name}"), "Image": "sha256:00",
        "State": {"Running": true, "StartedAt": "2026-11-24T14:03:00Z"},
        "Config": {"Image": "app:1", "Labels": {}},
        "HostConfig": {"NetworkMode": "net"},
        "NetworkSettings": {"Networks": {"net": {"NetworkID": NETWORK, "IPAddress": ip}}},
    })
}

struct News(mpsc::Receiver<Observation>);

impl News {
    async fn next(&mut self) -> Observation {
        tokio::time::timeout(Duration::from_secs(30), self.0.recv())
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

    async fn snapshot(&mut self) -> Vec<ContainerFacts> {
        match self.next().await {
            Observation::Snapshot {
                containers: all, ..
            } => all,
            other => panic!("no snapshot: {other:?}"),
        }
    }
}

fn ips(facts: &ContainerFacts) -> Vec<IpAddr> {
    let ips = facts.attachments.iter().flat_map(|at| &at.ips);
    ips.copied().collect()
}

#[tokio::test]
async fn a_start_is_told_once_its_address_is_there() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let mut news = engine.watch().await;
    assert_eq!(news.snapshot().await, []);
    let (blank, whole) = (running(1, "a", ""), running(1, "a", "172.18.0.2"));
    engine.inspect(1, [blank.clone(), blank.clone(), blank, whole]);
    engine.inspect(2, [running(2, "b", "172.18.0.3")]);
    engine.event("start", 1, STARTED);
    engine.event("start", 2, STARTED);
    // The one that is not whole yet holds nobody up.
    assert_eq!(news.up().await.id, id(2));
    let first = news.up().await;
    assert_eq!(
        (first.id, ips(&first)),
        (id(1), vec!["172.18.0.2".parse().unwrap()])
    );
}

#[tokio::test]
async fn an_address_that_only_its_network_remembers_is_not_lost() {
    let Some(engine) = Engine::start() else {
        return;
    };
    engine.list(&[1]);
    engine.inspect(1, [running(1, "a", "172.18.0.2")]);
    let mut news = engine.watch().await;
    let before = news.snapshot().await;
    engine.answer(
        &format!("/networks/{NETWORK}"),
        [json!({"Id": NETWORK, "Containers": {id(1).to_string(): {"IPv4Address": "172.18.0.2/16"}}})],
    );
    engine.inspect(1, [running(1, "renamed", "")]);
    engine.event("rename", 1, STARTED + 1);
    let after = news.up().await;
    assert_eq!(after.name, "renamed");
    assert_eq!(after.attachments, before[0].attachments);

    // Once the network has forgotten it too, it is gone.
    engine.answer(&format!("/networks/{NETWORK}"), [json!({"Id": NETWORK})]);
    engine.event("update", 1, STARTED + 2);
    assert_eq!(ips(&news.up().await), [] as [IpAddr; 0]);
}

#[tokio::test]
async fn a_container_that_cannot_be_inspected_hides_no_other() {
    let Some(engine) = Engine::start() else {
        return;
    };
    engine.list(&[1, 2]);
    engine.inspect(1, [json!({"message": "stuck"})]);
    engine.inspect(2, [running(2, "b", "172.18.0.3")]);
    let mut news = engine.watch().await;
    let all = news.snapshot().await;
    assert_eq!(all.iter().map(|it| it.id).collect::<Vec<_>>(), [id(2)]);
    // Whatever happens to it is a reason to look again.
    engine.inspect(1, [running(1, "a", "172.18.0.2")]);
    engine.event("update", 1, STARTED + 1);
    assert_eq!(news.up().await.id, id(1));
}

#[tokio::test]
async fn an_end_from_before_the_start_ends_nothing() {
    let Some(engine) = Engine::start() else {
        return;
    };
    engine.list(&[1]);
    engine.inspect(1, [running(1, "a", "172.18.0.2")]);
    let mut news = engine.watch().await;
    assert_eq!(news.snapshot().await.len(), 1);
    engine.event("die", 1, STARTED - 1);
    engine.event("die", 1, STARTED + 1);
    engine.event("start", 1, STARTED + 2);
    let died = Observation::Down {
        id: id(1),
        cause: LeaseCause::Died,
    };
    assert_eq!(news.next().await, died);
    assert_eq!(news.up().await.id, id(1));
}
