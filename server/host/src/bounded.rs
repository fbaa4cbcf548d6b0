//! What a container may say of itself, cut to what the ledger and the wire take.

use dockmaster_proto::facts::ContainerFacts;

use crate::Observation;

/// Bytes of all labels of a container together; what goes beyond is left out.
const MAX_LABEL_BYTES: usize = 24 << 10;
/// Bytes of a name or an image.
const MAX_TEXT: usize = 1024;
/// Networks of a container, and its addresses in each.
const MAX_ATTACHMENTS: usize = 64;
const MAX_IPS: usize = 8;
/// Addresses that are named of a container which its host may not vouch for: enough to find it by.
pub const MAX_REFUSED: usize = 16;

/// The observation with what a container may say of itself cut to what an entry of the ledger
/// holds: whoever starts a container chooses its labels, and must not choose that nobody's leases
/// can be recorded any more.
#[must_use]
pub fn bounded(observation: Observation) -> Observation {
    match observation {
        Observation::Snapshot {
            containers,
            unclear,
        } => Observation::Snapshot {
            containers: containers.into_iter().map(bounded_facts).collect(),
            unclear,
        },
        Observation::Up(facts) => Observation::Up(bounded_facts(facts)),
        Observation::Refused {
            id,
            mut name,
            mut addresses,
            reason,
        } => {
            cut(&mut name);
            addresses.truncate(MAX_REFUSED);
            Observation::Refused {
                id,
                name,
                addresses,
                reason,
            }
        }
        other @ (Observation::Down { .. } | Observation::Lost(_)) => other,
    }
}

/// The same for one container.
#[must_use]
pub fn bounded_facts(mut facts: ContainerFacts) -> ContainerFacts {
    let mut room = MAX_LABEL_BYTES;
    let before = facts.labels.len();
    facts.labels.retain(|key, value| {
        // JSON may need six bytes for one.
        let size = serde_json::to_string(&(key, &value)).map_or(usize::MAX, |json| json.len());
        let fits = size <= room;
        if fits {
            room -= size;
        }
        fits
    });
    if facts.labels.len() < before {
        tracing::warn!(container = %facts.id.short(), name = %facts.name, "labels beyond {MAX_LABEL_BYTES} bytes are left out");
    }
    for text in [&mut facts.name, &mut facts.image, &mut facts.image_digest] {
        cut(text);
    }
    facts.attachments.truncate(MAX_ATTACHMENTS);
    for attachment in &mut facts.attachments {
        attachment.ips.truncate(MAX_IPS);
    }
    facts
}

fn cut(text: &mut String) {
    let mut end = MAX_TEXT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}
