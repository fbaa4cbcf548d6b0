//! A program that was run to its end.

use std::process::{Command, Stdio};

use serde_json::Value;

/// What a program that ended has left.
#[derive(Debug)]
pub struct Ran {
    /// The command line, for messages.
    pub line: String,
    /// The exit code; 128 and the signal where one ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Runs a command to its end, with nothing to read.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run(command: &mut Command) -> Self {
        use std::os::unix::process::ExitStatusExt as _;

        let line = format!("{command:?}");
        let output = command
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("cannot run {line}: {error}"));
        let signal = output.status.signal().unwrap_or_default();
        Self {
            line,
            code: output.status.code().unwrap_or(128 + signal),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output as text, of a program that did what it was told.
    ///
    /// # Panics
    /// When it did not.
    #[must_use]
    #[track_caller]
    pub fn ok(&self) -> String {
        let Self {
            line, code, stderr, ..
        } = self;
        assert!(*code == 0, "{line}\nended with {code}:\n{stderr}");
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output as JSON, of a program that did what it was told.
    ///
    /// # Panics
    /// When it did not, or wrote no JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}\nwrote no JSON ({error}):\n{text}", self.line))
    }

    /// Standard error, of a program that ended with this code.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[must_use]
    #[track_caller]
    pub fn fails(&self, code: i32) -> &str {
        let Self {
            line,
            code: is,
            stderr,
            ..
        } = self;
        assert!(
            *is == code,
            "{line}\nended with {is}, not {code}:\n{stderr}"
        );
        stderr
    }
}
