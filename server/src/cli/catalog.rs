//! `dockmaster catalog`: the compiled resources of a node.

use clap::{Args, Subcommand};
use dockmaster_client::Call;
use dockmaster_proto::{
    api::nodes::NodeCatalog,
    catalog::{EdgeKind, Resource},
    resource::{Content, Ensure, ResourceKind},
    route::Route,
};

use super::{
    Global,
    error::CliError,
    output::OutputArgs,
    reference,
    remote::{Remote, block_on},
    table,
};

/// Show catalogs
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Example:
  dockmaster catalog show web-1"
)]
pub(crate) struct CatalogArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(ShowArgs),
}

/// Show the catalog of a node
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster catalog show web-1
  dockmaster catalog show 172.17.0.2 -o json")]
pub(crate) struct ShowArgs {
    /// A container ID or its beginning, an IP, or a container name
    #[arg(value_parser = reference::node)]
    node: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the subcommand.
pub(crate) fn run(global: &Global, args: CatalogArgs) -> Result<(), CliError> {
    match args.command {
        Command::Show(args) => block_on(show(global, args)),
    }
}

async fn show(global: &Global, args: ShowArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let catalog: NodeCatalog = remote
        .call(&Call::new(Route::NodeCatalog).parameter(args.node))
        .await?;
    args.output.print(&catalog, render)
}

fn render(answer: &NodeCatalog) -> String {
    let catalog = &answer.catalog;
    let revisions = answer.revisions;
    let mut text = table::fields([
        ("catalog", answer.digest.to_string()),
        ("environment", catalog.environment.clone()),
        ("classes", table::joined(&catalog.classes)),
        (
            "revisions",
            format!(
                "classification {}, site {}",
                revisions.classification, revisions.site
            ),
        ),
    ]);
    text.push('\n');
    let heading = ["RESOURCE", "WHAT", "DECLARED AT"];
    text.push_str(&table::columns(
        heading,
        catalog.resources.iter().map(row),
        "no resources",
    ));
    let edges = catalog
        .edges
        .iter()
        .filter(|edge| edge.kind != EdgeKind::Automatic)
        .map(|edge| {
            let kind = match edge.kind {
                EdgeKind::Notify => "notifies",
                EdgeKind::Before | EdgeKind::Automatic => "before",
            };
            [edge.from.to_string(), kind.to_owned(), edge.to.to_string()]
        });
    let edges = table::columns(["FIRST", "", "THEN"], edges, "");
    if !edges.is_empty() {
        text.push_str("\n\n");
        text.push_str(&edges);
    }
    text
}

fn row(resource: &Resource) -> [String; 3] {
    [
        resource.reference().to_string(),
        what(&resource.kind),
        resource.source.to_string(),
    ]
}

fn what(kind: &ResourceKind) -> String {
    match kind {
        ResourceKind::File(file) if file.ensure == Ensure::Absent => "absent".into(),
        ResourceKind::File(file) => match &file.content {
            None => "any content".into(),
            Some(Content::Inline(text)) => format!("{} bytes", text.len()),
            Some(Content::Blob { size, .. }) => format!("{size} bytes"),
        },
        ResourceKind::Directory(directory) if directory.ensure == Ensure::Absent => "absent".into(),
        ResourceKind::Directory(_) => "directory".into(),
        ResourceKind::Symlink(link) if link.ensure == Ensure::Absent => "absent".into(),
        ResourceKind::Symlink(link) => format!("to {}", link.target),
        ResourceKind::Exec(exec) => exec.command.join(" "),
        ResourceKind::Process(_) => "supervised".into(),
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{
        catalog::{CATALOG_VERSION, Catalog, Edge, Revisions, Source},
        resource::File,
    };

    use super::*;

    #[test]
    fn a_catalog_shows_resources_and_the_order_that_was_asked_for() {
        let catalog = Catalog {
            version: CATALOG_VERSION,
            environment: "production".into(),
            classes: vec!["hello".into()],
            resources: vec![Resource {
                kind: ResourceKind::File(File {
                    content: Some(Content::Inline("hi\n".into())),
                    ..File::default()
                }),
                title: "/etc/hello.conf".into(),
                source: Source {
                    module: "hello".into(),
                    file: "modules/hello/classes/hello.yaml".into(),
                    line: 3,
                },
            }],
            edges: vec![Edge {
                from: "file[/etc/hello.conf]".parse().unwrap(),
                to: "process[app]".parse().unwrap(),
                kind: EdgeKind::Notify,
            }],
        };
        let text = render(&NodeCatalog {
            digest: catalog.digest(),
            revisions: Revisions::default(),
            catalog,
        });
        let (_, tables) = text.split_once("\n\n").unwrap();
        assert_eq!(
            tables,
            "RESOURCE               WHAT     DECLARED AT\n\
             file[/etc/hello.conf]  3 bytes  modules/hello/classes/hello.yaml:3\n\
             \n\
             FIRST                            THEN\n\
             file[/etc/hello.conf]  notifies  process[app]"
        );
    }
}
