//! Memory of agents that wait for a change.

use std::time::Duration;

use dockmaster_client::Call;
use dockmaster_proto::route::Route;
use dockmaster_tests::measure::{mib, resident};
use futures_util::{StreamExt as _, stream::FuturesUnordered};

use crate::{catalog::etag, fleet::Fleet};

/// How long the agents wait: longer than the measurement takes.
const WAIT: Duration = Duration::from_secs(300);
/// How long memory has to stay as it is to be called settled.
const QUIET: Duration = Duration::from_millis(500);

/// Has every container hold a request for its next catalog, and prints what that takes of the master.
pub(crate) async fn measure(fleet: &Fleet) {
    let pid = fleet.master.pid().into();
    let begin = settled(pid).await;
    let mut held = FuturesUnordered::new();
    for node in &fleet.nodes {
        let mut connection = node.connect().await;
        let call = Call::new(Route::Catalog)
            .unless(&etag(&mut connection).await)
            .wait(WAIT);
        held.push(async move { connection.send(&call).await });
    }
    let parked = tokio::select! {
        parked = settled(pid) => parked,
        answer = held.next() => panic!("a held request was answered: {answer:?}"),
    };
    let each = parked.saturating_sub(begin) / fleet.nodes.len() as u64;
    println!(
        "\nresident: the master {} before, {} with {} agents whose requests it holds: {}.{} KiB each",
        mib(begin),
        mib(parked),
        fleet.nodes.len(),
        each / 1024,
        each % 1024 * 10 / 1024,
    );
}

/// What a process has, once it has it for a while.
async fn settled(pid: u64) -> u64 {
    let mut last = resident(pid);
    loop {
        tokio::time::sleep(QUIET).await;
        let now = resident(pid);
        if now == last {
            return now;
        }
        last = now;
    }
}
