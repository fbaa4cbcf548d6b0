//! `dockmaster site check`.

use std::path::{Path, PathBuf};

use clap::Args;
use dockmaster_compiler::{classification::Classification, site::Site};

use crate::cli::{error::CliError, files, output, table};

/// Check a site, without a master
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster site check ./site
  dockmaster site check ./site --classification classification.yaml

Tells everything that is wrong at once.")]
pub(super) struct CheckArgs {
    /// The directory that holds site.yaml
    dir: PathBuf,
    /// Also check that the site has the classes and parameters that this classification gives
    #[arg(long, value_name = "FILE")]
    classification: Option<PathBuf>,
}

/// Checks the site.
pub(super) fn run(args: &CheckArgs) -> Result<(), CliError> {
    let Checked { site, files } = check(args)?;
    for warning in site.warnings() {
        output::note(&format!("warning: {}", table::printable(warning)));
    }
    let classes = match site.classes().count() {
        1 => "1 class".to_owned(),
        many => format!("{many} classes"),
    };
    let files = table::count(files, "file");
    output::print(&format!(
        "{} is right: {files}, {classes}",
        args.dir.display()
    ))
}

/// A site without mistakes.
#[derive(Debug)]
struct Checked {
    site: Site,
    files: usize,
}

fn check(args: &CheckArgs) -> Result<Checked, CliError> {
    let files = files::read_site(&args.dir)?;
    let site = parse(&args.dir, &files)?;
    if let Some(file) = &args.classification {
        let misfits = parse_classification(file)?.lint(Some(&site), []);
        if !misfits.is_empty() {
            let what = format!("{} does not fit the site", file.display());
            return Err(CliError::failed(
                format!("{what}\n{}", misfits.join("\n")),
                "",
            ));
        }
    }
    Ok(Checked {
        site,
        files: files.len(),
    })
}

/// Reads the files of a site as one.
///
/// # Errors
/// Everything that is wrong with it.
pub(in crate::cli) fn parse(dir: &Path, files: &files::SiteFiles) -> Result<Site, CliError> {
    Site::parse(files).map_err(|wrong| mistakes(&format!("the site {}", dir.display()), &wrong.0))
}

/// Reads a classification.
///
/// # Errors
/// When it cannot be read, or everything that is wrong with it.
pub(in crate::cli) fn parse_classification(file: &Path) -> Result<Classification, CliError> {
    let (name, text) = (file.display().to_string(), files::read_text(file)?);
    Classification::parse(&name, &text).map_err(|wrong| mistakes(&name, &wrong.0))
}

/// All mistakes of a document as one error.
pub(in crate::cli) fn mistakes(document: &str, mistakes: &[impl ToString]) -> CliError {
    let count = table::count(mistakes.len(), "mistake");
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    let lines = table::printable(&lines.join("\n"));
    CliError::failed(format!("{count} in {document}\n{lines}"), "")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// A site of one class, in a folder of its own.
    fn site(class: &str) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let classes = dir.path().join("modules/hello/classes");
        fs::create_dir_all(&classes).unwrap();
        fs::write(dir.path().join("site.yaml"), "hierarchy: [common]\n").unwrap();
        fs::write(
            dir.path().join("modules/hello/module.yaml"),
            "name: hello\n",
        )
        .unwrap();
        fs::write(classes.join("hello.yaml"), class).unwrap();
        dir
    }

    fn args(dir: &TempDir, classification: Option<&str>) -> CheckArgs {
        let file = classification.map(|text| {
            let file = dir.path().join(".classification.yaml");
            fs::write(&file, text).unwrap();
            file
        });
        CheckArgs {
            dir: dir.path().into(),
            classification: file,
        }
    }

    const GOOD: &str = "resources:\n  - file: /etc/hello\n    content: hi\n";

    #[test]
    fn a_site_without_mistakes_is_right() {
        let dir = site(GOOD);
        let groups = "groups:\n  - name: base\n    match: \"\"\n    classes: [hello]\n";
        let checked = check(&args(&dir, Some(groups))).unwrap();
        assert_eq!(checked.site.classes().collect::<Vec<_>>(), ["hello"]);
        assert_eq!(checked.files, 3);
    }

    #[test]
    fn a_mistake_names_its_file_and_line() {
        let dir = site("resources:\n  - file: /etc/hello\n    contents: hi\n");
        let error = check(&args(&dir, None)).unwrap_err().to_string();
        assert!(
            error.starts_with("error: 1 mistake in the site "),
            "{error}"
        );
        assert!(
            error.contains("\nmodules/hello/classes/hello.yaml:3: "),
            "{error}"
        );
    }

    #[test]
    fn a_classification_that_gives_an_unknown_class_does_not_fit() {
        let dir = site(GOOD);
        let groups = "groups:\n  - name: base\n    match: \"\"\n    classes: [helo]\n";
        let error = check(&args(&dir, Some(groups))).unwrap_err().to_string();
        assert!(error.contains("does not fit the site"), "{error}");
        assert!(error.contains("helo"), "{error}");
    }
}
