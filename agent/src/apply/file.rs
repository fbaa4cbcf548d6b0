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
};
use crate::user;

/// A file that is ready to be put in place, or found to be right.
#[derive(Debug)]
pub(super) struct Prepared {
    place: Place,
    work: Work,
    what: String,
    diff: String,
}

#[derive(Debug)]
enum Work {
    Nothing,
    Remove,
    Adjust(Wanted),
    Replace(Option<Staged>),
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
    let place = Place::open(context.root, title)?;
    let path = place.path();
    let found = place
        .look()
        .map_err(|errno| Fault::kernel("look at", &path, errno))?;
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
    let same = match (&found, &spec.content) {
        (Found::File(attributes), Some(content)) => same_content(&place, attributes, content)?,
        (_, content) => content.is_none(),
    };
    let (plan, what) = plan(spec, wanted, &found, same).map_err(|found| Fault::InTheWay {
        path: path.clone(),
        found,
    })?;
    let mut prepared = Prepared {
        place,
        work: Work::Nothing,
        what,
        diff: String::new(),
    };
    match plan {
        Plan::Nothing => {}
        Plan::Remove => {
            prepared.work = Work::Remove;
            prepared.diff = diff::diff(&readable(&prepared.place, &found), b"");
        }
        Plan::Adjust(wanted) => prepared.work = Work::Adjust(wanted),
        Plan::Write(wanted) => {
            let bytes = contents(context, spec.content.as_ref()).await?;
            prepared.diff = diff::diff(&readable(&prepared.place, &found), &bytes);
            prepared.work = Work::Replace(match context.mode {
                Mode::Noop => None,
                Mode::Apply => {
                    let staged = stage::stage(context, &prepared.place, &found, wanted, bytes)?;
                    stage::validate(context, &staged, spec.validate.as_deref()).await?;
                    Some(staged)
                }
            });
        }
    }
    Ok(prepared)
}

/// Puts a prepared file in place; in a dry run only says what that would be.
///
/// # Errors
/// [`Fault`]; unless it says so, the file is as it was.
pub(super) fn commit(prepared: Prepared, mode: Mode) -> Result<Done, Fault> {
    let path = prepared.place.path();
    let mut what = prepared.what;
    match prepared.work {
        Work::Nothing => return Ok(Done::Unchanged),
        _ if mode == Mode::Noop => {}
        Work::Remove => prepared
            .place
            .unlink()
            .map_err(|errno| Fault::kernel("remove", &path, errno))?,
        Work::Adjust(wanted) => prepared
            .place
            .open_file(OFlags::RDONLY)
            .and_then(|file| set_attributes(&file, wanted.uid, wanted.gid, wanted.mode))
            .map_err(|errno| Fault::kernel("change owner and mode of", &path, errno))?,
        Work::Replace(None) => {}
        Work::Replace(Some(staged)) => {
            if let stage::Way::InPlace(why) = staged.put(&prepared.place)? {
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
fn readable(place: &Place, found: &Found) -> Vec<u8> {
    match found {
        Found::File(_) => place.read(diff::MAX_BYTES as u64 + 1).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Writes over a file without ever making it shorter than both the old and the new contents.
fn write_over(file: &mut fs::File, bytes: &[u8]) -> Result<(), Errno> {
    use std::io::Write as _;
    let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    file.write_all(bytes).map_err(errno)?;
    file.set_len(bytes.len() as u64).map_err(errno)?;
    file.sync_all().map_err(errno)
}
