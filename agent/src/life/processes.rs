//! The processes of a life: those of the catalog, and the application that it may not mention.

use dockmaster_proto::{
    catalog::Catalog,
    report::ProcessReport,
    resource::{Process, ResourceKind},
};

use super::{Insist, Life};
use crate::{
    apply::{self, Processes},
    say,
    supervise::{APP, Refresh},
};

impl Life<'_> {
    /// Processes that the catalog has no more are stopped; an application that it does not mention is
    /// the command after `--`.
    pub(super) async fn settle_processes(&self, catalog: &Catalog) {
        let Processes::Kept {
            supervisor,
            command,
        } = self.processes
        else {
            return;
        };
        for title in supervisor.titles() {
            let kept = process(catalog, &title).is_some() || (title == APP && !command.is_empty());
            if !kept {
                supervisor.remove(&title).await;
            }
        }
        if process(catalog, APP).is_none()
            && let Ok(spec) =
                apply::specification(&self.settings.local.root, APP, &Process::default(), command)
        {
            // Its failure to start is its end, and told as that.
            let _ = supervisor.bring(APP, spec, Refresh::No).await;
        }
    }

    /// Starts the application without its catalog, where that is wanted; else says that it waits.
    pub(super) async fn start_application(&self, insist: Insist) {
        let Processes::Kept {
            supervisor,
            command,
        } = self.processes
        else {
            return;
        };
        if supervisor.knows(APP) {
            return;
        }
        let declared = self
            .current
            .as_ref()
            .and_then(|current| process(&current.catalog, APP));
        let default = Process::default();
        let process = declared.unwrap_or(&default);
        let root = &self.settings.local.root;
        let Ok(spec) = apply::specification(root, APP, process, command) else {
            return;
        };
        if insist == Insist::OnApplication {
            say!("the application starts although its configuration is not in place");
            let _ = supervisor.bring(APP, spec, Refresh::No).await;
        } else {
            say!(
                "the application is not started, since what it depends on was not applied (--start-anyway would)"
            );
        }
    }

    /// Whether there is an application: a command after `--`, or one that the catalog gives.
    #[must_use]
    pub fn wants_application(&self) -> bool {
        let Processes::Kept { command, .. } = self.processes else {
            return false;
        };
        let last = self.current.as_ref().map(|current| &current.catalog);
        let declared = last
            .or(self.previous.as_ref())
            .and_then(|catalog| process(catalog, APP));
        !command.is_empty() || declared.is_some()
    }

    pub(super) fn process_report(&self) -> Vec<ProcessReport> {
        match self.processes {
            Processes::Left => Vec::new(),
            Processes::Kept { supervisor, .. } => supervisor.report(),
        }
    }
}

fn process<'c>(catalog: &'c Catalog, title: &str) -> Option<&'c Process> {
    catalog
        .resources
        .iter()
        .find_map(|resource| match &resource.kind {
            ResourceKind::Process(process) if resource.title == title => Some(process),
            _ => None,
        })
}
