//! When authorities are changed: pure decisions on what is known of nodes and operators.

use std::collections::BTreeMap;

use dockmaster_certs::authority::INTERMEDIATE_LIFETIME_MS;
use dockmaster_proto::{
    api::authority::{Insistence, Phase, RotationStep},
    id::ContainerId,
    time::UnixMs,
};

use crate::state::{AuthorityState, Operator, State};

/// Whether an intermediate that ends then is to be followed by another now: a third of its life is
/// left, so that what it signs last has its whole time.
#[must_use]
pub const fn is_due(not_after: UnixMs, now: UnixMs) -> bool {
    now.plus_ms(INTERMEDIATE_LIFETIME_MS / 3).0 >= not_after.0
}

/// How far nodes and operators are with a rotation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Live nodes with a certificate that counts.
    pub nodes: u64,
    /// Names of those that have not confirmed the bundle in force.
    pub unacknowledged: Vec<String>,
    /// Names of those whose newest certificate is by another authority than the one that signs.
    pub behind: Vec<String>,
    /// Operators who have no certificate of the authority that signs.
    pub operators_behind: Vec<String>,
    /// Further hosts that have none of it.
    pub hosts_behind: Vec<String>,
}

impl Progress {
    /// What the view says; `signing` are the key identifiers of the authorities for containers and
    /// for operators.
    #[must_use]
    pub fn of(
        state: &State,
        signing: (&str, &str),
        has_acknowledged: impl Fn(&ContainerId) -> bool,
        now: UnixMs,
    ) -> Self {
        let (containers, operators) = signing;
        let mut progress = Self::default();
        for node in state.nodes() {
            let mut counting = node.certificates.iter();
            let Some(newest) = counting.find(|it| now < it.not_after_ms) else {
                continue;
            };
            progress.nodes += 1;
            if !has_acknowledged(node.id()) {
                progress.unacknowledged.push(node.facts.name.clone());
            }
            if newest.issuer_key_id != containers {
                progress.behind.push(node.facts.name.clone());
            }
        }
        // The newest is what an operator's context file has.
        let mut newest: BTreeMap<&str, &Operator> = BTreeMap::new();
        for (_, operator) in state.operators().filter(|(_, it)| now < it.not_after_ms) {
            let known = newest.entry(&operator.name).or_insert(operator);
            if known.granted_at_ms < operator.granted_at_ms {
                *known = operator;
            }
        }
        let behind = newest
            .into_values()
            .filter(|operator| operator.issuer_key_id != operators);
        progress.operators_behind = behind.map(|operator| operator.name.clone()).collect();
        let behind = state.hosts().filter(|(_, host)| {
            let newest = host.certificates.first();
            newest.is_some_and(|key| now < key.not_after_ms && key.issuer_key_id != operators)
        });
        progress.hosts_behind = behind.map(|(name, _)| name.to_string()).collect();
        progress
    }

    /// Nodes, operators and hosts that are left behind when the other root is dropped now.
    #[must_use]
    pub fn left_behind(&self) -> u64 {
        (self.behind.len() + self.operators_behind.len() + self.hosts_behind.len()) as u64
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Make a new root with its intermediates.
    Start,
    /// Sign under the new root.
    Switch,
    /// Sign under the old root again.
    SwitchBack,
    /// Drop the old root.
    Finish,
    /// Drop the new root.
    RollBack,
}

/// Why it is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationRefused {
    /// There is one already.
    #[error("a rotation goes on already")]
    GoesOn,
    /// There is none.
    #[error("no rotation goes on")]
    None,
    /// The step belongs to another phase.
    #[error("the rotation is in another phase: {}", phase(*.0))]
    Phase(Phase),
    /// Nodes do not know the new root.
    #[error("{} of {nodes} nodes have not confirmed the new root: {}", .names.len(), some(.names))]
    Unacknowledged {
        /// Who.
        names: Vec<String>,
        /// Of how many.
        nodes: u64,
    },
    /// Nodes or operators would be left behind.
    #[error("{} nodes, {} operators and {} hosts would be left behind: {}", .nodes.len(), .operators.len(), .hosts.len(), some(&[.nodes.as_slice(), .operators.as_slice(), .hosts.as_slice()].concat()))]
    Behind {
        /// Nodes.
        nodes: Vec<String>,
        /// Operators.
        operators: Vec<String>,
        /// Hosts.
        hosts: Vec<String>,
    },
}

/// A phase in words.
#[must_use]
pub const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Announced => "announced: nodes get to know the new root",
        Phase::Switched => {
            "switched: nodes, hosts and operators get certificates under the new root"
        }
        Phase::Withdrawing => {
            "withdrawing: nodes, hosts and operators get certificates under the old root again"
        }
    }
}

fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more > 0 {
        format!("{} and {more} more", shown.join(", "))
    } else {
        shown.join(", ")
    }
}

/// What a step of an operator comes to.
///
/// # Errors
/// When it belongs to another phase, or would leave someone behind and nobody insists.
pub fn decide(
    step: RotationStep,
    insistence: Insistence,
    authorities: &AuthorityState,
    progress: &Progress,
) -> Result<Change, RotationRefused> {
    let Some(rotation) = &authorities.rotation else {
        return match step {
            RotationStep::Start => Ok(Change::Start),
            _ => Err(RotationRefused::None),
        };
    };
    let forced = insistence == Insistence::Forced;
    match (step, rotation.phase) {
        (RotationStep::Start, _) => Err(RotationRefused::GoesOn),
        (RotationStep::Switch, Phase::Announced) => {
            if forced || progress.unacknowledged.is_empty() {
                Ok(Change::Switch)
            } else {
                Err(RotationRefused::Unacknowledged {
                    names: progress.unacknowledged.clone(),
                    nodes: progress.nodes,
                })
            }
        }
        (RotationStep::Finish, Phase::Switched) => careful(Change::Finish, forced, progress),
        // Nothing was signed under the new root yet.
        (RotationStep::RollBack, Phase::Announced) => Ok(Change::RollBack),
        (RotationStep::RollBack, Phase::Switched) => Ok(Change::SwitchBack),
        (RotationStep::RollBack, Phase::Withdrawing) => careful(Change::RollBack, forced, progress),
        (RotationStep::Switch | RotationStep::Finish, phase) => Err(RotationRefused::Phase(phase)),
    }
}

fn careful(change: Change, forced: bool, progress: &Progress) -> Result<Change, RotationRefused> {
    if forced || progress.left_behind() == 0 {
        return Ok(change);
    }
    Err(RotationRefused::Behind {
        nodes: progress.behind.clone(),
        operators: progress.operators_behind.clone(),
        hosts: progress.hosts_behind.clone(),
    })
}

/// What the master does by itself: it switches when every live node knows the new root, and ends a
/// withdrawal when nobody has a certificate under the new root any more. The old root is dropped only
/// when an operator says so, since pins in images and compose files have to be changed before.
#[must_use]
pub fn by_itself(authorities: &AuthorityState, progress: &Progress) -> Option<Change> {
    let step = match authorities.rotation?.phase {
        Phase::Announced => RotationStep::Switch,
        Phase::Withdrawing => RotationStep::RollBack,
        Phase::Switched => return None,
    };
    decide(step, Insistence::Careful, authorities, progress).ok()
}

#[cfg(test)]
mod tests;
