//! Owners by name: `/etc/passwd` and `/etc/group` of the image, read as text.

use dockmaster_proto::resource::Owner;

use crate::root::Root;

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// Why an owner cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// The name is not in the file.
    #[error("there is no {0:?} in {1}; give its number, or add it to the image")]
    Unknown(String, &'static str),
}

/// A user that a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user's number.
    pub uid: u32,
    /// Its first group; the same number as the user's where `/etc/passwd` does not know it, so that
    /// nothing keeps root's group by accident.
    pub gid: u32,
    /// Its home, where known.
    pub home: Option<String>,
}

/// The number of a user.
///
/// # Errors
/// [`UserError::Unknown`].
pub fn uid(root: &Root, owner: &Owner) -> Result<u32, UserError> {
    number(root, owner, USERS)
}

/// The number of a group.
///
/// # Errors
/// [`UserError::Unknown`].
pub fn gid(root: &Root, group: &Owner) -> Result<u32, UserError> {
    number(root, group, GROUPS)
}

/// All that is needed to run as a user.
///
/// # Errors
/// [`UserError::Unknown`].
pub fn identity(root: &Root, owner: &Owner) -> Result<Identity, UserError> {
    let uid = uid(root, owner)?;
    let text = root.read(USERS).unwrap_or_default();
    let known = text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, id, gid, _, home, ..] = fields[..] else {
            return None;
        };
        let fits = match owner {
            Owner::Id(_) => id.parse() == Ok(uid),
            Owner::Name(wanted) => name == wanted,
        };
        let gid = gid.parse().ok().filter(|_| fits)?;
        Some((gid, home.to_owned()))
    });
    Ok(match known {
        Some((gid, home)) => Identity {
            uid,
            gid,
            home: Some(home),
        },
        None => Identity {
            uid,
            gid: uid,
            home: None,
        },
    })
}

fn number(root: &Root, owner: &Owner, file: &'static str) -> Result<u32, UserError> {
    let name = match owner {
        Owner::Id(id) => return Ok(*id),
        Owner::Name(name) => name,
    };
    let text = root.read(file).unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let fits = fields.next()? == name;
        fields.nth(1)?.parse().ok().filter(|_| fits)
    });
    match found {
        Some(id) => Ok(id),
        None if name == "root" => Ok(0),
        None => Err(UserError::Unknown(name.clone(), file)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn image() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        fs::write(
            folder.path().join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nbroken\nwww:x:33:34:www:/var/www:/bin/false\n",
        )
        .unwrap();
        fs::write(folder.path().join("etc/group"), "www-data:x:34:\n").unwrap();
        let root = Root::new(folder.path());
        (folder, root)
    }

    #[test]
    fn names_come_from_the_images_own_files() {
        let (_folder, root) = image();
        let www = Owner::Name("www".into());
        assert_eq!(uid(&root, &www), Ok(33));
        assert_eq!(gid(&root, &Owner::Name("www-data".into())), Ok(34));
        assert_eq!(identity(&root, &www).unwrap().gid, 34);
        assert_eq!(identity(&root, &Owner::Id(33)).unwrap().gid, 34);
        assert!(
            gid(&root, &www)
                .unwrap_err()
                .to_string()
                .contains("/etc/group")
        );
    }

    #[test]
    fn an_image_without_users_still_has_root_and_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        assert_eq!(uid(&root, &Owner::Name("root".into())), Ok(0));
        let stranger = identity(&root, &Owner::Id(1000)).unwrap();
        assert_eq!((stranger.uid, stranger.gid), (1000, 1000));
    }
}
