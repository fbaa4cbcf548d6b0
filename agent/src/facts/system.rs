//! Hostname, kernel and distribution.

use dockmaster_proto::facts::Observed;

use crate::root::Root;

/// The kernel's hostname.
pub(super) fn hostname(root: &Root) -> Observed<String> {
    first_line(root, "/proc/sys/kernel/hostname")
}

/// The kernel's release.
pub(super) fn kernel(root: &Root) -> Observed<String> {
    first_line(root, "/proc/sys/kernel/osrelease")
}

/// `ID` and `VERSION_ID` of os-release(5).
pub(super) fn os(root: &Root) -> Observed<String> {
    const FILES: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
    for file in FILES {
        let Ok(text) = root.read(file) else { continue };
        let words: Vec<&str> = ["ID=", "VERSION_ID="]
            .iter()
            .filter_map(|key| text.lines().find_map(|line| line.strip_prefix(key)))
            .map(|value| value.trim().trim_matches(['"', '\'']))
            .collect();
        if !words.is_empty() {
            return Observed {
                value: Some(words.join(" ")),
                source: file.to_owned(),
            };
        }
    }
    Observed {
        value: None,
        source: format!("no {} in this image", FILES[0]),
    }
}

fn first_line(root: &Root, file: &str) -> Observed<String> {
    match root.read(file) {
        Ok(text) => Observed {
            value: Some(text.lines().next().unwrap_or_default().to_owned()),
            source: file.to_owned(),
        },
        Err(error) => Observed {
            value: None,
            source: format!("{file} cannot be read: {error}"),
        },
    }
}
