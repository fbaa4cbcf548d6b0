//! Whatever is sent in place of a request is refused, and the master goes on.

use std::io::{Read as _, Write as _};

use dockmaster_tests::measure::resident;

use crate::{
    raw::{Raw, tcp},
    stage::Stage,
};

/// What the master may take more at the end than at the beginning, in bytes.
const MOST: u64 = 32 << 20;

/// A case: what is sent, and the status that is answered; none where the connection only ends.
type Case = (&'static str, Vec<u8>, Option<u16>);

fn request(line: &str, headers: &str) -> Vec<u8> {
    format!("{line}\r\nHost: x\r\n{headers}\r\n").into_bytes()
}

fn enroll(body: &str) -> Vec<u8> {
    let length = format!("Content-Length: {}\r\n", body.len());
    let mut bytes = request("POST /v1/enroll HTTP/1.1", &length);
    bytes.extend(body.as_bytes());
    bytes
}

fn cases() -> Vec<Case> {
    let get = |headers: &str| request("GET /v1/trust HTTP/1.1", headers);
    let deep = |left: &str, right: &str| {
        let (left, right) = (left.repeat(10_000), right.repeat(10_000));
        enroll(&format!("{{\"csr\": {left}{right}}}"))
    };
    vec![
        (
            "a head of 1 MiB",
            get(&format!("X: {}\r\n", "a".repeat(1 << 20))),
            Some(431),
        ),
        (
            "ten thousand headers",
            get(&"A: b\r\n".repeat(10_000)),
            Some(431),
        ),
        (
            "a path of 1 MiB",
            request(&format!("GET /{} HTTP/1.1", "a".repeat(1 << 20)), ""),
            Some(431),
        ),
        (
            "a path out of the tree",
            request("GET /v1/blobs/../../../etc/passwd HTTP/1.1", ""),
            Some(404),
        ),
        (
            "the same, encoded",
            request("GET /log/tile/%2e%2e/%2e%2e/log.key HTTP/1.1", ""),
            Some(404),
        ),
        (
            "a path that is no text",
            request("GET /v1/nodes/%ff%fe HTTP/1.1", ""),
            Some(400),
        ),
        (
            "a NUL in the path",
            request("GET /v1/\0 HTTP/1.1", ""),
            Some(400),
        ),
        (
            "a query that is not encoded",
            request("GET /v1/trust?a=%zz HTTP/1.1", ""),
            Some(400),
        ),
        ("a header without a name", get(": b\r\n"), Some(400)),
        ("a header with a NUL", get("A: \0\r\n"), Some(400)),
        (
            "a negative length",
            get("Content-Length: -1\r\n"),
            Some(400),
        ),
        (
            "two lengths",
            get("Content-Length: 1\r\nContent-Length: 2\r\n"),
            Some(400),
        ),
        (
            "a length of 2^64",
            get("Content-Length: 18446744073709551616\r\n"),
            Some(400),
        ),
        (
            "a body where none is taken",
            get("Content-Length: 10\r\n"),
            Some(413),
        ),
        (
            "a body larger than is taken",
            request("POST /v1/enroll HTTP/1.1", "Content-Length: 1000000000\r\n"),
            Some(413),
        ),
        (
            "chunks that are none",
            request(
                "POST /v1/enroll HTTP/1.1",
                "Transfer-Encoding: chunked\r\n\r\nzz",
            ),
            Some(400),
        ),
        (
            "a chunk of 2^64 bytes",
            request(
                "POST /v1/enroll HTTP/1.1",
                "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1",
            ),
            Some(400),
        ),
        ("no version", b"GET /v1/trust\r\n\r\n".to_vec(), Some(400)),
        (
            "another version",
            request("GET /v1/trust HTTP/9.9", ""),
            Some(400),
        ),
        (
            "another method",
            request("BREW /v1/trust HTTP/1.1", ""),
            Some(405),
        ),
        ("not HTTP at all", vec![0xa5; 4096], Some(400)),
        (
            "HTTP/2 where HTTP/1.1 was agreed on",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0".to_vec(),
            None,
        ),
        ("no JSON", enroll("<csr/>"), Some(400)),
        ("JSON that is no object", enroll("[]"), Some(400)),
        ("no text", enroll("\u{0}"), Some(400)),
        ("lists in lists", deep("[", "]"), Some(400)),
        ("objects in objects", deep("{\"a\":", "}"), Some(400)),
        (
            "a number without an end",
            enroll(&format!("{{\"csr\": {}}}", "9".repeat(60_000))),
            Some(400),
        ),
        (
            "no base64",
            enroll(r#"{"csr":"%%%","agent_version":"x"}"#),
            Some(400),
        ),
        (
            "no request",
            enroll(r#"{"csr":"AAAA","agent_version":"x"}"#),
            Some(400),
        ),
        (
            // SEQUENCE in SEQUENCE, each of indefinite length.
            "a request without an end",
            enroll(&format!(
                r#"{{"csr":"{}","agent_version":"x"}}"#,
                "MIAwgDCA".repeat(1000)
            )),
            Some(400),
        ),
        (
            "a request of 40 KiB",
            enroll(&format!(
                r#"{{"csr":"{}","agent_version":"x"}}"#,
                "A".repeat(60_000)
            )),
            Some(400),
        ),
    ]
}

#[test]
fn whatever_is_sent_in_place_of_a_request_is_refused() {
    let stage = Stage::new(170..=171);
    let (master, from) = (&stage.master, stage.stand_ins[0].ips[0]);
    let before = resident(master.pid().into());
    let mut wrong = Vec::new();
    for (name, bytes, expected) in cases() {
        let answer = Raw::open(master, from, "http/1.1").exchange(&bytes);
        let status = answer
            .strip_prefix("HTTP/1.1 ")
            .or(answer.strip_prefix("HTTP/1.0 "));
        let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
        // What is still being sent when the connection closes makes the kernel throw the answer away.
        let is_cut_off = bytes.len() > 64 << 10 && answer.is_empty();
        if status != expected && !is_cut_off {
            wrong.push(format!(
                "{name}: {status:?}, not {expected:?}: {answer:.200}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");

    // Nor does it matter when there is no TLS around it.
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[22, 3, 1, 255, 255],
        &[0; 70_000],
    ] {
        let mut plain = tcp(master, from);
        let _ = plain.write_all(bytes);
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"));
    }
    let grown = resident(master.pid().into()).saturating_sub(before);
    assert!(grown < MOST, "{grown} bytes");

    // The log has one entry for all that had something to do with certificates, and nothing else.
    let denied = master.json(["audit", "list", "--event", "cert_denied"]);
    assert_eq!(denied["entries"].as_array().unwrap().len(), 1, "{denied}");
    stage.runtime.block_on(stage.peer(1).enroll()).unwrap();
    let log = master.log().join("\n");
    assert!(!log.contains("panicked"), "{log}");
}
