//! A plan as text.

use dockmaster_proto::api::documents::{NodeName, Plan};

use crate::cli::table;

/// How many nodes are named where many change alike.
const NAMED: usize = 8;

/// Groups that gain and lose nodes, then each difference once, then what is wrong or odd.
pub(super) fn render(plan: &Plan) -> String {
    let mut text = format!(
        "on classification {}: {} of {} would change\n",
        plan.base,
        plan.nodes_changed(),
        table::count(usize::try_from(plan.nodes).unwrap_or(usize::MAX), "node")
    );
    for change in &plan.groups {
        text.push_str(&format!("\ngroup {}\n", table::one_line(&change.group)));
        for (sign, nodes) in [('+', &change.gained), ('-', &change.lost)] {
            if !nodes.is_empty() {
                text.push_str(&format!("  {sign} {}\n", names(nodes)));
            }
        }
    }
    for change in &plan.catalogs {
        let nodes = table::count(change.nodes.len(), "node");
        text.push_str(&format!("\n{nodes}: {}\n", names(&change.nodes)));
        text.push_str(&table::indented(&table::printable(&change.diff)));
    }
    for failure in &plan.failures {
        text.push_str(&format!("\nno catalog for {}\n", name(&failure.node)));
        text.push_str(&table::indented(&table::printable(&failure.error)));
    }
    for (index, warning) in plan.warnings.iter().enumerate() {
        let gap = if index == 0 { "\n" } else { "" };
        text.push_str(&format!("{gap}warning: {}\n", table::printable(warning)));
    }
    text
}

fn names(nodes: &[NodeName]) -> String {
    let mut text = table::joined(nodes.iter().take(NAMED).map(name));
    if nodes.len() > NAMED {
        text.push_str(&format!(" and {} more", nodes.len() - NAMED));
    }
    text
}

fn name(node: &NodeName) -> String {
    format!(
        "{} ({})",
        table::one_line(&node.name),
        table::short_id(&node.id)
    )
}

#[cfg(test)]
pub(super) mod tests {
    use dockmaster_proto::{
        api::documents::{CatalogChange, CompileFailure, GroupChange},
        id::{ContainerId, Revision},
    };

    use super::*;

    fn node(byte: u8) -> NodeName {
        NodeName {
            name: format!("web-{byte}"),
            id: ContainerId::from_bytes([byte; 32]),
        }
    }

    /// A plan with something of everything.
    pub(in crate::cli::classify) fn plan() -> Plan {
        Plan {
            base: Revision(3),
            nodes: 12,
            groups: vec![GroupChange {
                group: "front".into(),
                gained: vec![node(1)],
                lost: vec![node(3)],
            }],
            catalogs: vec![CatalogChange {
                nodes: vec![node(1), node(2)],
                diff: "file[/etc/hello.conf]\n-greeting = hello\n+greeting = hi\n".into(),
            }],
            failures: vec![CompileFailure {
                node: node(3),
                error: "modules/hello/classes/hello.yaml:3: no such template".into(),
            }],
            warnings: vec!["group \"db\" matches no node".into()],
        }
    }

    #[test]
    fn a_plan_shows_each_difference_once_with_its_nodes() {
        assert_eq!(
            render(&plan()),
            "on classification 3: 2 of 12 nodes would change\n\
             \n\
             group front\n\
             \x20 + web-1 (010101010101)\n\
             \x20 - web-3 (030303030303)\n\
             \n\
             2 nodes: web-1 (010101010101), web-2 (020202020202)\n\
             \x20 file[/etc/hello.conf]\n\
             \x20 -greeting = hello\n\
             \x20 +greeting = hi\n\
             \n\
             no catalog for web-3 (030303030303)\n\
             \x20 modules/hello/classes/hello.yaml:3: no such template\n\
             \n\
             warning: group \"db\" matches no node\n"
        );
    }

    #[test]
    fn many_nodes_are_counted_rather_than_named() {
        let nodes: Vec<_> = (1..=20).map(node).collect();
        assert!(names(&nodes).ends_with("web-8 (080808080808) and 12 more"));
    }
}
