//! Machines that a join token let in, in the index: the same fold as in the view, a record each.

use dockmaster_proto::{event::Event, id::ContainerId, time::UnixMs};

use super::{Index, IndexError, keys, overlay::Overlay};
use crate::state::{CurrentCertificate, MachineRecord, NodeRecord, State, token_of};

/// Takes up the certificate of a node, when it counts.
pub(super) fn certify(
    id: &ContainerId,
    event: &Event,
    displaced: &[CurrentCertificate],
    to: &mut Overlay<'_>,
) -> Result<(), IndexError> {
    let (Event::CertIssued(issued) | Event::CertRenewed(issued)) = event else {
        return Ok(());
    };
    if token_of(issued).is_none() {
        return Ok(());
    }
    // As in the view: a node that ended meanwhile is certified no more.
    let node = to.get::<NodeRecord>(&keys::node(id))?;
    let Some(node) = node.filter(|node| node.honours(&issued.serial)) else {
        return Ok(());
    };
    if let Event::CertRenewed(issued) = event {
        let before = node.certified_before(&issued.serial, displaced);
        return to.update::<MachineRecord>(&keys::machine(id), |machine| {
            machine.renew(issued, &before);
        });
    }
    if let Some(machine) = MachineRecord::new(issued, &node) {
        let known = to.get::<MachineRecord>(&keys::machine(id))?;
        to.put(&keys::machine(id), &machine.after(issued, known.as_ref()));
    }
    Ok(())
}

/// Takes up what else happened.
pub(super) fn project(event: &Event, to: &mut Overlay<'_>) -> Result<(), IndexError> {
    if let Event::Restored(_) = event {
        let all: Vec<MachineRecord> = to.scan(keys::MACHINES)?;
        for mut machine in all {
            machine.apply(event);
            to.put(&keys::machine(&machine.id), &machine);
        }
        return Ok(());
    }
    match MachineRecord::concerned(event) {
        Some(id) => to.update::<MachineRecord>(&keys::machine(id), |machine| machine.apply(event)),
        None => Ok(()),
    }
}

impl Index {
    /// Puts the machines back into a view that is being loaded.
    pub(super) fn load_machines(&self, into: &mut State) -> Result<(), IndexError> {
        let newest: Option<UnixMs> = Overlay::new(&self.db).get(keys::LAST_TIME)?;
        let newest = newest.unwrap_or_default();
        for machine in self.scan::<MachineRecord>(keys::MACHINES) {
            let (_, machine) = machine?;
            if !machine.is_past(newest) {
                into.restore_machine(machine);
            }
        }
        Ok(())
    }
}
