//! How many files and sockets this process may have open at a time.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files to what the system allows, and says what it is then.
pub fn raise_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // A limit that cannot be raised is still the limit.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    let current = getrlimit(Resource::Nofile).current;
    current.map_or(usize::MAX, |current| {
        usize::try_from(current).unwrap_or(usize::MAX)
    })
}
