//! What this machine takes, at this hour, for what no master can leave out: the same libraries,
//! called in this process.

mod crypto;
mod disk;
mod handshake;
mod socket;

use std::time::Duration;

use dockmaster_tests::measure::of_this_thread;

/// Repetitions of each, of which the median counts.
const ROUNDS: usize = 15;
const TIMES: u32 = 100;

/// Processor time of each; the sync's is time of day.
pub(crate) struct Limits {
    sign: Duration,
    verify: Duration,
    handshake: Duration,
    handshake_with_certificate: Duration,
    verify_request: Duration,
    issue: Duration,
    checkpoint: Duration,
    socket: Duration,
    sync: Duration,
}

impl Limits {
    /// Measures them, in a few seconds.
    pub(crate) fn measure() -> Self {
        let crypto = crypto::Material::new();
        Self {
            sign: each(|| crypto.sign()),
            verify: each(|| crypto.verify()),
            handshake: handshake::server_side(&crypto, handshake::Client::Anonymous),
            handshake_with_certificate: handshake::server_side(
                &crypto,
                handshake::Client::WithCertificate,
            ),
            verify_request: each(|| crypto.verify_request()),
            issue: {
                let request = crypto.verified_request();
                each(|| crypto.issue(&request))
            },
            checkpoint: each(|| crypto.sign_checkpoint()),
            socket: socket::server_side(),
            sync: disk::append_and_sync(),
        }
    }

    pub(crate) fn print(&self) {
        println!(
            "\nLimits of this machine, in this run (microseconds; processor time but the sync)\n"
        );
        for (what, took) in [
            ("ECDSA P-256, sign", self.sign),
            ("ECDSA P-256, verify", self.verify),
            ("TLS 1.3 handshake, server's side", self.handshake),
            (
                "the same with a client certificate",
                self.handshake_with_certificate,
            ),
            (
                "a certificate request read and verified",
                self.verify_request,
            ),
            (
                "a certificate made, signed, read back, compared",
                self.issue,
            ),
            ("a checkpoint signed (one for each commit)", self.checkpoint),
            (
                "a TCP connection accepted, 3 reads and 3 writes, closed",
                self.socket,
            ),
            ("2 KiB appended and fdatasync'ed (time of day)", self.sync),
        ] {
            println!("| {what:<56} | {:>6.1} |", micros(took));
        }
    }

    /// Handshake, request and certificate: an enrollment cannot cost less.
    fn enrollment(&self) -> Duration {
        self.handshake + self.renewal()
    }

    /// Request and certificate: a renewal on an open connection cannot cost less.
    fn renewal(&self) -> Duration {
        self.verify_request + self.issue
    }

    pub(crate) fn compare_enrollment(&self, each: Duration) {
        println!(
            "  {:.2} times handshake + request + certificate ({:.0} us); less the connection itself ({:.0} us): {:.2} times",
            times(each, self.enrollment()),
            micros(self.enrollment()),
            micros(self.socket),
            times(each.saturating_sub(self.socket), self.enrollment()),
        );
    }

    pub(crate) fn compare_renewal(&self, each: Duration) {
        println!(
            "  {:.2} times request + certificate ({:.0} us)",
            times(each, self.renewal()),
            micros(self.renewal()),
        );
    }
}

/// Processor time of one call.
fn each(mut call: impl FnMut()) -> Duration {
    median((0..ROUNDS).map(|_| {
        let begin = of_this_thread();
        (0..TIMES).for_each(|_| call());
        (of_this_thread() - begin) / TIMES
    }))
}

/// The one in the middle.
fn median(taken: impl Iterator<Item = Duration>) -> Duration {
    let mut taken: Vec<_> = taken.collect();
    taken.sort_unstable();
    taken[taken.len() / 2]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn times(time: Duration, of: Duration) -> f64 {
    time.as_secs_f64() / of.as_secs_f64()
}
