//! Joining by a token: for a machine that no container engine vouches for.
//!
//! The token burns into the first key that it is shown with. So that key is kept until the certificate is:
//! whoever loses the answer asks again with the same key.

mod machine;

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use dockmaster_certs::key::{KeyError, KeyPair};
use dockmaster_proto::{
    api::tokens::Redemption,
    token::{JoinToken, MAX_FILE_BYTES, MachineId, NoToken},
};
use ring::rand::SecureRandom;

pub use machine::Kept;

use crate::{
    root::Root,
    rundir::{self, RunDir, RunDirError},
};

/// How a machine is to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinSettings {
    /// The file that holds the token.
    pub token_file: PathBuf,
    /// The machine, where it is not to be found out.
    pub machine: Option<MachineId>,
}

/// Why a machine cannot join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// There is no token.
    #[error(
        "this machine has no certificate that counts, and the token file {} is not there: put a join token into it (\"dockmaster token create\" on the master)",
        .0.display()
    )]
    NoFile(PathBuf),
    /// The token file cannot be read.
    #[error("the token file {} cannot be read: {}", .0.display(), .1)]
    File(PathBuf, io::Error),
    /// Others may read it, and would be this machine.
    #[error(
        "the token file {path} has mode {mode:03o}, so others than its owner can read or replace it: chmod 600 {path}; better, have a new token made",
        path = .path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It holds no token.
    #[error("the token file {}: {}", .0.display(), .1)]
    NoToken(PathBuf, NoToken),
    /// Nothing tells which machine this is.
    #[error(
        "nothing tells which machine this is: /etc/machine-id holds no ID (systemd-machine-id-setup makes one), and the firmware names none; or set DOCKMASTER_MACHINE_ID to 32 hex digits of its own"
    )]
    NoMachine,
    /// No key can be made.
    #[error("no key can be made: {0}")]
    Key(#[from] KeyError),
    /// The key cannot be kept, and without it a lost answer would lose the token.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
}

/// What a request with a token is made of.
#[derive(Debug)]
pub struct Joining {
    /// The key: the same one until there is a certificate for it.
    pub key: KeyPair,
    /// The token and the machine.
    pub redemption: Redemption,
}

impl JoinSettings {
    /// Reads the token and sees to a key that is kept.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn prepare(&self, run: &RunDir, random: &dyn SecureRandom) -> Result<Joining, JoinError> {
        let token = read_token(&self.token_file)?;
        let machine = match self.machine {
            Some(machine) => machine,
            None => machine::find(run, &Root::default(), random)?,
        };
        Ok(Joining {
            key: key(run, random)?,
            redemption: Redemption { token, machine },
        })
    }
}

/// Reads a token file, where nobody but its owner can.
fn read_token(path: &Path) -> Result<JoinToken, JoinError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => JoinError::NoFile(path.to_owned()),
        _ => JoinError::File(path.to_owned(), error),
    };
    let file = fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::other("it is no plain file")));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(JoinError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = String::new();
    let most = MAX_FILE_BYTES as u64;
    file.take(most)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    text.trim()
        .parse()
        .map_err(|error| JoinError::NoToken(path.to_owned(), error))
}

/// The key of an earlier attempt, or a new one that is on the disk before it is shown to anyone.
fn key(run: &RunDir, random: &dyn SecureRandom) -> Result<KeyPair, JoinError> {
    let kept = run.read(rundir::JOIN_KEY)?;
    let kept = kept.and_then(|bytes| KeyPair::from_pem(std::str::from_utf8(&bytes).ok()?).ok());
    if let Some(key) = kept {
        return Ok(key);
    }
    let key = KeyPair::generate(random)?;
    run.write_durably(rundir::JOIN_KEY, key.to_pem().as_bytes())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{id::TokenId, token::TokenSecret};
    use ring::rand::SystemRandom;

    use super::*;

    fn token() -> JoinToken {
        JoinToken {
            id: TokenId::from_bytes([1; 8]),
            secret: TokenSecret::from_bytes([2; 32]),
        }
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_token_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let text = format!("{}\n", token().expose());
        for mode in [0o600, 0o400] {
            write(&path, &text, mode);
            assert_eq!(read_token(&path).unwrap(), token(), "{mode:o}");
        }
        for mode in [0o644, 0o640, 0o604, 0o620] {
            write(&path, &text, mode);
            let error = read_token(&path).unwrap_err();
            assert!(matches!(error, JoinError::Open { .. }), "{error}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn no_error_about_a_token_file_shows_what_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        write(&path, &token().expose().replace("02", "zz"), 0o600);
        let error = read_token(&path).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("zz"), "{error:?}");
        let absent = read_token(&dir.path().join("absent")).unwrap_err();
        assert!(absent.to_string().contains("token create"), "{absent}");
    }

    #[test]
    fn the_key_is_the_same_until_it_is_done_with() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::create(dir.path()).unwrap();
        let random = SystemRandom::new();
        let spki = |key: KeyPair| key.public_key().spki_sha256();
        let first = spki(key(&run, &random).unwrap());
        assert_eq!(spki(key(&run, &random).unwrap()), first);
        run.remove(rundir::JOIN_KEY).unwrap();
        assert_ne!(spki(key(&run, &random).unwrap()), first);
        run.write(rundir::JOIN_KEY, b"garbage").unwrap();
        assert_ne!(spki(key(&run, &random).unwrap()), first);
    }
}
