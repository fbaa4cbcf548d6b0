//! Syslog after RFC 5424; lines end with LF (RFC 6587 section 3.4.2), which no entry contains.

use dockmaster_proto::event::Entry;

use super::record::{Gravity, Record};

/// "log audit", RFC 5424 section 6.2.1.
const FACILITY: u8 = 13;

/// 32473 is the enterprise number for examples (RFC 5612): there is none of our own.
const ELEMENT: &str = "dockmaster@32473";

pub(super) fn line(record: &Record<'_>, entry: &Entry, text: &str) -> String {
    let event = entry.event.name();
    let severity = match Gravity::of(event) {
        Gravity::Info => 6,
        Gravity::Notice => 5,
        Gravity::Warning => 4,
    };
    format!(
        r#"<{}>1 {} {} dockmaster - {event} [{ELEMENT} index="{}" leaf="{}" actor="{}"] {text}"#,
        FACILITY * 8 + severity,
        entry.ts_ms,
        entry.master,
        record.index,
        record.leaf,
        parameter(&entry.actor),
    )
}

/// RFC 5424 section 6.3.3: `"`, `\` and `]` are escaped.
fn parameter(text: &str) -> String {
    let text = text.replace('\\', r"\\").replace('"', "\\\"");
    text.replace(']', r"\]").replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_parameter_is_escaped() {
        assert_eq!(parameter("a\"b]c\\d\ne"), "a\\\"b\\]c\\\\d e");
    }
}
