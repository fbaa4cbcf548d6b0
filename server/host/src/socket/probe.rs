//! Asking the kernel: everything here blocks, and changes the thread that it runs on.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::Path,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
        netlink::{SOCK_DIAG, SocketAddrNetlink},
        recvfrom, sendto, socket_with,
    },
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::{
    Connection, LookError, SocketEvidence, Subject,
    cgroup::{self, Group},
    diag::{self, Answer},
};

/// Processes of one container, and open files of all of them, that are looked through. Beyond them
/// nothing is found, and what is not found is refused: a container can only hurt itself.
const MAX_PROCESSES: usize = 4096;
const MAX_FILES: usize = 65_536;
/// Groups that a container nests.
const MAX_GROUPS: usize = 512;

/// Why there is no answer.
enum Trouble {
    /// The process is not there, or not the container's.
    Ended,
    /// The kernel of this machine cannot be asked.
    Unavailable(String),
    /// It could not be asked this time.
    Failed(String),
}

/// Looks; leaves the thread in the network namespace of the first container.
pub(super) fn probe(
    connection: Connection,
    subjects: &[Subject],
) -> Result<SocketEvidence, LookError> {
    match try_probe(&connection, subjects) {
        Ok(evidence) => Ok(evidence),
        Err(Trouble::Ended) => Ok(SocketEvidence::Ended),
        Err(Trouble::Unavailable(why)) => Ok(SocketEvidence::Unavailable(why)),
        Err(Trouble::Failed(why)) => Err(LookError(why)),
    }
}

fn try_probe(connection: &Connection, subjects: &[Subject]) -> Result<SocketEvidence, Trouble> {
    let Some(first) = subjects.first() else {
        return Ok(SocketEvidence::Foreign);
    };
    let namespace = namespace(first)?;
    let groups = groups(first)?;
    let inode = match ask(&namespace, connection)? {
        Answer::Socket(inode) => inode,
        Answer::Nothing => return Ok(SocketEvidence::NotThere),
        Answer::Refused(number) => {
            let error = Errno::from_raw_os_error(number);
            return Err(failed(
                "the kernel does not answer questions for sockets",
                error,
            ));
        }
    };
    let owned = |subject: &Subject, pid| SocketEvidence::Owned {
        container: subject.id,
        pid,
    };
    if let Some(pid) = owner(first, &groups, inode)? {
        return Ok(owned(first, pid));
    }
    for subject in &subjects[1..] {
        match owner_inside(subject, &namespace, inode) {
            Ok(Some(pid)) => return Ok(owned(subject, pid)),
            // One that ended meanwhile holds nothing.
            Ok(None) | Err(Trouble::Ended) => {}
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(SocketEvidence::Foreign)
}

/// The process of a container that holds the socket, if the container is in that namespace.
fn owner_inside(subject: &Subject, namespace: &File, inode: u64) -> Result<Option<u32>, Trouble> {
    let its = self::namespace(subject)?;
    let groups = groups(subject)?;
    if !is_same(&its, namespace) {
        return Ok(None);
    }
    owner(subject, &groups, inode)
}

/// The network namespace of a container. Opened before the process is known to be the container's:
/// whoever takes the number over later does not take over the open file.
fn namespace(subject: &Subject) -> Result<File, Trouble> {
    let path = format!("/proc/{}/ns/net", subject.main_pid);
    File::open(&path).map_err(|error| trouble(&path, &error))
}

fn is_same(one: &File, other: &File) -> bool {
    let place = |file: &File| file.metadata().map(|meta| (meta.dev(), meta.ino())).ok();
    place(one).is_some_and(|it| Some(it) == place(other))
}

/// The control groups of a container, which show that the process is its own.
fn groups(subject: &Subject) -> Result<Vec<Group>, Trouble> {
    let path = format!("/proc/{}/cgroup", subject.main_pid);
    let text = fs::read_to_string(&path).map_err(|error| trouble(&path, &error))?;
    let groups = cgroup::groups(&text, &subject.id);
    if groups.is_empty() {
        return Err(Trouble::Ended);
    }
    Ok(groups)
}

fn trouble(path: &str, error: &io::Error) -> Trouble {
    let why = || format!("{path} cannot be read: {error}");
    match error.kind() {
        io::ErrorKind::NotFound => Trouble::Ended,
        // A process that ended under way is no process any more, and a threaded group has none: they are
        // in the one above it (cgroups(7)).
        _ if matches!(
            Errno::from_io_error(error),
            Some(Errno::SRCH | Errno::OPNOTSUPP)
        ) =>
        {
            Trouble::Ended
        }
        io::ErrorKind::PermissionDenied => Trouble::Unavailable(why()),
        _ => Trouble::Failed(why()),
    }
}

/// What is read of a process or a group; nothing of one that has ended.
fn unless_ended<T: Default>(read: io::Result<T>, path: &Path) -> Result<T, Trouble> {
    match read.map_err(|error| trouble(&path.to_string_lossy(), &error)) {
        Err(Trouble::Ended) => Ok(T::default()),
        read => read,
    }
}

/// Enters a network namespace and asks for a connection's socket there.
fn ask(namespace: &File, connection: &Connection) -> Result<Answer, Trouble> {
    let network = Some(LinkNameSpaceType::Network);
    move_into_link_name_space(namespace.as_fd(), network)
        .map_err(|error| failed("a container's network namespace cannot be entered", error))?;
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(SOCK_DIAG),
    );
    let kernel = kernel.map_err(|error| failed("no netlink socket can be had", error))?;
    let sequence = 1;
    let question = diag::question(connection, sequence);
    let address = SocketAddrNetlink::new(0, 0);
    sendto(&kernel, &question, SendFlags::empty(), &address)
        .map_err(|error| failed("the kernel takes no questions for sockets", error))?;
    hear(&kernel, connection, sequence)
}

/// The kernel answers while the question is being sent, so its answer waits already. What others in
/// the namespace may have sent before it is not the kernel's.
fn hear(kernel: &OwnedFd, connection: &Connection, sequence: u32) -> Result<Answer, Trouble> {
    let mut bytes = [0; 4096];
    for _ in 0..64 {
        let (length, _, sender) = recvfrom(kernel, &mut bytes, RecvFlags::DONTWAIT)
            .map_err(|error| failed("the kernel does not answer questions for sockets", error))?;
        let sender = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
        if sender.is_none_or(|sender| sender.pid() != 0) {
            continue;
        }
        if let Some(answer) = diag::answer(&bytes[..length], connection, sequence) {
            return Ok(answer);
        }
    }
    Err(Trouble::Failed(
        "the kernel's answer about a socket does not come".to_owned(),
    ))
}

/// Only what the machine's set-up causes is for good. Anything else may be over in a moment, or be
/// somebody's doing.
fn failed(what: &str, error: Errno) -> Trouble {
    match error {
        Errno::PERM | Errno::ACCESS => Trouble::Unavailable(format!(
            "{what}: {error}; it takes root, or the capability CAP_SYS_ADMIN"
        )),
        Errno::NOSYS
        | Errno::INVAL
        | Errno::OPNOTSUPP
        | Errno::AFNOSUPPORT
        | Errno::PROTONOSUPPORT => Trouble::Unavailable(format!("{what}: {error}")),
        _ => Trouble::Failed(format!("{what}: {error}")),
    }
}

/// The process of a container that holds the socket: the first one most likely, or a child of it.
fn owner(subject: &Subject, groups: &[Group], inode: u64) -> Result<Option<u32>, Trouble> {
    let mounts = "/proc/self/mountinfo";
    let mounts = fs::read_to_string(mounts).map_err(|error| trouble(mounts, &error))?;
    let mut mounted = groups
        .iter()
        .filter_map(|group| Some((group, cgroup::folder(&mounts, group)?)))
        .peekable();
    if mounted.peek().is_none() {
        return Err(Trouble::Unavailable(
            "the control groups of containers are not mounted here".to_owned(),
        ));
    }
    // A container that ends loses its groups before its engine says so.
    let found = mounted.find(|(_, folder)| folder.is_dir());
    let (group, folder) = found.ok_or(Trouble::Ended)?;
    let wanted = format!("socket:[{inode}]");
    let mut files = MAX_FILES;
    let first = std::iter::once(subject.main_pid);
    let others = processes(&folder)?
        .into_iter()
        .filter(|pid| *pid != subject.main_pid);
    for pid in first.chain(others) {
        if holds(pid, &wanted, &mut files)? {
            // The number may have gone to another process between the list and the look.
            let path = format!("/proc/{pid}/cgroup");
            let text = unless_ended(fs::read_to_string(&path), path.as_ref())?;
            return Ok(cgroup::is_in(&text, group).then_some(pid));
        }
    }
    Ok(None)
}

/// Whether a process has this file open. A process that ended, or has more files than are looked
/// through, does not.
fn holds(pid: u32, wanted: &str, files: &mut usize) -> Result<bool, Trouble> {
    let path = format!("/proc/{pid}/fd");
    let path = Path::new(&path);
    let open = unless_ended(fs::read_dir(path).map(Some), path)?;
    for file in open.into_iter().flatten().flatten() {
        let Some(left) = files.checked_sub(1) else {
            return Ok(false);
        };
        *files = left;
        let target = unless_ended(fs::read_link(file.path()), path)?;
        if target.as_os_str() == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The processes of a group and of those below it.
fn processes(folder: &Path) -> Result<Vec<u32>, Trouble> {
    let mut processes = Vec::new();
    let mut folders = vec![folder.to_owned()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        seen += 1;
        if seen > MAX_GROUPS || processes.len() >= MAX_PROCESSES {
            break;
        }
        let list = folder.join("cgroup.procs");
        let listed = unless_ended(fs::read_to_string(&list), &list)?;
        processes.extend(listed.lines().filter_map(|line| line.parse::<u32>().ok()));
        let below = unless_ended(fs::read_dir(&folder).map(Some), &folder)?;
        folders.extend(
            below
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    processes.truncate(MAX_PROCESSES);
    Ok(processes)
}
