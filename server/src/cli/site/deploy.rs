//! `dockmaster site deploy`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{
    api::documents::{Applied, MissingFiles, SiteManifest, SiteProposal},
    id::Digest,
    route::Route,
};

use crate::cli::{
    Global,
    error::CliError,
    files::{self, SiteFiles},
    output,
    progress::Progress,
    remote::Remote,
    table,
};

/// Upload a site and put it in force
#[derive(Debug, Args)]
#[command(after_help = "Example:
  dockmaster site deploy ./site -m 'new greeting'

Files that the master has already are not sent again. Names that begin with a dot are passed over.")]
pub(super) struct DeployArgs {
    /// The directory that holds site.yaml
    dir: PathBuf,
    /// Why
    #[arg(short, long, value_name = "MSG", default_value = "")]
    message: String,
}

/// Sends what the master lacks, then asks for all of it to be in force at once.
pub(super) async fn run(global: &Global, args: DeployArgs) -> Result<(), CliError> {
    let (manifest, by_digest) = digest(&files::read_site(&args.dir)?);
    let mut remote = Remote::connect(global).await?;
    let missing: MissingFiles = remote.send(Route::SiteMissing, &manifest).await?;
    let missing: BTreeSet<Digest> = missing.missing.into_iter().collect();
    let bar = Progress::start("uploading", missing.len() as u64);
    for digest in &missing {
        let bytes = by_digest.get(digest).ok_or_else(|| {
            let what = format!("the master asks for the file {digest}, which is not in the site");
            CliError::failed(what, "is it another version than this program?")
        })?;
        let call = Call::new(Route::SiteFile)
            .parameter(digest.to_string())
            .bytes(bytes.to_vec());
        remote.tell(&call).await?;
        bar.advance(1);
    }
    drop(bar);
    let total = manifest.files.len();
    let proposal = SiteProposal {
        manifest,
        message: args.message,
    };
    let applied: Applied = remote.send(Route::SiteDeploy, &proposal).await?;
    output::print(&done(&applied, total, missing.len()))
}

/// The manifest, and the bytes by which it can be filled.
fn digest(files: &SiteFiles) -> (SiteManifest, BTreeMap<Digest, Arc<[u8]>>) {
    let mut manifest = SiteManifest::default();
    let mut by_digest = BTreeMap::new();
    for (path, bytes) in files {
        let digest = Digest::of(bytes);
        manifest.files.insert(path.clone(), digest);
        by_digest.insert(digest, Arc::clone(bytes));
    }
    (manifest, by_digest)
}

fn done(applied: &Applied, total: usize, sent: usize) -> String {
    let nodes = usize::try_from(applied.nodes_changed).unwrap_or(usize::MAX);
    format!(
        "site {} is in force: {}, {sent} of them sent; {} changed",
        applied.revision,
        table::count(total, "file"),
        table::count(nodes, "catalog")
    )
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{id::Revision, problem::ProblemCode};

    use super::*;
    use crate::cli::{
        remote::block_on,
        testing::{Answer, Asked, Stub},
    };

    #[test]
    fn equal_files_are_sent_once() {
        let files = SiteFiles::from([
            ("a".to_owned(), Arc::from(&b"same"[..])),
            ("b".to_owned(), Arc::from(&b"same"[..])),
        ]);
        let (manifest, by_digest) = digest(&files);
        assert_eq!(manifest.files.len(), 2);
        assert_eq!(by_digest.len(), 1);
        assert_eq!(manifest.files["a"], Digest::of(b"same"));
    }

    #[test]
    fn the_end_says_what_was_sent_and_what_changed() {
        let applied = Applied {
            revision: Revision(4),
            nodes_changed: 1,
        };
        assert_eq!(
            done(&applied, 7, 2),
            "site 4 is in force: 7 files, 2 of them sent; 1 catalog changed"
        );
    }

    #[test]
    fn only_what_the_master_lacks_is_uploaded_and_then_all_of_it_deployed() {
        let stub = Stub::start(|asked| match asked.what.as_str() {
            "POST /v1/site/missing" => Answer::json(&MissingFiles {
                missing: vec![Digest::of(b"new")],
            }),
            "POST /v1/site" => Answer::json(&Applied {
                revision: Revision(2),
                nodes_changed: 0,
            }),
            what if what.starts_with("PUT /v1/site/files/") => Answer::bytes(""),
            _ => Answer::problem(ProblemCode::NotFound),
        });
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("site.yaml"), "old").unwrap();
        std::fs::write(dir.path().join("data.yaml"), "new").unwrap();
        let args = DeployArgs {
            dir: dir.path().into(),
            message: "why".into(),
        };
        block_on(run(&stub.global, args)).unwrap();
        let [missing, upload, deploy] = &stub.asked()[..] else {
            panic!("{:?}", stub.asked());
        };
        let manifest: SiteManifest = serde_json::from_slice(&missing.body).unwrap();
        assert_eq!(manifest.files["site.yaml"], Digest::of(b"old"));
        let expected = Asked {
            what: format!("PUT /v1/site/files/{}", Digest::of(b"new")),
            body: b"new".to_vec(),
        };
        assert_eq!(*upload, expected);
        let proposal: SiteProposal = serde_json::from_slice(&deploy.body).unwrap();
        assert_eq!(proposal.manifest, manifest);
        assert_eq!(proposal.message, "why");
    }
}
