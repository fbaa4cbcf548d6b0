//! A master with one stand-in container, whose address anything on this machine can speak from.

use std::{net::IpAddr, process::Command};

use dockmaster_proto::route::Route;
use dockmaster_tests::{Answer, Inventory, Master, Setup, StandIn, eventually};
use serde_json::{Value, json};

/// The master and its stand-in.
pub(crate) struct Stand {
    pub(crate) master: Master,
    pub(crate) container: StandIn,
    _inventory: Inventory,
}

impl Stand {
    /// Tests run side by side: each takes a number of its own.
    pub(crate) fn new(number: u16) -> Self {
        let container = StandIn::numbered(number).label("role", "web");
        let inventory = Inventory::new(std::slice::from_ref(&container));
        let master = Setup::inventory(&inventory).start();
        // It is ready a moment before it knows its containers; from here on nothing stirs.
        eventually("the first look at the host", || {
            let watched = master.json(["audit", "list", "--event", "host_watched"]);
            (watched["entries"] != json!([])).then_some(())
        });
        Self {
            master,
            container,
            _inventory: inventory,
        }
    }

    pub(crate) fn ip(&self) -> IpAddr {
        self.container.ips[0]
    }

    /// A `curl` that speaks from the container's address.
    pub(crate) fn curl(&self) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["--interface", &self.ip().to_string()]);
        curl
    }

    pub(crate) fn url(&self, route: Route) -> String {
        format!("https://{}{}", self.master.address(), route.path(""))
    }

    /// `POST`s a body to `/v1/enroll` from the container's address.
    pub(crate) fn enroll(&self, more: &[&str], body: &str) -> Answer {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("body");
        std::fs::write(&file, body).unwrap();
        let mut curl = self.curl();
        curl.args(more).arg("--data-binary");
        curl.arg(format!("@{}", file.display()));
        let bundle = self.master.data().join("ca/bundle.pem");
        Answer::of(curl, &bundle, &self.url(Route::Enroll))
    }

    /// Everything that a change would show in, newest entry first.
    pub(crate) fn trace(&self) -> Trace {
        let json = |args: &[&str]| self.master.json(args.iter().copied());
        let entries = json(&["audit", "list", "--limit", "1000"]);
        Trace {
            entries: entries["entries"].as_array().unwrap().clone(),
            rest: [
                json(&["node", "list", "--all"]),
                json(&["node", "show", &self.container.id]),
                json(&["cert", "list", "--all"]),
                json(&["classify", "show"]),
            ],
        }
    }
}

/// What is known at one time.
#[derive(Debug, PartialEq)]
pub(crate) struct Trace {
    entries: Vec<Value>,
    rest: [Value; 4],
}

impl Trace {
    /// The entries that came since `before`; nothing else may have changed.
    #[track_caller]
    pub(crate) fn only_entries_since(&self, before: &Self) -> Vec<Value> {
        assert_eq!(self.rest, before.rest);
        let new = self.entries.len() - before.entries.len();
        assert_eq!(self.entries[new..], before.entries);
        self.entries[..new].to_vec()
    }
}
