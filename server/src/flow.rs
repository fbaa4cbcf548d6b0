//! Whether a peer takes what is written to it. Whoever asks and never reads would keep the answer, and the
//! connection, for as long as it likes; so would a peer of HTTP/2 that opens no window, though it answers
//! every ping.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::{Instant, sleep},
};

/// So many bytes a peer has to take, or the rest of an answer, ...
const LEAST: u64 = 16 << 10;
/// ... in this time, or in one [`TICK`] more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How often that is looked at.
const TICK: Duration = Duration::from_secs(10);

/// What is on its way to one peer.
#[derive(Debug, Default)]
pub struct Flow {
    /// Bytes that the kernel took, and [`LEAST`] for each answer that is through.
    progress: AtomicU64,
    /// Answers that are not sent, and writes that the kernel does not take.
    owed: AtomicUsize,
    begun: Notify,
}

impl Flow {
    /// An answer is due to the peer, as long as the value lives.
    pub(crate) fn owe_answer(self: &Arc<Self>) -> Owed {
        self.owe(LEAST)
    }

    fn owe(self: &Arc<Self>, credit: u64) -> Owed {
        self.owed.fetch_add(1, Relaxed);
        self.begun.notify_one();
        Owed {
            flow: Arc::clone(self),
            credit,
        }
    }

    /// Returns when the peer has taken next to nothing of what is due to it for [`PATIENCE`] or a little
    /// longer. A connection to which nothing is due costs no timer.
    pub(crate) async fn stalled(&self) {
        loop {
            self.begun.notified().await;
            let (mut mark, mut since) = (self.progress.load(Relaxed), Instant::now());
            while self.owed.load(Relaxed) > 0 {
                if since.elapsed() >= PATIENCE {
                    return;
                }
                sleep(TICK).await;
                let progress = self.progress.load(Relaxed);
                if progress.wrapping_sub(mark) >= LEAST {
                    (mark, since) = (progress, Instant::now());
                }
            }
        }
    }
}

/// Something that is due to a peer.
#[derive(Debug)]
pub(crate) struct Owed {
    flow: Arc<Flow>,
    /// As how many bytes it counts when it is through.
    credit: u64,
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.flow.progress.fetch_add(self.credit, Relaxed);
        self.flow.owed.fetch_sub(1, Relaxed);
    }
}

/// A stream that tells its [`Flow`] what is taken.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    stream: S,
    flow: Arc<Flow>,
    /// The write that the kernel does not take now.
    waiting: Option<Owed>,
}

impl<S> Metered<S> {
    pub(crate) fn new(stream: S, flow: Arc<Flow>) -> Self {
        Self {
            stream,
            flow,
            waiting: None,
        }
    }

    fn count(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_pending() && self.waiting.is_none() {
            // It may be a part of an answer: only its bytes count.
            self.waiting = Some(self.flow.owe(0));
        }
        let written = ready!(written);
        self.waiting = None;
        if let Ok(bytes) = &written {
            self.flow.progress.fetch_add(*bytes as u64, Relaxed);
        }
        Poll::Ready(written)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        time::timeout,
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// Whether the flow stalls while somebody does this; time that nobody needs is skipped.
    async fn stalls(flow: &Flow, doing: impl Future<Output = ()>) -> bool {
        tokio::select! {
            stalled = timeout(LONG, flow.stalled()) => stalled.is_ok(),
            () = doing => false,
        }
    }

    /// A writer that always has something to write, and its peer.
    fn stream() -> (Arc<Flow>, DuplexStream) {
        let (ours, theirs) = duplex(1024);
        let flow = Arc::new(Flow::default());
        let mut metered = Metered::new(ours, flow.clone());
        tokio::spawn(async move { while metered.write_all(&[0; 4096]).await.is_ok() {} });
        (flow, theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_to_which_nothing_is_due_never_stalls() {
        let flow = Arc::new(Flow::default());
        assert!(!stalls(&flow, sleep(LONG / 2)).await);
        drop(flow.owe_answer());
        assert!(!stalls(&flow, sleep(LONG / 2)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_is_a_stall_in_thirty_to_forty_seconds() {
        let flow = Arc::new(Flow::default());
        let _owed = flow.owe_answer();
        let begin = Instant::now();
        flow.stalled().await;
        let seconds = begin.elapsed().as_secs();
        assert!((30..=41).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_are_taken_one_by_one_are_no_stall() {
        let flow = Arc::new(Flow::default());
        let mut owed = flow.owe_answer();
        let taking = async {
            for _ in 0..100 {
                sleep(Duration::from_secs(25)).await;
                // The next is due before the last is through: something always is.
                owed = flow.owe_answer();
            }
        };
        assert!(!stalls(&flow, taking).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_is_a_stall() {
        let (flow, _theirs) = stream();
        assert!(timeout(LONG, flow.stalled()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_a_little_all_the_time_stalls_and_one_that_takes_enough_does_not() {
        for (bytes, expected) in [(LEAST / 4, true), (2 * LEAST, false)] {
            let (flow, mut theirs) = stream();
            let mut taken = vec![0; usize::try_from(bytes).unwrap()];
            let taking = async {
                for _ in 0..100 {
                    theirs.read_exact(&mut taken).await.unwrap();
                    sleep(Duration::from_secs(20)).await;
                }
            };
            assert_eq!(stalls(&flow, taking).await, expected, "{bytes}");
        }
    }
}
