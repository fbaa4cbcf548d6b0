//! A master with stand-ins, and what speaks from their addresses.

use dockmaster_client::{Call, ClientError, Connection, Reply};
use dockmaster_proto::{problem::ProblemCode, route::Route};
use dockmaster_tests::{Enrolled, Inventory, Master, Peer, Setup, StandIn, eventually};
use serde_json::json;
use tokio::{runtime::Runtime, task::JoinHandle};

/// A master with stand-ins that it watches.
pub(crate) struct Stage {
    pub(crate) master: Master,
    pub(crate) stand_ins: Vec<StandIn>,
    pub(crate) inventory: Inventory,
    pub(crate) runtime: Runtime,
}

impl Stage {
    /// With these stand-ins; tests run side by side, so each takes numbers of its own.
    pub(crate) fn new(numbers: impl IntoIterator<Item = u16>) -> Self {
        Self::with(numbers, |setup| setup)
    }

    /// The same, and a master with some settings of its own.
    pub(crate) fn with(
        numbers: impl IntoIterator<Item = u16>,
        settings: impl FnOnce(Setup) -> Setup,
    ) -> Self {
        let stand_ins: Vec<_> = numbers
            .into_iter()
            .map(|number| StandIn::numbered(number).label("role", "web"))
            .collect();
        let inventory = Inventory::new(&stand_ins);
        let master = settings(Setup::inventory(&inventory)).start();
        eventually("the first look at the host", || {
            let watched = master.json(["audit", "list", "--event", "host_watched"]);
            (watched["entries"] != json!([])).then_some(())
        });
        Self {
            master,
            stand_ins,
            inventory,
            runtime: Runtime::new().unwrap(),
        }
    }

    /// What speaks from a stand-in's address.
    pub(crate) fn peer(&self, index: usize) -> Peer {
        Peer::new(&self.master, &self.stand_ins[index])
    }

    /// Whether the master said that too much of this comes from a stand-in.
    pub(crate) fn says_too_many(&self, what: &str, index: usize) -> bool {
        let words = [
            format!("more {what} come"),
            self.stand_ins[index].ips[0].to_string(),
        ];
        let log = self.master.log();
        log.iter()
            .any(|line| words.iter().all(|word| line.contains(word)))
    }

    /// A certificate for a stand-in, and a request for another catalog that the master holds.
    pub(crate) fn hold(&self, index: usize) -> Held {
        let peer = self.peer(index);
        let enrolled = self.runtime.block_on(peer.enroll()).unwrap();
        let now = self.runtime.block_on(peer.catalog(&enrolled, None));
        let etag = now.unwrap().header("etag").unwrap().to_owned();
        let asking = peer.connect(Some(&enrolled.identity));
        let connection = self.runtime.block_on(asking).unwrap();
        let call = Call::new(Route::Catalog)
            .unless(&etag)
            .wait(dockmaster_tests::patience() * 5);
        let request = self.send(connection, call);
        Held {
            enrolled,
            etag,
            request,
        }
    }

    /// Sends a request that is not answered soon, and returns when the master has it.
    pub(crate) fn send(&self, mut connection: Connection, call: Call) -> Request {
        let request = self
            .runtime
            .spawn(async move { connection.send(&call).await });
        // Nothing shows that a request is held; but what was sent later has been answered.
        for _ in 0..20 {
            let ready = self.runtime.block_on(async {
                let mut connection = self.peer(0).connect(None).await?;
                connection.send(&Call::new(Route::Healthz)).await
            });
            ready.unwrap();
        }
        assert!(!request.is_finished(), "the request is not held");
        request
    }

    /// What became of a request.
    pub(crate) fn end(&self, request: Request) -> Result<Reply, ClientError> {
        let patience = dockmaster_tests::patience();
        let ended = self
            .runtime
            .block_on(async { tokio::time::timeout(patience, request).await });
        ended.unwrap().unwrap()
    }
}

/// A request that is under way.
pub(crate) type Request = JoinHandle<Result<Reply, ClientError>>;

/// A held request for a catalog.
pub(crate) struct Held {
    pub(crate) enrolled: Enrolled,
    pub(crate) etag: String,
    pub(crate) request: Request,
}

/// The code of a refusal.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> ProblemCode {
    match answer {
        Err(ClientError::Problem(problem)) => problem.code,
        other => panic!("no refusal but {other:?}"),
    }
}
