//! Renewals on connections that are open already.

use dockmaster_client::Connection;
use dockmaster_proto::route::Route;
use dockmaster_tests::measure::Bounds;

use crate::{
    MANY,
    drive::drive,
    fleet::{Fleet, Node},
    limits::Limits,
    meter::Meter,
};

/// A certificate counts until the second one after it, so that a connection serves for two renewals
/// at most; an agent makes one and dials again. The dialling is not measured.
pub(crate) async fn measure(bounds: Bounds, fleet: &Fleet, limits: &Limits) {
    for (clients, count) in [(1, bounds.half().count), (MANY, bounds.count)] {
        let mut left = count;
        let mut round = 0;
        while left > 0 {
            let now = left.min(fleet.nodes.len());
            left -= now;
            round += 1;
            let mut open: Vec<(&Node, Connection)> = Vec::with_capacity(now);
            for node in fleet.in_turn(now) {
                open.push((node, node.connect().await));
            }
            let meter = Meter::read(&fleet.master);
            let samples = drive(vec![(); clients], open.iter_mut(), async |(), job| {
                let (node, connection) = job;
                node.certify(connection, Route::Renew).await;
            })
            .await;
            let each = meter.print(
                &format!("renew, {clients} at a time, round {round}"),
                &samples,
            );
            limits.compare_renewal(each);
        }
    }
}
