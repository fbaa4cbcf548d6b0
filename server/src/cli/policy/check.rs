//! `dockmaster policy check`.

use std::path::PathBuf;

use clap::Args;
use dockmaster::policy::{Outcome, Rule};
use serde::Serialize;

use super::load;
use crate::cli::{error::CliError, output::OutputArgs, table};

/// Check a configuration file with its policy: every error with its line
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster policy check /var/lib/dockmaster/dockmaster.yaml
  dockmaster policy check dockmaster.yaml -o json")]
pub(super) struct CheckArgs {
    /// The configuration file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Checked {
    policy_sha256: String,
    rules: Vec<CheckedRule>,
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
struct CheckedRule {
    rule: String,
    line: u32,
    verdict: &'static str,
    lifetime: Option<String>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Warning {
    line: u32,
    message: String,
}

/// Reads the file and says what is in it.
pub(super) fn run(args: &CheckArgs) -> Result<(), CliError> {
    let policy = load(&args.file)?.policy;
    let unreachable = policy.unreachable().into_iter();
    let checked = Checked {
        policy_sha256: policy.sha256().to_string(),
        rules: policy.rules().iter().map(rule).collect(),
        warnings: unreachable
            .map(|(line, message)| Warning { line, message })
            .collect(),
    };
    let file = args.file.display().to_string();
    args.output
        .print(&checked, |checked| render(&file, checked))
}

fn rule(rule: &Rule) -> CheckedRule {
    let (verdict, lifetime, reason) = match &rule.outcome {
        Outcome::Issue { lifetime } => ("issue", lifetime, None),
        Outcome::Hold { reason, lifetime } => ("hold", lifetime, Some(reason)),
        Outcome::Deny { reason } => ("deny", &None, Some(reason)),
    };
    CheckedRule {
        rule: rule.name.as_str().to_owned(),
        line: rule.line,
        verdict,
        lifetime: lifetime.map(|lifetime| lifetime.to_string()),
        reason: reason.cloned(),
    }
}

fn render(file: &str, checked: &Checked) -> String {
    let rows = checked.rules.iter().map(|rule| {
        [
            rule.rule.clone(),
            if rule.line == 0 {
                String::new()
            } else {
                rule.line.to_string()
            },
            rule.verdict.to_owned(),
            rule.lifetime.clone().unwrap_or_default(),
            rule.reason.clone().unwrap_or_default(),
        ]
    });
    let heading = ["RULE", "LINE", "VERDICT", "LIFETIME", "REASON"];
    let mut text = table::columns(heading, rows, "no rules: every request is held");
    for Warning { line, message } in &checked.warnings {
        let line = table::one_line(&format!("warning: {file}:{line}: {message}"));
        text.push_str(&format!("\n{line}"));
    }
    text.push_str(&format!("\npolicy sha256:{}", checked.policy_sha256));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "name: m\ntrust_domain: t\nlisten: \"0.0.0.0:1\"\nhost: h\n";

    #[test]
    fn a_file_is_shown_with_its_rules_and_what_is_never_reached() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        let policy = "policy:\n  - {name: all, verdict: hold, reason: look}\n  - {name: web, networks: [h/web], verdict: issue, lifetime: 1h}\n";
        std::fs::write(&path, format!("{HEAD}{policy}")).unwrap();
        let config = load(&path).unwrap();
        let unreachable = config.policy.unreachable();
        assert_eq!(unreachable.len(), 1);
        assert_eq!(unreachable[0].0, 7);
        let checked = Checked {
            policy_sha256: "ab".into(),
            rules: config.policy.rules().iter().map(rule).collect(),
            warnings: vec![Warning {
                line: 7,
                message: unreachable[0].1.clone(),
            }],
        };
        assert_eq!(
            render("c.yaml", &checked),
            "RULE  LINE  VERDICT  LIFETIME  REASON\n\
             all   6     hold     -         look\n\
             web   7     issue    1h        -\n\
             warning: c.yaml:7: rule \"web\" is never reached: \"all\" before it has no conditions\n\
             policy sha256:ab"
        );
    }

    #[test]
    fn every_error_of_a_policy_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        let policy = "policy:\n  - {name: a, verdict: maybe}\n  - {name: b, verdict: deny}\n";
        std::fs::write(&path, format!("{HEAD}{policy}")).unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(
            error.contains("c.yaml:6: \"verdict\": a verdict is"),
            "{error}"
        );
        assert!(
            error.contains("c.yaml:7: the rule lacks \"reason\""),
            "{error}"
        );
    }
}
