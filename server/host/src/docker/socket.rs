//! Whether a socket may speak for the containers of this machine.

use std::{
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

/// Why a socket is not trusted as a container engine.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Nothing there.
    #[error("no container engine at {path}; is it running, and is this the path of its socket?")]
    Absent {
        /// The path.
        path: PathBuf,
        /// The kernel's words.
        source: std::io::Error,
    },
    /// Something else is there.
    #[error("{path} is not a socket; name the engine's socket, such as /var/run/docker.sock")]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// Anybody could have made it.
    #[error(
        "the socket {path} belongs to user {owner}, not to root; whoever owns it could invent containers, so it is not trusted"
    )]
    NotRoots {
        /// The path.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
}

/// Accepts a socket that root owns: what it says of containers is as good as root's word.
///
/// # Errors
/// When there is no socket at the path, or root does not own it.
pub(super) fn check(path: &Path) -> Result<(), SocketError> {
    let path = path.to_owned();
    match std::fs::metadata(&path) {
        Err(source) => Err(SocketError::Absent { path, source }),
        Ok(meta) if !meta.file_type().is_socket() => Err(SocketError::NoSocket { path }),
        Ok(meta) if meta.uid() != 0 => Err(SocketError::NotRoots {
            path,
            owner: meta.uid(),
        }),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_a_socket_of_root_is_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.sock");
        assert!(matches!(check(&path), Err(SocketError::Absent { .. })));

        let listener = UnixListener::bind(&path).unwrap();
        let by_root = std::fs::metadata(&path).unwrap().uid() == 0;
        assert_eq!(check(&path).is_ok(), by_root);
        if by_root {
            std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
            let error = check(&path).unwrap_err().to_string();
            assert!(error.contains("belongs to user 65534"), "{error}");
        }
        drop(listener);

        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(check(&file), Err(SocketError::NoSocket { .. })));
    }
}
