//! The context file of an operator or a host: which master, whom to trust, and who asks.

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use dockmaster_certs::bundle::TrustBundle;
use serde::{Deserialize, Serialize};

use crate::{ClientError, Dialer, Identity};

/// The largest context file in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// All that an operator's command line, or a host's watcher, has to know.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// The master's address.
    pub master: SocketAddr,
    /// The trust bundle in PEM; its first line holds the log's verifier key.
    pub bundle: String,
    /// The holder's certificate and the intermediate in PEM.
    pub certificate: String,
    /// The holder's private key in PEM.
    pub key: String,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("master", &self.master)
            .finish_non_exhaustive()
    }
}

/// Why a context cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// It cannot be read.
    #[error("cannot read the context file {path}: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not say what it should.
    #[error("the context file {path} is not one that \"dockmaster init\" or \"dockmaster host enroll\" wrote: {why}", path = .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Context {
    /// Reads a context file.
    ///
    /// # Errors
    /// When it cannot be read, or is not one.
    pub fn load(path: &Path) -> Result<Self, ContextError> {
        let read = |source| ContextError::Read {
            path: path.to_owned(),
            source,
        };
        let invalid = |why: String| ContextError::Invalid {
            path: path.to_owned(),
            why,
        };
        if std::fs::metadata(path).map_err(read)?.len() > MAX_BYTES {
            return Err(invalid(format!("it is larger than {MAX_BYTES} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        Self::parse(&text).map_err(|error| invalid(error.to_string()))
    }

    /// Reads what [`Self::to_yaml`] writes.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &str) -> Result<Self, serde_yaml::Error> {
        serde_yaml::from_str(text)
    }

    /// The file's text.
    ///
    /// # Errors
    /// Never for a context of text.
    pub fn to_yaml(&self) -> Result<String, serde_yaml::Error> {
        let comment =
            "# Whoever has this file is an operator of this installation. Keep it secret.\n";
        Ok(format!("{comment}{}", serde_yaml::to_string(self)?))
    }

    /// The text of a host's file.
    ///
    /// # Errors
    /// Never for a context of text.
    pub fn to_host_yaml(&self) -> Result<String, serde_yaml::Error> {
        let comment =
            "# Whoever has this file vouches for containers as this host. Keep it secret.\n";
        Ok(format!("{comment}{}", serde_yaml::to_string(self)?))
    }

    /// The trust bundle.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn trust_bundle(&self) -> Result<TrustBundle, ClientError> {
        TrustBundle::parse(&self.bundle).map_err(|error| ClientError::Credentials {
            what: "the context's trust bundle",
            why: error.to_string(),
        })
    }

    /// The dialer of this context.
    ///
    /// # Errors
    /// When its certificate, key or bundle is damaged.
    pub fn dialer(&self) -> Result<Dialer, ClientError> {
        let identity = Identity {
            chain: self.certificate.clone(),
            key: self.key.clone(),
        };
        Dialer::new(
            self.master,
            None,
            Arc::new(self.trust_bundle()?),
            Some(&identity),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context {
            master: "127.0.0.1:8140".parse().unwrap(),
            bundle: "# dockmaster-log-key: k\n-----BEGIN\n".into(),
            certificate: "cert\n".into(),
            key: "SECRET\n".into(),
        }
    }

    #[test]
    fn a_context_reads_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.yaml");
        std::fs::write(&path, context().to_yaml().unwrap()).unwrap();
        assert!(Context::load(&path).unwrap() == context());
    }

    #[test]
    fn the_key_is_not_shown_by_accident() {
        assert!(!format!("{:?}", context()).contains("SECRET"));
    }

    #[test]
    fn what_is_no_context_is_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.yaml");
        let text = context().to_yaml().unwrap();
        for bad in [
            "",
            "master: x\n",
            &format!("{text}more: 1\n"),
            &"#".repeat(2 << 20),
        ] {
            std::fs::write(&path, bad).unwrap();
            let error = Context::load(&path).unwrap_err().to_string();
            assert!(
                error.contains("operator.yaml") && error.contains("dockmaster init"),
                "{error}"
            );
        }
        assert!(Context::load(&folder.path().join("none")).is_err());
    }
}
