use std::{collections::BTreeMap, sync::Arc};

use dockmaster_proto::{
    facts::{Attachment, Limits, NetworkMode},
    time::UnixMs,
};
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::{Inventory, RemoteInventory, remote::report};

fn remit() -> Remit {
    Remit {
        host: "h2".parse().unwrap(),
        cidrs: vec![],
    }
}

fn facts(id: u8, network: &str) -> Box<ContainerFacts> {
    Box::new(ContainerFacts {
        id: ContainerId::from_bytes([id; 32]),
        name: format!("c{id}"),
        image: "app".into(),
        image_digest: String::new(),
        labels: BTreeMap::new(),
        started_at_ms: UnixMs(1),
        limits: Limits::default(),
        network_mode: NetworkMode::Own,
        attachments: vec![Attachment {
            network: network.parse().unwrap(),
            ips: vec![[172, 17, 0, id].into()],
        }],
    })
}

fn hear_all(says: Vec<HostSays>) -> Result<Vec<Observation>, LinkError> {
    let remit = remit();
    let mut hearing = Hearing::new(&remit);
    let mut heard = vec![];
    for says in says {
        heard.extend(hearing.hear(says, 10)?);
    }
    Ok(heard)
}

#[test]
fn a_snapshot_is_told_when_it_is_whole_and_without_what_the_host_may_not_say() {
    let heard = hear_all(vec![
        HostSays::SnapshotBegins,
        HostSays::Container {
            facts: facts(2, "h2/bridge"),
        },
        HostSays::Beat,
        HostSays::Container {
            facts: facts(1, "h1/bridge"),
        },
        HostSays::SnapshotEnds,
    ]);
    let heard = heard.unwrap();
    assert!(
        matches!(&heard[0], Observation::Refused { reason, .. } if reason.contains("h1/bridge")),
        "{heard:?}"
    );
    let whole = Observation::Snapshot {
        containers: vec![*facts(2, "h2/bridge")],
        unclear: vec![],
    };
    assert_eq!(heard[1..], [whole]);
}

#[test]
fn what_is_known_of_a_container_ends_when_its_host_says_what_it_may_not() {
    let heard = hear_all(vec![
        HostSays::SnapshotBegins,
        HostSays::SnapshotEnds,
        HostSays::Up {
            facts: facts(1, "h1/bridge"),
        },
    ]);
    let heard = heard.unwrap();
    assert!(matches!(heard[1], Observation::Refused { .. }), "{heard:?}");
    assert!(matches!(heard[2], Observation::Down { .. }), "{heard:?}");
}

#[test]
fn messages_out_of_order_end_the_stream() {
    let up = || HostSays::Up {
        facts: facts(1, "h2/bridge"),
    };
    for says in [
        vec![up()],
        vec![HostSays::SnapshotEnds],
        vec![HostSays::SnapshotBegins, up()],
        vec![HostSays::SnapshotBegins, HostSays::SnapshotBegins],
    ] {
        assert!(matches!(hear_all(says), Err(LinkError::OutOfOrder(_))));
    }
}

#[test]
fn a_host_cannot_use_the_masters_words_for_an_end() {
    let heard = hear_all(vec![
        HostSays::SnapshotBegins,
        HostSays::SnapshotEnds,
        HostSays::Down {
            id: ContainerId::from_bytes([1; 32]),
            cause: LeaseCause::HostEvicted,
        },
    ]);
    assert!(
        matches!(
            heard.unwrap()[1],
            Observation::Down {
                cause: LeaseCause::Died,
                ..
            }
        ),
        "an eviction is the master's"
    );
}

async fn next(rx: &mut mpsc::Receiver<Observation>) -> Observation {
    let next = timeout(Duration::from_secs(20), rx.recv());
    next.await.expect("news in time").unwrap()
}

struct Scene {
    remote: Arc<RemoteInventory>,
    news: mpsc::Receiver<Observation>,
}

fn scene() -> Scene {
    let remote = Arc::new(RemoteInventory::new(remit()));
    let (observe, news) = mpsc::channel(64);
    let watched = remote.clone();
    tokio::spawn(async move { watched.watch(observe).await });
    Scene { remote, news }
}

#[tokio::test]
async fn both_ends_speak_and_a_question_is_answered() {
    let Scene { remote, mut news } = scene();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inventory.json");
    let id = "ab".repeat(32);
    let text = format!(
        r#"{{"containers":[{{"id":"{id}","name":"c","image":"i","ips":["172.17.0.2"]}}]}}"#
    );
    std::fs::write(&path, text).unwrap();
    let file = crate::FileInventory::new(path, "h2".parse().unwrap());
    let inventory = Arc::new(Inventory::File(file));
    assert!(remote.find([172, 17, 0, 2].into()).await.is_err(), "away");

    let (here, there) = tokio::io::duplex(64);
    remote.attach(Box::new(here));
    let end = tokio::spawn(report(inventory.clone(), Box::new(there), |_| {}));
    assert!(
        matches!(next(&mut news).await, Observation::Snapshot { containers, .. } if containers.len() == 1)
    );
    let found = remote.find([172, 17, 0, 2].into()).await.unwrap();
    assert_eq!(found[0].id.to_string(), id);
    let namespace = crate::Namespace::Host;
    assert_eq!(remote.sharing(&namespace).await.unwrap(), []);
    let absent = ContainerId::from_bytes([1; 32]);
    assert_eq!(remote.inspect(&absent).await.unwrap(), None);

    // A newer connection takes the place of the old one.
    let (here, there) = tokio::io::duplex(64);
    remote.attach(Box::new(here));
    let _second = tokio::spawn(report(inventory, Box::new(there), |_| {}));
    assert!(matches!(next(&mut news).await, Observation::Lost(_)));
    assert!(matches!(
        next(&mut news).await,
        Observation::Snapshot { .. }
    ));
    assert!(end.await.unwrap().is_err());
}

#[tokio::test]
async fn garbage_ends_the_stream_and_nothing_else() {
    let Scene { remote, mut news } = scene();
    for garbage in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        &[0, 0, 0, 2, b'{', b'}'],
        &[0xff; 64],
        &[0, 0, 0, 9, b'x'],
    ] {
        let (here, mut there) = tokio::io::duplex(256);
        remote.attach(Box::new(here));
        there.write_all(garbage).await.unwrap();
        there.shutdown().await.unwrap();
        let lost = next(&mut news).await;
        assert!(matches!(lost, Observation::Lost(_)), "{lost:?}");
    }
}
