//! Resident memory.

use std::fs;

/// `VmRSS` of a process, in bytes.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn resident(pid: u64) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.trim().parse().ok())
        .unwrap_or_else(|| panic!("process {pid} has no VmRSS: {status}"));
    kib * 1024
}

/// A number of bytes for people.
#[expect(
    clippy::cast_precision_loss,
    reason = "two decimals are shown, and no program has 2^53 bytes"
)]
#[must_use]
pub fn mib(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20))
}
