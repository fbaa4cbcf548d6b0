//! A port that stays a test's own while nobody listens on it.

use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    sync::atomic::{AtomicU32, Ordering},
};

/// Below the ports that the kernel gives to outgoing connections: a master that is killed and
/// started again has to find its port free.
const FIRST: u32 = 15_000;
const COUNT: u32 = 16_000;

/// A TCP port, from before its master starts until after its last end.
#[derive(Debug)]
pub(crate) struct Port {
    /// The UDP port of the same number, which nobody else wants: whoever has it, in whatever
    /// process, has the TCP port.
    reservation: UdpSocket,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Processes begin far from each other, so that they seldom meet.
        let begin = std::process::id().wrapping_mul(7919);
        let mut ports = (0..COUNT).map(|_| {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            u16::try_from(FIRST + begin.wrapping_add(next) % COUNT).unwrap()
        });
        let any = Ipv4Addr::UNSPECIFIED;
        let reserve = |port| {
            let reservation = UdpSocket::bind((any, port)).ok()?;
            TcpListener::bind((any, port)).ok()?;
            Some(Self { reservation })
        };
        ports.find_map(reserve).expect("a free port")
    }

    pub(crate) fn number(&self) -> u16 {
        self.reservation.local_addr().unwrap().port()
    }
}
