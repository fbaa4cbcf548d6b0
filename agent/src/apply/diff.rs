//! Differences for reports: unified, capped.

use std::time::Duration;

use similar::{Algorithm, TextDiff};

/// How many lines of a difference are shown.
pub(super) const MAX_LINES: usize = 64;
/// Files above this size are not compared line by line.
pub(super) const MAX_BYTES: usize = 256 << 10;

/// What stands in place of a difference that not everyone may see.
pub(super) const WITHHELD: &str = "(not shown: not everyone may read the file)";

/// Whether a file of this mode keeps its contents from some users. Reports are read by more people
/// than such a file is meant for, and its old contents may be known to nobody else.
#[must_use]
pub(super) const fn is_private(mode: u32) -> bool {
    mode & 0o004 == 0
}

/// The difference of two contents, or a word on why none is shown.
#[must_use]
pub(super) fn diff(old: &[u8], new: &[u8]) -> String {
    if old.len() > MAX_BYTES || new.len() > MAX_BYTES {
        return format!(
            "(too large to compare: {} and {} bytes)",
            old.len(),
            new.len()
        );
    }
    let (Ok(old), Ok(new)) = (str::from_utf8(old), str::from_utf8(new)) else {
        return "(binary)".to_owned();
    };
    let difference = TextDiff::configure()
        .algorithm(Algorithm::Myers)
        // An unlucky pair of files would take seconds; past this the difference is only less small.
        .timeout(Duration::from_millis(50))
        .diff_lines(old, new);
    let text = difference
        .unified_diff()
        .context_radius(2)
        .missing_newline_hint(false)
        .to_string();
    let mut lines = text.lines();
    let mut capped: Vec<&str> = lines.by_ref().take(MAX_LINES).collect();
    let left = lines.count();
    let note = format!("({left} more lines)");
    if left > 0 {
        capped.push(&note);
    }
    capped.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_what_changed() {
        assert_eq!(diff(b"a\nb\n", b"a\nc\n"), "@@ -1,2 +1,2 @@\n a\n-b\n+c");
    }

    #[test]
    fn a_difference_is_capped() {
        let old: String = (0..1000).map(|n| format!("{n}\n")).collect();
        let shown = diff(old.as_bytes(), b"");
        assert_eq!(shown.lines().count(), MAX_LINES + 1);
        assert!(shown.ends_with("more lines)"));
        assert_eq!(diff(b"\xff", b"x"), "(binary)");
    }
}
