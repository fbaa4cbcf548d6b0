//! A file's successor: written beside it, validated there, then put in its place.

use std::{collections::BTreeMap, fs, io::Write as _, time::Duration};

use rustix::{fs::OFlags, io::Errno};

use super::{plan::Wanted, write_over};
use crate::{
    apply::{
        Context,
        fault::Fault,
        place::{Found, Place, set_attributes},
    },
    root::Root,
    supervise::command::{self, Run},
};

/// How long a validation may take.
const VALIDATION_TIMEOUT: Duration = Duration::from_secs(60);

/// A staged file; removed when it is dropped without having been put in place.
#[derive(Debug)]
pub(super) struct Staged {
    place: Place,
    bytes: Vec<u8>,
    wanted: Wanted,
    /// Why it cannot be renamed into place.
    apart: Option<&'static str>,
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After a rename it is not there any more.
        let _ = self.place.unlink();
    }
}

/// How a file was put in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// In one step: who opens it sees the old or the new file.
    Renamed,
    /// Byte by byte, and why.
    InPlace(&'static str),
}

/// Writes the successor with its final owner and mode.
///
/// # Errors
/// [`Fault`] when it cannot be written.
pub(super) fn stage(
    context: &Context<'_>,
    target: &Place,
    found: &Found,
    wanted: Wanted,
    bytes: Vec<u8>,
) -> Result<Staged, Fault> {
    let beside = target
        .sibling(target.staging_name())
        .map_err(|error| Fault::io("open the directory of", &target.path(), &error))?;
    let (place, file, apart) = match beside.create() {
        Ok(file) => (beside, file, None),
        // One writable file in a folder that is not: a bind mount on a read-only root.
        Err(errno @ (Errno::ROFS | Errno::ACCESS | Errno::PERM))
            if matches!(found, Found::File(_)) && target.open_file(OFlags::WRONLY).is_ok() =>
        {
            let (place, file) = elsewhere(context, target)
                .ok_or_else(|| Fault::kernel("stage a file beside", &target.path(), errno))?;
            (place, file, Some("its directory cannot be written"))
        }
        Err(errno) => return Err(Fault::kernel("stage a file beside", &target.path(), errno)),
    };
    let staged = Staged {
        place,
        bytes,
        wanted,
        apart,
    };
    write(file, &staged)
        .map_err(|errno| Fault::kernel("stage a file beside", &target.path(), errno))?;
    Ok(staged)
}

/// Runs the validation on the staged file.
///
/// # Errors
/// [`Fault::Validation`] when the command does not succeed.
pub(super) async fn validate(
    context: &Context<'_>,
    staged: &Staged,
    command: Option<&[String]>,
) -> Result<(), Fault> {
    let Some(command) = command else {
        return Ok(());
    };
    let path = staged.place.path();
    let path = path.to_string_lossy();
    let argv: Vec<String> = command
        .iter()
        .map(|part| part.replace('%', &path))
        .collect();
    let run = Run {
        argv: &argv,
        cwd: None,
        user: None,
        env: &BTreeMap::new(),
        timeout: VALIDATION_TIMEOUT,
    };
    command::succeed(context.reaper, &run)
        .await
        .map_err(Fault::Validation)
}

impl Staged {
    /// Puts the file in its place.
    ///
    /// # Errors
    /// [`Fault`].
    pub(super) fn put(self, target: &Place) -> Result<Way, Fault> {
        let apart = match self.apart {
            Some(why) => why,
            None => match self.place.rename_to(target) {
                Ok(()) => return Ok(Way::Renamed),
                // A mount point cannot be renamed over.
                Err(Errno::BUSY | Errno::XDEV) => "it is a mount point",
                Err(errno) => return Err(Fault::kernel("replace", &target.path(), errno)),
            },
        };
        let written = target.open_file(OFlags::WRONLY).and_then(|mut file| {
            set_attributes(&file, self.wanted.uid, self.wanted.gid, self.wanted.mode)?;
            write_over(&mut file, &self.bytes)
        });
        written.map(|()| Way::InPlace(apart)).map_err(|errno| {
            Fault::kernel(
                "write in place (it may be damaged now)",
                &target.path(),
                errno,
            )
        })
    }
}

fn write(mut file: fs::File, staged: &Staged) -> Result<(), Errno> {
    let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    // Until its owner and mode are right nobody else can read it, and it goes in place only after that.
    file.write_all(&staged.bytes).map_err(errno)?;
    set_attributes(
        &file,
        staged.wanted.uid,
        staged.wanted.gid,
        staged.wanted.mode,
    )
}

fn elsewhere(context: &Context<'_>, target: &Place) -> Option<(Place, fs::File)> {
    let name = target.staging_name();
    let path = context.scratch?.join(name);
    let place = Place::open(&Root::default(), path.to_str()?).ok()?;
    let file = place.create().ok()?;
    Some((place, file))
}
