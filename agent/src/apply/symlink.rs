//! The resource `symlink`.

use dockmaster_proto::resource::{Ensure, Symlink};

use super::{Context, Done, Mode, fault::Fault, place::Found, spot::Spot};

/// Makes a symbolic link what it should be; an old one is replaced in one step.
///
/// # Errors
/// [`Fault`].
pub(super) fn apply(context: &mut Context<'_>, title: &str, spec: &Symlink) -> Result<Done, Fault> {
    let spot = Spot::of(context, title, spec.ensure)?;
    let path = context.root.join(&spot.path);
    let old = match &spot.found {
        Found::Nothing => None,
        Found::Symlink(target) => Some(target),
        Found::File(_) | Found::Directory(_) | Found::Other => {
            return Err(Fault::InTheWay {
                path,
                found: "no symbolic link".to_owned(),
            });
        }
    };
    if spec.ensure == Ensure::Absent {
        return match (old, context.mode) {
            (None, _) => Ok(Done::Unchanged),
            (Some(_), Mode::Noop) => Ok(Done::changed("removed")),
            (Some(_), Mode::Apply) => spot
                .into_place()?
                .unlink()
                .map(|()| Done::changed("removed"))
                .map_err(|errno| Fault::kernel("remove", &path, errno)),
        };
    }
    let what = match old {
        Some(old) if *old == spec.target => return Ok(Done::Unchanged),
        Some(old) => format!("target {old} to {}", spec.target),
        None => format!("created, target {}", spec.target),
    };
    match context.mode {
        Mode::Noop => context.foreseen.add_link(spot.path, &spec.target),
        Mode::Apply => {
            let place = spot.into_place()?;
            let staged = place
                .sibling(place.staging_name())
                .map_err(|error| Fault::io("open the directory of", &path, &error))?;
            // A leftover of an earlier try; nothing to remove is the usual case.
            let _ = staged.unlink();
            staged
                .make_symlink(&spec.target)
                .and_then(|()| staged.rename_to(&place))
                .map_err(|errno| Fault::kernel("make the symbolic link", &path, errno))?;
        }
    }
    Ok(Done::changed(what))
}
