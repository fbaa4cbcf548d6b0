//! Reading what a person named: documents, and the tree of a site.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::Path,
    sync::Arc,
};

use dockmaster_proto::catalog::MAX_CATALOG_BYTES;

use super::error::CliError;

/// The largest document in bytes that the master takes.
const MAX_DOCUMENT_BYTES: usize = 4 << 20;
/// How many files a site may have.
const MAX_FILES: usize = 20_000;
/// How deep the directories of a site may be nested.
const MAX_DEPTH: usize = 32;

/// The files of a site by path (relative, with `/`).
pub(crate) type SiteFiles = BTreeMap<String, Arc<[u8]>>;

/// Reads a document.
///
/// # Errors
/// When it cannot be read, is too large, or is no text.
pub(crate) fn read_text(path: &Path) -> Result<String, CliError> {
    let bytes = read_bounded(path, MAX_DOCUMENT_BYTES)?;
    String::from_utf8(bytes)
        .map_err(|_| CliError::failed(format!("{} is not UTF-8 text", path.display()), ""))
}

/// Writes a file, in place of one that is there.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    fs::write(path, bytes).map_err(|error| {
        CliError::because(format!("{} cannot be written", path.display()), &error, "")
    })
}

/// Writes a file aside and puts it in place, so that a crash leaves the old one or the new one.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = Path::new(&aside);
    let written = File::create(aside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let written = written.and_then(|()| fs::rename(aside, path));
    written.map_err(|error| {
        CliError::because(format!("{} cannot be written", path.display()), &error, "")
    })
}

/// Reads the tree of a site. Names that begin with a dot are passed over.
///
/// # Errors
/// When something cannot be read, is too large, or is no plain file or directory.
pub(crate) fn read_site(root: &Path) -> Result<SiteFiles, CliError> {
    let mut files = SiteFiles::new();
    read_directory(root, "", MAX_DEPTH, &mut files)?;
    if !files.contains_key("site.yaml") {
        return Err(CliError::failed(
            format!("{} is no site: it has no site.yaml", root.display()),
            "give the directory that holds site.yaml, data/ and modules/",
        ));
    }
    Ok(files)
}

fn read_directory(
    directory: &Path,
    prefix: &str,
    depth: usize,
    files: &mut SiteFiles,
) -> Result<(), CliError> {
    let Some(depth) = depth.checked_sub(1) else {
        let what = format!(
            "{} lies more than {MAX_DEPTH} directories deep",
            directory.display()
        );
        return Err(CliError::failed(what, "a site is a shallow tree"));
    };
    let entries = fs::read_dir(directory).map_err(|error| unreadable(directory, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(directory, &error))?;
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            let what = format!("the name of {} is not UTF-8", path.display());
            return Err(CliError::failed(what, "rename it"));
        };
        if name.starts_with('.') {
            continue;
        }
        let kind = entry
            .file_type()
            .map_err(|error| unreadable(&path, &error))?;
        let name = format!("{prefix}{name}");
        if kind.is_dir() {
            read_directory(&path, &format!("{name}/"), depth, files)?;
        } else if kind.is_file() {
            if files.len() >= MAX_FILES {
                let what = format!("the site has more than {MAX_FILES} files");
                return Err(CliError::failed(what, "is this the right directory?"));
            }
            files.insert(name, read_bounded(&path, MAX_CATALOG_BYTES)?.into());
        } else {
            let what = if kind.is_symlink() {
                "a symbolic link"
            } else {
                "no plain file"
            };
            return Err(CliError::failed(
                format!("{} is {what}", path.display()),
                "a site holds files and directories only; put a copy there, or move it out of the site",
            ));
        }
    }
    Ok(())
}

fn read_bounded(path: &Path, limit: usize) -> Result<Vec<u8>, CliError> {
    let mut bytes = vec![];
    // One byte more than allowed tells a file that is too large from one that just fits.
    File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, &error))?;
    if bytes.len() > limit {
        let what = format!("{} is larger than {limit} bytes", path.display());
        return Err(CliError::failed(what, ""));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> CliError {
    CliError::because(format!("cannot read {}", path.display()), error, "")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_site_is_read_with_relative_paths_and_without_dotfiles() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("data/role")).unwrap();
        fs::create_dir(dir.path().join(".git")).unwrap();
        for name in [
            "site.yaml",
            "data/role/web.yaml",
            ".git/HEAD",
            "data/.web.swp",
        ] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let files = read_site(dir.path()).unwrap();
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["data/role/web.yaml", "site.yaml"]);
        assert_eq!(&*files["site.yaml"], b"site.yaml");
    }

    #[test]
    fn a_symbolic_link_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("site.yaml"), "").unwrap();
        symlink("/etc/passwd", dir.path().join("data")).unwrap();
        let error = read_site(dir.path()).unwrap_err().to_string();
        assert!(error.contains("data is a symbolic link"), "{error}");
    }

    #[test]
    fn a_directory_without_site_yaml_is_no_site() {
        let dir = tempfile::tempdir().unwrap();
        let error = read_site(dir.path()).unwrap_err().to_string();
        assert!(error.contains("has no site.yaml"), "{error}");
    }

    #[test]
    fn a_file_may_have_exactly_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "1234").unwrap();
        assert_eq!(read_bounded(&path, 4).unwrap(), b"1234");
        assert!(read_bounded(&path, 3).is_err());
    }
}
