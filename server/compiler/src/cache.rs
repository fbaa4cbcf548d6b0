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
    fleet::Fleet,
    inputs::Reads,
    node_name,
    site::Site,
};
use dockmaster_document::diagnostic::Diagnostics;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        classification::{Classification, testing::parse},
        testing::{node, site},
    };

    const ALL: &str = "groups: [{ name: all, match: '', classes: [m] }]";

    fn class(content: &str) -> Cache {
        let class = format!("resources:\n  - file: /etc/conf\n    content: '{content}'\n");
        let common = "k: common\n";
        let hierarchy = "hierarchy: ['node/{{ node.name }}', common]\n";
        let files = [
            ("site.yaml", hierarchy),
            ("data/common.yaml", common),
            ("data/node/n7.yaml", "k: seven\n"),
            ("modules/m/classes/m.yaml", &class),
        ];
        Cache::new(Arc::new(site(&files)))
    }

    /// Nodes n0, n1, … with a label and addresses of their own.
    fn nodes(count: u8) -> Vec<NodeView> {
        let each = (0..count).map(|number| {
            let mut node = node(&format!("n{number}"), &[("role", "web")]);
            node.addresses = vec![format!("h1/bridge/10.0.0.{number}").parse().unwrap()];
            node
        });
        each.collect()
    }

    fn fleet(nodes: &[NodeView]) -> Fleet {
        Fleet::new(nodes.iter().cloned().map(Arc::new))
    }

    /// Compiles for all nodes; gives the number of compiles that it took and of different catalogs.
    fn round(
        cache: &Cache,
        classification: &Classification,
        nodes: &[NodeView],
        fleet: &Fleet,
    ) -> (u64, usize) {
        let before = cache.compiles();
        let mut digests: Vec<Digest> = nodes
            .iter()
            .map(|node| {
                let resolved = classification.resolve(node).unwrap();
                let compiled = cache.compile(&resolved, node, fleet).unwrap();
                // What is shared is what the node would get by itself.
                let alone = compile::compile(cache.site(), &resolved, node, fleet).unwrap();
                assert_eq!(compiled.bytes, alone.bytes);
                compiled.digest
            })
            .collect();
        digests.sort();
        digests.dedup();
        (cache.compiles() - before, digests.len())
    }

    /// The catalog with what the template gives, or the error.
    fn rendered(template: &str) -> Result<String, String> {
        let class = "resources:\n  - file: /etc/conf\n    template: t\n";
        let files = [
            ("site.yaml", ""),
            ("modules/m/classes/m.yaml", class),
            ("modules/m/templates/t", template),
        ];
        let each = files.iter();
        let files = each.map(|(path, text)| ((*path).to_owned(), text.as_bytes().into()));
        let site = Site::parse(&files.collect()).map_err(|errors| errors.to_string())?;
        let cache = Cache::new(Arc::new(site));
        let node = node("n1", &[("depth", "100000")]);
        let fleet = fleet(std::slice::from_ref(&node));
        let resolved = parse(ALL).resolve(&node).unwrap();
        let compiled = cache.compile(&resolved, &node, &fleet);
        let compiled = compiled.map_err(|errors| errors.to_string())?;
        Ok(String::from_utf8_lossy(&compiled.bytes).into_owned())
    }

    #[test]
    fn a_value_that_nests_without_end_neither_ends_the_program_nor_is_steered_by_a_label() {
        // A label says how many turns a loop takes; what is made in one turn ends with it.
        let carried = "{% set ns = namespace(x=[]) %}{% for i in range(labels.depth|int) %}\
                       {% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}";
        let error = rendered(carried).unwrap_err();
        assert!(error.contains("namespace"), "{error}");
        let deep = format!(
            "{{% set x = [1] %}}{}{{{{ x|length }}}}",
            "{% set x = [x] %}".repeat(100_000)
        );
        assert!(rendered(&deep).is_ok());
        let shown = deep.replace("x|length", "x|tojson");
        let shown = rendered(&shown);
        assert!(shown.is_ok() || shown.unwrap_err().contains("more work"));
    }

    #[test]
    fn a_thousand_equal_replicas_cost_one_compile() {
        let cache = class("{{ labels.role }} {{ environment }} {{ data(\"k\") }}");
        let classification = parse(ALL);
        let nodes: Vec<NodeView> = (100..1100)
            .map(|number| node(&format!("n{number}"), &[("role", "web")]))
            .collect();
        let fleet = fleet(&nodes);
        let shared: Vec<Arc<Compiled>> = nodes
            .iter()
            .map(|node| {
                cache
                    .compile(&classification.resolve(node).unwrap(), node, &fleet)
                    .unwrap()
            })
            .collect();
        assert_eq!(cache.compiles(), 1);
        assert!(
            shared
                .iter()
                .all(|compiled| Arc::ptr_eq(compiled, &shared[0]))
        );
    }

    #[test]
    fn a_template_that_names_the_ip_costs_one_compile_per_node() {
        let cache = class("{{ node.ip }}");
        let (classification, nodes) = (parse(ALL), nodes(50));
        assert_eq!(
            round(&cache, &classification, &nodes, &fleet(&nodes)),
            (50, 50)
        );
        assert_eq!(
            round(&cache, &classification, &nodes, &fleet(&nodes)),
            (0, 50)
        );
    }

    #[test]
    fn only_the_node_with_data_of_its_own_differs() {
        let cache = class("{{ data(\"k\") }}");
        let (classification, nodes) = (parse(ALL), nodes(20));
        assert_eq!(
            round(&cache, &classification, &nodes, &fleet(&nodes)),
            (2, 2)
        );
    }

    #[test]
    fn a_label_that_nobody_reads_changes_nothing() {
        let cache =
            class("{% if labels.role == \"web\" %}{{ labels.tier | default(\"x\") }}{% endif %}");
        let (classification, mut nodes) = (parse(ALL), nodes(4));
        let fleet = fleet(&nodes);
        nodes[1]
            .labels
            .set("other", "x", dockmaster_proto::label::Tier::Operator);
        nodes[2]
            .labels
            .set("tier", "front", dockmaster_proto::label::Tier::Operator);
        // The fourth takes another path, on which the tier is not read.
        nodes[3]
            .labels
            .set("role", "db", dockmaster_proto::label::Tier::Operator);
        assert_eq!(round(&cache, &classification, &nodes, &fleet), (3, 3));
        nodes[3]
            .labels
            .set("tier", "unread", dockmaster_proto::label::Tier::Operator);
        assert_eq!(round(&cache, &classification, &nodes, &fleet), (0, 3));
    }

    #[test]
    fn a_change_of_the_fleet_costs_only_those_whose_peers_changed() {
        let cache = class("{% for peer in peers(\"role=web\") %}{{ peer.ip }} {% endfor %}");
        let (classification, nodes) = (parse(ALL), nodes(10));
        assert_eq!(
            round(&cache, &classification, &nodes, &fleet(&nodes[..5])),
            (1, 1)
        );
        let mut with_another = nodes[..5].to_vec();
        with_another.push(node("db", &[("role", "db")]));
        assert_eq!(
            round(&cache, &classification, &nodes, &fleet(&with_another)),
            (0, 1)
        );
        assert_eq!(
            round(&cache, &classification, &nodes, &fleet(&nodes[..6])),
            (1, 1)
        );
        with_another.reverse();
        assert_eq!(
            round(&cache, &classification, &nodes, &fleet(&with_another)),
            (0, 1)
        );
    }

    #[test]
    fn what_none_asks_for_any_more_is_dropped() {
        let cache = class("{{ node.name }}");
        let (classification, nodes) = (parse(ALL), nodes(3));
        round(&cache, &classification, &nodes, &fleet(&nodes));
        cache.sweep();
        round(&cache, &classification, &nodes[..1], &fleet(&nodes));
        cache.sweep();
        assert_eq!(round(&cache, &classification, &nodes, &fleet(&nodes)).0, 2);
        cache.sweep();
        cache.sweep();
        assert_eq!(format!("{cache:?}"), "Cache of 0 configurations");
    }

    #[test]
    fn equal_nodes_share_their_error_but_each_is_named() {
        let cache = class("{{ labels.missing }}");
        let (classification, nodes) = (parse(ALL), nodes(3));
        let fleet = fleet(&nodes);
        for node in &nodes {
            let error = cache
                .compile(&classification.resolve(node).unwrap(), node, &fleet)
                .unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(&format!(
                    "`labels.missing` is undefined (node {})",
                    node.name
                )),
                "{text}"
            );
        }
        assert_eq!(cache.compiles(), 1);
    }
}
