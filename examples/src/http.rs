//! As much of HTTP/1.1 as the examples need: the head of a request, and a plain answer.

use std::io::{self, Read, Write};

/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// What a client sent first.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// All bytes that were read: the head, and what may have come with it.
    pub bytes: Vec<u8>,
    /// What kind of request it is.
    pub kind: Kind,
}

/// What may be done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole `GET` without a body: it changes nothing, so it may be sent again.
    Get,
    /// A whole `HEAD` without a body; may be sent again too.
    Head,
    /// Another method, or one with a body.
    Other,
    /// No HTTP, or a head that is too long or incomplete.
    Unknown,
}

/// Reads until the end of the head.
///
/// # Errors
/// When reading fails.
pub fn read_request(stream: &mut impl Read) -> io::Result<Request> {
    let mut bytes = Vec::with_capacity(1024);
    let mut chunk = [0; 2048];
    loop {
        if let Some(end) = end_of_head(&bytes) {
            let kind = kind(&bytes[..end], bytes.len() > end);
            return Ok(Request { bytes, kind });
        }
        let read = if bytes.len() < MAX_HEAD {
            stream.read(&mut chunk)?
        } else {
            0
        };
        if read == 0 {
            let kind = Kind::Unknown;
            return Ok(Request { bytes, kind });
        }
        bytes.extend_from_slice(&chunk[..read]);
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let end = b"\r\n\r\n";
    let found = bytes.windows(end.len()).position(|window| window == end);
    found.map(|at| at + end.len())
}

fn kind(head: &[u8], more: bool) -> Kind {
    let Ok(head) = std::str::from_utf8(head) else {
        return Kind::Unknown;
    };
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let Some((method, rest)) = first.split_once(' ') else {
        return Kind::Unknown;
    };
    if !rest.contains(" HTTP/1.") {
        return Kind::Unknown;
    }
    let body = lines
        .filter_map(|line| line.split_once(':'))
        .any(|(name, value)| {
            name.eq_ignore_ascii_case("transfer-encoding")
                || name.eq_ignore_ascii_case("upgrade")
                || (name.eq_ignore_ascii_case("content-length") && value.trim() != "0")
        });
    match method {
        "GET" if !body && !more => Kind::Get,
        "HEAD" if !body && !more => Kind::Head,
        _ => Kind::Other,
    }
}

/// Writes a whole answer after which the connection is closed.
///
/// # Errors
/// When writing fails.
pub fn answer(stream: &mut impl Write, status: &str, body: &[u8], kind: Kind) -> io::Result<()> {
    let length = body.len();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n"
    )
    .into_bytes();
    if kind != Kind::Head {
        bytes.extend_from_slice(body);
    }
    stream.write_all(&bytes)?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(text: &str) -> Kind {
        read_request(&mut text.as_bytes()).unwrap().kind
    }

    #[test]
    fn only_a_whole_request_without_a_body_may_be_repeated() {
        assert_eq!(kind_of("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), Kind::Get);
        assert_eq!(kind_of("HEAD / HTTP/1.1\r\n\r\n"), Kind::Head);
        assert_eq!(
            kind_of("GET / HTTP/1.1\r\ncontent-length: 2\r\n\r\n"),
            Kind::Other
        );
        assert_eq!(
            kind_of("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
            Kind::Other
        );
        assert_eq!(kind_of("POST / HTTP/1.1\r\n\r\n"), Kind::Other);
        assert_eq!(kind_of("GET / HTTP/1.1\r\nho"), Kind::Unknown);
        assert_eq!(kind_of("\u{16}\u{3}\r\n\r\n"), Kind::Unknown);
    }

    #[test]
    fn a_head_without_end_is_read_up_to_the_limit() {
        let request = read_request(&mut io::repeat(b'x')).unwrap();
        assert_eq!(request.kind, Kind::Unknown);
        assert!(request.bytes.len() <= MAX_HEAD + 2048);
    }

    #[test]
    fn the_answer_to_head_has_no_body() {
        let mut bytes = Vec::new();
        answer(&mut bytes, "200 OK", b"hello", Kind::Head).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.contains("content-length: 5") && text.ends_with("\r\n\r\n"),
            "{text}"
        );
    }
}
