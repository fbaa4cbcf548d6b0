//! What an entry says, in one line for people.

use dockmaster_proto::{
    event::{CaRolledBack, CaRotationFinished, CertIssued, DocumentChanged, Event, LeaseCause},
    id::ContainerId,
};

use crate::cli::table::{count, joined, short_digest, short_id};

/// One line; the full entry is in JSON.
pub(super) fn summary(event: &Event) -> String {
    match event {
        Event::CaCreated(e) => {
            format!("{}, bundle sha256:{}", e.trust_domain, e.bundle_sha256)
        }
        Event::CaRenewed(e) => format!(
            "containers {}, infra {}",
            short_digest(&e.containers),
            short_digest(&e.infra)
        ),
        Event::CaRotationStarted(e) => format!(
            "root {}, bundle sha256:{}, at the end sha256:{}",
            short_digest(&e.root),
            e.bundle_sha256,
            e.next_bundle_sha256
        ),
        Event::CaSwitched(e) => format!("{} of {} nodes confirmed", e.acknowledged, e.nodes),
        Event::CaSwitchedBack(_) => String::new(),
        Event::CaRotationFinished(CaRotationFinished {
            bundle_sha256,
            left_behind,
        })
        | Event::CaRolledBack(CaRolledBack {
            bundle_sha256,
            left_behind,
        }) => format!("bundle sha256:{bundle_sha256}, {left_behind} left behind"),
        Event::MasterStarted(e) => format!("version {}, log of {}", e.version, e.log_size),
        Event::HostWatched(e) => format!("{}, {} containers run", e.host, e.containers),
        Event::HostLost(e) => format!("{}: {}", e.host, e.reason),
        Event::LeaseOpened(e) => format!(
            "{} to {} ({}), epoch {}: {}",
            e.address,
            e.name,
            short_id(&e.container),
            e.epoch,
            cause(e.cause)
        ),
        Event::LeaseClosed(e) => format!(
            "{} of {}, epoch {}: {}",
            e.address,
            short_id(&e.container),
            e.epoch,
            cause(e.cause)
        ),
        Event::NodeObserved(e) => format!(
            "{} ({}), image {}, on {}",
            e.facts.name,
            short_id(&e.facts.id),
            e.facts.image,
            e.host
        ),
        Event::NodeGone(e) => format!("{}: {}", short_id(&e.container), cause(e.cause)),
        Event::CertIssued(e) | Event::CertRenewed(e) => certificate(e),
        Event::CertDenied(e) => {
            let times = if e.count > 1 {
                format!(" ({} times)", e.count)
            } else {
                String::new()
            };
            let of = of(e.container.as_ref());
            format!("{}{of}: {}: {}{times}", e.source, e.reason, e.detail)
        }
        Event::CertRevoked(e) => {
            format!("{}{}: {}", e.serial, of(e.container.as_ref()), e.reason)
        }
        Event::NodeBanned(e) => format!("{}: {}", short_id(&e.container), e.reason),
        Event::NodeUnbanned(e) => short_id(&e.container),
        Event::LabelsChanged(e) => {
            let set = e
                .change
                .set
                .iter()
                .map(|(key, value)| format!("{key}={value}"));
            let removed = e.change.remove.iter().map(|key| format!("{key}-"));
            format!("{}: {}", short_id(&e.container), joined(set.chain(removed)))
        }
        Event::ClassificationChanged(e) | Event::SiteDeployed(e) => document(e),
        Event::OperatorGranted(e) => {
            format!(
                "{} as {}, {} until {}",
                e.operator, e.role, e.serial, e.not_after_ms
            )
        }
        Event::BackupTaken(e) => format!("of a log of {}", e.log_size),
        Event::Restored(e) => format!(
            "a log of {}, from a backup of {}",
            e.log_size, e.backup_at_ms
        ),
        Event::TokenCreated(e) => {
            let labels = e.labels.iter().map(|(key, value)| format!("{key}={value}"));
            format!(
                "{} for {} until {}, network {}, labels {}",
                e.token,
                count(e.uses as usize, "machine"),
                e.until_ms,
                e.network,
                joined(labels)
            )
        }
        Event::CertConfirmed(e) => format!("{} by {}", e.serial, short_id(&e.container)),
        Event::TokenUsed(e) => format!("{} by {}", e.token, short_id(&e.container)),
        Event::TokenRevoked(e) => e.token.to_string(),
        Event::HostEnrolled(e) => {
            let ranges = match &e.cidrs[..] {
                [] => "any range".to_owned(),
                cidrs => joined(cidrs),
            };
            format!("{} for {ranges}, until {}", e.host, e.not_after_ms)
        }
        Event::HostEvicted(e) => e.host.to_string(),
        Event::HostRefused(e) => {
            format!("{} of {}: {}", short_id(&e.container), e.host, e.reason)
        }
        Event::PolicyChanged(e) => {
            format!("{}, {} rules", short_digest(&e.policy_sha256), e.rules)
        }
        Event::RequestHeld(e) => format!(
            "{} of {} ({}) from {}, by rule {}: {}",
            e.request,
            e.name,
            short_id(&e.container),
            e.source,
            e.rule,
            e.reason
        ),
        Event::RequestApproved(e) => format!(
            "{} ({}) by {}",
            e.request,
            short_id(&e.container),
            e.operator
        ),
        Event::RequestDenied(e) => format!(
            "{} ({}) by {}: {}",
            e.request,
            short_id(&e.container),
            e.operator,
            e.reason
        ),
    }
}

fn certificate(event: &CertIssued) -> String {
    let held = event.addresses.iter().map(|held| held.address.to_string());
    let bare = event.ips.iter().map(ToString::to_string);
    let who = event
        .container
        .as_ref()
        .map_or_else(|| event.subject.principal.to_string(), short_id);
    // A host's certificate, and that of a container that shares a network namespace, name no address.
    let at = match joined(held.chain(bare)) {
        at if at.is_empty() => at,
        at => format!(" at {at}"),
    };
    format!(
        "{} to {who}{at}, until {}",
        event.serial, event.not_after_ms
    )
}

fn document(event: &DocumentChanged) -> String {
    let (revision, digest) = (event.revision, short_digest(&event.sha256));
    if event.message.is_empty() {
        format!("revision {revision}, {digest}")
    } else {
        format!("revision {revision}, {digest}: {}", event.message)
    }
}

fn of(container: Option<&ContainerId>) -> String {
    container
        .map(|id| format!(" ({})", short_id(id)))
        .unwrap_or_default()
}

/// A cause in words.
pub(super) const fn cause(cause: LeaseCause) -> &'static str {
    match cause {
        LeaseCause::Started => "started",
        LeaseCause::Found => "found running",
        LeaseCause::Died => "died",
        LeaseCause::Disconnected => "left the network",
        LeaseCause::Missing => "found gone",
        LeaseCause::Superseded => "another took the address",
        LeaseCause::Enrolled => "enrolled by a join token",
        LeaseCause::Returned => "came back by its key",
        LeaseCause::Expired => "no certificate counts any more",
        LeaseCause::Evicted => "an operator put it out",
        LeaseCause::HostLost => "its host was lost",
        LeaseCause::HostEvicted => "its host was evicted",
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{event::LabelsChanged, label::LabelChange};

    use super::*;

    #[test]
    fn a_label_change_reads_like_the_command_that_made_it() {
        let event = Event::LabelsChanged(LabelsChanged {
            container: ContainerId::from_bytes([0xab; 32]),
            change: LabelChange::parse(["tier=front", "canary-"]).unwrap(),
        });
        assert_eq!(summary(&event), "abababababab: tier=front, canary-");
    }
}
