//! Settings: a flag counts more than the environment, and that more than `/etc/dockmaster/agent.yaml`.

mod file;

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use dockmaster_proto::id::TrustPin;

use crate::{facts, join::JoinSettings, root::Root};

/// The port of a master.
const PORT: u16 = 8140;
/// Where the file of settings is looked for, below the root.
const FILE: &str = "/etc/dockmaster/agent.yaml";

/// The settings as flags and environment variables give them; an empty text is none.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// The master's address, IP or IP:PORT [default: the default gateway, port 8140]
    #[arg(long, value_name = "IP:PORT", env = "DOCKMASTER_MASTER", global = true)]
    pub master: Option<String>,
    /// The digest of the trust bundle, sha256:HEX, as "dockmaster init" printed it
    #[arg(long, value_name = "PIN", env = "DOCKMASTER_TRUST", global = true)]
    pub trust: Option<String>,
    /// A file with the trust bundle, instead of its digest
    #[arg(
        long,
        value_name = "FILE",
        env = "DOCKMASTER_TRUST_FILE",
        global = true
    )]
    pub trust_file: Option<String>,
    /// A file with a join token, readable by its owner only: for a machine that no engine vouches for
    #[arg(
        long,
        value_name = "FILE",
        env = "DOCKMASTER_TOKEN_FILE",
        global = true
    )]
    pub token_file: Option<String>,
    /// Which machine joins, 32 hex digits [default: /etc/machine-id, or the firmware's UUID]
    #[arg(
        long,
        value_name = "ID",
        env = "DOCKMASTER_MACHINE_ID",
        hide_env_values = true,
        global = true
    )]
    pub machine_id: Option<String>,
    /// Where certificate, key, catalog and report are kept [default: /run/dockmaster]
    #[arg(long, value_name = "DIR", env = "DOCKMASTER_RUN_DIR", global = true)]
    pub run_dir: Option<String>,
    /// The local address to dial from, where there are several
    #[arg(long, value_name = "IP", env = "DOCKMASTER_BIND", global = true)]
    pub bind: Option<String>,
    /// The folder that all paths of resources lie below [default: /]
    #[arg(long, value_name = "DIR", env = "DOCKMASTER_ROOT", global = true)]
    pub root: Option<String>,
}

/// What is known of the master beforehand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// The digest of its trust bundle.
    Pin(TrustPin),
    /// The trust bundle itself.
    Bundle(String),
}

/// The settings that do not concern the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Where certificate, key, catalog and report are kept.
    pub run_dir: PathBuf,
    /// The tree that resources lie in.
    pub root: Root,
}

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The master.
    pub master: SocketAddr,
    /// What is known of it.
    pub anchor: Anchor,
    /// The local address to dial from.
    pub bind: Option<IpAddr>,
    /// How to join, where no engine vouches for this machine.
    pub join: Option<JoinSettings>,
    /// The rest.
    pub local: Local,
}

/// Everything that is wrong with the settings, a line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the settings cannot be used:\n  {}", .0.join("\n  "))]
pub struct SettingsError(pub Vec<String>);

/// Reads the settings that do not concern the master.
///
/// # Errors
/// All that is wrong with them.
pub fn local(flags: &Flags) -> Result<Local, SettingsError> {
    let merged = merge(flags)?;
    Ok(local_of(&merged))
}

/// Reads all settings.
///
/// # Errors
/// All that is wrong with them.
pub fn all(flags: &Flags) -> Result<Settings, SettingsError> {
    let merged = merge(flags)?;
    let gateway = || facts::default_gateway(&Root::default()).map(IpAddr::V4);
    resolve(&merged, gateway, |path| fs::read_to_string(path))
}

fn merge(flags: &Flags) -> Result<Flags, SettingsError> {
    let root = flags.root.as_deref().filter(|root| !root.is_empty());
    let path = Root::new(root.unwrap_or("/")).join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let below = file::parse(&text).map_err(|errors| {
                let line =
                    |(line, error): &(usize, String)| format!("{}:{line}: {error}", path.display());
                SettingsError(errors.iter().map(line).collect())
            })?;
            Ok(over(flags.clone(), below))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(over(flags.clone(), Flags::default()))
        }
        Err(error) => Err(SettingsError(vec![format!("{}: {error}", path.display())])),
    }
}

/// The upper settings where they say something, else the lower ones.
fn over(upper: Flags, lower: Flags) -> Flags {
    let pick = |upper: Option<String>, lower: Option<String>| {
        upper
            .filter(|text| !text.is_empty())
            .or(lower.filter(|text| !text.is_empty()))
    };
    // A pin above outdoes a file below, and the other way round.
    let names_trust = |flags: &Flags| {
        [&flags.trust, &flags.trust_file]
            .iter()
            .any(|text| text.as_ref().is_some_and(|text| !text.is_empty()))
    };
    let lower_trust = if names_trust(&upper) {
        (None, None)
    } else {
        (lower.trust, lower.trust_file)
    };
    Flags {
        master: pick(upper.master, lower.master),
        trust: pick(upper.trust, lower_trust.0),
        trust_file: pick(upper.trust_file, lower_trust.1),
        token_file: pick(upper.token_file, lower.token_file),
        machine_id: pick(upper.machine_id, lower.machine_id),
        run_dir: pick(upper.run_dir, lower.run_dir),
        bind: pick(upper.bind, lower.bind),
        root: pick(upper.root, lower.root),
    }
}

fn local_of(flags: &Flags) -> Local {
    let run_dir = Path::new(flags.run_dir.as_deref().unwrap_or("/run/dockmaster"));
    let root = Path::new(flags.root.as_deref().unwrap_or("/"));
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Local {
        run_dir: absolute(run_dir),
        root: Root::new(absolute(root)),
    }
}

fn resolve(
    flags: &Flags,
    gateway: impl FnOnce() -> Option<IpAddr>,
    read: impl FnOnce(&str) -> io::Result<String>,
) -> Result<Settings, SettingsError> {
    let mut errors = Vec::new();
    let master = match &flags.master {
        Some(text) => address(text).ok_or_else(|| {
            format!("master: {text:?} is no IP and no IP:PORT (names are not looked up)")
        }),
        None => gateway()
            .map(|ip| SocketAddr::new(ip, PORT))
            .ok_or_else(|| {
                "master: there is no default gateway to ask; set DOCKMASTER_MASTER=IP:PORT"
                    .to_owned()
            }),
    };
    let anchor = match (&flags.trust, &flags.trust_file) {
        (Some(pin), None) => pin
            .parse()
            .map(Anchor::Pin)
            .map_err(|error| format!("trust: {error}")),
        (None, Some(file)) => read(file)
            .map(Anchor::Bundle)
            .map_err(|error| format!("trust_file: {file}: {error}")),
        (Some(_), Some(_)) => Err("trust and trust_file are both given; one is enough".to_owned()),
        (None, None) => Err(
            "trust: it is not said which master to trust; set DOCKMASTER_TRUST=sha256:HEX, which \
             \"dockmaster init\" printed, or DOCKMASTER_TRUST_FILE"
                .to_owned(),
        ),
    };
    let bind = flags
        .bind
        .as_ref()
        .map(|text| text.parse().map_err(|_| format!("bind: {text:?} is no IP")));
    let join = join(flags);
    let mut keep = |error: String| errors.push(error);
    let (master, anchor, bind, join) = (
        master.map_err(&mut keep).ok(),
        anchor.map_err(&mut keep).ok(),
        bind.transpose().map_err(&mut keep).ok(),
        join.map_err(&mut keep).ok(),
    );
    match (master, anchor, bind, join) {
        (Some(master), Some(anchor), Some(bind), Some(join)) => Ok(Settings {
            master,
            anchor,
            bind,
            join,
            local: local_of(flags),
        }),
        _ => Err(SettingsError(errors)),
    }
}

fn join(flags: &Flags) -> Result<Option<JoinSettings>, String> {
    let machine = flags.machine_id.as_deref().map(str::parse).transpose();
    let machine = machine.map_err(|error| format!("machine_id: {error}"))?;
    let file = flags.token_file.as_ref();
    Ok(file.map(|file| JoinSettings {
        token_file: PathBuf::from(file),
        machine,
    }))
}

fn address(text: &str) -> Option<SocketAddr> {
    let with_port = text.parse().ok();
    with_port.or_else(|| Some(SocketAddr::new(text.parse().ok()?, PORT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(change: impl FnOnce(&mut Flags)) -> Flags {
        let mut flags = Flags {
            trust: Some(format!("sha256:{}", "ab".repeat(32))),
            ..Flags::default()
        };
        change(&mut flags);
        flags
    }

    fn resolved(flags: &Flags) -> Result<Settings, SettingsError> {
        resolve(
            flags,
            || Some([172, 17, 0, 1].into()),
            |_| Ok("bundle".into()),
        )
    }

    #[test]
    fn the_default_master_is_the_gateway() {
        let settings = resolved(&flags(|_| ())).unwrap();
        assert_eq!(settings.master, "172.17.0.1:8140".parse().unwrap());
        assert_eq!(settings.local.run_dir, Path::new("/run/dockmaster"));
        let one = resolved(&flags(|flags| flags.master = Some("10.0.0.1".into()))).unwrap();
        assert_eq!(one.master, "10.0.0.1:8140".parse().unwrap());
        let six = resolved(&flags(|flags| flags.master = Some("[fd00::1]:9".into()))).unwrap();
        assert_eq!(six.master, "[fd00::1]:9".parse().unwrap());
    }

    #[test]
    fn every_error_is_told_at_once() {
        let wrong = flags(|flags| {
            flags.master = Some("master.example".into());
            flags.trust = Some("sha256:1".into());
            flags.bind = Some("x".into());
            flags.machine_id = Some("x".into());
        });
        assert_eq!(resolved(&wrong).unwrap_err().0.len(), 4);
    }

    #[test]
    fn without_a_word_on_trust_nothing_is_trusted() {
        let error = resolved(&Flags::default()).unwrap_err();
        assert!(error.to_string().contains("DOCKMASTER_TRUST="), "{error}");
    }

    #[test]
    fn a_setting_above_outdoes_one_below_and_an_empty_one_is_none() {
        let upper = Flags {
            master: Some(String::new()),
            trust_file: Some("/b".into()),
            ..Flags::default()
        };
        let lower = Flags {
            master: Some("10.0.0.1".into()),
            trust: Some("x".into()),
            ..Flags::default()
        };
        let merged = over(upper, lower);
        assert_eq!(merged.master.as_deref(), Some("10.0.0.1"));
        assert_eq!(
            (merged.trust, merged.trust_file.as_deref()),
            (None, Some("/b"))
        );
    }
}
