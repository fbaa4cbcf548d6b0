//! The tree under which resources and facts are looked up.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A prefix for absolute paths: `/` in a container, a folder in tests and image builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Default for Root {
    fn default() -> Self {
        Self(PathBuf::from("/"))
    }
}

impl Root {
    /// The tree below a folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Whether this is the whole file system.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// Where an absolute path lies.
    #[must_use]
    pub fn join(&self, absolute: &str) -> PathBuf {
        self.0.join(absolute.trim_start_matches('/'))
    }

    /// The text of a small file such as those of `/proc`; at most 1 MiB of it.
    ///
    /// # Errors
    /// Whatever reading reports; `InvalidData` when it is not UTF-8.
    pub fn read(&self, absolute: &str) -> io::Result<String> {
        use io::Read as _;
        let mut text = String::new();
        fs::File::open(self.join(absolute))?
            .take(1 << 20)
            .read_to_string(&mut text)?;
        Ok(text)
    }
}
