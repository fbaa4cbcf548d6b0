//! ArcSight Common Event Format, version 0:
//! `CEF:0|vendor|product|version|event class|name|severity|extension`.

use dockmaster_proto::event::{Entry, Event};

use super::record::{Gravity, Record};
use crate::cli::audit::summary::summary;

pub(super) fn line(record: &Record<'_>, entry: &Entry) -> String {
    let event = entry.event.name();
    let severity = match Gravity::of(event) {
        Gravity::Info => 2,
        Gravity::Notice => 4,
        Gravity::Warning => 7,
    };
    let mut line = format!(
        "CEF:0|Dockmaster|dockmaster|{}|{event}|{}|{severity}|",
        header(env!("CARGO_PKG_VERSION")),
        header(&event.replace('_', " ")),
    );
    let pairs = [
        ("rt", Some(entry.ts_ms.0.to_string())),
        ("externalId", Some(record.index.to_string())),
        ("dvchost", Some(entry.master.to_string())),
        ("suser", Some(entry.actor.clone())),
        ("src", source(&entry.event)),
        ("cs1Label", Some("leafHash".to_owned())),
        ("cs1", Some(record.leaf.to_string())),
        (
            "cs2Label",
            entry.event.container().map(|_| "container".to_owned()),
        ),
        ("cs2", entry.event.container().map(ToString::to_string)),
        (
            "cs3Label",
            entry.event.serial().map(|_| "serial".to_owned()),
        ),
        ("cs3", entry.event.serial().map(ToString::to_string)),
        ("cs4Label", Some("requestId".to_owned())),
        ("cs4", Some(entry.request_id.clone())),
        ("msg", Some(summary(&entry.event))),
    ];
    let pairs = pairs
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", extension(&value?))));
    line.push_str(&pairs.collect::<Vec<_>>().join(" "));
    line
}

/// The one address that an event is about.
fn source(event: &Event) -> Option<String> {
    match event {
        Event::CertDenied(event) => Some(event.source.to_string()),
        Event::LeaseOpened(event) => Some(event.address.ip.to_string()),
        Event::LeaseClosed(event) => Some(event.address.ip.to_string()),
        _ => None,
    }
}

/// In the header `|` and `\` are escaped, and there are no line breaks.
fn header(text: &str) -> String {
    let text = text.replace('\\', r"\\").replace('|', r"\|");
    text.replace(['\r', '\n'], " ")
}

/// In the extension `=` and `\` are escaped, and line breaks are written as such.
fn extension(text: &str) -> String {
    let text = text.replace('\\', r"\\").replace('=', r"\=");
    text.replace('\n', r"\n").replace('\r', r"\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_field_is_escaped() {
        assert_eq!(header("a|b\\c\nd"), r"a\|b\\c d");
        assert_eq!(extension("a=b\\c\nd|e"), r"a\=b\\c\nd|e");
    }
}
