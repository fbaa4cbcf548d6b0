//! One container that holds all connections that its host's relay lets it have.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use dockmaster_client::{Bootstrap, Connection};
use dockmaster_proto::id::TrustPin;
use dockmaster_tests::{Agent, FarMachine, Host, Space, eventually, require_all};
use tokio::time::{sleep, timeout};

use crate::stage::{container, events, node_state, setup, watched};

/// Open files of the watcher.
const OPEN_FILES: u32 = 256;
/// The addresses of the crowd: the container's own, and what it made up.
const ADDRESSES: [u8; 9] = [2, 100, 101, 102, 103, 104, 105, 106, 107];
/// Connections that each wants.
const EACH: usize = 64;
/// For one attempt, and between two of one address.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// A connection to the master, by the relay: one that has asked once has two minutes until the next time.
async fn dial(from: IpAddr, pin: TrustPin) -> Option<Connection> {
    let relay = (FarMachine::GATEWAY, 8140).into();
    let bootstrap = Bootstrap::dial(relay, Some(from)).await.ok()?;
    let (connection, _) = bootstrap.trust(pin).await.ok()?;
    Some(connection)
}

/// Holds as many connections from one address as there are to be had, and takes each that is lost anew.
fn hold(space: &Space, from: IpAddr, pin: TrustPin, is_over: &AtomicBool, held: &AtomicUsize) {
    space.enter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut open = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            open.retain(Connection::is_open);
            if open.len() < EACH {
                open.extend(timeout(PATIENCE, dial(from, pin)).await.ok().flatten());
            }
            held.store(open.len(), Ordering::Relaxed);
            sleep(PAUSE).await;
        }
    });
}

#[test]
fn a_container_with_many_addresses_leaves_its_neighbours_their_connections_and_the_watcher_its_files()
 {
    if !require_all(&["netns", "prlimit"]) {
        return;
    }
    let master = setup().start();
    let (crowd, neighbour) = (container(1, 2), container(2, 3));
    let host = Host::start_within(&master, "h2", std::slice::from_ref(&crowd), OPEN_FILES);
    watched(&master, &host, 1);
    let space = host.machine().container(2);
    for number in &ADDRESSES[1..] {
        space.take(Ipv4Addr::new(172, 30, 0, *number));
    }
    let pin = master.trust();
    let is_over = AtomicBool::new(false);
    let held = ADDRESSES.map(|_| AtomicUsize::new(0));
    thread::scope(|scope| {
        let (space, is_over) = (&space, &is_over);
        for (number, held) in ADDRESSES.iter().zip(&held) {
            let from = Ipv4Addr::new(172, 30, 0, *number);
            scope.spawn(move || hold(space, from.into(), pin, is_over, held));
        }
        let outcome = std::panic::catch_unwind(|| {
            eventually("a relay that closes connections", || {
                let log = host.log();
                let strangers = log.contains("no container that this host knows holds the address");
                let one = log.contains("as many connections as one may have");
                (strangers && one).then_some(())
            });
            // What the watcher does takes files: it hears of a container, and the agent gets through.
            host.inventory().set(&[crowd.clone(), neighbour.clone()]);
            watched(&master, &host, 2);
            let inside = host.machine().container(3);
            let agent = Agent::start_in(&inside, &master);
            let _ = agent.credentials();
            eventually("the neighbour's node", || {
                (node_state(&master, 2) == "enrolled").then_some(())
            });
        });
        is_over.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    // The crowd was one all the while.
    let held = held.each_ref().map(|held| held.load(Ordering::Relaxed));
    assert!(
        held[0] > 0 && held[1..].iter().sum::<usize>() > 0,
        "{held:?}"
    );
    let log = host.log();
    assert!(log.contains("the limit of open files is low"), "{log}");
    assert!(!log.contains("Too many open files"), "{log}");
    assert_eq!(
        events(&master, "host_lost"),
        Vec::<serde_json::Value>::new()
    );
    watched(&master, &host, 2);
}
