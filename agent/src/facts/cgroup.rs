//! Which control group this process is in, and where it can be read.

use std::io;

use dockmaster_proto::facts::Observed;

use crate::root::Root;

const OWN_GROUPS: &str = "/proc/self/cgroup";
const MOUNTS: &str = "/proc/self/mountinfo";

/// A resource controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Cpu,
}

impl Controller {
    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
        }
    }
}

/// The version of the control group interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// The folders that bound this process, its own group first, then each group above it as far as
/// this mount shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) version: Version,
    pub(super) folders: Vec<String>,
}

/// Where a controller bounds this process, or why that cannot be told.
pub(super) fn find(root: &Root, controller: Controller) -> Result<Group, String> {
    let unreadable = |file: &str, error: &io::Error| format!("{file} cannot be read: {error}");
    let groups = root
        .read(OWN_GROUPS)
        .map_err(|error| unreadable(OWN_GROUPS, &error))?;
    let mounts = root
        .read(MOUNTS)
        .map_err(|error| unreadable(MOUNTS, &error))?;
    locate(&groups, &mounts, controller)
}

/// The fact of the version in force.
pub(super) fn version(memory: &Result<Group, String>) -> Observed<u8> {
    match memory {
        Ok(group) => Observed {
            value: Some(match group.version {
                Version::V1 => 1,
                Version::V2 => 2,
            }),
            source: MOUNTS.to_owned(),
        },
        Err(reason) => Observed {
            value: None,
            source: reason.clone(),
        },
    }
}

fn locate(groups: &str, mounts: &str, controller: Controller) -> Result<Group, String> {
    // A v1 hierarchy that has the controller wins: in a hybrid set-up the v2 tree is there too,
    // without controllers.
    let v1 = own_path(groups, |controllers| {
        controllers.split(',').any(|name| name == controller.name())
    });
    let v1_mount = mounts
        .lines()
        .filter_map(Mount::parse)
        .find(|mount| mount.kind == "cgroup" && mount.has_option(controller.name()));
    if let (Some(path), Some(mount)) = (v1, &v1_mount) {
        return Ok(mount.group(Version::V1, path));
    }
    let v2 = own_path(groups, str::is_empty);
    let v2_mount = mounts
        .lines()
        .filter_map(Mount::parse)
        .find(|mount| mount.kind == "cgroup2");
    match (v2, &v2_mount) {
        (Some(path), Some(mount)) => Ok(mount.group(Version::V2, path)),
        (None, _) => Err(format!(
            "{OWN_GROUPS} names no group with the controller {}",
            controller.name()
        )),
        (_, None) => Err(format!(
            "no control group file system is mounted ({MOUNTS})"
        )),
    }
}

/// The path of this process in the hierarchy whose controllers fit (`ID:CONTROLLERS:PATH`).
fn own_path(groups: &str, fits: impl Fn(&str) -> bool) -> Option<&str> {
    groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        let path = fields.next()?;
        fits(controllers).then_some(path)
    })
}

/// One line of mountinfo (proc_pid_mountinfo(5)).
struct Mount<'a> {
    /// Which part of the file system is mounted.
    part: &'a str,
    /// Where.
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let mut right = right.split(' ');
        Some(Self {
            part: left.next()?,
            point: left.next()?,
            kind: right.next()?,
            options: right.nth(1)?,
        })
    }

    fn has_option(&self, name: &str) -> bool {
        self.options.split(',').any(|option| option == name)
    }

    fn group(&self, version: Version, path: &str) -> Group {
        // What is mounted may be the group itself (an engine's bind mount) or a group above it. A
        // path outside the mounted part (a private namespace seen from elsewhere) leaves the mount
        // as the one thing that can be read.
        let below = match path.strip_prefix(self.part) {
            Some(below) if self.part.ends_with('/') || below.is_empty() => below,
            Some(below) if below.starts_with('/') => below,
            _ => "",
        };
        let names: Vec<&str> = below.split('/').filter(|name| !name.is_empty()).collect();
        let escapes = names.contains(&"..");
        let depth = if escapes { 0 } else { names.len() };
        let folders = (0..=depth)
            .rev()
            .map(|depth| {
                let mut folder = self.point.trim_end_matches('/').to_owned();
                for name in &names[..depth] {
                    folder.push('/');
                    folder.push_str(name);
                }
                folder
            })
            .collect();
        Group { version, folders }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folders(groups: &str, mounts: &str) -> Vec<String> {
        locate(groups, mounts, Controller::Memory).unwrap().folders
    }

    #[test]
    fn a_bind_mounted_group_is_read_at_its_mount() {
        let mounts =
            "30 29 0:26 /docker/abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory";
        assert_eq!(
            folders("4:memory:/docker/abc\n", mounts),
            ["/sys/fs/cgroup/memory"]
        );
    }

    #[test]
    fn every_group_up_to_the_mount_bounds_the_process() {
        let mounts = "30 29 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(
            folders("0::/a.slice/b.scope\n", mounts),
            [
                "/sys/fs/cgroup/a.slice/b.scope",
                "/sys/fs/cgroup/a.slice",
                "/sys/fs/cgroup"
            ]
        );
    }

    #[test]
    fn a_path_outside_the_mount_leaves_the_mount_itself() {
        let mounts = "30 29 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        for path in ["/", "/docker/abcdef", "/../other", "/docker/abc/../x"] {
            assert_eq!(
                folders(&format!("0::{path}\n"), mounts),
                ["/sys/fs/cgroup"],
                "{path}"
            );
        }
    }

    #[test]
    fn the_reason_is_told_when_there_is_no_group() {
        assert!(locate("", "", Controller::Cpu).unwrap_err().contains("cpu"));
        assert!(
            locate("0::/\n", "", Controller::Cpu)
                .unwrap_err()
                .contains("mounted")
        );
    }

    proptest! {
        #[test]
        fn garbage_never_panics(groups in "(\\PC|\n)*", mounts in "(\\PC|\n| - )*") {
            let _ = locate(&groups, &mounts, Controller::Cpu);
        }
    }
}
