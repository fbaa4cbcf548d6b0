//! Which processes are a container's: those in its control group and in the groups below it.
//!
//! The group is found by the container's ID in the path of its first process, so it does not matter
//! how the engine names groups (`/docker/ID`, `/system.slice/docker-ID.scope`,
//! `/machine.slice/libpod-ID.scope/container`), nor whether the container nests groups of its own.

use std::path::PathBuf;

use dockmaster_proto::id::ContainerId;

/// A tree of groups: version 2 has one, version 1 one for each set of controllers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hierarchy {
    /// The unified one.
    Unified,
    /// One of version 1, by its controllers as the kernel writes them (`cpu,cpuacct`, `name=systemd`).
    Controllers(String),
}

/// A container's group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// In this tree.
    pub(super) hierarchy: Hierarchy,
    /// Its path from the root of the tree.
    pub(super) path: String,
}

/// The groups of a container by its first process's `/proc/PID/cgroup`; empty when that process is
/// not the container's.
pub(super) fn groups(text: &str, id: &ContainerId) -> Vec<Group> {
    let id = id.to_string();
    let lines = text.lines().filter_map(line);
    let mut groups: Vec<Group> = lines
        .filter_map(|(hierarchy, path)| {
            let path = up_to(path, &id)?.to_owned();
            Some(Group { hierarchy, path })
        })
        .collect();
    // Where both are in use the unified tree knows every process, and so does each other.
    groups.sort_by_key(|group| group.hierarchy != Hierarchy::Unified);
    groups
}

/// Whether a process with this `/proc/PID/cgroup` is in a group or below it.
pub(super) fn is_in(text: &str, group: &Group) -> bool {
    text.lines().filter_map(line).any(|(hierarchy, path)| {
        hierarchy == group.hierarchy
            && path
                .strip_prefix(group.path.as_str())
                .is_some_and(|below| below.is_empty() || below.starts_with('/'))
    })
}

/// Where a group is in the file system, by `/proc/self/mountinfo`.
pub(super) fn folder(mountinfo: &str, group: &Group) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        let mut head = head.split(' ').skip(3);
        let (root, point) = (head.next()?, head.next()?);
        let mut tail = tail.split(' ');
        let kind = tail.next()?;
        let options = tail.nth(1)?;
        let is_it = match &group.hierarchy {
            Hierarchy::Unified => kind == "cgroup2",
            Hierarchy::Controllers(controllers) => {
                kind == "cgroup"
                    && controllers
                        .split(',')
                        .all(|controller| options.split(',').any(|option| option == controller))
            }
        };
        let below = group.path.strip_prefix(root.trim_end_matches('/'))?;
        (is_it && below.starts_with('/')).then(|| PathBuf::from(format!("{point}{below}")))
    })
}

/// A line of `/proc/PID/cgroup`: `NUMBER:CONTROLLERS:PATH`.
fn line(line: &str) -> Option<(Hierarchy, &str)> {
    let mut parts = line.splitn(3, ':');
    let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let hierarchy = match (number, controllers) {
        ("0", "") => Hierarchy::Unified,
        (_, "") => return None,
        (_, controllers) => Hierarchy::Controllers(controllers.to_owned()),
    };
    Some((hierarchy, path))
}

/// The path as far as the first component that names the ID: what is below was made inside.
fn up_to<'p>(path: &'p str, id: &str) -> Option<&'p str> {
    let named = path.find(id)?;
    let end = path[named..]
        .find('/')
        .map_or(path.len(), |slash| named + slash);
    Some(&path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "a1f60e130517323965ac128fe193be48f44236a1954740e31beb3b1352e2dd11";
    const OTHER: &str = "b2f60e130517323965ac128fe193be48f44236a1954740e31beb3b1352e2dd22";

    fn web() -> ContainerId {
        WEB.parse().unwrap()
    }

    fn unified(path: &str) -> Group {
        Group {
            hierarchy: Hierarchy::Unified,
            path: path.to_owned(),
        }
    }

    #[test]
    fn the_group_of_a_container_is_found_however_its_engine_names_it() {
        for (path, group) in [
            (format!("/docker/{WEB}"), format!("/docker/{WEB}")),
            (
                format!("/system.slice/docker-{WEB}.scope"),
                format!("/system.slice/docker-{WEB}.scope"),
            ),
            // Podman has a group below the scope for what runs inside.
            (
                format!("/machine.slice/libpod-{WEB}.scope/container"),
                format!("/machine.slice/libpod-{WEB}.scope"),
            ),
            (
                format!("/libpod_parent/libpod-{WEB}"),
                format!("/libpod_parent/libpod-{WEB}"),
            ),
            // An init system inside keeps its processes in groups of its own.
            (
                format!("/docker/{WEB}/init.scope"),
                format!("/docker/{WEB}"),
            ),
            // A group made inside may be called as it likes.
            (
                format!("/docker/{WEB}/docker/{OTHER}"),
                format!("/docker/{WEB}"),
            ),
        ] {
            assert_eq!(groups(&format!("0::{path}\n"), &web()), [unified(&group)]);
        }
        assert_eq!(groups("0::/user.slice/session-1.scope\n", &web()), []);
        assert_eq!(groups("0::/\n", &web()), []);
    }

    #[test]
    fn version_1_has_a_group_in_each_tree_and_the_unified_one_comes_first() {
        let text = format!(
            "9:name=systemd:/docker/{WEB}\n4:memory:/docker/{WEB}\n2:cpu,cpuacct:/\n0::/docker/{WEB}\n"
        );
        let trees: Vec<_> = groups(&text, &web())
            .into_iter()
            .map(|group| group.hierarchy)
            .collect();
        let named = |controllers: &str| Hierarchy::Controllers(controllers.to_owned());
        assert_eq!(
            trees,
            [Hierarchy::Unified, named("name=systemd"), named("memory")]
        );
    }

    #[test]
    fn a_process_belongs_to_a_container_in_its_group_or_below_and_nowhere_else() {
        let group = unified(&format!("/docker/{WEB}"));
        assert!(is_in(&format!("0::/docker/{WEB}\n"), &group));
        assert!(is_in(&format!("0::/docker/{WEB}/deep/down\n"), &group));
        assert!(!is_in(&format!("0::/docker/{WEB}-evil\n"), &group));
        assert!(!is_in(&format!("0::/docker/{OTHER}/{WEB}\n"), &group));
        assert!(!is_in(&format!("4:memory:/docker/{WEB}\n"), &group));
        assert!(!is_in("0::/\n", &group));
    }

    #[test]
    fn a_group_is_found_where_its_tree_is_mounted() {
        let v1 = "\
30 24 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/systemd rw,nosuid shared:9 - cgroup cgroup rw,xattr,name=systemd
35 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:15 - cgroup cgroup rw,cpu,cpuacct
36 30 0:32 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
";
        let of = |controllers: &str| Group {
            hierarchy: Hierarchy::Controllers(controllers.to_owned()),
            path: "/docker/x".to_owned(),
        };
        let at = |group: &Group| folder(v1, group).map(|path| path.display().to_string());
        for (controllers, place) in [
            ("memory", "/sys/fs/cgroup/memory/docker/x"),
            ("name=systemd", "/sys/fs/cgroup/systemd/docker/x"),
            ("cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct/docker/x"),
        ] {
            assert_eq!(at(&of(controllers)).as_deref(), Some(place));
        }
        assert_eq!(at(&of("pids")), None);
        let v2 = "29 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let scope = unified("/system.slice/docker-x.scope");
        assert_eq!(
            folder(v2, &scope).unwrap().to_str(),
            Some("/sys/fs/cgroup/system.slice/docker-x.scope")
        );
        assert_eq!(folder(v2, &of("memory")), None);
        // A machine that is itself a container may have only a part of the tree.
        let part = "29 23 0:26 /kubepods/y /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(
            folder(part, &unified("/kubepods/y/docker/x"))
                .unwrap()
                .to_str(),
            Some("/sys/fs/cgroup/docker/x")
        );
        assert_eq!(folder(part, &scope), None);
    }
}
