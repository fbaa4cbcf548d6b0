//! What became of a catalog's resources so far. It stands apart from the apply that fills it, so that
//! an apply that is cut short still leaves a report.

use std::collections::BTreeSet;

use dockmaster_proto::{
    catalog::{Catalog, Resource, ResourceRef},
    report::{Outcome, ResourceReport},
};

use super::Applied;

/// What became of a catalog's resources so far.
#[derive(Debug, Clone, Default)]
pub struct Record {
    settled: Vec<ResourceReport>,
    begun: Option<ResourceRef>,
    owed: BTreeSet<ResourceRef>,
}

impl Record {
    /// The beginning of an apply that still owes some resources their refresh: what notifies them
    /// changed in an earlier one, and will not change again.
    #[must_use]
    pub fn owing(owed: BTreeSet<ResourceRef>) -> Self {
        Self {
            owed,
            ..Self::default()
        }
    }

    /// The resources that were notified and not refreshed since.
    #[must_use]
    pub const fn owed(&self) -> &BTreeSet<ResourceRef> {
        &self.owed
    }

    /// A resource that the catalog does not have is owed nothing.
    pub(super) fn forget_others(&mut self, catalog: &Catalog) {
        if self.owed.is_empty() {
            return;
        }
        let known: BTreeSet<ResourceRef> =
            catalog.resources.iter().map(Resource::reference).collect();
        self.owed.retain(|resource| known.contains(resource));
    }

    /// Whether a resource has to be refreshed.
    pub(super) fn owes(&self, resource: &ResourceRef) -> bool {
        self.owed.contains(resource)
    }

    /// Something that notifies a resource has changed.
    pub(super) fn owe(&mut self, resource: ResourceRef) {
        self.owed.insert(resource);
    }

    /// A resource was refreshed, or has no need to be.
    pub(super) fn pay(&mut self, resource: &ResourceRef) {
        self.owed.remove(resource);
    }

    /// Notes a resource whose work may be left half done.
    pub(super) fn begin(&mut self, resource: ResourceRef) {
        self.begun = Some(resource);
    }

    /// Notes what became of a resource.
    pub(super) fn settle(&mut self, report: ResourceReport) {
        self.begun = None;
        self.settled.push(report);
    }

    /// The result of an apply that came to its end.
    #[must_use]
    pub fn complete(self) -> Applied {
        Applied {
            resources: self.settled,
        }
    }

    /// The result of an apply that did not: the resource that was being dealt with failed, and those
    /// that were not reached are skipped.
    #[must_use]
    pub fn cut_short(self, catalog: &Catalog, why: &str) -> Applied {
        let mut resources = self.settled;
        let settled: BTreeSet<ResourceRef> = resources
            .iter()
            .map(|report| report.resource.clone())
            .collect();
        for resource in &catalog.resources {
            let resource = resource.reference();
            if settled.contains(&resource) {
                continue;
            }
            let outcome = if self.begun.as_ref() == Some(&resource) {
                Outcome::Failed {
                    error: format!("interrupted: {why}; it may be half done"),
                }
            } else {
                Outcome::Skipped {
                    reason: format!("not reached: {why}"),
                }
            };
            resources.push(ResourceReport {
                resource,
                outcome,
                duration_us: 0,
            });
        }
        Applied { resources }
    }
}
