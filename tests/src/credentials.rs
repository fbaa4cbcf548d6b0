//! A container's certificate, copied out of it, and what other people's programs make of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{container::Container, process::Ran};

/// A certificate with its key and the trust bundle, as files of their own.
#[derive(Debug)]
pub struct Credentials {
    dir: tempfile::TempDir,
}

impl Credentials {
    /// The same as files of this text.
    ///
    /// # Panics
    /// When they cannot be written, or the chain holds no certificate.
    #[must_use]
    pub fn new(chain: &str, key: &str, bundle: &str) -> Self {
        const END: &str = "-----END CERTIFICATE-----\n";
        let dir = tempfile::tempdir().unwrap();
        let (leaf, above) = chain.split_once(END).expect("a certificate in PEM");
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("cert.pem", chain);
        write("leaf.pem", &format!("{leaf}{END}"));
        write("above.pem", above);
        write("key.pem", key);
        write("bundle.pem", bundle);
        Self { dir }
    }

    /// `cert.pem` (the chain), `leaf.pem`, `above.pem` (the chain without the leaf), `key.pem` or
    /// `bundle.pem`.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What `openssl x509` prints of the leaf.
    ///
    /// # Panics
    /// When there is no such program.
    #[must_use]
    #[track_caller]
    pub fn print(&self, args: &[&str]) -> String {
        let mut print = Command::new("openssl");
        print.args(["x509", "-noout", "-nameopt", "RFC2253", "-in"]);
        let printed = Ran::run(print.arg(self.path("leaf.pem")).args(args));
        printed.ok().trim().to_owned()
    }

    /// `GET URL` as the holder of this certificate; `client` is a `curl` that is told nothing yet.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn get(&self, client: Command, url: &str) -> Answer {
        let mut client = client;
        client.arg("--cert").arg(self.path("cert.pem"));
        client.arg("--key").arg(self.path("key.pem"));
        Answer::of(client, &self.path("bundle.pem"), url)
    }
}

/// What a server answered to `curl`.
#[derive(Debug)]
pub struct Answer {
    /// The status; 0 where there was no answer.
    pub status: u16,
    /// The body.
    pub body: String,
    /// What `curl` said of it.
    pub stderr: String,
}

impl Answer {
    /// Runs `client`, a `curl` with the arguments that make up the request, against a master.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn of(mut client: Command, bundle: &Path, url: &str) -> Self {
        client.args(["--silent", "--show-error", "--max-time", "30"]);
        client.arg("--cacert").arg(bundle);
        client.args(["--write-out", "\n%{http_code}", url]);
        let ran = Ran::run(&mut client);
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or_default();
        Self {
            status: status.parse().unwrap_or_default(),
            body: body.to_owned(),
            stderr: ran.stderr,
        }
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The code of the problem that was answered with this status.
    ///
    /// # Panics
    /// When it was answered otherwise.
    #[must_use]
    #[track_caller]
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        problem["code"].clone()
    }
}

impl Container {
    /// A program of this machine in the container's network: what it sends comes from the
    /// container's addresses.
    ///
    /// # Panics
    /// When the container does not run.
    #[must_use]
    pub fn beside(&self, program: &str) -> Command {
        let pid = self.pid();
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{pid}/ns/net"))
            .arg(program);
        command
    }

    /// Its certificate, key and trust bundle.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    #[track_caller]
    pub fn credentials(&self) -> Credentials {
        let text = |name: &str| {
            let path = format!("/run/dockmaster/{name}");
            let text = self.text(&path);
            text.unwrap_or_else(|| panic!("{} has no {path}", self.name()))
        };
        Credentials::new(&text("cert.pem"), &text("key.pem"), &text("bundle.pem"))
    }
}
