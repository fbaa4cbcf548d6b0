//! Whoever opens connection after connection fills its own places and nobody else's.

use dockmaster_client::Call;
use dockmaster_proto::route::Route;
use dockmaster_tests::eventually;

use crate::stage::Stage;

/// Connections that one address may have: `docs/api.md`, Limits.
const MOST: usize = 256;

#[test]
fn an_address_has_256_connections_at_most_and_locks_nobody_else_out() {
    let stage = Stage::new(100..=101);
    let (crowd, other) = (stage.peer(0), stage.peer(1));
    let connect = || stage.runtime.block_on(crowd.connect(None));
    let mut open: Vec<_> = (0..MOST).map(|_| connect().unwrap()).collect();
    let refused = connect();
    assert!(refused.is_err(), "a connection too many");

    // Everyone else is served, and so are those that were there before.
    stage.runtime.block_on(other.enroll()).unwrap();
    let _ = stage.master.json(["node", "list"]);
    for connection in &mut open {
        let alive = Call::new(Route::Healthz);
        stage.runtime.block_on(connection.send(&alive)).unwrap();
    }

    // A place that becomes free is given again.
    open.pop();
    eventually("a free place", || connect().ok());
}
