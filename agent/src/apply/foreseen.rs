//! What a dry run would have made by now, since what comes later may lie below it. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// So many links on one way, and it leads nowhere (Linux has the same limit).
const MOST_LINKS: u32 = 40;

/// Directories and symbolic links that would be there after what a dry run went through.
#[derive(Debug, Clone, Default)]
pub struct Foreseen {
    directories: BTreeSet<String>,
    links: BTreeMap<String, String>,
}

impl Foreseen {
    /// A directory would be made.
    pub(super) fn add_directory(&mut self, path: String) {
        self.directories.insert(path);
    }

    /// A symbolic link would be made, or lead elsewhere.
    pub(super) fn add_link(&mut self, path: String, target: &str) {
        self.links.insert(path, target.to_owned());
    }

    /// Whether a directory would be made at a resolved path.
    pub(super) fn has_directory(&self, path: &str) -> bool {
        self.directories.contains(path)
    }

    /// Where an absolute path leads when all links would be as foreseen; `existing` gives the target
    /// of a link that is there already. `None` when it leads in circles.
    pub(super) fn resolve(
        &self,
        path: &str,
        existing: impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        let mut ahead: VecDeque<String> = path.split('/').map(str::to_owned).collect();
        let mut behind: Vec<String> = Vec::new();
        let mut hops = 0;
        while let Some(part) = ahead.pop_front() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    behind.pop();
                    continue;
                }
                _ => behind.push(part),
            }
            let here = joined(&behind);
            let Some(target) = self.links.get(&here).cloned().or_else(|| existing(&here)) else {
                continue;
            };
            hops += 1;
            if hops > MOST_LINKS {
                return None;
            }
            behind.pop();
            if target.starts_with('/') {
                behind.clear();
            }
            for part in target.rsplit('/') {
                ahead.push_front(part.to_owned());
            }
        }
        Some(joined(&behind))
    }
}

fn joined(parts: &[String]) -> String {
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_come_and_links_that_are_there_are_both_followed() {
        let mut foreseen = Foreseen::default();
        foreseen.add_link("/current".into(), "releases/2");
        foreseen.add_link("/releases/2/etc".into(), "../../etc");
        let existing = |path: &str| (path == "/etc").then(|| "/private/etc".to_owned());
        assert_eq!(
            foreseen.resolve("/current/etc/app", existing).as_deref(),
            Some("/private/etc/app")
        );
        let none = |_: &str| None;
        assert_eq!(
            foreseen.resolve("/usr/lib", none).as_deref(),
            Some("/usr/lib")
        );
    }

    #[test]
    fn a_circle_of_links_leads_nowhere() {
        let mut foreseen = Foreseen::default();
        foreseen.add_link("/a".into(), "/b");
        foreseen.add_link("/b".into(), "a");
        assert_eq!(foreseen.resolve("/a/x", |_| None), None);
    }
}
