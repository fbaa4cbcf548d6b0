//! The question for one TCP socket and its answer: `sock_diag(7)`, `INET_DIAG` by the exact addresses.
//!
//! Only the fixed part of two structures of `linux/inet_diag.h` is needed, and both are part of the
//! kernel's stable interface.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Connection;

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// Size of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Size of `struct inet_diag_sockid`.
const SOCKET_ID: usize = 48;
/// Size of `struct inet_diag_req_v2`.
const QUESTION: usize = 8 + SOCKET_ID;
/// Size of `struct inet_diag_msg`.
const ANSWER: usize = 4 + SOCKET_ID + 20;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const TCP: u8 = 6;
/// `TCP_ESTABLISHED`: a peer that is being answered is in no other state. Where no connection fits and
/// somebody listens, the kernel answers with the listener; and a socket that only tries to connect
/// may have these addresses while another has the connection.
const ESTABLISHED: u8 = 1;
const ENOENT: i32 = 2;

/// What the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// There is such a connection, and a file with this inode is its socket.
    Socket(u64),
    /// There is none that a process holds.
    Nothing,
    /// The kernel refuses the question, with this error number.
    Refused(i32),
}

/// The question for the socket at the source's end of a connection.
pub(super) fn question(connection: &Connection, sequence: u32) -> [u8; HEADER + QUESTION] {
    let (source, local) = (canonical(connection.source), canonical(connection.local));
    let mut bytes = [0; HEADER + QUESTION];
    let mut at = 0;
    let mut put = |part: &[u8]| {
        bytes[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    };
    put(&((HEADER + QUESTION) as u32).to_ne_bytes());
    put(&BY_FAMILY.to_ne_bytes());
    put(&REQUEST.to_ne_bytes());
    put(&sequence.to_ne_bytes());
    put(&0u32.to_ne_bytes());
    let family = if source.is_ipv4() { AF_INET } else { AF_INET6 };
    put(&[family, TCP, 0, 0]);
    put(&u32::MAX.to_ne_bytes());
    put(&source.port().to_be_bytes());
    put(&local.port().to_be_bytes());
    put(&octets(source.ip()));
    put(&octets(local.ip()));
    // Any interface, and a cookie that stands for none.
    put(&0u32.to_ne_bytes());
    put(&[0xff; 8]);
    bytes
}

/// Reads the kernel's answer to the question with this sequence number; `None` when the bytes are
/// no answer to it.
pub(super) fn answer(bytes: &[u8], connection: &Connection, sequence: u32) -> Option<Answer> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    if length > bytes.len() || u32_at(bytes, 8)? != sequence {
        return None;
    }
    let payload = bytes.get(HEADER..length)?;
    match u16_at(bytes, 4)? {
        ERROR => match i32::from_ne_bytes(payload.get(..4)?.try_into().ok()?).saturating_neg() {
            ENOENT => Some(Answer::Nothing),
            error => Some(Answer::Refused(error)),
        },
        BY_FAMILY => {
            let message = payload.get(..ANSWER)?;
            let source = address(message, 4, 8)?;
            let local = address(message, 6, 24)?;
            let inode = u64::from(u32_at(message, ANSWER - 4)?);
            let is_it = source == canonical(connection.source)
                && local == canonical(connection.local)
                && message[1] == ESTABLISHED
                && inode != 0;
            Some(if is_it {
                Answer::Socket(inode)
            } else {
                Answer::Nothing
            })
        }
        _ => None,
    }
}

fn address(message: &[u8], port: usize, ip: usize) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(message.get(port..port + 2)?.try_into().ok()?);
    let octets: [u8; 16] = message.get(ip..ip + 16)?.try_into().ok()?;
    let ip = match message[0] {
        AF_INET => IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])),
        AF_INET6 => IpAddr::V6(Ipv6Addr::from(octets)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// An IPv4 connection may be that of an IPv6 socket at either end.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&v4.octets());
            octets
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn connection() -> Connection {
        Connection {
            source: "172.17.0.2:40312".parse().unwrap(),
            local: "172.17.0.1:8140".parse().unwrap(),
        }
    }

    /// What a kernel on this machine's byte order answers.
    fn reply(family: u8, state: u8, source: SocketAddr, local: SocketAddr, inode: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(((HEADER + ANSWER) as u32).to_ne_bytes());
        bytes.extend(BY_FAMILY.to_ne_bytes());
        bytes.extend(0u16.to_ne_bytes());
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend(99u32.to_ne_bytes());
        bytes.extend([family, state, 0, 0]);
        bytes.extend(source.port().to_be_bytes());
        bytes.extend(local.port().to_be_bytes());
        bytes.extend(octets(source.ip()));
        bytes.extend(octets(local.ip()));
        bytes.extend([0; 12]);
        bytes.extend([0; 16]);
        bytes.extend(inode.to_ne_bytes());
        bytes
    }

    #[test]
    fn the_question_names_the_containers_end_first() {
        let bytes = question(&connection(), 7);
        assert_eq!(bytes.len(), 72);
        assert_eq!(bytes[16..20], [AF_INET, TCP, 0, 0]);
        assert_eq!(bytes[24..28], [0x9d, 0x78, 0x1f, 0xcc]);
        assert_eq!(bytes[28..32], [172, 17, 0, 2]);
        assert_eq!(bytes[44..48], [172, 17, 0, 1]);
        assert_eq!(bytes[64..], [0xff; 8]);
    }

    #[test]
    fn a_socket_is_taken_only_with_the_very_addresses_that_were_asked_for() {
        let Connection { source, local } = connection();
        let read = |bytes: &[u8]| answer(bytes, &connection(), 7);
        let found = reply(AF_INET, 1, source, local, 5);
        assert_eq!(read(&found), Some(Answer::Socket(5)));
        // No connection fits, and somebody listens at the port.
        let any = "0.0.0.0:0".parse().unwrap();
        let listener = reply(AF_INET, 10, source, any, 5);
        assert_eq!(read(&listener), Some(Answer::Nothing));
        let other = "172.17.0.2:40313".parse().unwrap();
        let another = reply(AF_INET, 1, other, local, 5);
        assert_eq!(read(&another), Some(Answer::Nothing));
        let tries = reply(AF_INET, 2, source, local, 5);
        assert_eq!(read(&tries), Some(Answer::Nothing));
        // Closed by its process, and kept by the kernel for a while.
        let nobodys = reply(AF_INET, 6, source, local, 0);
        assert_eq!(read(&nobodys), Some(Answer::Nothing));
        assert_eq!(answer(&found, &connection(), 8), None, "another question's");
    }

    #[test]
    fn an_ipv4_connection_may_be_an_ipv6_sockets() {
        let mapped = |address: SocketAddr| match address.ip() {
            IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
            IpAddr::V6(_) => address,
        };
        let Connection { source, local } = connection();
        let asked = Connection {
            source: mapped(source),
            local: mapped(local),
        };
        assert_eq!(question(&asked, 7), question(&connection(), 7));
        let found = reply(AF_INET6, 1, mapped(source), mapped(local), 5);
        assert_eq!(answer(&found, &asked, 7), Some(Answer::Socket(5)));
    }

    #[test]
    fn an_error_is_an_answer() {
        let error = |number: i32| {
            let mut bytes = Vec::new();
            bytes.extend(36u32.to_ne_bytes());
            bytes.extend(ERROR.to_ne_bytes());
            bytes.extend(0u16.to_ne_bytes());
            bytes.extend(7u32.to_ne_bytes());
            bytes.extend(0u32.to_ne_bytes());
            bytes.extend((-number).to_ne_bytes());
            bytes.extend([0; 16]);
            answer(&bytes, &connection(), 7)
        };
        assert_eq!(error(ENOENT), Some(Answer::Nothing));
        assert_eq!(error(1), Some(Answer::Refused(1)));
    }

    proptest! {
        #[test]
        fn garbage_is_no_socket_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let read = answer(&bytes, &connection(), 7);
            prop_assert!(!matches!(read, Some(Answer::Socket(_))));
        }
    }
}
