//! The resource `directory`.

use dockmaster_proto::resource::{Directory, Ensure};
use rustix::fs::OFlags;

use super::{
    Context, Done, Mode,
    fault::Fault,
    file::{Wanted, describe_attributes},
    place::{Found, set_attributes},
    spot::Spot,
};
use crate::user;

/// The mode of a new directory that names none.
const NEW_DIRECTORY: u32 = 0o755;

/// Makes a directory what it should be.
///
/// # Errors
/// [`Fault`].
pub(super) fn apply(
    context: &mut Context<'_>,
    title: &str,
    spec: &Directory,
) -> Result<Done, Fault> {
    let spot = Spot::of(context, title, spec.ensure)?;
    let path = context.root.join(&spot.path);
    let in_the_way = |found: &str| Fault::InTheWay {
        path: path.clone(),
        found: found.to_owned(),
    };
    let mut what = String::new();
    let found = match &spot.found {
        Found::Nothing => None,
        Found::Directory(attributes) => Some(*attributes),
        Found::File(_) => return Err(in_the_way("a file")),
        Found::Symlink(target) => return Err(in_the_way(&format!("a symbolic link to {target}"))),
        Found::Other => return Err(in_the_way("neither a file nor a directory")),
    };
    if spec.ensure == Ensure::Absent {
        return match (found, context.mode) {
            (None, _) => Ok(Done::Unchanged),
            (Some(_), Mode::Noop) => Ok(Done::changed("removed")),
            (Some(_), Mode::Apply) => spot
                .into_place()?
                .remove_directory()
                .map(|()| Done::changed("removed"))
                .map_err(|errno| Fault::kernel("remove", &path, errno)),
        };
    }
    let mut wanted = Wanted {
        uid: spec
            .owner
            .as_ref()
            .map(|owner| user::uid(context.root, owner))
            .transpose()?,
        gid: spec
            .group
            .as_ref()
            .map(|group| user::gid(context.root, group))
            .transpose()?,
        mode: spec.mode.map(dockmaster_proto::resource::Mode::bits),
    };
    match found {
        Some(found) => {
            describe_attributes(&mut what, wanted, found.uid, found.gid, found.mode);
            if what.is_empty() {
                return Ok(Done::Unchanged);
            }
        }
        None => {
            let mode = *wanted.mode.get_or_insert(NEW_DIRECTORY);
            what = format!("created, mode {mode:04o}");
        }
    }
    match context.mode {
        Mode::Noop => context.foreseen.add_directory(spot.path),
        Mode::Apply => {
            let place = spot.into_place()?;
            if found.is_none() {
                place
                    .make_directory()
                    .map_err(|errno| Fault::kernel("make the directory", &path, errno))?;
            }
            place
                .open_file(OFlags::RDONLY | OFlags::DIRECTORY)
                .and_then(|file| set_attributes(&file, wanted.uid, wanted.gid, wanted.mode))
                .map_err(|errno| Fault::kernel("change owner and mode of", &path, errno))?;
        }
    }
    Ok(Done::changed(what))
}
