//! `dockmaster node why-denied`.

use std::net::IpAddr;

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{
    api::denials::{
        ForeseenRequest, ForeseenVerdict, Foresight, Refusals, Standing, Subject, WhyDenied,
    },
    id::Name,
    route::Route,
    token::TOKEN_HOST,
};

use crate::cli::{
    Global, error::CliError, output::OutputArgs, reference, remote::Remote, request, table,
};

/// Explain why a node or an IP got no certificate, and whether it would get one now
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster node why-denied web-1
  dockmaster node why-denied 172.17.0.5
  dockmaster node why-denied 172.17.0.5 -o json

An IP need not be held by any container; where several hold it, all are told. What is so now is what
the master knows: with the host's word, without a look at a connection or a token.")]
pub(crate) struct WhyDeniedArgs {
    /// A container ID or its beginning, an IP, or a container name
    #[arg(value_name = "NODE|IP", value_parser = reference::node)]
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
    let mut text = whom(answer);
    text.push_str("\nnow\n");
    if answer.now.is_empty() {
        text.push_str(match answer.subjects.first().map(|one| one.standing) {
            Some(Standing::Running) => {
                "  it holds no address, and shares the network of no container that does\n"
            }
            Some(Standing::Refused) => {
                "  its host may not vouch for it, and named no address of it: \"dockmaster audit list --event host_refused\" says why\n"
            }
            Some(Standing::Ended) | None => "  it has ended, and held no address\n",
        });
    }
    for one in &answer.now {
        let name = match &answer.subjects[..] {
            [] | [_] => None,
            several => several
                .iter()
                .find(|it| one.container == Some(it.container)),
        };
        text.push_str(&table::indented(&now(one, name)));
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

/// The heading: who it is about.
fn whom(answer: &WhyDenied) -> String {
    match &answer.subjects[..] {
        [] => format!("{}, which no container holds\n", table::joined(&answer.ips)),
        [one] => subject(one) + "\n",
        several => {
            let ips = table::joined(&answer.ips);
            let count = table::count(several.len(), "container");
            let mut text = format!("{ips}, of {count}\n");
            for one in several {
                text.push_str(&table::indented(&subject(one)));
            }
            text
        }
    }
}

fn named(one: &Subject) -> String {
    let (name, id) = (table::one_line(&one.name), table::short_id(&one.container));
    format!("{name} ({id})")
}

fn subject(one: &Subject) -> String {
    let by = if one.host.as_str() == TOKEN_HOST {
        "by a join token".to_owned()
    } else {
        format!("on host {}", one.host)
    };
    let at = if one.addresses.is_empty() {
        String::new()
    } else {
        format!(" at {}", table::joined(&one.addresses))
    };
    let since = table::time(one.since_ms);
    let standing = match one.standing {
        Standing::Running => String::new(),
        Standing::Ended => format!(", ended {since}"),
        Standing::Refused => format!(", which the host may not vouch for: refused {since}"),
    };
    format!("{} {by}{at}{standing}", named(one))
}

/// Where a request comes from.
fn from(source: IpAddr, relay: Option<&Name>) -> String {
    match relay {
        Some(host) => format!("from {source} by host {host}"),
        None => format!("from {source}"),
    }
}

fn now(one: &Foresight, of: Option<&Subject>) -> String {
    let rule = if one.rule.is_empty() {
        String::new()
    } else {
        format!(" by rule {:?}", one.rule)
    };
    let from = from(one.source, one.relay.as_ref());
    let from = match of {
        Some(of) => format!("{} {from}", named(of)),
        None => from,
    };
    let asks = match one.request {
        ForeseenRequest::Enrollment => "it",
        ForeseenRequest::Renewal => "its renewal",
        ForeseenRequest::Token => "a request with its join token and a new key",
    };
    let verdict = match one.verdict {
        ForeseenVerdict::Issued => {
            let minutes = one.lifetime_ms.unwrap_or_default() / 60_000;
            match one.request {
                ForeseenRequest::Enrollment => {
                    format!("{from}: a certificate would be issued{rule}, for {minutes} min")
                }
                ForeseenRequest::Renewal | ForeseenRequest::Token => {
                    format!("{from}: {asks} would get a certificate{rule}, for {minutes} min")
                }
            }
        }
        ForeseenVerdict::Held => format!("{from}: {asks} would be held{rule}: {}", one.detail),
        ForeseenVerdict::Refused => {
            format!(
                "{from}: {asks} would be refused{rule}: {}: {}",
                one.code, one.detail
            )
        }
    };
    with_hint(&table::one_line(&verdict), &one.hint)
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
        "{}{rule}{}: {}\n{times}, {} (entry {})",
        one.code,
        request.unwrap_or_default(),
        table::one_line(&one.detail),
        from(one.source, one.relay.as_ref()),
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
            relay: None,
            request: None,
            count,
            first_at_ms: UnixMs(1_795_528_980_000),
            last_at_ms: UnixMs(1_795_528_981_000),
            last_index: 9,
        }
    }

    fn held_on(host: &str, id: u8, name: &str) -> Subject {
        Subject {
            container: ContainerId::from_bytes([id; 32]),
            name: name.into(),
            host: host.parse().unwrap(),
            addresses: vec![format!("{host}/bridge/172.17.0.2").parse().unwrap()],
            standing: Standing::Running,
            since_ms: None,
        }
    }

    fn issued(of: &Subject, relay: Option<&str>) -> Foresight {
        Foresight {
            source: [172, 17, 0, 2].into(),
            relay: relay.map(|relay| relay.parse().unwrap()),
            container: Some(of.container),
            request: ForeseenRequest::Enrollment,
            verdict: ForeseenVerdict::Issued,
            rule: "all".into(),
            code: String::new(),
            detail: String::new(),
            hint: String::new(),
            lifetime_ms: Some(3_600_000),
        }
    }

    fn about(subjects: Vec<Subject>) -> WhyDenied {
        WhyDenied {
            container: None,
            name: String::new(),
            ips: vec![[172, 17, 0, 2].into()],
            refusals: vec![],
            more: false,
            requests: vec![],
            now: vec![],
            subjects,
        }
    }

    #[test]
    fn a_refusal_says_what_when_how_often_from_where_by_which_rule_and_what_next() {
        let web = held_on("h1", 0xab, "web-1");
        let relayed = Refusals {
            relay: Some("h5".parse().unwrap()),
            ..refusal(1)
        };
        let answer = WhyDenied {
            container: Some(web.container),
            name: "web-1".into(),
            refusals: vec![refusal(3), relayed],
            requests: vec![request::example()],
            now: vec![issued(&web, None)],
            ..about(vec![web])
        };
        assert_eq!(
            render(&answer),
            "web-1 (abababababab) on host h1 at h1/bridge/172.17.0.2\n\
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
             \x20 at 2026-11-24T14:03:01.000Z, from 172.17.0.2 by host h5 (entry 9)\n\
             \x20   hint: ask\n\
             \n\
             requests\n\
             \x20 1212121212121212 waits\n"
        );
    }

    #[test]
    fn an_ip_of_several_containers_is_told_of_each_with_its_host_and_network() {
        let (one, two) = (held_on("h5", 1, "one"), held_on("h6", 2, "two"));
        let answer = WhyDenied {
            now: vec![issued(&one, Some("h5")), issued(&two, Some("h6"))],
            ..about(vec![one, two])
        };
        let text = render(&answer);
        let begin = "172.17.0.2, of 2 containers\n\
             \x20 one (010101010101) on host h5 at h5/bridge/172.17.0.2\n\
             \x20 two (020202020202) on host h6 at h6/bridge/172.17.0.2\n\
             \n\
             now\n\
             \x20 one (010101010101) from 172.17.0.2 by host h5: a certificate would be issued";
        assert!(text.starts_with(begin), "{text}");
    }

    #[test]
    fn a_renewal_is_called_one_and_what_ended_is_said_to_have() {
        let machine = held_on("token", 3, "machine");
        let renewal = Foresight {
            request: ForeseenRequest::Renewal,
            ..issued(&machine, None)
        };
        let token = Foresight {
            request: ForeseenRequest::Token,
            verdict: ForeseenVerdict::Refused,
            code: "token-refused".into(),
            detail: "it is used up".into(),
            ..issued(&machine, None)
        };
        let ended = Subject {
            standing: Standing::Ended,
            since_ms: Some(UnixMs(1_795_528_980_000)),
            ..machine
        };
        let answer = WhyDenied {
            now: vec![renewal, token],
            ..about(vec![ended])
        };
        let text = render(&answer);
        for part in [
            "by a join token at token/bridge/172.17.0.2, ended 2026-11-24T14:03:00.000Z\n",
            "from 172.17.0.2: its renewal would get a certificate by rule \"all\", for 60 min",
            "a request with its join token and a new key would be refused by rule \"all\": token-refused: it is used up",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn an_ip_that_nobody_holds_is_said_to_be_so() {
        let text = render(&about(vec![]));
        assert!(
            text.starts_with("172.17.0.2, which no container holds\n"),
            "{text}"
        );
    }
}
