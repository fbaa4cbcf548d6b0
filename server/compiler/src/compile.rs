//! Site, classification and node to catalog.

mod bind;
mod graph;
mod resources;

use std::{collections::BTreeSet, sync::Arc};

use dockmaster_proto::{
    catalog::{CATALOG_VERSION, Catalog, MAX_CATALOG_BYTES},
    id::Digest,
    node::NodeView,
};
use serde_json::Value;

use crate::{
    classification::Resolved,
    deep,
    fleet::Fleet,
    inputs::{Reads, Recorder},
    node_name,
    site::{Class, Site},
    template::Context,
};
use dockmaster_document::{
    diagnostic::{Diagnostic, Diagnostics},
    suggest,
};

/// A compiled catalog.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The catalog.
    pub catalog: Catalog,
    /// Its canonical bytes.
    pub bytes: Arc<[u8]>,
    /// Their digest: the catalog's name.
    pub digest: Digest,
    /// The contents that it names by digest, each once.
    pub blobs: Vec<(Digest, Arc<[u8]>)>,
    /// What was read of the node and the fleet to make it.
    pub reads: Reads,
}

/// Compiles the catalog of one node.
///
/// # Errors
/// When a class or parameter is not in the site, a parameter has no value or one that does not fit,
/// a template fails, or resources are declared twice, missing, or wait for each other: everything
/// that is wrong at once, each with the node's name.
pub fn compile(
    site: &Site,
    resolved: &Resolved,
    node: &NodeView,
    fleet: &Fleet,
) -> Result<Compiled, Diagnostics> {
    compile_recorded(site, resolved, node, fleet).0
}

/// The same, with what was read also when it failed.
pub(crate) fn compile_recorded(
    site: &Site,
    resolved: &Resolved,
    node: &NodeView,
    fleet: &Fleet,
) -> (Result<Compiled, Diagnostics>, Reads) {
    let recorder = Recorder::new(node);
    let result = deep::run(|| compile_with(site, resolved, &recorder, fleet));
    let reads = recorder.reads();
    let result = result
        .map(|compiled| Compiled {
            reads: reads.clone(),
            ..compiled
        })
        .map_err(|wrong| {
            let name = node_name(node);
            let each = wrong
                .into_iter()
                .map(|diagnostic| diagnostic.for_node(&name));
            Diagnostics::sorted(each.collect())
        });
    (result, reads)
}

fn compile_with(
    site: &Site,
    resolved: &Resolved,
    recorder: &Arc<Recorder>,
    fleet: &Fleet,
) -> Result<Compiled, Vec<Diagnostic>> {
    let mut wrong = Vec::new();
    let classes = classes(site, resolved, &mut wrong);
    let mut collected = resources::Collected::default();
    for class in &classes {
        let Some(params) = bind::params(site, resolved, class, recorder, &mut wrong) else {
            continue;
        };
        let params = Value::Object(params);
        let context = Context::new(&params, &resolved.environment, recorder, site.data(), fleet);
        resources::collect(site, class, &context, &mut collected, &mut wrong);
    }
    // What classes failed to give would only be reported as missing.
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let (resources, edges) = graph::order(site, collected.drafts, &collected.left_out)?;
    let catalog = Catalog {
        version: CATALOG_VERSION,
        environment: resolved.environment.clone(),
        classes: classes.iter().map(|class| class.name.clone()).collect(),
        resources,
        edges,
    };
    let bytes: Arc<[u8]> = catalog.to_bytes().into();
    if bytes.len() > MAX_CATALOG_BYTES {
        let message = format!(
            "the catalog has {} bytes, more than the {MAX_CATALOG_BYTES} that an agent takes",
            bytes.len()
        );
        return Err(vec![Diagnostic::new(resolved.file.as_ref(), message)]);
    }
    Ok(Compiled {
        digest: Digest::of(&bytes),
        catalog,
        bytes,
        blobs: collected.blobs.into_iter().collect(),
        reads: Reads::default(),
    })
}

/// The classes of a node in the order in which they are compiled: included ones first.
fn classes<'a>(site: &'a Site, resolved: &Resolved, wrong: &mut Vec<Diagnostic>) -> Vec<&'a Class> {
    let mut ordered = Vec::new();
    let mut seen = BTreeSet::new();
    for granted in &resolved.classes {
        match site.class(&granted.class) {
            Some(class) => visit(site, class, &mut seen, &mut ordered),
            None => {
                let message = format!(
                    "class {:?}, which group {:?} gives, is not in the site",
                    granted.class, granted.group
                );
                let mut diagnostic = Diagnostic::new(resolved.file.as_ref(), message);
                diagnostic.line = granted.line;
                wrong.push(diagnostic.hint(suggest::hint(&granted.class, site.classes())));
            }
        }
    }
    ordered
}

fn visit<'a>(
    site: &'a Site,
    start: &'a Class,
    seen: &mut BTreeSet<&'a str>,
    ordered: &mut Vec<&'a Class>,
) {
    // A stack of its own: how deep classes include each other is the site's choice.
    let mut stack = vec![(start, 0)];
    if !seen.insert(&start.name) {
        return;
    }
    while let Some((class, next)) = stack.pop() {
        let Some((included, _)) = class.include.get(next) else {
            ordered.push(class);
            continue;
        };
        stack.push((class, next + 1));
        // The site was checked: every included class is there.
        if let Some(included) = site.class(included)
            && seen.insert(&included.name)
        {
            stack.push((included, 0));
        }
    }
}
