//! A static file server that knows nothing of logs.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// `python3 -m http.server` at a loopback port, ended when dropped.
pub(crate) struct FileServer {
    process: Child,
    pub(crate) url: String,
}

impl FileServer {
    /// Serves a folder.
    pub(crate) fn of(folder: &Path) -> Self {
        let mut process = Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
            .arg("--directory")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // "Serving HTTP on 127.0.0.1 port 40123 (http://127.0.0.1:40123/) ..."
        let mut line = String::new();
        let said = process.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        let url = line.split(['(', ')']).nth(1);
        let url = url.unwrap_or_else(|| panic!("no URL in {line:?}")).into();
        Self { process, url }
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
