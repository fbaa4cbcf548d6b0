//! The resource `file`: looked at, staged beside its place, validated, put in place in one rename.

pub(super) use self::plan::{Wanted, describe_attributes};

mod plan;
mod stage;

use std::fs;

use dockmaster_proto::{
    id::Digest,
    resource::{Content, File},
};
use rustix::{fs::OFlags, io::Errno};

use self::plan::{Plan, plan};
use self::stage::Staged;
use super::{
    Context, Done, Mode, blob, diff,
    fault::Fault,
    place::{Attributes, Found, Place, set_attributes},
    spot::Spot,
};
use crate::user;

/// A file that is ready to be put in place, or found to be right.
#[derive(Debug)]
pub(super) struct Prepared {
    work: Work,
    what: String,
    diff: String,
}

#[derive(Debug)]
enum Work {
    Nothing,
    /// A dry run only says it.
    Foreseen,
    Remove(Place),
    Adjust(Place, Wanted),
    Replace(Place, Staged),
}

impl Prepared {
    /// Whether putting it in place would change anything.
    #[must_use]
    pub(super) fn changes(&self) -> bool {
        !matches!(self.work, Work::Nothing)
    }
}

/// Looks at a file and stages its successor where it has to change. In a dry run nothing is staged.
///
/// # Errors
/// [`Fault`]; the file is as it was.
pub(super) async fn prepare(
    context: &mut Context<'_>,
    title: &str,
    spec: &File,
) -> Result<Prepared, Fault> {
    let spot = Spot::of(context, title, spec.ensure)?;
    let uid = spec
        .owner
        .as_ref()
        .map(|owner| user::uid(context.root, owner))
        .transpose()?;
    let gid = spec
        .group
        .as_ref()
        .map(|group| user::gid(context.root, group))
        .transpose()?;
    let wanted = Wanted {
        uid,
        gid,
        mode: spec.mode.map(dockmaster_proto::resource::Mode::bits),
    };
    let same = match (&spot.found, spot.place(), &spec.content) {
        (Found::File(attributes), Some(place), Some(content)) => {
            same_content(place, attributes, content)?
        }
        (.., content) => content.is_none(),
    };
    let (plan, what) = plan(spec, wanted, &spot.found, same).map_err(|found| Fault::InTheWay {
        path: context.root.join(&spot.path),
        found,
    })?;
    let mut diff = String::new();
    let work = match plan {
        Plan::Nothing => Work::Nothing,
        Plan::Remove => {
            diff = difference(&spot, None, b"");
            match context.mode {
                Mode::Noop => Work::Foreseen,
                Mode::Apply => Work::Remove(spot.into_place()?),
            }
        }
        Plan::Adjust(wanted) => match context.mode {
            Mode::Noop => Work::Foreseen,
            Mode::Apply => Work::Adjust(spot.into_place()?, wanted),
        },
        Plan::Write(wanted) => {
            let bytes = contents(context, spec.content.as_ref()).await?;
            diff = difference(&spot, wanted.mode, &bytes);
            match context.mode {
                Mode::Noop => Work::Foreseen,
                Mode::Apply => {
                    let found = spot.found.clone();
                    let place = spot.into_place()?;
                    let staged = stage::stage(context, &place, &found, wanted, bytes)?;
                    stage::validate(context, &staged, spec.validate.as_deref()).await?;
                    Work::Replace(place, staged)
                }
            }
        }
    };
    Ok(Prepared { work, what, diff })
}

/// Puts a prepared file in place; after a dry run only says what that would be.
///
/// # Errors
/// [`Fault`]; unless it says so, the file is as it was.
pub(super) fn commit(prepared: Prepared) -> Result<Done, Fault> {
    let mut what = prepared.what;
    match prepared.work {
        Work::Nothing => return Ok(Done::Unchanged),
        Work::Foreseen => {}
        Work::Remove(place) => place
            .unlink()
            .map_err(|errno| Fault::kernel("remove", &place.path(), errno))?,
        Work::Adjust(place, wanted) => adjust(&place, wanted)?,
        Work::Replace(place, staged) => {
            if let stage::Way::InPlace(why) = staged.put(&place)? {
                what.push_str(", written in place and so not atomically (");
                what.push_str(why);
                what.push(')');
            }
        }
    }
    Ok(Done::Changed {
        what,
        diff: prepared.diff,
    })
}

/// Changes owner and mode of a file whose bytes are right.
fn adjust(place: &Place, wanted: Wanted) -> Result<(), Fault> {
    let kernel = |errno| Fault::kernel("change owner and mode of", &place.path(), errno);
    let file = place.open_file(OFlags::RDONLY).map_err(kernel)?;
    // Whoever may write the folder may have put another name of someone else's file there, and would
    // be given that file. A rename would leave the other names alone; a change of owner reaches them.
    let names = rustix::fs::fstat(&file).map_err(kernel)?.st_nlink;
    if names > 1 {
        return Err(Fault::InTheWay {
            path: place.path(),
            found: format!("one of {names} names of one file (hard links)"),
        });
    }
    set_attributes(&file, wanted.uid, wanted.gid, wanted.mode).map_err(kernel)
}

/// The difference of what is there and what is to be there, if everyone may see both.
fn difference(spot: &Spot, mode: Option<u32>, bytes: &[u8]) -> String {
    let old = match &spot.found {
        Found::File(attributes) => Some(attributes.mode),
        _ => None,
    };
    if [old, mode].into_iter().flatten().any(diff::is_private) {
        return diff::WITHHELD.to_owned();
    }
    diff::diff(&readable(spot), bytes)
}

async fn contents(context: &mut Context<'_>, content: Option<&Content>) -> Result<Vec<u8>, Fault> {
    Ok(match content {
        None => Vec::new(),
        Some(Content::Inline(text)) => text.clone().into_bytes(),
        Some(Content::Blob { sha256, size }) => blob::get(context.blobs, *sha256, *size).await?,
    })
}

fn same_content(place: &Place, found: &Attributes, content: &Content) -> Result<bool, Fault> {
    let size = match content {
        Content::Inline(text) => text.len() as u64,
        Content::Blob { size, .. } => *size,
    };
    if found.size != size {
        return Ok(false);
    }
    let bytes = place
        .read(size + 1)
        .map_err(|error| Fault::io("read", &place.path(), &error))?;
    Ok(match content {
        Content::Inline(text) => bytes == text.as_bytes(),
        Content::Blob { sha256, .. } => Digest::of(&bytes) == *sha256,
    })
}

/// The old contents for a difference; a file that cannot be read or is too large shows as far as it goes.
fn readable(spot: &Spot) -> Vec<u8> {
    match (&spot.found, spot.place()) {
        (Found::File(_), Some(place)) => place.read(diff::MAX_BYTES as u64 + 1).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Writes over a file without ever making it shorter than both the old and the new contents.
fn write_over(file: &mut fs::File, bytes: &[u8]) -> Result<(), Errno> {
    use std::io::Write as _;
    let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    file.write_all(bytes).map_err(errno)?;
    file.set_len(bytes.len() as u64).map_err(errno)
}
