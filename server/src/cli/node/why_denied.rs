//! `dockmaster node why-denied`.

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{
    api::denials::{ForeseenVerdict, Foresight, Refusals, WhyDenied},
    route::Route,
};

use crate::cli::{Global, error::CliError, output::OutputArgs, remote::Remote, request, table};

/// Explain why a node or an IP got no certificate, and whether it would get one now
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster node why-denied web-1
  dockmaster node why-denied 172.17.0.5
  dockmaster node why-denied 172.17.0.5 -o json

An IP need not be held by any container. What is so now is what the master knows: with the host's
word, without a look at a connection or a token.")]
pub(crate) struct WhyDeniedArgs {
    /// A container ID or its beginning, an IP, or a container name
    #[arg(value_name = "NODE|IP")]
    node: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// Explains.
pub(crate) async fn run(global: &Global, args: WhyDeniedArgs) -> Result<(), CliError> {
    let call = Call::new(Route::NodeDenials).parameter(args.node);
    let mut remote = Remote::connect(global).await?;
    let answer: WhyDenied = remote.call(&call).await?;
    args.output.print(&answer, render)
}

fn render(answer: &WhyDenied) -> String {
    let ips = table::joined(&answer.ips);
    let mut text = match &answer.container {
        Some(id) => format!(
            "{} ({}) at {ips}\n",
            table::one_line(&answer.name),
            table::short_id(id)
        ),
        None => format!("{ips}, which no container holds\n"),
    };
    text.push_str("\nnow\n");
    if answer.now.is_empty() {
        text.push_str("  it holds no address: it has ended, or shares another's network\n");
    }
    for one in &answer.now {
        text.push_str(&table::indented(&now(one)));
    }
    text.push_str("\nrefused or held\n");
    if answer.refusals.is_empty() {
        text.push_str("  never\n");
    }
    for (index, one) in answer.refusals.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        text.push_str(&table::indented(&refusals(one)));
    }
    if answer.more {
        text.push_str("  and more before that: \"dockmaster audit list --event cert_denied\"\n");
    }
    if !answer.requests.is_empty() {
        text.push_str("\nrequests\n");
        for one in &answer.requests {
            let line = format!("{} {}", one.held.request, request::state(one));
            text.push_str(&table::indented(&table::one_line(&line)));
        }
    }
    text
}

fn now(one: &Foresight) -> String {
    let rule = if one.rule.is_empty() {
        String::new()
    } else {
        format!(" by rule {:?}", one.rule)
    };
    let source = one.source;
    let verdict = match one.verdict {
        ForeseenVerdict::Issued => {
            let minutes = one.lifetime_ms.unwrap_or_default() / 60_000;
            format!("from {source}: a certificate would be issued{rule}, for {minutes} min")
        }
        ForeseenVerdict::Held => format!("from {source}: it would be held{rule}: {}", one.detail),
        ForeseenVerdict::Refused => {
            format!(
                "from {source}: it would be refused{rule}: {}: {}",
                one.code, one.detail
            )
        }
    };
    with_hint(&verdict, &one.hint)
}

fn refusals(one: &Refusals) -> String {
    let times = match one.count {
        1 => format!("at {}", one.last_at_ms),
        count => format!(
            "{count} times from {} to {}",
            one.first_at_ms, one.last_at_ms
        ),
    };
    let rule = if one.rule.is_empty() {
        String::new()
    } else {
        format!(" by rule {:?}", one.rule)
    };
    let request = one.request.map(|id| format!(" as request {id}"));
    let line = format!(
        "{}{rule}{}: {}\n{times}, from {} (entry {})",
        one.code,
        request.unwrap_or_default(),
        table::one_line(&one.detail),
        one.source,
        one.last_index
    );
    with_hint(&line, &one.hint)
}

fn with_hint(text: &str, hint: &str) -> String {
    if hint.is_empty() {
        return text.to_owned();
    }
    format!("{text}\n  hint: {}", table::one_line(hint))
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{id::ContainerId, time::UnixMs};

    use super::*;

    fn refusal(count: u64) -> Refusals {
        Refusals {
            code: "denied-by-policy".into(),
            detail: "no".into(),
            hint: "ask".into(),
            rule: "never".into(),
            container: None,
            source: [172, 17, 0, 2].into(),
            request: None,
            count,
            first_at_ms: UnixMs(1_795_528_980_000),
            last_at_ms: UnixMs(1_795_528_981_000),
            last_index: 9,
        }
    }

    #[test]
    fn a_refusal_says_what_when_how_often_from_where_by_which_rule_and_what_next() {
        let source = [172, 17, 0, 2].into();
        let answer = WhyDenied {
            container: Some(ContainerId::from_bytes([0xab; 32])),
            name: "web-1".into(),
            ips: vec![source],
            refusals: vec![refusal(3), refusal(1)],
            more: false,
            requests: vec![request::example()],
            now: vec![Foresight {
                source,
                verdict: ForeseenVerdict::Issued,
                rule: "all".into(),
                code: String::new(),
                detail: String::new(),
                hint: String::new(),
                lifetime_ms: Some(3_600_000),
            }],
        };
        assert_eq!(
            render(&answer),
            "web-1 (abababababab) at 172.17.0.2\n\
             \n\
             now\n\
             \x20 from 172.17.0.2: a certificate would be issued by rule \"all\", for 60 min\n\
             \n\
             refused or held\n\
             \x20 denied-by-policy by rule \"never\": no\n\
             \x20 3 times from 2026-11-24T14:03:00.000Z to 2026-11-24T14:03:01.000Z, from 172.17.0.2 (entry 9)\n\
             \x20   hint: ask\n\
             \n\
             \x20 denied-by-policy by rule \"never\": no\n\
             \x20 at 2026-11-24T14:03:01.000Z, from 172.17.0.2 (entry 9)\n\
             \x20   hint: ask\n\
             \n\
             requests\n\
             \x20 1212121212121212 waits\n"
        );
    }

    #[test]
    fn an_ip_that_nobody_holds_is_said_to_be_so() {
        let answer = WhyDenied {
            container: None,
            name: String::new(),
            ips: vec![[10, 0, 0, 9].into()],
            refusals: vec![],
            more: false,
            requests: vec![],
            now: vec![],
        };
        let text = render(&answer);
        assert!(
            text.starts_with("10.0.0.9, which no container holds\n"),
            "{text}"
        );
    }
}
