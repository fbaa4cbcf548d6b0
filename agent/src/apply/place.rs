//! Places in the file system: an open parent folder and a name in it.
//!
//! Everything the agent writes goes through the open folder, so that nothing can be slipped in between
//! looking and writing. The last part of a path is never followed when it is a symbolic link.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid},
    io::Errno,
};

use crate::root::Root;

/// Why a path is no place to put anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// The path is not absolute, or not plain.
    #[error("{0:?} is no absolute path without . and ..")]
    Path(String),
    /// The parent is not there.
    #[error("the directory {0} does not exist; declare it as a directory resource")]
    NoParent(PathBuf),
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
        let plain = path.starts_with('/')
            && !path.contains('\0')
            && !path[1..]
                .split('/')
                .any(|part| matches!(part, "" | "." | ".."));
        let split = path.rsplit_once('/').filter(|_| plain);
        let (parent, name) = split.ok_or_else(|| PlaceError::Path(path.to_owned()))?;
        let folder = root.join(parent);
        let opened = open_folder(root, parent, &folder);
        let dir = opened.map_err(|error| match error {
            Errno::NOENT => PlaceError::NoParent(folder.clone()),
            error => PlaceError::Parent(folder.clone(), error),
        })?;
        Ok(Self {
            dir,
            folder,
            name: name.into(),
        })
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
    /// patterns such as `*.conf`.
    #[must_use]
    pub(super) fn staging_name(&self) -> OsString {
        let name = self.name.to_string_lossy();
        let short: String = name.chars().take(60).collect();
        format!(".{short}.dockmaster").into()
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

    /// Renames it to another name in the same folder, and makes that durable.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub(super) fn rename_to(&self, other: &Self) -> Result<(), Errno> {
        rustix::fs::renameat(&self.dir, &self.name, &other.dir, &other.name)?;
        self.sync()
    }

    /// Removes a file or a symbolic link.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub(super) fn unlink(&self) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty())?;
        self.sync()
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub(super) fn remove_directory(&self) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::REMOVEDIR)?;
        self.sync()
    }

    /// Makes a directory that only its owner can enter.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub(super) fn make_directory(&self) -> Result<(), Errno> {
        rustix::fs::mkdirat(&self.dir, &self.name, Mode::RWXU)?;
        self.sync()
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub(super) fn make_symlink(&self, target: &str) -> Result<(), Errno> {
        rustix::fs::symlinkat(target, &self.dir, &self.name)
    }

    fn sync(&self) -> Result<(), Errno> {
        match rustix::fs::fsync(&self.dir) {
            // Some file systems cannot sync a folder; then there is nothing to wait for.
            Err(Errno::INVAL) => Ok(()),
            other => other,
        }
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

fn open_folder(root: &Root, parent: &str, folder: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if root.is_whole() {
        return rustix::fs::open(
            if parent.is_empty() { "/" } else { parent },
            flags,
            Mode::empty(),
        );
    }
    // Below a folder, an absolute link must not lead out of it.
    let top = rustix::fs::open(root.folder(), flags, Mode::empty())?;
    let relative = match parent.trim_start_matches('/') {
        "" => ".",
        relative => relative,
    };
    match rustix::fs::openat2(&top, relative, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
        // Older kernels and strict seccomp profiles have no openat2.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::open(folder, flags, Mode::empty()),
        other => other,
    }
}
