//! A peer that takes nothing of what is due to it is not waited for.

use dockmaster_tests::eventually;

use crate::{
    raw::{Raw, Read},
    stage::Stage,
};

#[test]
fn a_peer_that_asks_and_asks_and_reads_nothing_is_cut_off() {
    let stage = Stage::new(140..=141);
    let mut peer = Raw::open(&stage.master, stage.stand_ins[0].ips[0], "http/1.1");
    let many = "GET /v1/trust HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    // Until the answers fill all buffers on their way, and then the questions.
    while peer.write(many.as_bytes()) {}
    assert!(!peer.is_cut_off(), "at once");
    stage.runtime.block_on(stage.peer(1).enroll()).unwrap();
    eventually("an end", || peer.is_cut_off().then_some(()));
    let _ = stage.master.json(["node", "list"]);
}

/// A frame of HTTP/2 (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;

/// `GET /v1/trust` with the static table and literals only (RFC 7541).
fn question() -> Vec<u8> {
    let mut block = vec![0x82, 0x87];
    for (name, value) in [(0x04, "/v1/trust"), (0x01, "x")] {
        block.extend([name, u8::try_from(value.len()).unwrap()]);
        block.extend(value.as_bytes());
    }
    block
}

#[test]
fn a_peer_that_opens_no_window_is_cut_off_though_it_answers_every_ping() {
    let stage = Stage::new(145..=145);
    let mut peer = Raw::open(&stage.master, stage.stand_ins[0].ips[0], "h2");
    let mut opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE is 0: no byte of a body may be sent.
    opening.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    opening.extend(frame(HEADERS, 5, 1, &question()));
    assert!(peer.write(&opening));

    let (mut received, mut begun) = (Vec::new(), false);
    eventually("an end", || {
        match peer.read() {
            Read::Bytes(bytes) => received.extend(bytes),
            Read::Nothing => {}
            Read::End => return Some(()),
        }
        while let Some((head, rest)) = received.split_first_chunk::<9>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            if rest.len() < length {
                break;
            }
            let (kind, flags, payload) = (head[3], head[4], rest[..length].to_vec());
            begun |= kind == HEADERS;
            if flags & ACK == 0 && [SETTINGS, PING].contains(&kind) {
                let echo = if kind == PING { &payload[..] } else { &[] };
                assert!(peer.write(&frame(kind, ACK, 0, echo)));
            }
            received.drain(..9 + length);
        }
        None
    });
    assert!(begun, "the answer had begun");
}
