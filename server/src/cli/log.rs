//! The log of `serve` on standard error: an event is a line, whoever chose the text in it.

use std::io::{self, Write};

use clap::ValueEnum;
use tracing::Dispatch;
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt as _};

use super::unprintable::is_unprintable;

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
}

/// Starts the log; what it says is chosen by `DOCKMASTER_LOG`.
pub(crate) fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_env("DOCKMASTER_LOG").unwrap_or_else(|_| "info".into());
    dispatch(format, filter, io::stderr).init();
}

fn dispatch<W: Write + 'static>(
    format: LogFormat,
    filter: EnvFilter,
    out: impl Fn() -> W + Send + Sync + 'static,
) -> Dispatch {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Without colours of our own, every escape sequence is somebody else's.
        .with_ansi(false)
        .with_target(false);
    match format {
        LogFormat::Text => builder.with_writer(move || OneLine(out())).finish().into(),
        // JSON escapes what would end its line.
        LogFormat::Json => builder.json().with_writer(out).finish().into(),
    }
}

/// Writes each event as one line: paths, names and alarms come from anyone, and a line end in them
/// would begin a forged event, an escape sequence would be obeyed by the terminal.
///
/// Relies on the subscriber, which hands over an event whole, its line end included.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (text, end) = match text.strip_suffix('\n') {
            Some(text) => (text, "\n"),
            None => (&*text, ""),
        };
        // In one piece, lest the lines of two threads mix.
        self.0.write_all((escaped(text) + end).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if is_unprintable(c) {
            line.extend(c.escape_unicode());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const FORGED: &str = "x\n2026-11-24T14:03:01Z  INFO forged\r\u{1b}[31m\u{7f}\u{9b}\u{202e}";

    fn logged(format: LogFormat) -> String {
        let kept = Kept::default();
        let out = kept.clone();
        let dispatch = dispatch(format, "info".into(), move || out.clone());
        tracing::dispatcher::with_default(&dispatch, || {
            let span = tracing::info_span!("request", of = %FORGED);
            let _entered = span.enter();
            tracing::info!(path = %FORGED, debug = ?FORGED, "{FORGED}");
            tracing::info!("the next event");
        });
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_anyone_chose_neither_begins_a_line_of_the_log_nor_is_obeyed_by_a_terminal() {
        let log = logged(LogFormat::Text);
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 2, "{log:?}");
        assert!(log.ends_with("the next event\n"), "{log:?}");
        assert!(!log.replace('\n', "").contains(is_unprintable), "{log:?}");
        let path =
            r"path=x\u{a}2026-11-24T14:03:01Z  INFO forged\u{d}\u{1b}[31m\u{7f}\u{9b}\u{202e}";
        assert!(lines[0].contains(path), "{log:?}");
    }

    #[test]
    fn an_event_in_json_is_one_object_a_line_that_says_what_was_said() {
        let log = logged(LogFormat::Json);
        assert_eq!(log.lines().count(), 2, "{log:?}");
        let event: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        assert_eq!(event["fields"]["path"], FORGED);
    }
}
