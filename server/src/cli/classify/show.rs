//! `dockmaster classify show`.

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{api::documents::CurrentClassification, route::Route};

use crate::cli::{Global, error::CliError, output::OutputArgs, remote::Remote, table};

/// Show the classification in force
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster classify show
  dockmaster classify show > classification.yaml

As a table, who changed it and why stands in YAML comments: the output is the document.")]
pub(super) struct ShowArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// Shows the classification.
pub(super) async fn run(global: &Global, args: ShowArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let current: CurrentClassification = remote.call(&Call::new(Route::Classification)).await?;
    args.output.print(&current, render)
}

fn render(current: &CurrentClassification) -> String {
    let info = &current.info;
    if info.revision.0 == 0 {
        return "# no classification yet; see \"dockmaster classify apply\"\n".into();
    }
    let mut text = format!(
        "# revision {}, {}, by {}\n",
        info.revision, info.at_ms, info.author
    );
    for line in info.message.lines() {
        text.push_str(&format!("# {}\n", table::printable(line)));
    }
    text.push_str(&table::printable(&current.document));
    text
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{api::documents::RevisionInfo, id::Revision, time::UnixMs};

    use super::*;

    #[test]
    fn what_is_shown_is_the_document_with_its_story_in_comments() {
        let mut current = CurrentClassification {
            info: RevisionInfo {
                revision: Revision(2),
                sha256: None,
                author: "/operator/ada".into(),
                message: "two\nlines".into(),
                at_ms: UnixMs(0),
            },
            document: "groups: []\n".into(),
        };
        assert_eq!(
            render(&current),
            "# revision 2, 1970-01-01T00:00:00.000Z, by /operator/ada\n# two\n# lines\ngroups: []\n"
        );
        current.info.revision = Revision(0);
        assert!(render(&current).starts_with("# no classification yet"));
    }
}
