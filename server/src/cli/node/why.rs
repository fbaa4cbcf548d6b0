//! `dockmaster node why`.

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{
    api::nodes::{Explanation, GroupVerdict},
    route::Route,
};

use crate::cli::{Global, error::CliError, output::OutputArgs, reference, remote::Remote, table};

/// Explain why a node has its classes and parameters, or lacks one
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster node why web-1
  dockmaster node why web-1 nginx
  dockmaster node why web-1 nginx.workers")]
pub(crate) struct WhyArgs {
    /// A container ID or its beginning, an IP, or a container name
    #[arg(value_parser = reference::node)]
    node: String,
    /// Only what concerns this class or parameter
    #[arg(value_name = "CLASS[.PARAM]")]
    subject: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Explains a node's classification.
pub(crate) async fn run(global: &Global, args: WhyArgs) -> Result<(), CliError> {
    // The master sorts out by class; a parameter is looked up in its answer.
    let class = args.subject.as_deref().map(class_of);
    let query = [("class", class.map(str::to_owned))];
    let call = Call::new(Route::NodeWhy).parameter(args.node).query(query);
    let mut remote = Remote::connect(global).await?;
    let mut answer: Explanation = remote.call(&call).await?;
    if let Some(subject) = &args.subject {
        keep_param(&mut answer, subject);
    }
    args.output
        .print(&answer, |answer| render(answer, args.subject.as_deref()))
}

/// The class of `CLASS` or `CLASS.PARAM`.
fn class_of(subject: &str) -> &str {
    subject.split_once('.').map_or(subject, |(class, _)| class)
}

/// Keeps one parameter, where the subject is one.
fn keep_param(answer: &mut Explanation, subject: &str) {
    if subject != class_of(subject) {
        answer.params.retain(|param, _| param == subject);
    }
}

fn render(answer: &Explanation, subject: Option<&str>) -> String {
    let none = match subject {
        Some(subject) => format!("no group gives the class {}", class_of(subject)),
        None => "there are no groups".to_owned(),
    };
    let heading = ["GROUP", "MATCHES", "SELECTOR", "CLASSES"];
    let mut text = table::columns(heading, answer.groups.iter().map(row), &none);
    let params = answer.params.iter().map(|(param, origin)| {
        [
            param.clone(),
            origin.value.to_string(),
            origin.group.clone(),
        ]
    });
    let none = match subject.filter(|subject| subject.contains('.')) {
        Some(param) => format!(
            "{param} is not set by the classification: its value is the data's or the class's default"
        ),
        None => String::new(),
    };
    let params = table::columns(["PARAMETER", "VALUE", "FROM GROUP"], params, &none);
    if !params.is_empty() {
        text.push_str("\n\n");
        text.push_str(&params);
    }
    text
}

fn row(verdict: &GroupVerdict) -> [String; 4] {
    let matches = match &verdict.first_failure {
        None => "yes".to_owned(),
        Some(term) => format!("no: {term}"),
    };
    let selector = if verdict.selector.is_empty() {
        "every node".to_owned()
    } else {
        verdict.selector.clone()
    };
    [
        verdict.group.clone(),
        matches,
        selector,
        table::joined(&verdict.classes),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dockmaster_proto::api::nodes::ParamOrigin;

    use super::*;

    fn verdict(group: &str, failure: Option<&str>, class: &str) -> GroupVerdict {
        GroupVerdict {
            group: group.into(),
            selector: if group == "base" { "" } else { "role=web" }.into(),
            first_failure: failure.map(str::to_owned),
            classes: vec![class.into()],
        }
    }

    fn explanation() -> Explanation {
        let origin = ParamOrigin {
            value: serde_json::json!(4),
            group: "web".into(),
        };
        Explanation {
            groups: vec![
                verdict("base", None, "motd"),
                verdict("web", Some("role=web"), "nginx"),
            ],
            params: BTreeMap::from([
                ("nginx.workers".into(), origin.clone()),
                ("motd.text".into(), origin),
            ]),
        }
    }

    #[test]
    fn a_class_that_is_lacking_names_the_first_term_that_fails() {
        let mut answer = explanation();
        answer.keep_class("nginx");
        assert_eq!(
            render(&answer, Some("nginx")),
            "GROUP  MATCHES       SELECTOR  CLASSES\n\
             web    no: role=web  role=web  nginx\n\
             \n\
             PARAMETER      VALUE  FROM GROUP\n\
             nginx.workers  4      web"
        );
    }

    #[test]
    fn without_a_subject_everything_is_explained() {
        let text = render(&explanation(), None);
        assert!(
            text.contains("base   yes           every node  motd"),
            "{text}"
        );
        assert!(text.contains("motd.text      4"), "{text}");
    }

    #[test]
    fn a_parameter_that_nobody_sets_is_said_to_be_so() {
        let mut answer = explanation();
        answer.keep_class("nginx");
        keep_param(&mut answer, "nginx.user");
        let text = render(&answer, Some("nginx.user"));
        assert!(
            text.ends_with(
                "is not set by the classification: its value is the data's or the class's default"
            ),
            "{text}"
        );
    }
}
