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
            let agents = Agents::connect(fleet, clients, call).await;
            let jobs = 0..bounds.times(FACTOR).count;
            let meter = Meter::read(&fleet.master);
            let samples = drive(agents, jobs, async |agents, _| agents.ask().await).await;
            meter.print(&format!("{}, {clients} at a time", call.name()), &samples);
        }
    }
}

/// The `ETag` of the catalog of whose connection it is.
pub(crate) async fn etag(connection: &mut Connection) -> String {
    let reply = connection.send(&Call::new(Route::Catalog)).await.unwrap();
    reply.header("etag").unwrap().to_owned()
}

/// What one client asks in turn: no single agent asks a thousand times a second, and whoever does is made
/// to wait.
pub(crate) struct Agents {
    connections: Vec<(Connection, Call)>,
    next: usize,
}

impl Agents {
    /// How many each client has.
    const EACH: usize = 16;

    /// For each client its own, on open connections.
    pub(crate) async fn connect(fleet: &Fleet, clients: usize, ask: Ask) -> Vec<Self> {
        let mut nodes = fleet.in_turn(clients * Self::EACH);
        let mut all = Vec::new();
        for _ in 0..clients {
            let mut connections = Vec::new();
            for node in nodes.by_ref().take(Self::EACH) {
                let mut connection = node.connect().await;
                let call = ask.of(&etag(&mut connection).await);
                connections.push((connection, call));
            }
            all.push(Self {
                connections,
                next: 0,
            });
        }
        all
    }

    /// The next one asks.
    pub(crate) async fn ask(&mut self) {
        let (connection, call) = &mut self.connections[self.next];
        self.next = (self.next + 1) % Self::EACH;
        connection.send(call).await.unwrap();
    }
}

/// What they ask for.
#[derive(Clone, Copy)]
pub(crate) enum Ask {
    /// A catalog that did not change.
    Changed,
    /// A whole one.
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
