//! `dockmaster.yaml`: what people decide about a master. Every error in it is reported at once,
//! with its line.

use std::{
    fmt::Write as _,
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use dockmaster_proto::id::{Name, TrustDomain};

/// The largest configuration file in bytes.
const MAX_BYTES: u64 = 64 << 10;
/// Shortest lifetime of a container's certificate.
const MIN_LIFETIME_MS: u64 = 5 * 60_000;
/// Longest lifetime of a container's certificate.
const MAX_LIFETIME_MS: u64 = 30 * 86_400_000;

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
    /// Lifetime of a container's certificate in milliseconds.
    pub lifetime_ms: u64,
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
    /// It says what cannot be: one line for each error.
    #[error("{0}")]
    Invalid(String),
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
            return Err(ConfigError::Invalid(format!(
                "{}: larger than {MAX_BYTES} bytes",
                path.display()
            )));
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        Self::parse(&path.display().to_string(), &text)
            .map_err(|errors| ConfigError::Invalid(errors.join("\n")))
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// Every error, each as `FILE:LINE: what is wrong`.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<String>> {
        let mut fields = Fields::read(file, text);
        let name = fields.required("name");
        let trust_domain = fields.required("trust_domain");
        let listen = fields.required("listen");
        let host = fields.required("host");
        let addresses = fields.list("addresses");
        let lifetime_ms =
            fields.duration("certificate_lifetime", MIN_LIFETIME_MS..=MAX_LIFETIME_MS);
        fields.finish();
        match (name, trust_domain, listen, host, addresses, lifetime_ms) {
            (
                Some(name),
                Some(trust_domain),
                Some(listen),
                Some(host),
                Some(addresses),
                Some(lifetime_ms),
            ) if fields.errors.is_empty() => Ok(Self {
                name,
                trust_domain,
                listen,
                addresses,
                host,
                lifetime_ms,
            }),
            _ => Err(fields.errors),
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
            lifetime_ms,
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
             certificate_lifetime: {}\n",
            addresses.join(", "),
            duration_text(*lifetime_ms),
        );
        yaml
    }
}

/// The default lifetime of a container's certificate: six hours.
pub const DEFAULT_LIFETIME_MS: u64 = 6 * 3_600_000;

struct Fields<'a> {
    file: &'a str,
    text: &'a str,
    values: serde_yaml::Mapping,
    errors: Vec<String>,
}

impl<'a> Fields<'a> {
    fn read(file: &'a str, text: &'a str) -> Self {
        let (values, errors) = match serde_yaml::from_str(text) {
            Ok(serde_yaml::Value::Mapping(values)) => (values, vec![]),
            Ok(_) => (
                serde_yaml::Mapping::new(),
                vec![format!("{file}:1: expected \"key: value\" lines")],
            ),
            Err(error) => {
                let line = error.location().map_or(1, |location| location.line());
                (
                    serde_yaml::Mapping::new(),
                    vec![format!("{file}:{line}: no YAML: {error}")],
                )
            }
        };
        Self {
            file,
            text,
            values,
            errors,
        }
    }

    /// The line of a top-level key: the file is a flat list of them.
    fn line(&self, key: &str) -> usize {
        let starts = |line: &str| {
            line.strip_prefix(key)
                .is_some_and(|rest| rest.trim_start().starts_with(':'))
        };
        self.text
            .lines()
            .position(starts)
            .map_or(1, |index| index + 1)
    }

    fn error(&mut self, key: &str, message: impl std::fmt::Display) {
        let line = self.line(key);
        self.errors
            .push(format!("{}:{line}: {key}: {message}", self.file));
    }

    fn required<T: FromStr<Err: std::fmt::Display>>(&mut self, key: &str) -> Option<T> {
        match self.values.remove(key) {
            Some(value) => self.scalar(key, &value),
            None => {
                if !self.values.is_empty() || self.errors.is_empty() {
                    self.error(key, "is missing");
                }
                None
            }
        }
    }

    fn scalar<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        key: &str,
        value: &serde_yaml::Value,
    ) -> Option<T> {
        let text = match value {
            serde_yaml::Value::String(text) => text.clone(),
            serde_yaml::Value::Number(number) => number.to_string(),
            _ => {
                self.error(key, "expected text");
                return None;
            }
        };
        text.parse().map_err(|error| self.error(key, error)).ok()
    }

    fn list<T: FromStr<Err: std::fmt::Display>>(&mut self, key: &str) -> Option<Vec<T>> {
        match self.values.remove(key) {
            None => Some(Vec::new()),
            Some(serde_yaml::Value::Sequence(items)) => {
                items.iter().map(|item| self.scalar(key, item)).collect()
            }
            Some(_) => {
                self.error(key, "expected a list such as [172.17.0.1]");
                None
            }
        }
    }

    fn duration(&mut self, key: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let Some(value) = self.values.remove(key) else {
            return Some(DEFAULT_LIFETIME_MS);
        };
        let text: String = self.scalar(key, &value)?;
        let duration = parse_duration(&text).filter(|ms| range.contains(ms));
        if duration.is_none() {
            let (least, most) = (duration_text(*range.start()), duration_text(*range.end()));
            self.error(key, format!("{text:?} is no duration from {least} to {most}; write a number with m, h or d, such as 6h"));
        }
        duration
    }

    fn finish(&mut self) {
        let unknown: Vec<String> = self
            .values
            .keys()
            .map(|key| key.as_str().unwrap_or("?").to_owned())
            .collect();
        for key in unknown {
            self.error(&key, "is not a setting; there are name, trust_domain, listen, addresses, host, certificate_lifetime");
        }
    }
}

fn parse_duration(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
    let ms = match unit {
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return None,
    };
    number.checked_mul(ms)
}

fn duration_text(ms: u64) -> String {
    for (unit, name) in [(86_400_000, 'd'), (3_600_000, 'h')] {
        if ms.is_multiple_of(unit) {
            return format!("{}{name}", ms / unit);
        }
    }
    format!("{}m", ms / 60_000)
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
            lifetime_ms: DEFAULT_LIFETIME_MS,
        }
    }

    #[test]
    fn what_init_writes_reads_back() {
        assert_eq!(Config::parse("f", &config().to_yaml()), Ok(config()));
    }

    #[test]
    fn every_error_is_reported_at_once_with_its_line() {
        let text = "name: m1\ntrust_domain: BAD DOMAIN\nlisten: here\nhots: h1\ncertificate_lifetime: 1m\n";
        let errors = Config::parse("dockmaster.yaml", text)
            .unwrap_err()
            .join("\n");
        for part in [
            "dockmaster.yaml:2: trust_domain",
            "dockmaster.yaml:3: listen",
            "host: is missing",
            ":4: hots: is not a setting",
            ":5: certificate_lifetime",
        ] {
            assert!(errors.contains(part), "{part} in\n{errors}");
        }
    }

    #[test]
    fn garbage_is_an_error_and_no_panic() {
        for text in ["", "[", "- a", "\u{0}", "a: {b: [}"] {
            assert!(Config::parse("f", text).is_err());
        }
    }
}
