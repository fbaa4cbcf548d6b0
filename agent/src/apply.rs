//! Makes a catalog true: looks, stages, changes, and says what became of every resource.

pub mod blob;
mod diff;
mod directory;
mod exec;
mod fault;
mod file;
mod foreseen;
pub mod order;
mod place;
mod process;
mod record;
mod spot;
mod symlink;

use std::{collections::BTreeMap, path::Path, time::Instant};

use dockmaster_proto::{
    catalog::{Catalog, Resource, ResourceRef},
    report::{ApplyStatus, Change, Outcome, ResourceReport},
    resource::ResourceKind,
};

pub use self::fault::Fault;
pub use self::foreseen::Foreseen;
pub use self::process::{Processes, specification};
pub use self::record::Record;

use self::{
    blob::BlobSource,
    order::{Fate, Order, OrderError, Progress, Step},
};
use crate::{
    root::Root,
    say,
    supervise::{Refresh, reaper::Reaper},
};

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything that has to be.
    Apply,
    /// Nothing: only what would be changed is told.
    Noop,
}

/// What an apply works with.
pub struct Context<'a> {
    /// The tree that paths are looked up in.
    pub root: &'a Root,
    /// Starts commands.
    pub reaper: &'a Reaper,
    /// Where contents come from.
    pub blobs: &'a mut dyn BlobSource,
    /// Who runs processes.
    pub processes: Processes<'a>,
    /// Whether anything is changed.
    pub mode: Mode,
    /// A private folder for files that cannot be staged where they belong.
    pub scratch: Option<&'a Path>,
    /// The catalog that was applied before: what is in it unchanged is corrected, not intended.
    pub previous: Option<&'a Catalog>,
    /// What a dry run would have made by now.
    pub foreseen: Foreseen,
}

/// What was done to a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Done {
    Unchanged,
    Changed { what: String, diff: String },
}

impl Done {
    fn changed(what: impl Into<String>) -> Self {
        Self::Changed {
            what: what.into(),
            diff: String::new(),
        }
    }
}

/// The result of an apply.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Each resource in the order in which it was dealt with.
    pub resources: Vec<ResourceReport>,
}

impl Applied {
    /// What an apply did, in a few words.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |fits: fn(&Outcome) -> bool| {
            self.resources
                .iter()
                .filter(|report| fits(&report.outcome))
                .count()
        };
        let parts = [
            (count(|o| matches!(o, Outcome::Changed { .. })), "changed"),
            (
                count(|o| matches!(o, Outcome::WouldChange { .. })),
                "would change",
            ),
            (count(|o| matches!(o, Outcome::Failed { .. })), "failed"),
            (count(|o| matches!(o, Outcome::Skipped { .. })), "skipped"),
            (count(|o| matches!(o, Outcome::Unchanged)), "unchanged"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        if parts.is_empty() {
            return "nothing to apply".to_owned();
        }
        format!("applied: {}", parts.join(", "))
    }

    /// The result as a whole.
    #[must_use]
    pub fn status(&self) -> ApplyStatus {
        let worst = self.resources.iter().map(|report| match report.outcome {
            Outcome::Unchanged => 0,
            Outcome::Changed { .. } | Outcome::WouldChange { .. } => 1,
            Outcome::Failed { .. } | Outcome::Skipped { .. } => 2,
        });
        match worst.max() {
            None | Some(0) => ApplyStatus::Unchanged,
            Some(1) => ApplyStatus::Changed,
            Some(_) => ApplyStatus::Failed,
        }
    }
}

/// Applies a catalog wholly, or says exactly what it did not apply. `record` says it also when this is
/// dropped before its end.
///
/// # Errors
/// [`OrderError`] when the catalog has no order; then nothing was done.
pub async fn apply(
    catalog: &Catalog,
    context: &mut Context<'_>,
    record: &mut Record,
) -> Result<(), OrderError> {
    let order = Order::of(catalog)?;
    let known = context.previous.map(known).unwrap_or_default();
    record.forget_others(catalog);
    let mut course = Course {
        catalog,
        order: &order,
        progress: Progress::new(&order),
        known,
        record,
    };
    for step in &order.steps {
        course.step(step, context).await;
    }
    Ok(())
}

/// The resources of the last catalog by name: looking each up in a list would make an apply of many
/// resources quadratic.
fn known(previous: &Catalog) -> BTreeMap<ResourceRef, &ResourceKind> {
    let resources = previous.resources.iter();
    resources
        .map(|resource| (resource.reference(), &resource.kind))
        .collect()
}

struct Course<'a> {
    catalog: &'a Catalog,
    order: &'a Order,
    progress: Progress<'a>,
    known: BTreeMap<ResourceRef, &'a ResourceKind>,
    record: &'a mut Record,
}

impl<'a> Course<'a> {
    async fn step(&mut self, step: &Step, context: &mut Context<'_>) {
        let is_file =
            |index: &usize| matches!(self.catalog.resources[*index].kind, ResourceKind::File(_));
        if step.members().iter().all(is_file) {
            self.files(step.members(), context).await;
            return;
        }
        for index in step.members() {
            let began = Instant::now();
            let outcome = match self.obstacle(*index) {
                Some(reason) => Outcome::Skipped { reason },
                None => {
                    let resource = self.catalog.resources[*index].reference();
                    self.record.begin(resource);
                    self.single(*index, context).await
                }
            };
            self.settle(*index, outcome, began);
        }
    }

    async fn single(&self, index: usize, context: &mut Context<'_>) -> Outcome {
        let resource = &self.catalog.resources[index];
        let refresh = if self.record.owes(&resource.reference()) {
            Refresh::Yes
        } else {
            Refresh::No
        };
        let title = &resource.title;
        let done = match &resource.kind {
            ResourceKind::File(file) => match file::prepare(context, title, file).await {
                Ok(prepared) => file::commit(prepared),
                Err(fault) => Err(fault),
            },
            ResourceKind::Directory(directory) => directory::apply(context, title, directory),
            ResourceKind::Symlink(symlink) => symlink::apply(context, title, symlink),
            ResourceKind::Exec(exec) => exec::apply(context, exec, refresh).await,
            ResourceKind::Process(process) => {
                process::apply(context, title, process, refresh).await
            }
        };
        self.outcome(done, resource, refresh, context)
    }

    /// Files of one reload group, or a single file: all are staged before any is put in place.
    async fn files(&mut self, members: &[usize], context: &mut Context<'_>) {
        let mut prepared = Vec::with_capacity(members.len());
        for index in members {
            let began = Instant::now();
            let resource = &self.catalog.resources[*index];
            let ready = match (&resource.kind, self.obstacle(*index)) {
                (_, Some(reason)) => Err(Outcome::Skipped { reason }),
                (ResourceKind::File(file), None) => {
                    let ready = file::prepare(context, &resource.title, file).await;
                    ready.map_err(|fault| Outcome::Failed {
                        error: fault.to_string(),
                    })
                }
                // The caller saw to it that all are files.
                _ => continue,
            };
            prepared.push((*index, ready, began));
        }
        let spoiler = prepared
            .iter()
            .find(|(_, ready, _)| ready.is_err())
            .map(|(index, ..)| self.catalog.resources[*index].reference());
        for (index, ready, began) in prepared {
            let resource = &self.catalog.resources[index];
            let outcome = match (ready, &spoiler) {
                (Err(outcome), _) => outcome,
                (Ok(ready), Some(spoiler)) if ready.changes() => Outcome::Skipped {
                    reason: format!("{spoiler} is put in place together with it, and cannot be"),
                },
                (Ok(ready), _) => {
                    let done = file::commit(ready);
                    self.outcome(done, resource, Refresh::No, context)
                }
            };
            self.settle(index, outcome, began);
        }
    }

    fn obstacle(&self, index: usize) -> Option<String> {
        let obstacle = &self.catalog.resources[self.progress.obstacle(index)?];
        Some(format!("{} was not applied", obstacle.reference()))
    }

    fn settle(&mut self, index: usize, outcome: Outcome, began: Instant) {
        let resource = self.catalog.resources[index].reference();
        let fate = match &outcome {
            Outcome::Unchanged => Fate::Unchanged,
            Outcome::Changed { what, .. } => {
                say!("{resource}: {what}");
                Fate::Changed
            }
            Outcome::WouldChange { .. } => Fate::Changed,
            Outcome::Failed { error } => {
                say!("{resource} FAILED: {error}");
                Fate::Failed
            }
            Outcome::Skipped { reason } => {
                say!("{resource} skipped: {reason}");
                Fate::Failed
            }
        };
        self.progress.settle(index, fate);
        match fate {
            Fate::Changed => {
                self.record.pay(&resource);
                self.owe(index);
            }
            Fate::Unchanged => self.record.pay(&resource),
            Fate::Failed => {}
        }
        self.record.settle(ResourceReport {
            resource,
            outcome,
            duration_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        });
    }

    /// What a changed resource notifies has to be refreshed: in this apply or, where that fails or does
    /// not come to it, in a later one.
    fn owe(&mut self, index: usize) {
        for index in self.order.notified_by(index) {
            let resource = &self.catalog.resources[*index];
            if matches!(
                resource.kind,
                ResourceKind::Exec(_) | ResourceKind::Process(_)
            ) {
                self.record.owe(resource.reference());
            }
        }
    }

    fn outcome(
        &self,
        done: Result<Done, Fault>,
        resource: &Resource,
        refresh: Refresh,
        context: &Context<'_>,
    ) -> Outcome {
        match (done, context.mode) {
            (Err(fault), _) => Outcome::Failed {
                error: fault.to_string(),
            },
            (Ok(Done::Unchanged), _) => Outcome::Unchanged,
            (Ok(Done::Changed { what, diff }), Mode::Noop) => Outcome::WouldChange { what, diff },
            (Ok(Done::Changed { what, diff }), Mode::Apply) => Outcome::Changed {
                what,
                change: self.change(resource, refresh),
                diff,
            },
        }
    }

    /// A resource that the last catalog had just so was changed by something else meanwhile.
    fn change(&self, resource: &Resource, refresh: Refresh) -> Change {
        let known = self.known.get(&resource.reference()) == Some(&&resource.kind);
        if known && refresh == Refresh::No {
            Change::Corrective
        } else {
            Change::Intentional
        }
    }
}

#[cfg(test)]
mod tests;
