//! `dockmaster compile`: a catalog without a master.

use std::{
    ffi::OsString,
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use dockmaster_compiler::{
    compile::{Compiled, compile},
    fleet::Fleet,
};
use dockmaster_proto::{
    address::Address,
    facts::Limits,
    id::{ContainerId, IdError},
    label::{LabelKey, Labels, MAX_VALUE, Tier},
    node::NodeView,
    time::UnixMs,
};

use super::{
    error::CliError,
    files, output,
    site::{mistakes, parse, parse_classification},
    table,
};

/// The name, the host and the network of a node that is made up.
const OFFLINE: &str = "offline";

/// Compile the catalog of a made-up node, without a master
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster compile --site ./site --classification classification.yaml --label role=web
  dockmaster compile --site ./site --classification classification.yaml --label role=web -o catalog.json
  dockmaster compile --site ./site --classification classification.yaml | dockmaster-agent apply -

Labels count as an operator's. Contents of 4 KiB and more go into FILE.blobs beside the catalog.")]
pub(crate) struct CompileArgs {
    /// The directory that holds site.yaml
    #[arg(long, value_name = "DIR")]
    site: PathBuf,
    /// The classification
    #[arg(long, value_name = "FILE")]
    classification: PathBuf,
    /// A label of the node; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(LabelKey, String)>,
    /// The node's name
    #[arg(long, default_value = OFFLINE)]
    name: String,
    /// An IP of the node; may be given several times
    #[arg(long)]
    ip: Vec<IpAddr>,
    /// The image that the node runs
    #[arg(long, default_value = "")]
    image: String,
    /// Where to write the catalog; the standard output where no file, or -, is given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Compiles and writes the catalog.
pub(crate) fn run(args: CompileArgs) -> Result<(), CliError> {
    let compiled = compiled(&args)?;
    match args.output.filter(|path| path != Path::new("-")) {
        Some(path) => {
            write(&path, &compiled).map_err(|error| {
                CliError::because(format!("cannot write {}", path.display()), &error, "")
            })?;
            let resources = table::count(compiled.catalog.resources.len(), "resource");
            let blobs = table::count(compiled.blobs.len(), "blob");
            let path = path.display();
            output::note(&format!(
                "{path}: {resources}, {blobs}, sha256:{}",
                compiled.digest
            ));
            Ok(())
        }
        None if compiled.blobs.is_empty() => output::print_bytes(&compiled.bytes),
        None => Err(CliError::failed(
            format!(
                "the catalog needs {} beside it",
                table::count(compiled.blobs.len(), "blob")
            ),
            "give -o FILE: blobs are written beside it, where \"dockmaster-agent apply FILE\" finds them",
        )),
    }
}

fn compiled(args: &CompileArgs) -> Result<Compiled, CliError> {
    let site = parse(&args.site, &files::read_site(&args.site)?)?;
    let classification = parse_classification(&args.classification)?;
    let node = node(args).map_err(|error| CliError::usage(error.to_string(), ""))?;
    let resolved = classification
        .resolve(&node)
        .map_err(|conflict| CliError::failed(conflict.to_string(), ""))?;
    // The only live node: peers() finds it, if it has an IP, and nobody else.
    let node = Arc::new(node);
    let fleet = Fleet::new([node.clone()]);
    compile(&site, &resolved, &node, &fleet)
        .map_err(|wrong| mistakes(&format!("the site {}", args.site.display()), &wrong.0))
}

fn node(args: &CompileArgs) -> Result<NodeView, IdError> {
    let mut labels = Labels::new();
    for (key, value) in &args.label {
        labels.set(key.as_str(), value, Tier::Operator);
    }
    let addresses = args
        .ip
        .iter()
        .map(|ip| Ok(Address::new(OFFLINE.parse()?, *ip)));
    let mut addresses = addresses.collect::<Result<Vec<_>, IdError>>()?;
    addresses.sort();
    Ok(NodeView {
        id: ContainerId::from_bytes([0; 32]),
        name: args.name.clone(),
        host: OFFLINE.parse()?,
        image: args.image.clone(),
        image_digest: String::new(),
        addresses,
        labels,
        started_at_ms: UnixMs(0),
        limits: Limits::default(),
    })
}

/// The blobs come first: a catalog that is there can be applied.
fn write(path: &Path, compiled: &Compiled) -> io::Result<()> {
    if !compiled.blobs.is_empty() {
        let mut folder = OsString::from(path);
        folder.push(".blobs");
        let folder = PathBuf::from(folder);
        fs::create_dir_all(&folder)?;
        for (digest, bytes) in &compiled.blobs {
            fs::write(folder.join(digest.to_string()), bytes)?;
        }
    }
    fs::write(path, &compiled.bytes)
}

fn label(text: &str) -> Result<(LabelKey, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| "a label is KEY=VALUE".to_owned())?;
    if value.len() > MAX_VALUE {
        return Err(format!("a label's value has at most {MAX_VALUE} bytes"));
    }
    let key = key.parse().map_err(|error: IdError| error.to_string())?;
    Ok((key, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{catalog::Catalog, id::Digest};

    use super::*;

    const SITE: [(&str, &str); 3] = [
        ("site.yaml", "hierarchy: [common]\n"),
        ("modules/hello/module.yaml", "name: hello\n"),
        (
            "modules/hello/classes/hello.yaml",
            "resources:\n  - file: /etc/hello\n    content: \"{{ labels.role }} {{ node.name }} {{ node.ip }}\"\n  - file: /etc/large\n    content: \"{{ 'x' * 5000 }}\"\n    when: labels.role == 'large'\n",
        ),
    ];
    const GROUPS: &str =
        "groups:\n  - name: base\n    match: role\n    from: operator\n    classes: [hello]\n";

    fn args(dir: &Path, role: &str) -> CompileArgs {
        for (path, text) in SITE {
            let path = dir.join("site").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let classification = dir.join("classification.yaml");
        fs::write(&classification, GROUPS).unwrap();
        CompileArgs {
            site: dir.join("site"),
            classification,
            label: vec![label(&format!("role={role}")).unwrap()],
            name: "web-1".into(),
            ip: vec!["10.0.0.7".parse().unwrap()],
            image: String::new(),
            output: Some(dir.join("catalog.json")),
        }
    }

    #[test]
    fn a_catalog_is_compiled_for_the_node_that_the_options_describe() {
        let dir = tempfile::tempdir().unwrap();
        run(args(dir.path(), "web")).unwrap();
        let bytes = fs::read(dir.path().join("catalog.json")).unwrap();
        let catalog: Catalog = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(catalog.digest(), Digest::of(&bytes));
        assert_eq!(catalog.resources.len(), 1);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("web web-1 10.0.0.7"), "{text}");
        assert!(!dir.path().join("catalog.json.blobs").exists());
    }

    #[test]
    fn large_contents_lie_beside_the_catalog_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        run(args(dir.path(), "large")).unwrap();
        let digest = Digest::of(&[b'x'; 5000]).to_string();
        let blob = dir.path().join("catalog.json.blobs").join(digest);
        assert_eq!(fs::read(blob).unwrap(), [b'x'; 5000]);
        let mut args = args(dir.path(), "large");
        args.output = None;
        let error = run(args).unwrap_err().to_string();
        assert!(error.contains("give -o FILE"), "{error}");
    }

    #[test]
    fn a_label_is_a_key_and_a_value() {
        assert_eq!(label("a=b=c").unwrap().1, "b=c");
        for bad in ["a", "=b", "a b=c"] {
            assert!(label(bad).is_err(), "{bad}");
        }
    }
}
