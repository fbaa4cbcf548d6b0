//! `dockmaster node show`.

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{
    api::nodes::{NodeDetail, ReceivedReport},
    facts::Limits,
    node::NodeView,
    report::{ApplyStatus, Change, Outcome, ProcessReport, ResourceReport},
    route::Route,
};

use super::list::state;
use crate::cli::{
    Global, error::CliError, evidence, output::OutputArgs, reference, remote::Remote, table,
};

/// Show everything about a node, its last report included
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster node show web-1
  dockmaster node show 172.17.0.2 -o yaml")]
pub(crate) struct ShowArgs {
    /// A container ID or its beginning, an IP, or a container name
    #[arg(value_parser = reference::node)]
    node: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// Shows a node.
pub(crate) async fn run(global: &Global, args: ShowArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let node: NodeDetail = remote
        .call(&Call::new(Route::Node).parameter(args.node))
        .await?;
    args.output.print(&node, render)
}

fn render(node: &NodeDetail) -> String {
    let mut text = table::fields(identity(node));
    if let Some(report) = &node.report {
        if !report.report.alarm.is_empty() {
            let alarm = table::one_line(&report.report.alarm);
            text.push_str(&format!("\nALARM: {alarm}\n"));
        }
        text.push_str("\nlast report\n");
        text.push_str(&table::indented(&render_report(report, &node.summary.view)));
    }
    text
}

fn identity(node: &NodeDetail) -> Vec<(&'static str, String)> {
    let summary = &node.summary;
    let view = &summary.view;
    let labels = view
        .labels
        .iter()
        .map(|(key, label)| format!("{key}={} ({})", label.value, label.tier));
    let mut fields = vec![
        ("id", view.id.to_string()),
        ("name", table::one_line(&view.name)),
        ("state", state(summary.state).to_owned()),
        ("host", view.host.to_string()),
        ("image", table::one_line(&view.image)),
        ("image digest", table::one_line(&view.image_digest)),
        (
            "addresses",
            table::list(view.addresses.iter().map(ToString::to_string)),
        ),
        ("labels", table::list(labels)),
        ("limits", limits(view.limits)),
        ("started", view.started_at_ms.to_string()),
    ];
    if let Some(gone) = summary.gone_at_ms {
        fields.push(("gone", gone.to_string()));
    }
    fields.extend([
        (
            "certificate",
            node.certificate
                .map(|serial| serial.to_string())
                .unwrap_or_default(),
        ),
        ("evidence", evidence::words(&node.evidence)),
        ("groups", table::joined(&node.groups)),
        ("classes", table::joined(&node.classes)),
        (
            "catalog",
            summary
                .catalog
                .map(|digest| digest.to_string())
                .unwrap_or_default(),
        ),
    ]);
    if !node.catalog_error.is_empty() {
        fields.push(("no catalog", node.catalog_error.clone()));
    }
    if !node.banned.is_empty() {
        fields.push(("banned", table::one_line(&node.banned)));
    }
    fields.extend(
        node.clock_skew_ms
            .and_then(clock)
            .map(|text| ("clock", text)),
    );
    let revisions = node.revisions;
    fields.push((
        "revisions",
        format!(
            "classification {}, site {}",
            revisions.classification, revisions.site
        ),
    ));
    fields
}

/// A clock that is off further than anybody has to be told.
fn clock(skew_ms: i64) -> Option<String> {
    const TOLD_MS: u64 = 5 * 60 * 1000;
    let apart = skew_ms.unsigned_abs();
    let word = if skew_ms > 0 { "ahead of" } else { "behind" };
    (apart > TOLD_MS).then(|| {
        format!(
            "{} s {word} the master's: certificates may count as expired or not yet valid there",
            apart / 1000
        )
    })
}

fn render_report(received: &ReceivedReport, view: &NodeView) -> String {
    let report = &received.report;
    let status = match report.status {
        ApplyStatus::Unchanged => "unchanged",
        ApplyStatus::Changed => "changed",
        ApplyStatus::Failed => "failed",
    };
    let facts = &report.facts;
    let observed = Limits {
        memory_bytes: facts.memory_bytes.value,
        cpu_millis: facts.cpu_millis.value,
    };
    let mut seen = limits(observed);
    if observed != view.limits {
        seen.push_str(&format!("; the host says {}", limits(view.limits)));
    }
    let mut text = table::fields([
        ("status", status.to_owned()),
        ("received", received.received_at_ms.to_string()),
        ("took", duration(report.duration_us)),
        ("catalog", report.catalog.to_string()),
        ("agent", table::one_line(&report.agent_version)),
        ("observed limits", seen),
        (
            "observed os",
            table::one_line(facts.os.value.as_deref().unwrap_or_default()),
        ),
        (
            "processes",
            table::list(report.processes.iter().map(process)),
        ),
    ]);
    if !report.resources.is_empty() {
        text.push('\n');
        let heading = ["RESOURCE", "OUTCOME", "TOOK", "DETAIL"];
        text.push_str(&table::columns(
            heading,
            report.resources.iter().map(resource),
            "",
        ));
        text.push('\n');
    }
    text
}

fn resource(report: &ResourceReport) -> [String; 4] {
    let (outcome, detail) = match &report.outcome {
        Outcome::Unchanged => ("unchanged", String::new()),
        Outcome::Changed { what, change, .. } => match change {
            Change::Intentional => ("changed", what.clone()),
            Change::Corrective => ("corrected", what.clone()),
        },
        Outcome::WouldChange { what, .. } => ("would change", what.clone()),
        Outcome::Failed { error } => ("failed", error.clone()),
        Outcome::Skipped { reason } => ("skipped", reason.clone()),
    };
    [
        report.resource.to_string(),
        outcome.to_owned(),
        duration(report.duration_us),
        detail,
    ]
}

fn process(process: &ProcessReport) -> String {
    let state = process
        .pid
        .map_or_else(|| "not running".to_owned(), |pid| format!("pid {pid}"));
    format!(
        "{}: {state}, {}, {}",
        process.title,
        table::count(process.restarts as usize, "restart"),
        table::count(process.reloads as usize, "reload")
    )
}

fn limits(limits: Limits) -> String {
    let memory = limits.memory_bytes.map_or_else(
        || "no memory limit".to_owned(),
        |bytes| format!("{bytes} bytes of memory"),
    );
    let cpus = limits.cpu_millis.map_or_else(
        || "no CPU limit".to_owned(),
        |millis| format!("{}.{:03} CPUs", millis / 1000, millis % 1000),
    );
    format!("{memory}, {cpus}")
}

fn duration(microseconds: u64) -> String {
    format!("{}.{:03} ms", microseconds / 1000, microseconds % 1000)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_clock_is_shown_where_it_is_off_by_minutes() {
        assert_eq!(clock(300_000), None);
        let ahead = clock(600_000).unwrap();
        assert!(ahead.starts_with("600 s ahead of the master's"), "{ahead}");
        assert!(clock(-600_000).unwrap().contains("600 s behind"));
    }

    use dockmaster_proto::{
        catalog::Revisions,
        facts::{Observed, ObservedFacts},
        id::{Digest, Revision, Serial},
        label::Tier,
        report::Report,
        time::UnixMs,
    };

    use super::*;
    use crate::cli::node::example;

    fn detail() -> NodeDetail {
        NodeDetail {
            summary: example(),
            certificate: Some(Serial::from_bytes([0x1f; 16])),
            evidence: vec![],
            groups: vec!["web".into(), "base".into()],
            classes: vec!["hello".into()],
            catalog_error: String::new(),
            clock_skew_ms: None,
            banned: String::new(),
            revisions: Revisions {
                classification: Revision(2),
                site: Revision(1),
            },
            report: None,
        }
    }

    fn observed<T>(value: T) -> Observed<T> {
        Observed {
            value: Some(value),
            source: "/x".into(),
        }
    }

    fn report() -> ReceivedReport {
        ReceivedReport {
            received_at_ms: UnixMs(1_795_528_981_000),
            report: Report {
                catalog: Digest::from_bytes([0x12; 32]),
                agent_version: "0.1.0".into(),
                started_at_ms: UnixMs(1_795_528_980_900),
                duration_us: 1_250,
                status: ApplyStatus::Failed,
                resources: vec![ResourceReport {
                    resource: "file[/etc/hello.conf]".parse().unwrap(),
                    outcome: Outcome::Failed {
                        error: "read-only file system".into(),
                    },
                    duration_us: 90,
                }],
                processes: vec![ProcessReport {
                    title: "app".into(),
                    pid: Some(7),
                    restarts: 0,
                    reloads: 1,
                }],
                facts: ObservedFacts {
                    memory_bytes: observed(1024),
                    cpu_millis: observed(500),
                    ips: observed(vec![]),
                    hostname: observed("h".into()),
                    kernel: observed("k".into()),
                    cgroup_version: observed(2),
                    os: observed("debian 12".into()),
                },
                alarm: String::new(),
            },
        }
    }

    #[test]
    fn a_node_says_who_vouches_for_each_label() {
        let text = render(&detail());
        let expected = "labels        role=web (host)\n              tier=front (operator)\n";
        assert!(text.contains(expected), "{text}");
        assert!(
            text.contains("limits        58720256 bytes of memory, 0.500 CPUs\n"),
            "{text}"
        );
        assert!(
            text.contains("revisions     classification 2, site 1\n"),
            "{text}"
        );
        assert!(!text.contains("last report"), "{text}");
    }

    #[test]
    fn a_container_forges_no_line_about_itself() {
        let mut node = detail();
        let forged = "x (operator)\ntier=admin\u{202e}";
        let view = &mut node.summary.view;
        view.labels.set("a", forged, Tier::Host);
        view.labels.set("b\nid  forged", "1", Tier::Host);
        view.name = "web\nstate  gone".into();
        view.image = "nginx\nstate  gone".into();
        let mut received = report();
        received.report.alarm = "none\nlast report\n  status  changed".into();
        received.report.agent_version = "1\nstatus  changed".into();
        received.report.facts.os = observed("debian\nprocesses  app".into());
        received.report.processes[0].title = "app: pid 1\nproxy".into();
        node.report = Some(received);
        let text = render(&node);
        assert_eq!(
            text.lines().count(),
            render(&harmless()).lines().count(),
            "{text}"
        );
        assert!(
            text.contains("a=x (operator) tier=admin\u{fffd} (host)\n"),
            "{text}"
        );
    }

    /// The node that [`a_container_forges_no_line_about_itself`] starts from, with as many labels.
    fn harmless() -> NodeDetail {
        let mut node = detail();
        let view = &mut node.summary.view;
        view.labels.set("a", "1", Tier::Host);
        view.labels.set("b", "1", Tier::Host);
        let mut received = report();
        received.report.alarm = "none".into();
        node.report = Some(received);
        node
    }

    #[test]
    fn an_alarm_of_the_agent_comes_before_its_report() {
        let mut node = detail();
        let mut received = report();
        received.report.alarm = "the master's log is not shown to go on".into();
        node.report = Some(received);
        let text = render(&node);
        let alarm = text.find("\nALARM: the master's log").unwrap();
        assert!(alarm < text.find("last report").unwrap(), "{text}");
    }

    #[test]
    fn a_report_shows_failures_and_facts_that_disagree() {
        let text = render_report(&report(), &example().view);
        assert_eq!(
            text,
            format!(
                "status           failed\n\
                 received         2026-11-24T14:03:01.000Z\n\
                 took             1.250 ms\n\
                 catalog          {}\n\
                 agent            0.1.0\n\
                 observed limits  1024 bytes of memory, 0.500 CPUs; the host says 58720256 bytes of memory, 0.500 CPUs\n\
                 observed os      debian 12\n\
                 processes        app: pid 7, 0 restarts, 1 reload\n\
                 \n\
                 RESOURCE               OUTCOME  TOOK      DETAIL\n\
                 file[/etc/hello.conf]  failed   0.090 ms  read-only file system\n",
                "12".repeat(32)
            )
        );
    }
}
