//! Compile once per configuration: nodes that get the same classes and values, and for which
//! everything that their templates read is equal, share one catalog.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use dockmaster_proto::{id::Digest, node::NodeView};

use crate::{
    classification::Resolved,
    compile::{self, Compiled},
    diagnostic::Diagnostics,
    fleet::Fleet,
    inputs::Reads,
    node_name,
    site::Site,
};

/// The compiled catalogs of one site.
///
/// A change of the classification, of labels or of the fleet needs no clearing: a node whose
/// configuration and inputs are the same as before, or as another's, gets the catalog that is
/// there. Call [`Cache::sweep`] after each round over all nodes to drop what none needs any more.
pub struct Cache {
    site: Arc<Site>,
    configurations: Mutex<HashMap<Digest, Vec<Traces>>>,
    compiles: AtomicU64,
}

/// The results of compiles of one configuration that read the same inputs, by the inputs' values.
/// A compile is a function of its configuration and of what it reads, so equal values of what one
/// compile read lead another down the same path.
struct Traces {
    reads: Arc<Reads>,
    results: HashMap<Digest, Entry>,
}

struct Entry {
    outcome: Outcome,
    used: bool,
}

#[derive(Clone)]
enum Outcome {
    Compiled(Arc<Compiled>),
    /// Errors also name the groups from which values come.
    Failed {
        origin: Digest,
        diagnostics: Arc<Diagnostics>,
    },
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new(site: Arc<Site>) -> Self {
        Self {
            site,
            configurations: Mutex::default(),
            compiles: AtomicU64::new(0),
        }
    }

    /// The site.
    #[must_use]
    pub const fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// The catalog of a node: one that is there, or a new one.
    ///
    /// # Errors
    /// Those of [`compile::compile`].
    pub fn compile(
        &self,
        resolved: &Resolved,
        node: &NodeView,
        fleet: &Fleet,
    ) -> Result<Arc<Compiled>, Diagnostics> {
        let outcome = match self.find(resolved, node, fleet) {
            Some(outcome) => outcome,
            None => self.add(resolved, node, fleet),
        };
        match outcome {
            Outcome::Compiled(compiled) => Ok(compiled),
            Outcome::Failed { diagnostics, .. } => Err(diagnostics.for_node(&node_name(node))),
        }
    }

    /// How many catalogs were compiled, and not found, since the cache was made.
    #[must_use]
    pub fn compiles(&self) -> u64 {
        self.compiles.load(Ordering::Relaxed)
    }

    /// Drops the catalogs that were not asked for since the last call.
    pub fn sweep(&self) {
        self.lock().retain(|_, traces| {
            traces.retain_mut(|trace| {
                trace
                    .results
                    .retain(|_, entry| std::mem::take(&mut entry.used));
                !trace.results.is_empty()
            });
            !traces.is_empty()
        });
    }

    fn find(&self, resolved: &Resolved, node: &NodeView, fleet: &Fleet) -> Option<Outcome> {
        let known: Vec<Arc<Reads>> = {
            let configurations = self.lock();
            let traces = configurations.get(&resolved.config())?;
            traces
                .iter()
                .map(|trace| Arc::clone(&trace.reads))
                .collect()
        };
        // Values are worked out without the lock: the first to ask for peers goes through the fleet.
        for reads in known {
            let values = self.values(&reads, resolved, node, fleet);
            let mut configurations = self.lock();
            let mut traces = configurations.get_mut(&resolved.config())?.iter_mut();
            let entry = traces
                .find(|trace| trace.reads == reads)
                .and_then(|trace| trace.results.get_mut(&values));
            let Some(entry) = entry else {
                continue;
            };
            match &entry.outcome {
                Outcome::Failed { origin, .. } if *origin != resolved.origin() => {}
                outcome => {
                    entry.used = true;
                    return Some(outcome.clone());
                }
            }
        }
        None
    }

    fn add(&self, resolved: &Resolved, node: &NodeView, fleet: &Fleet) -> Outcome {
        self.compiles.fetch_add(1, Ordering::Relaxed);
        let (result, reads) = compile::compile_recorded(&self.site, resolved, node, fleet);
        let outcome = match result {
            Ok(compiled) => Outcome::Compiled(Arc::new(compiled)),
            Err(diagnostics) => Outcome::Failed {
                origin: resolved.origin(),
                diagnostics: Arc::new(diagnostics),
            },
        };
        let values = self.values(&reads, resolved, node, fleet);
        let mut configurations = self.lock();
        let traces = configurations.entry(resolved.config()).or_default();
        let at = traces
            .iter()
            .position(|trace| *trace.reads == reads)
            .unwrap_or_else(|| {
                traces.push(Traces {
                    reads: Arc::new(reads),
                    results: HashMap::new(),
                });
                traces.len() - 1
            });
        let entry = Entry {
            outcome: outcome.clone(),
            used: true,
        };
        traces[at].results.insert(values, entry);
        outcome
    }

    fn values(&self, reads: &Reads, resolved: &Resolved, node: &NodeView, fleet: &Fleet) -> Digest {
        reads.digest(self.site.data(), &resolved.environment, node, fleet)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Vec<Traces>>> {
        // Whoever panicked left whole entries behind.
        self.configurations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cache of {} configurations", self.lock().len())
    }
}
