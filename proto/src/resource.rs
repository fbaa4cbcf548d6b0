//! Resources: what an agent makes true inside its container.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::id::{Digest, IdError, serde_as_text};

/// A file mode: permission bits, 0 to 07777, written as an octal string such as `"0644"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mode(u16);

impl Mode {
    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// The mode of a bits value; bits above 07777 are dropped.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self((bits & 0o7777) as u16)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for Mode {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        let bits = octal.then(|| u16::from_str_radix(text, 8).ok()).flatten();
        bits.map(Self).ok_or_else(|| {
            IdError::new(
                "a file mode",
                "three or four octal digits in quotes, such as \"0644\"",
                text,
            )
        })
    }
}

serde_as_text!(Mode);

/// An owner or group: by number, or by a name that the container's `/etc/passwd` or `/etc/group` has.
/// `root` needs neither file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Owner {
    /// By number.
    Id(u32),
    /// By name.
    Name(String),
}

/// The bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Text that stands in the catalog: less than [`Content::INLINE_LIMIT`] bytes.
    Inline(String),
    /// Bytes to be fetched by digest.
    Blob {
        /// The digest.
        sha256: Digest,
        /// The number of bytes.
        size: u64,
    },
}

impl Content {
    /// Contents of this many bytes or more are blobs.
    pub const INLINE_LIMIT: usize = 4096;

    /// The digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::Inline(text) => Digest::of(text.as_bytes()),
            Self::Blob { sha256, .. } => *sha256,
        }
    }
}

/// The type of a resource with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "params", rename_all = "snake_case")]
pub enum ResourceKind {
    /// A regular file; the title is its absolute path.
    File(File),
    /// A directory; the title is its absolute path.
    Directory(Directory),
    /// A symbolic link; the title is its absolute path.
    Symlink(Symlink),
    /// A command; the title names it.
    Exec(Exec),
    /// A supervised process; the title `app` is the command after `--`.
    Process(Process),
}

impl ResourceKind {
    /// The type's name as written in documents.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Directory(_) => "directory",
            Self::Symlink(_) => "symlink",
            Self::Exec(_) => "exec",
            Self::Process(_) => "process",
        }
    }
}

/// Whether a thing should be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ensure {
    /// It should.
    #[default]
    Present,
    /// It should not.
    Absent,
}

impl Ensure {
    fn is_present(&self) -> bool {
        *self == Self::Present
    }
}

/// A regular file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Present or absent.
    #[serde(default, skip_serializing_if = "Ensure::is_present")]
    pub ensure: Ensure,
    /// Its bytes; `None` leaves the bytes alone (and makes an empty file where there is none).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// Its owner; `None` leaves it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Its group; `None` leaves it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Owner>,
    /// Its mode; `None` leaves it alone, and a new file gets 0644.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// A command that must succeed on the staged file before it replaces the old one; `%` stands
    /// for the staged file's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<Vec<String>>,
}

/// A directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Present or absent; an absent directory must be empty.
    #[serde(default, skip_serializing_if = "Ensure::is_present")]
    pub ensure: Ensure,
    /// Its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Owner>,
    /// Its mode; a new directory gets 0755.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symlink {
    /// Present or absent.
    #[serde(default, skip_serializing_if = "Ensure::is_present")]
    pub ensure: Ensure,
    /// Where it points to.
    #[serde(default)]
    pub target: String,
}

/// A command that is run while applying.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The program (absolute, or found in `PATH`) and its arguments. No shell.
    pub command: Vec<String>,
    /// Its working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// The user that it runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Owner>,
    /// Additional environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Seconds after which its whole process group is killed; 300 where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
    /// Not run when this path exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creates: Option<String>,
    /// Run only when this command succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onlyif: Option<Vec<String>>,
    /// Not run when this command succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<Vec<String>>,
    /// Run only when something that notifies it changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refreshonly: bool,
    /// How often it is tried before it counts as failed; 1 where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
}

/// How a process takes up new configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reload {
    /// By a signal, such as `HUP`.
    Signal(String),
    /// By a command.
    Command(Vec<String>),
    /// By a restart.
    Restart,
}

/// When a process that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Never: for `app`, its end is the container's end.
    Never,
    /// When it ended by a signal or with another status than 0.
    OnFailure,
    /// Always.
    Always,
}

/// A supervised process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// The command; `app` may leave it out to take the one after `--`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Additional environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The user that it runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Owner>,
    /// Its working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// When it is started again: `never` for `app` and `always` for any other where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartPolicy>,
    /// How it takes up new configuration; a restart where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<Reload>,
    /// Seconds between TERM and KILL; 10 where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_grace_s: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_an_octal_string() {
        assert_eq!("0644".parse::<Mode>().unwrap().bits(), 0o644);
        assert_eq!("755".parse::<Mode>().unwrap().to_string(), "0755");
        for bad in ["0o644", "9", "64", "00644", "u+x", ""] {
            assert!(bad.parse::<Mode>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_owner_is_a_number_or_a_name() {
        assert_eq!(
            serde_json::from_str::<Owner>("1000").unwrap(),
            Owner::Id(1000)
        );
        assert_eq!(
            serde_json::from_str::<Owner>("\"www\"").unwrap(),
            Owner::Name("www".into())
        );
    }

    #[test]
    fn a_resource_kind_has_a_type_and_params() {
        let file = ResourceKind::File(File {
            content: Some(Content::Inline("x".into())),
            ..File::default()
        });
        assert_eq!(
            serde_json::to_string(&file).unwrap(),
            r#"{"type":"file","params":{"content":{"inline":"x"}}}"#
        );
    }
}
