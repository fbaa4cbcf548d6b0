//! A fleet of a thousand nodes: who is meant, and what each gets.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panic")]

use std::{hint::black_box, sync::Arc};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dockmaster_compiler::{
    cache::Cache,
    classification::Classification,
    fleet::Fleet,
    site::{Files, Site},
};
use dockmaster_proto::{
    facts::Limits,
    id::{ContainerId, Digest},
    label::{Labels, Tier},
    node::NodeView,
    selector::Selector,
    time::UnixMs,
};

const NODES: u16 = 1000;
const SELECTOR: &str = "role=web, tier in (front, edge), !canary";
const CLASSIFICATION: &str = include_str!("../../../examples/hello/classification.yaml");
/// `examples/hello/site`.
const SITE: [(&str, &str); 5] = [
    (
        "site.yaml",
        include_str!("../../../examples/hello/site/site.yaml"),
    ),
    (
        "data/common.yaml",
        include_str!("../../../examples/hello/site/data/common.yaml"),
    ),
    (
        "modules/base/classes/base.yaml",
        include_str!("../../../examples/hello/site/modules/base/classes/base.yaml"),
    ),
    (
        "modules/hello/classes/hello.yaml",
        include_str!("../../../examples/hello/site/modules/hello/classes/hello.yaml"),
    ),
    (
        "modules/hello/templates/hello.conf.j2",
        include_str!("../../../examples/hello/site/modules/hello/templates/hello.conf.j2"),
    ),
];

fn node(number: u16) -> NodeView {
    let mut labels = Labels::new();
    let tier = ["front", "back"][usize::from(number % 2)];
    for (key, value) in [("role", "web"), ("tier", tier)] {
        labels.set(key, value, Tier::Host);
    }
    let [high, low] = number.to_be_bytes();
    NodeView {
        id: ContainerId::from_bytes(*Digest::of(&number.to_be_bytes()).as_bytes()),
        name: format!("n{number}"),
        host: "h1".parse().unwrap(),
        image: "app:1".to_owned(),
        image_digest: String::new(),
        addresses: vec![format!("h1/bridge/172.17.{high}.{low}").parse().unwrap()],
        labels,
        started_at_ms: UnixMs(1_700_000_000_000),
        limits: Limits::default(),
    }
}

fn compile_all(cache: &Cache, classification: &Classification, nodes: &[Arc<NodeView>]) {
    let fleet = Fleet::new(nodes.iter().cloned());
    for node in nodes {
        let resolved = classification.resolve(node).unwrap();
        black_box(cache.compile(&resolved, node, &fleet).unwrap());
    }
}

fn fleet(criterion: &mut Criterion) {
    let nodes: Vec<Arc<NodeView>> = (0..NODES).map(|number| Arc::new(node(number))).collect();
    let selector: Selector = SELECTOR.parse().unwrap();
    let classification = Classification::parse("classification.yaml", CLASSIFICATION).unwrap();
    let files: Files = SITE
        .map(|(path, text)| (path.to_owned(), text.as_bytes().into()))
        .into();
    let site = Arc::new(Site::parse(&files).unwrap());

    criterion.bench_function("a selector of three terms on 1000 nodes", |bench| {
        bench.iter(|| {
            let matching = nodes
                .iter()
                .filter(|node| selector.matches(node, Tier::Token));
            black_box(matching.count())
        });
    });
    criterion.bench_function("1000 nodes classified by three groups", |bench| {
        bench.iter(|| {
            for node in &nodes {
                black_box(classification.resolve(node).unwrap());
            }
        });
    });
    let mut group = criterion.benchmark_group("the catalogs of 1000 nodes");
    group.sample_size(20);
    group.bench_function("for the first time", |bench| {
        bench.iter_batched(
            || Cache::new(Arc::clone(&site)),
            |cache| compile_all(&cache, &classification, &nodes),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("once more, nothing changed", |bench| {
        let cache = Cache::new(Arc::clone(&site));
        compile_all(&cache, &classification, &nodes);
        bench.iter(|| compile_all(&cache, &classification, &nodes));
    });
    group.finish();
}

criterion_group!(benches, fleet);
criterion_main!(benches);
