//! First certificates: a new connection, a new key, a request bound to the connection.

use dockmaster_tests::measure::Bounds;

use crate::{MANY, drive::drive, fleet::Fleet, limits::Limits, meter::Meter};

/// One client after the other: each commit is one sync. Then many: what queues during one sync
/// shares the next.
pub(crate) async fn measure(bounds: Bounds, fleet: &Fleet, limits: &Limits) {
    for (clients, count) in [(1, bounds.half().count), (MANY, bounds.count)] {
        let meter = Meter::read(&fleet.master);
        let samples = drive(vec![(); clients], fleet.in_turn(count), async |(), node| {
            node.enroll().await;
        })
        .await;
        let each = meter.print(&format!("enroll, {clients} at a time"), &samples);
        limits.compare_enrollment(each);
    }
}
