//! Golden cases: a folder each, with a site, a classification, a node, and what comes out: a
//! catalog (`expected.json`, contents of blobs behind it) or errors (`expected.txt`). A case whose
//! site lies elsewhere names the folder in the file `from`. References are rewritten only with
//! `UPDATE_GOLDEN=1`.

#![expect(
    clippy::unwrap_used,
    reason = "a case that cannot be read fails the test"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use dockmaster_compiler::{
    classification::Classification,
    compile::compile,
    fleet::Fleet,
    site::{Files, Site},
};
use dockmaster_proto::node::NodeView;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn read_files(root: &Path, folder: &Path, into: &mut Files) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            read_files(root, &path, into);
        } else {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            into.insert(name, Arc::from(fs::read(&path).unwrap()));
        }
    }
}

/// What comes out of a case, and the name of the file in which it should stand.
fn run(case: &Path) -> (&'static str, String) {
    let inputs = match fs::read_to_string(case.join("from")) {
        Ok(elsewhere) => case.join(elsewhere.trim()),
        Err(_) => case.to_owned(),
    };
    let mut files = BTreeMap::new();
    read_files(&inputs.join("site"), &inputs.join("site"), &mut files);
    let mut nodes: Vec<NodeView> =
        serde_json::from_slice(&fs::read(case.join("nodes.json")).unwrap()).unwrap();
    let outcome = Site::parse(&files)
        .map_err(|wrong| wrong.to_string())
        .and_then(|site| {
            let text = fs::read_to_string(inputs.join("classification.yaml")).unwrap();
            let classification = Classification::parse("classification.yaml", &text)
                .map_err(|wrong| wrong.to_string())?;
            // The first is the one whose catalog it is.
            let fleet = Fleet::new(nodes.clone().into_iter().map(Arc::new));
            let node = nodes.remove(0);
            let resolved = classification
                .resolve(&node)
                .map_err(|conflict| conflict.to_string())?;
            compile(&site, &resolved, &node, &fleet).map_err(|wrong| wrong.to_string())
        });
    match outcome {
        Ok(compiled) => {
            assert_eq!(compiled.catalog.digest(), compiled.digest);
            let mut text = serde_json::to_string_pretty(&compiled.catalog).unwrap();
            for (digest, bytes) in &compiled.blobs {
                text += &format!("\n{digest} {} bytes", bytes.len());
            }
            ("expected.json", text + "\n")
        }
        Err(text) => ("expected.txt", text + "\n"),
    }
}

#[test]
fn every_case_gives_what_stands_beside_it() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 8, "only {} cases", cases.len());
    let mut differ = Vec::new();
    for case in cases {
        let (name, found) = run(&case);
        let expected = fs::read_to_string(case.join(name)).unwrap_or_default();
        if found == expected {
            continue;
        }
        if update {
            for reference in ["expected.json", "expected.txt"] {
                let _ = fs::remove_file(case.join(reference));
            }
            fs::write(case.join(name), &found).unwrap();
        } else {
            differ.push(format!(
                "{}/{name}\n--- expected\n{expected}\n--- found\n{found}",
                case.display()
            ));
        }
    }
    assert!(
        differ.is_empty(),
        "{}\nUPDATE_GOLDEN=1 takes what was found as expected",
        differ.join("\n\n")
    );
}
