//! `dockmaster ca`: the certificate authorities.

use std::time::Duration;

use clap::{Args, Subcommand};
use dockmaster_client::Call;
use dockmaster_proto::{
    api::authority::{
        AuthorityReport, Insistence, Phase, RotationReport, RotationRequest, RotationStep, Use,
    },
    route::Route,
};

use super::{
    Global,
    error::CliError,
    output::{self, OutputArgs},
    progress::Progress,
    prompt::{Consent, confirm},
    remote::{Remote, block_on},
    table,
};

/// How often a rotation is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Show and rotate the certificate authorities
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  dockmaster ca show
  dockmaster ca rotate --wait"
)]
pub(crate) struct CaArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(ShowArgs),
    Rotate(RotateArgs),
}

/// Show the authorities, what is pinned, and how far a rotation is
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster ca show
  dockmaster ca show -o json")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// Replace the root and everything below it, while all nodes go on
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster ca rotate --wait
  dockmaster ca rotate --finish
  dockmaster ca rotate --rollback

A new root is made and trusted beside the old one. When every live node has confirmed it, the master by
itself signs under it, and nodes, hosts and operators get new certificates. From the start on new containers may
pin the old bundle, both, or the new one (\"dockmaster ca show\"). --finish drops the old root: change the
pins in compose files and images before, since the old pin bootstraps nobody after that.
The key of the old root is not needed.")]
pub(crate) struct RotateArgs {
    /// Wait until all nodes have certificates under the new root
    #[arg(long, conflicts_with_all = ["finish", "rollback"])]
    wait: bool,
    /// Drop the old root
    #[arg(long, conflicts_with = "rollback")]
    finish: bool,
    /// Go back by one phase; what was dropped by --finish does not come back
    #[arg(long)]
    rollback: bool,
    /// Do not wait for nodes, hosts and operators that lag behind: they have to be started again with the new pin
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the subcommand.
pub(crate) fn run(global: &Global, args: CaArgs) -> Result<(), CliError> {
    match args.command {
        Command::Show(args) => block_on(show(global, args)),
        Command::Rotate(args) => block_on(rotate(global, args)),
    }
}

async fn show(global: &Global, args: ShowArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let report = ask(&mut remote).await?;
    args.output.print(&report, render)
}

async fn rotate(global: &Global, args: RotateArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let before = ask(&mut remote).await?;
    let report = match next_step(&args, before.rotation.as_ref()) {
        None => before,
        Some(step) => {
            confirm(question(step), Consent::from_flag(args.yes))?;
            let request = RotationRequest {
                step,
                insistence: insistence(&args),
            };
            remote.send(Route::Rotate, &request).await?
        }
    };
    let report = if args.wait {
        wait(&mut remote, report).await?
    } else {
        report
    };
    args.output.print(&report, render)
}

async fn ask(remote: &mut Remote) -> Result<AuthorityReport, CliError> {
    remote.call(&Call::new(Route::Authorities)).await
}

/// What is asked of the master; nothing where the wish is only to look.
fn next_step(args: &RotateArgs, rotation: Option<&RotationReport>) -> Option<RotationStep> {
    if args.finish {
        return Some(RotationStep::Finish);
    }
    if args.rollback {
        return Some(RotationStep::RollBack);
    }
    match rotation.map(|rotation| rotation.phase) {
        None => Some(RotationStep::Start),
        Some(Phase::Announced) if args.force => Some(RotationStep::Switch),
        Some(_) => None,
    }
}

fn insistence(args: &RotateArgs) -> Insistence {
    if args.force {
        Insistence::Forced
    } else {
        Insistence::Careful
    }
}

const fn question(step: RotationStep) -> &'static str {
    match step {
        RotationStep::Start => "this makes a new root, and all nodes get new certificates under it",
        RotationStep::Switch => {
            "this signs under the new root now; nodes that do not know it cannot verify the others"
        }
        RotationStep::Finish => {
            "this drops the old root; containers that pin it cannot start again"
        }
        RotationStep::RollBack => "this takes the rotation back by one phase",
    }
}

/// Waits for the nodes: first that they know the new root, then that they have certificates under it.
async fn wait(
    remote: &mut Remote,
    mut report: AuthorityReport,
) -> Result<AuthorityReport, CliError> {
    for (phase, what) in [
        (Phase::Announced, "nodes that know the new root"),
        (Phase::Switched, "nodes with new certificates"),
    ] {
        let mut bar: Option<(Progress, u64)> = None;
        loop {
            let Some(rotation) = &report.rotation else {
                return Ok(report);
            };
            if rotation.phase != phase {
                break;
            }
            let done = match phase {
                Phase::Announced => rotation.acknowledged,
                Phase::Switched | Phase::Withdrawing => rotation.renewed,
            };
            if phase == Phase::Switched && rotation.behind.is_empty() {
                return Ok(report);
            }
            let (bar, shown) =
                bar.get_or_insert_with(|| (Progress::start(what, rotation.nodes), 0));
            bar.advance(done.saturating_sub(*shown));
            *shown = done.max(*shown);
            tokio::time::sleep(LOOK).await;
            report = ask(remote).await?;
        }
        output::note(&format!("{what}: done"));
    }
    Ok(report)
}

fn render(report: &AuthorityReport) -> String {
    let rows = report.authorities.iter().map(|authority| {
        [
            authority.kind.clone(),
            match authority.used {
                Use::Current => "current",
                Use::Next => "next",
                Use::Retired => "retired",
            }
            .to_owned(),
            authority.key_id.clone(),
            authority.not_after_ms.to_string(),
            if authority.has_key { "here" } else { "away" }.to_owned(),
        ]
    });
    let mut text = table::columns(
        ["AUTHORITY", "USE", "KEY ID", "NOT AFTER", "KEY"],
        rows,
        "no authorities",
    );
    let confirmed = report
        .confirmed
        .iter()
        .map(|it| format!("{} by nodes: {}", it.pin, it.nodes));
    text += "\n\n";
    text += &table::fields([
        ("trust domain", report.trust_domain.to_string()),
        ("pin", report.pin.to_string()),
        ("confirmed", confirmed.collect::<Vec<_>>().join("\n")),
    ]);
    if let Some(rotation) = &report.rotation {
        text += "\n";
        text += &table::fields([
            ("rotation", phase(rotation.phase).to_owned()),
            ("since", rotation.started_at_ms.to_string()),
            ("old pin", rotation.old_pin.to_string()),
            ("both", rotation.both_pin.to_string()),
            ("new pin", rotation.new_pin.to_string()),
            (
                "know it",
                progress(
                    rotation.acknowledged,
                    rotation.nodes,
                    &rotation.unacknowledged,
                ),
            ),
            (
                "renewed",
                progress(rotation.renewed, rotation.nodes, &rotation.behind),
            ),
            ("operators behind", named(&rotation.operators_behind)),
            ("hosts behind", named(&rotation.hosts_behind)),
        ]);
    }
    if !report.advice.is_empty() {
        text += &format!("\n{}", report.advice);
    }
    text.trim_end().to_owned()
}

const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Announced => "announced: nodes get to know the new root",
        Phase::Switched => {
            "switched: nodes, hosts and operators get certificates under the new root"
        }
        Phase::Withdrawing => {
            "withdrawing: nodes, hosts and operators get certificates under the old root again"
        }
    }
}

fn progress(done: u64, of: u64, missing: &[String]) -> String {
    if missing.is_empty() {
        format!("{done} of {of} nodes")
    } else {
        format!("{done} of {of} nodes; not {}", named(missing))
    }
}

fn named(names: &[String]) -> String {
    table::joined(names.iter().map(|name| table::one_line(name)))
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{api::authority::AuthorityInfo, id::TrustPin, time::UnixMs};

    use super::*;

    fn rotation(phase: Phase) -> RotationReport {
        let pin = TrustPin::of("x");
        RotationReport {
            phase,
            started_at_ms: UnixMs(1_795_528_980_000),
            old_pin: pin,
            both_pin: pin,
            new_pin: pin,
            nodes: 3,
            acknowledged: 2,
            unacknowledged: vec!["web-1".into()],
            renewed: 0,
            behind: vec![],
            operators_behind: vec!["ada".into()],
            hosts_behind: vec!["h2".into()],
        }
    }

    fn args(words: &[&str]) -> RotateArgs {
        use clap::FromArgMatches as _;

        let command = RotateArgs::augment_args(clap::Command::new("rotate"));
        let words = std::iter::once(&"rotate").chain(words);
        RotateArgs::from_arg_matches(&command.get_matches_from(words)).unwrap()
    }

    #[test]
    fn a_rotation_that_goes_on_is_not_started_again() {
        assert_eq!(next_step(&args(&[]), None), Some(RotationStep::Start));
        let announced = rotation(Phase::Announced);
        assert_eq!(next_step(&args(&[]), Some(&announced)), None);
        let forced = args(&["--force"]);
        assert_eq!(
            next_step(&forced, Some(&announced)),
            Some(RotationStep::Switch)
        );
        assert_eq!(next_step(&forced, Some(&rotation(Phase::Switched))), None);
    }

    #[test]
    fn it_is_shown_who_is_missing() {
        let text = render(&AuthorityReport {
            trust_domain: "td".parse().unwrap(),
            pin: TrustPin::of("x"),
            authorities: vec![AuthorityInfo {
                kind: "root".into(),
                used: Use::Current,
                key_id: "aa".into(),
                not_after_ms: UnixMs(1_795_528_980_000),
                has_key: false,
            }],
            confirmed: vec![],
            rotation: Some(rotation(Phase::Announced)),
            advice: "wait".into(),
        });
        for part in [
            "root       current  aa      2026-11-24T14:03:00.000Z  away",
            "2 of 3 nodes; not web-1",
            "0 of 3 nodes\n",
            "operators behind  ada",
            "hosts behind      h2",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(text.ends_with("\nwait"), "{text}");
    }
}
