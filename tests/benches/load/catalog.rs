//! Catalogs on open connections: one that did not change, and a whole one.

use dockmaster_client::{Call, Connection};
use dockmaster_proto::route::Route;
use dockmaster_tests::measure::Bounds;

use crate::{MANY, drive::drive, fleet::Fleet, meter::Meter};

/// How many requests for each of the usual operations: they are so much cheaper.
const FACTOR: usize = 10;

pub(crate) async fn measure(bounds: Bounds, fleet: &Fleet) {
    for clients in [1, MANY] {
        for call in [Ask::Changed, Ask::Whole] {
            let mut agents = Vec::new();
            for node in fleet.in_turn(clients) {
                let mut connection = node.connect().await;
                let etag = etag(&mut connection).await;
                agents.push((connection, call.of(&etag)));
            }
            let jobs = 0..bounds.times(FACTOR).count;
            let meter = Meter::read(&fleet.master);
            let samples = drive(agents, jobs, async |(connection, call), _| {
                connection.send(call).await.unwrap();
            })
            .await;
            meter.print(&format!("{}, {clients} at a time", call.name()), &samples);
        }
    }
}

/// The `ETag` of the catalog of whose connection it is.
pub(crate) async fn etag(connection: &mut Connection) -> String {
    let reply = connection.send(&Call::new(Route::Catalog)).await.unwrap();
    reply.header("etag").unwrap().to_owned()
}

#[derive(Clone, Copy)]
enum Ask {
    Changed,
    Whole,
}

impl Ask {
    fn of(self, etag: &str) -> Call {
        match self {
            Self::Changed => Call::new(Route::Catalog).unless(etag),
            Self::Whole => Call::new(Route::Catalog),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Changed => "catalog 304",
            Self::Whole => "catalog 200",
        }
    }
}
