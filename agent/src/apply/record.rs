//! What became of a catalog's resources so far. It stands apart from the apply that fills it, so that
//! an apply that is cut short still leaves a report.

use std::collections::BTreeSet;

use dockmaster_proto::{
    catalog::{Catalog, ResourceRef},
    report::{Outcome, ResourceReport},
};

use super::Applied;

/// What became of a catalog's resources so far.
#[derive(Debug, Clone, Default)]
pub struct Record {
    settled: Vec<ResourceReport>,
    begun: Option<ResourceRef>,
}

impl Record {
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
