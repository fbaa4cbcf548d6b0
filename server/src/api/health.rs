//! Whether the master lives, and whether it can do all of its work.

use dockmaster_ledger::Status;
use dockmaster_proto::{id::Name, time::UnixMs};
use http::StatusCode;

use super::{Api, Reply, reply};
use crate::{audit, env, state::State, store::WAY_OUT};

const TEXT: &str = "text/plain; charset=utf-8";

impl Api {
    pub(super) fn healthz() -> Reply {
        reply::bytes(StatusCode::OK, TEXT, "ok\n".into())
    }

    pub(super) fn readyz(&self) -> Reply {
        let status = self.journal.ledger().status();
        let mut troubles = troubles(
            &status,
            self.host.as_ref(),
            &self.journal.state(),
            env::now(),
        );
        troubles.extend(self.delivery.trouble().as_deref().map(unreadable));
        let forked = self.continuity.trouble();
        troubles.extend(forked.map(|why| format!("nothing is issued: {why}; {WAY_OUT}")));
        if troubles.is_empty() {
            return reply::bytes(StatusCode::OK, TEXT, "ready\n".into());
        }
        let text = troubles.join("\n") + "\n";
        reply::bytes(StatusCode::SERVICE_UNAVAILABLE, TEXT, text.into())
    }
}

/// What an operator has to do where the documents in force cannot be read.
fn unreadable(why: &str) -> String {
    format!(
        "the documents in force cannot be read, so no catalog is made and agents keep those that they have: {why}; put the blobs back from a backup"
    )
}

/// What keeps the master from its work, one line each.
fn troubles(status: &Status, host: Option<&Name>, state: &State, now: UnixMs) -> Vec<String> {
    let ledger = match status {
        Status::Healthy => None,
        Status::Full { why } => Some(format!(
            "there is no room for the ledger, so nothing is issued or changed; catalogs are still served: {why}"
        )),
        Status::Stalled { why } => Some(format!(
            "the ledger takes changes but cannot be published or indexed: {why}"
        )),
        Status::Closed => Some("the ledger is closed; the master shuts down".to_owned()),
    };
    let host = host.and_then(|host| match state.lost(host) {
        Some(why) => Some(format!(
            "host {host} cannot be watched; leases stay as they are, and no new container gets a certificate: {why}"
        )),
        None if !state.is_watched(host) => Some(format!(
            "host {host} has not reported since the master started, so its containers get nothing yet"
        )),
        None => None,
    });
    let clock = audit::lag(state.newest(), now).map(|lag_ms| {
        format!(
            "the clock of this machine is {} s behind the newest entry of the log, so one of them is wrong; until it has caught up the log's times are later than they were",
            lag_ms / 1000
        )
    });
    ledger.into_iter().chain(host).chain(clock).collect()
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::event::{Event, HostLost, HostWatched, MasterStarted};

    use super::*;
    use crate::testing::{apply, host};

    fn with(state: &State) -> Vec<String> {
        troubles(&Status::Healthy, Some(&host()), state, UnixMs(2000))
    }

    #[test]
    fn lost_documents_are_named_with_what_to_do() {
        let line = unreadable("blob 3f9c is not here");
        assert!(line.contains("blob 3f9c is not here; put the blobs back"));
    }

    #[test]
    fn a_master_is_ready_when_its_host_reports_and_its_ledger_takes_changes() {
        let mut state = State::default();
        assert!(troubles(&Status::Healthy, None, &state, UnixMs(2000)).is_empty());
        assert!(with(&state)[0].contains("h1 has not reported since"));

        let watched = || {
            Event::HostWatched(HostWatched {
                host: host(),
                containers: 0,
            })
        };
        apply(&mut state, watched());
        assert!(with(&state).is_empty());
        let why = || "no room on vda1".to_owned();
        for status in [Status::Full { why: why() }, Status::Stalled { why: why() }] {
            let troubles = troubles(&status, Some(&host()), &state, UnixMs(2000));
            assert!(matches!(&troubles[..], [one] if one.contains("vda1")));
        }

        let lost = HostLost {
            host: host(),
            reason: "the socket is gone".into(),
        };
        apply(&mut state, Event::HostLost(lost));
        assert!(with(&state)[0].contains("cannot be watched"));
        assert!(with(&state)[0].ends_with("the socket is gone"));
        assert!(state.is_watched(&host()), "leases stay as they are");
        apply(&mut state, watched());
        assert!(with(&state).is_empty());

        let started = MasterStarted {
            version: String::new(),
            log_size: 0,
        };
        apply(&mut state, Event::MasterStarted(started));
        assert!(with(&state)[0].contains("has not reported"));
    }
}
