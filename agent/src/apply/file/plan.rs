//! What has to be done to a file. Pure.

use std::fmt::Write as _;

use dockmaster_proto::resource::{Content, Ensure, File};

use crate::apply::place::Found;

/// The mode of a new file that names none.
const NEW_FILE: u32 = 0o644;

/// Owner, group and mode; `None` leaves alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The owner's number.
    pub uid: Option<u32>,
    /// The group's number.
    pub gid: Option<u32>,
    /// The permission bits.
    pub mode: Option<u32>,
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// It is right.
    Nothing,
    /// It has to go.
    Remove,
    /// Its bytes are right, its owner or mode is not.
    Adjust(Wanted),
    /// It has to be written; what it had and nobody changes is kept.
    Write(Wanted),
}

/// Decides, and says in words what changes.
///
/// # Errors
/// What is in the way, in words.
pub(super) fn plan(
    spec: &File,
    wanted: Wanted,
    found: &Found,
    same_content: bool,
) -> Result<(Plan, String), String> {
    let present = spec.ensure == Ensure::Present;
    let attributes = match found {
        Found::Nothing if present => {
            let mode = wanted.mode.unwrap_or(NEW_FILE);
            let size = spec.content.as_ref().map_or(0, size);
            let what = format!("created with {size} bytes, mode {mode:04o}");
            let mode = Some(mode);
            return Ok((Plan::Write(Wanted { mode, ..wanted }), what));
        }
        Found::Nothing => return Ok((Plan::Nothing, String::new())),
        Found::File(_) if !present => return Ok((Plan::Remove, "removed".to_owned())),
        Found::File(attributes) => attributes,
        Found::Directory(_) => return Err("a directory".to_owned()),
        Found::Symlink(target) => return Err(format!("a symbolic link to {target}")),
        Found::Other => return Err("neither a file nor a directory".to_owned()),
    };
    let mut what = String::new();
    if !same_content {
        let size = spec.content.as_ref().map_or(0, size);
        let _ = write!(
            what,
            "contents replaced ({} to {size} bytes)",
            attributes.size
        );
    }
    describe_attributes(
        &mut what,
        wanted,
        attributes.uid,
        attributes.gid,
        attributes.mode,
    );
    let all = Wanted {
        uid: wanted.uid.or(Some(attributes.uid)),
        gid: wanted.gid.or(Some(attributes.gid)),
        mode: wanted.mode.or(Some(attributes.mode)),
    };
    let plan = match (same_content, what.is_empty()) {
        (false, _) => Plan::Write(all),
        (true, false) => Plan::Adjust(wanted),
        (true, true) => Plan::Nothing,
    };
    Ok((plan, what))
}

/// Adds what changes of owner, group and mode.
pub(crate) fn describe_attributes(
    what: &mut String,
    wanted: Wanted,
    uid: u32,
    gid: u32,
    mode: u32,
) {
    let mut add = |text: String| {
        if !what.is_empty() {
            what.push_str(", ");
        }
        what.push_str(&text);
    };
    if let Some(new) = wanted.uid.filter(|new| *new != uid) {
        add(format!("owner {uid} to {new}"));
    }
    if let Some(new) = wanted.gid.filter(|new| *new != gid) {
        add(format!("group {gid} to {new}"));
    }
    if let Some(new) = wanted.mode.filter(|new| *new != mode) {
        add(format!("mode {mode:04o} to {new:04o}"));
    }
}

fn size(content: &Content) -> u64 {
    match content {
        Content::Inline(text) => text.len() as u64,
        Content::Blob { size, .. } => *size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::place::Attributes;

    const FOUND: Found = Found::File(Attributes {
        uid: 0,
        gid: 5,
        mode: 0o600,
        size: 3,
    });

    fn text(text: &str) -> File {
        File {
            content: Some(Content::Inline(text.into())),
            ..File::default()
        }
    }

    #[test]
    fn what_is_right_is_left_alone() {
        let (plan, what) = plan(&text("abc"), Wanted::default(), &FOUND, true).unwrap();
        assert_eq!((plan, what.as_str()), (Plan::Nothing, ""));
    }

    #[test]
    fn a_rewritten_file_keeps_the_owner_and_mode_that_nobody_changes() {
        let wanted = Wanted {
            gid: Some(7),
            ..Wanted::default()
        };
        let (plan, what) = plan(&text("abcd"), wanted, &FOUND, false).unwrap();
        let all = Wanted {
            uid: Some(0),
            gid: Some(7),
            mode: Some(0o600),
        };
        assert_eq!(plan, Plan::Write(all));
        assert_eq!(what, "contents replaced (3 to 4 bytes), group 5 to 7");
    }

    #[test]
    fn a_wrong_mode_alone_does_not_touch_the_bytes() {
        let wanted = Wanted {
            mode: Some(0o644),
            ..Wanted::default()
        };
        let (plan, what) = plan(&text("abc"), wanted, &FOUND, true).unwrap();
        assert_eq!(plan, Plan::Adjust(wanted));
        assert_eq!(what, "mode 0600 to 0644");
    }

    #[test]
    fn nothing_but_a_regular_file_is_replaced_or_removed() {
        let absent = File {
            ensure: Ensure::Absent,
            ..File::default()
        };
        let link = Found::Symlink("/etc/shadow".into());
        for spec in [&text("x"), &absent] {
            let refused = plan(spec, Wanted::default(), &link, false).unwrap_err();
            assert!(refused.contains("/etc/shadow"));
            assert!(plan(spec, Wanted::default(), &Found::Other, false).is_err());
        }
        assert_eq!(
            plan(&absent, Wanted::default(), &Found::Nothing, true)
                .unwrap()
                .0,
            Plan::Nothing
        );
    }
}
