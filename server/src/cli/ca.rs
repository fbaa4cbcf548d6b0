//! `dockmaster ca`: the certificate authorities.

mod wait;

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
    output::OutputArgs,
    prompt::{Consent, confirm},
    remote::{Remote, block_on},
    table,
};

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
    let report = match next_step(&args, before.rotation.as_ref())? {
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
        wait::wait(&mut remote, report).await?
    } else {
        report
    };
    args.output.print(&report, render)
}

async fn ask(remote: &mut Remote) -> Result<AuthorityReport, CliError> {
    remote.call(&Call::new(Route::Authorities)).await
}

/// What is asked of the master; nothing where the wish is only to look.
///
/// # Errors
/// When there is nothing to insist on.
fn next_step(
    args: &RotateArgs,
    rotation: Option<&RotationReport>,
) -> Result<Option<RotationStep>, CliError> {
    if args.finish {
        return Ok(Some(RotationStep::Finish));
    }
    if args.rollback {
        return Ok(Some(RotationStep::RollBack));
    }
    match (rotation.map(|rotation| rotation.phase), args.force) {
        (None, false) => Ok(Some(RotationStep::Start)),
        (None, true) => Err(CliError::failed(
            "no rotation goes on, so there is nothing that --force could hurry",
            "\"dockmaster ca rotate\" begins one; --force then goes on without the nodes that have not confirmed the new root",
        )),
        (Some(Phase::Announced), true) => Ok(Some(RotationStep::Switch)),
        (Some(Phase::Withdrawing), true) => Err(CliError::failed(
            "the rotation is taken back, and --force alone does not go on with it",
            "\"dockmaster ca rotate --rollback --force\" drops the new root at once; after that \"dockmaster ca rotate\" begins another",
        )),
        // What was to be hurried is done.
        (Some(_), _) => Ok(None),
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
                match rotation.phase {
                    // The old root signs yet: there is nothing to renew.
                    Phase::Announced => String::new(),
                    Phase::Switched | Phase::Withdrawing => {
                        progress(rotation.renewed, rotation.nodes, &rotation.behind)
                    }
                },
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

    pub(super) fn rotation(phase: Phase) -> RotationReport {
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
            renewed: match phase {
                Phase::Announced => 0,
                Phase::Switched | Phase::Withdrawing => 1,
            },
            behind: vec![],
            operators_behind: vec!["ada".into()],
            hosts_behind: vec!["h2".into()],
        }
    }

    pub(super) fn report(rotation: Option<RotationReport>) -> AuthorityReport {
        AuthorityReport {
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
            rotation,
            advice: "wait".into(),
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
        let step = |words: &[&str], phase: Option<Phase>| {
            next_step(&args(words), phase.map(rotation).as_ref()).unwrap()
        };
        assert_eq!(step(&[], None), Some(RotationStep::Start));
        assert_eq!(step(&[], Some(Phase::Announced)), None);
        assert_eq!(
            step(&["--force"], Some(Phase::Announced)),
            Some(RotationStep::Switch)
        );
        assert_eq!(step(&["--force"], Some(Phase::Switched)), None);
        assert_eq!(
            step(&["--rollback", "--force"], Some(Phase::Withdrawing)),
            Some(RotationStep::RollBack)
        );
    }

    #[test]
    fn nothing_is_begun_by_force() {
        let forced = args(&["--force"]);
        let refused = next_step(&forced, None).unwrap_err().to_string();
        assert!(refused.contains("no rotation goes on"), "{refused}");
        assert!(
            refused.contains("hint: \"dockmaster ca rotate\" begins one"),
            "{refused}"
        );
        let back = rotation(Phase::Withdrawing);
        let refused = next_step(&forced, Some(&back)).unwrap_err().to_string();
        assert!(refused.contains("--rollback --force"), "{refused}");
    }

    #[test]
    fn it_is_shown_who_is_missing_and_no_renewal_before_there_can_be_one() {
        let text = render(&report(Some(rotation(Phase::Announced))));
        for part in [
            "root       current  aa      2026-11-24T14:03:00.000Z  away",
            "2 of 3 nodes; not web-1",
            "renewed           -\n",
            "operators behind  ada",
            "hosts behind      h2",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(text.ends_with("\nwait"), "{text}");
        let text = render(&report(Some(rotation(Phase::Switched))));
        assert!(text.contains("renewed           1 of 3 nodes\n"), "{text}");
    }
}
