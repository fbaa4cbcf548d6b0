//! Places in the file system: an open parent folder and a name in it.
//!
//! Everything the agent writes goes through the open folder, so that nothing can be slipped in between
//! looking and writing. The last part of a path is never followed when it is a symbolic link. Links on
//! the way to it are: with the root `/` as for any program, below another root as if that were `/`.
//!
//! Nothing here is synced to the disk, neither files nor folders. Whatever ends the agent or its
//! container, the kernel keeps what was written; only the end of the host loses it, and may leave a file
//! that was renamed into place empty or in its old state. A container that is started after that is
//! compared with its catalog before its application starts, contents included, and such a file is
//! written again. A sync would make every start wait for the disk and save nobody from anything.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read as _},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
};

use dockmaster_proto::id::Digest;
use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid},
    io::Errno,
};

use crate::root::Root;

/// How folders are opened.
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// Why a path is no place to put anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// The path is not absolute, or not plain.
    #[error("{0:?} is no absolute path without . and ..")]
    Path(String),
    /// The parent is not there.
    #[error("the directory {0} does not exist; declare it as a directory resource")]
    NoParent(PathBuf),
    /// A parent is a symbolic link, and the kernel cannot be told to keep it below the root.
    #[error(
        "on the way to the directory {0} is a symbolic link, and this kernel cannot follow it without leaving the root (openat2 is missing, or forbidden by seccomp); write the path without the link"
    )]
    Link(PathBuf),
    /// The parent cannot be opened.
    #[error("the directory {0} cannot be opened: {1}")]
    Parent(PathBuf, Errno),
}

/// What is at a place.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A regular file.
    File(Attributes),
    /// A directory.
    Directory(Attributes),
    /// A symbolic link and where it points to.
    Symlink(String),
    /// Something else, such as a device.
    Other,
}

/// Owner, mode and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attributes {
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The permission bits.
    pub mode: u32,
    /// The size in bytes.
    pub size: u64,
}

impl From<&Stat> for Attributes {
    fn from(stat: &Stat) -> Self {
        Self {
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: stat.st_mode & 0o7777,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
        }
    }
}

/// An open folder and a name in it.
#[derive(Debug)]
pub(super) struct Place {
    dir: OwnedFd,
    folder: PathBuf,
    name: OsString,
}

impl Place {
    /// Opens the parent of an absolute path below a root.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub(super) fn open(root: &Root, path: &str) -> Result<Self, PlaceError> {
        let (parent, name) = Self::check(path)?;
        let folder = root.join(parent);
        let dir = open_folder(root, parent, &folder)?;
        Ok(Self {
            dir,
            folder,
            name: name.into(),
        })
    }

    /// Splits a path that is absolute and plain into its parent and its name.
    ///
    /// # Errors
    /// [`PlaceError::Path`].
    pub(super) fn check(path: &str) -> Result<(&str, &str), PlaceError> {
        let plain = path.starts_with('/')
            && !path.contains('\0')
            && !path[1..]
                .split('/')
                .any(|part| matches!(part, "" | "." | ".."));
        let split = path.rsplit_once('/').filter(|_| plain);
        split.ok_or_else(|| PlaceError::Path(path.to_owned()))
    }

    /// The path, for messages and for commands.
    #[must_use]
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Another name in the same folder.
    ///
    /// # Errors
    /// When the folder's descriptor cannot be duplicated.
    pub(super) fn sibling(&self, name: impl Into<OsString>) -> io::Result<Self> {
        Ok(Self {
            dir: self.dir.try_clone()?,
            folder: self.folder.clone(),
            name: name.into(),
        })
    }

    /// The name that a file has before it replaces this one. The dot and the ending keep it out of
    /// patterns such as `*.conf`; the digest keeps two files of one reload group apart whose long
    /// names begin alike, or that are staged in one folder and have the same name.
    #[must_use]
    pub(super) fn staging_name(&self) -> OsString {
        let name = self.name.to_string_lossy();
        let short: String = name.chars().take(40).collect();
        let digest = Digest::of(self.path().as_os_str().as_bytes()).to_string();
        format!(".{short}.{}.dockmaster", &digest[..16]).into()
    }

    /// What is there.
    ///
    /// # Errors
    /// Whatever the kernel says, except that nothing is there.
    pub(super) fn look(&self) -> Result<Found, Errno> {
        let stat = rustix::fs::statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        let stat = match stat {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Found::File(Attributes::from(&stat)),
            FileType::Directory => Found::Directory(Attributes::from(&stat)),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&self.dir, &self.name, Vec::new())?;
                Found::Symlink(target.to_string_lossy().into_owned())
            }
            _ => Found::Other,
        })
    }

    /// Opens what is there with the given flags; a symbolic link is not followed.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub(super) fn open_file(&self, flags: OFlags) -> Result<fs::File, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        rustix::fs::openat(&self.dir, &self.name, flags, Mode::empty()).map(fs::File::from)
    }

    /// The bytes of the file; at most `limit` of them.
    ///
    /// # Errors
    /// Whatever reading reports.
    pub(super) fn read(&self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open_file(OFlags::RDONLY)?
            .take(limit)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Creates a file that only its owner can read; a leftover of the same name is removed first.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub(super) fn create(&self) -> Result<fs::File, Errno> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || rustix::fs::openat(&self.dir, &self.name, flags, Mode::RUSR | Mode::WUSR);
        let created = match create() {
            Err(Errno::EXIST) => {
                self.unlink()?;
                create()
            }
            other => other,
        };
        created.map(fs::File::from)
    }

    /// Renames it to another name in the same folder.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub(super) fn rename_to(&self, other: &Self) -> Result<(), Errno> {
        rustix::fs::renameat(&self.dir, &self.name, &other.dir, &other.name)
    }

    /// Removes a file or a symbolic link.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub(super) fn unlink(&self) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty())
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub(super) fn remove_directory(&self) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::REMOVEDIR)
    }

    /// Makes a directory that only its owner can enter.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub(super) fn make_directory(&self) -> Result<(), Errno> {
        rustix::fs::mkdirat(&self.dir, &self.name, Mode::RWXU)
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub(super) fn make_symlink(&self, target: &str) -> Result<(), Errno> {
        rustix::fs::symlinkat(target, &self.dir, &self.name)
    }
}

/// Gives an open file or directory an owner and a mode; what is right already is not touched.
///
/// # Errors
/// Whatever the kernel says.
pub(super) fn set_attributes(
    file: &fs::File,
    uid: Option<u32>,
    gid: Option<u32>,
    mode: Option<u32>,
) -> Result<(), Errno> {
    let stat = rustix::fs::fstat(file)?;
    let uid = uid.filter(|uid| *uid != stat.st_uid);
    let gid = gid.filter(|gid| *gid != stat.st_gid);
    let moves = uid.is_some() || gid.is_some();
    if moves {
        rustix::fs::fchown(file, uid.map(Uid::from_raw), gid.map(Gid::from_raw))?;
    }
    // A change of owner clears the set-user-ID bits, so the mode comes last.
    if let Some(mode) = mode
        && (moves || mode != stat.st_mode & 0o7777)
    {
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
    }
    Ok(())
}

fn open_folder(root: &Root, parent: &str, folder: &Path) -> Result<OwnedFd, PlaceError> {
    let error = |errno: Errno| match errno {
        Errno::NOENT => PlaceError::NoParent(folder.to_owned()),
        errno => PlaceError::Parent(folder.to_owned(), errno),
    };
    if root.is_whole() {
        let parent = if parent.is_empty() { "/" } else { parent };
        return rustix::fs::open(parent, FOLDER, Mode::empty()).map_err(error);
    }
    // Below a folder, an absolute link must not lead out of it.
    let top = rustix::fs::open(root.folder(), FOLDER, Mode::empty()).map_err(error)?;
    let relative = parent.trim_start_matches('/');
    let here = if relative.is_empty() { "." } else { relative };
    match rustix::fs::openat2(&top, here, FOLDER, Mode::empty(), ResolveFlags::IN_ROOT) {
        // Older kernels and strict seccomp profiles have no openat2.
        Err(Errno::NOSYS | Errno::PERM) => descend(top, relative).map_err(|errno| match errno {
            Errno::LOOP => PlaceError::Link(folder.to_owned()),
            errno => error(errno),
        }),
        other => other.map_err(error),
    }
}

/// Opens a folder below another one part by part, and follows no link: `ELOOP` where there is one.
fn descend(top: OwnedFd, relative: &str) -> Result<OwnedFd, Errno> {
    let mut dir = top;
    for part in relative.split('/').filter(|part| !part.is_empty()) {
        let below = rustix::fs::openat(&dir, part, FOLDER | OFlags::NOFOLLOW, Mode::empty());
        dir = below.map_err(|errno| match errno {
            // With both flags the kernel calls a link no directory.
            Errno::NOTDIR if is_link(&dir, part) => Errno::LOOP,
            errno => errno,
        })?;
    }
    Ok(dir)
}

fn is_link(dir: &OwnedFd, name: &str) -> bool {
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn without_openat2_a_link_on_the_way_is_refused_wherever_it_leads() {
        let outside = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        symlink(outside.path(), root.path().join("a/out")).unwrap();
        symlink("b", root.path().join("a/in")).unwrap();
        let top = || rustix::fs::open(root.path(), FOLDER, Mode::empty()).unwrap();
        assert!(descend(top(), "a/b").is_ok());
        assert!(descend(top(), "").is_ok());
        assert_eq!(descend(top(), "a/out").unwrap_err(), Errno::LOOP);
        assert_eq!(descend(top(), "a/in").unwrap_err(), Errno::LOOP);
        assert_eq!(descend(top(), "a/none").unwrap_err(), Errno::NOENT);
        assert_eq!(descend(top(), "file").unwrap_err(), Errno::NOTDIR);
    }

    #[test]
    fn staging_names_differ_where_names_begin_alike_and_fit_into_a_folder() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let place = Place::open(&Root::new(root.path()), &format!("/{name}")).unwrap();
            place.staging_name()
        };
        let long = "\u{1F980}".repeat(60);
        assert_ne!(at(&format!("{long}a")), at(&format!("{long}b")));
        assert!(at(&long).len() <= 255);
    }
}
