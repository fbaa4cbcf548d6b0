//! Memory and CPU limits out of control group files.

use dockmaster_proto::facts::Observed;

use super::cgroup::{Group, Version};
use crate::root::Root;

/// From here on a v1 memory limit means "none": the kernel writes the largest page-aligned number.
const V1_UNLIMITED: u64 = i64::MAX as u64 - (1 << 20);

/// The tightest memory limit.
pub(super) fn memory_bytes(root: &Root, group: &Result<Group, String>) -> Observed<u64> {
    tightest(group, "memory limit", |version, folder| match version {
        Version::V1 => {
            let own = format!("{folder}/memory.limit_in_bytes");
            // The groups above a bind-mounted one cannot be seen, but the kernel sums them up here.
            let stat = format!("{folder}/memory.stat");
            [
                number(root, &own).map(|bytes| (bytes, own)),
                hierarchical(root, &stat).map(|bytes| (bytes, stat)),
            ]
            .into_iter()
            .flatten()
            .filter(|(bytes, _)| *bytes < V1_UNLIMITED)
            .min_by_key(|(bytes, _)| *bytes)
        }
        Version::V2 => {
            let file = format!("{folder}/memory.max");
            number(root, &file).map(|bytes| (bytes, file))
        }
    })
}

/// The tightest CPU limit in thousandths of a CPU.
pub(super) fn cpu_millis(root: &Root, group: &Result<Group, String>) -> Observed<u64> {
    tightest(group, "CPU limit", |version, folder| {
        let (quota, period, file) = match version {
            Version::V1 => {
                let file = format!("{folder}/cpu.cfs_quota_us");
                let quota = number(root, &file)?;
                let period = number(root, &format!("{folder}/cpu.cfs_period_us"))?;
                (quota, period, file)
            }
            Version::V2 => {
                let file = format!("{folder}/cpu.max");
                let text = root.read(&file).ok()?;
                let (quota, period) = text.trim().split_once(' ')?;
                (quota.parse().ok()?, period.parse().ok()?, file)
            }
        };
        let millis =
            u128::from(quota) * 1000 / u128::from(core::num::NonZeroU64::new(period)?.get());
        Some((u64::try_from(millis).ok()?, file))
    })
}

/// The smallest of the limits that the folders give; the innermost of equals.
fn tightest(
    group: &Result<Group, String>,
    what: &str,
    read: impl Fn(Version, &str) -> Option<(u64, String)>,
) -> Observed<u64> {
    let group = match group {
        Ok(group) => group,
        Err(reason) => {
            return Observed {
                value: None,
                source: reason.clone(),
            };
        }
    };
    let limits = group
        .folders
        .iter()
        .filter_map(|folder| read(group.version, folder));
    match limits.min_by_key(|(value, _)| *value) {
        Some((value, source)) => Observed {
            value: Some(value),
            source,
        },
        None => Observed {
            value: None,
            source: format!(
                "no {what} in {}",
                group.folders.first().map_or("any group", String::as_str)
            ),
        },
    }
}

/// A number; `max`, `-1` and a file that is not there are none.
fn number(root: &Root, file: &str) -> Option<u64> {
    root.read(file).ok()?.trim().parse().ok()
}

fn hierarchical(root: &Root, file: &str) -> Option<u64> {
    let text = root.read(file).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("hierarchical_memory_limit "))?
        .trim()
        .parse()
        .ok()
}
