//! `dockmaster.yaml`: what people decide about a master. Every error in it is reported at once,
//! with its line.

use std::{
    fmt::Write as _,
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use dockmaster_document::{
    diagnostic::{Diagnostic, Diagnostics, SourceFile},
    fields::Fields,
    yaml,
};
use dockmaster_proto::{
    error::chain,
    id::{Name, TrustDomain},
};
use dockmaster_tlog::note::{Algorithm, VerifierKey};

pub use crate::lifetime::{Lifetime, LifetimeError};
use crate::{
    policy::{self, Rules},
    witnesses::Witness,
};

/// The largest configuration file in bytes.
const MAX_BYTES: u64 = 64 << 10;
/// What a configuration may say.
const KEYS: [&str; 9] = [
    "name",
    "trust_domain",
    "listen",
    "addresses",
    "host",
    "certificate_lifetime",
    "policy",
    "witnesses",
    "witnesses_required",
];

/// The configuration of a master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The master's name.
    pub name: Name,
    /// The trust domain of every certificate.
    pub trust_domain: TrustDomain,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Further addresses under which it is dialled, such as those that a NAT translates.
    pub addresses: Vec<IpAddr>,
    /// The name under which this machine's containers are known.
    pub host: Name,
    /// How long a container's certificate lasts.
    pub lifetime: Lifetime,
    /// Which requests for a certificate are granted.
    pub policy: Rules,
    /// Who cosigns the head of the log.
    pub witnesses: Vec<Witness>,
    /// How many of them have to before a head is shown.
    pub witnesses_required: usize,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{path} cannot be read; is this a data directory that \"dockmaster init\" made?", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than anybody would write.
    #[error("{path}: larger than {MAX_BYTES} bytes; is it the right file?", path = .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It says what cannot be: everything that is wrong.
    #[error(transparent)]
    Invalid(#[from] Diagnostics),
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it cannot be read, or with every error in it at once.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        if std::fs::metadata(path).map_err(read)?.len() > MAX_BYTES {
            let path = path.to_owned();
            return Err(ConfigError::TooLarge { path });
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        Ok(Self::parse(&path.display().to_string(), &text)?)
    }

    /// Reads a configuration; `file` names it in errors.
    ///
    /// # Errors
    /// Everything that is wrong, each with its line.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        let file = SourceFile { name: file, text };
        let document = yaml::parse(text).map_err(|error| file.yaml_error(&error))?;
        let mut wrong = Vec::new();
        let fields = Fields::of(file, &document, "the configuration", &KEYS, &mut wrong);
        let name = fields.required("name", &mut wrong);
        let trust_domain = fields.required("trust_domain", &mut wrong);
        let listen = fields.required("listen", &mut wrong);
        let host = fields.required("host", &mut wrong);
        let addresses = fields.parsed_list("addresses", &mut wrong);
        let lifetime = fields.parsed("certificate_lifetime", &mut wrong);
        let lifetime = lifetime.unwrap_or_default();
        let policy = policy::parse(file, &fields, lifetime, &mut wrong);
        let witnesses = witnesses(file, &fields, &mut wrong);
        let required = fields.parsed("witnesses_required", &mut wrong);
        let witnesses_required = required.unwrap_or_default();
        if witnesses_required > witnesses.len() {
            let message = format!(
                "\"witnesses_required\" is {witnesses_required}, and there are {} witnesses",
                witnesses.len()
            );
            wrong.push(Diagnostic::new(file.name, message));
        }
        match (name, trust_domain, listen, host) {
            (Some(name), Some(trust_domain), Some(listen), Some(host)) if wrong.is_empty() => {
                Ok(Self {
                    name,
                    trust_domain,
                    listen,
                    addresses,
                    host,
                    lifetime,
                    policy,
                    witnesses,
                    witnesses_required,
                })
            }
            _ => Err(Diagnostics::sorted(wrong)),
        }
    }

    /// The file that says this, with what each line means.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let Self {
            name,
            trust_domain,
            listen,
            addresses,
            host,
            lifetime,
            // What people write is not written again.
            policy: _,
            witnesses,
            witnesses_required,
        } = self;
        let mut yaml = String::new();
        let addresses: Vec<String> = addresses.iter().map(|ip| format!("\"{ip}\"")).collect();
        // Writing to a string cannot fail.
        let _ = write!(
            yaml,
            "# Configuration of this Dockmaster master. Restart it after a change.\n\
             \n\
             # The master's name in its certificate and in the ledger.\n\
             name: {name}\n\
             # The trust domain: part of every certificate; cannot be changed later.\n\
             trust_domain: {trust_domain}\n\
             # Where it listens.\n\
             listen: \"{listen}\"\n\
             # Further addresses under which it is dialled. Those of this machine itself need not be listed.\n\
             addresses: [{}]\n\
             # The name under which this machine's containers are known.\n\
             host: {host}\n\
             # How long a container's certificate lasts: a number with m, h or d; 5m to 30d.\n\
             certificate_lifetime: {lifetime}\n\
             # Which requests for a certificate are issued, held for an operator, or denied: docs/policy.md.\n\
             # Without it every container that the host knows gets a certificate.\n\
             # policy:\n\
             #   - {{name: no-latest, labels: \"@image=*:latest\", verdict: deny, reason: pin the image}}\n\
             #   - {{name: everything, evidence: [host], verdict: issue}}\n",
            addresses.join(", "),
        );
        if !witnesses.is_empty() {
            yaml.push_str("# Who cosigns the head of the log, and how many have to before it is shown.\nwitnesses:\n");
            for Witness { url, key } in witnesses {
                let _ = writeln!(yaml, "  - {{url: \"{url}\", key: \"{key}\"}}");
            }
            let _ = writeln!(yaml, "witnesses_required: {witnesses_required}");
        }
        yaml
    }
}

fn witnesses(
    file: SourceFile<'_>,
    fields: &Fields<'_>,
    wrong: &mut Vec<Diagnostic>,
) -> Vec<Witness> {
    let mut witnesses: Vec<Witness> = Vec::new();
    for item in fields.list("witnesses", wrong) {
        let fields = Fields::of(file, item, "a witness", &["url", "key"], wrong);
        let url = fields.required("url", wrong);
        let key: Option<WitnessKey> = fields.required("key", wrong);
        if let (Some(url), Some(WitnessKey(key))) = (url, key) {
            if witnesses.iter().any(|other| other.key == key) {
                let message = format!("the witness {} stands here twice", key.name());
                wrong.push(file.error(item.at.line, message));
            }
            witnesses.push(Witness { url, key });
        }
    }
    witnesses
}

/// A verifier key for cosignatures.
struct WitnessKey(VerifierKey);

impl FromStr for WitnessKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let key = VerifierKey::parse(text).map_err(|error| chain(&error))?;
        match key.algorithm() {
            Algorithm::Cosignature => Ok(Self(key)),
            Algorithm::Ed25519 => {
                Err("it is a key for notes; a witness has one for cosignatures (type 0x04)".into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            name: "m1".parse().unwrap(),
            trust_domain: "example.internal".parse().unwrap(),
            listen: "0.0.0.0:8140".parse().unwrap(),
            addresses: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
            host: "h1".parse().unwrap(),
            lifetime: Lifetime::default(),
            policy: Rules::unwritten(Lifetime::default()),
            witnesses: vec![],
            witnesses_required: 0,
        }
    }

    #[test]
    fn what_init_writes_reads_back() {
        assert_eq!(Config::parse("f", &config().to_yaml()), Ok(config()));
    }

    #[test]
    fn witnesses_read_back_and_too_few_are_refused() {
        let name = "example.org/w1".parse().unwrap();
        let key = dockmaster_tlog::note::Cosigner::from_seed(name, &[2; 32]);
        let mut with = config();
        with.witnesses = vec![Witness {
            url: "http://10.0.0.9:7380/w".parse().unwrap(),
            key: key.verifier().clone(),
        }];
        with.witnesses_required = 1;
        assert_eq!(Config::parse("f", &with.to_yaml()), Ok(with.clone()));
        with.witnesses_required = 2;
        let error = Config::parse("f", &with.to_yaml()).unwrap_err().to_string();
        assert!(error.contains("there are 1 witnesses"), "{error}");
        let text = config().to_yaml() + "witnesses:\n  - {url: \"https://w.example/\", key: x}\n";
        let errors = Config::parse("f", &text).unwrap_err().to_string();
        for part in ["\"url\": ", "reached by its IP", "\"key\": "] {
            assert!(errors.contains(part), "{part} in {errors}");
        }
    }

    #[test]
    fn every_error_is_reported_at_once_with_its_line() {
        let text = "name: m1\ntrust_domain: BAD DOMAIN\nlisten: here\nhots: h1\ncertificate_lifetime: 1m\n";
        let errors = Config::parse("dockmaster.yaml", text)
            .unwrap_err()
            .to_string();
        for part in [
            "dockmaster.yaml:2: \"trust_domain\"",
            "dockmaster.yaml:3: \"listen\"",
            "\"host\" is missing",
            ":4: \"hots\" is not known",
            "did you mean \"host\"?",
            ":5: \"certificate_lifetime\": \"1m\" is no duration from 5m to 30d",
        ] {
            assert!(errors.contains(part), "{part} in\n{errors}");
        }
    }

    #[test]
    fn a_setting_that_stands_twice_is_refused_where_it_does() {
        let text = config().to_yaml() + "host: h2\n";
        let error = Config::parse("f", &text).unwrap_err().to_string();
        let line = text.lines().count();
        assert!(error.starts_with(&format!("f:{line}: ")), "{error}");
    }

    #[test]
    fn garbage_is_an_error_and_no_panic() {
        for text in ["", "[", "- a", "\u{0}", "a: {b: [}"] {
            assert!(Config::parse("f", text).is_err());
        }
    }
}
