//! One answer for all who asked before the question was put.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use tokio::{
    sync::Mutex,
    time::{Duration, Instant, sleep_until},
};

/// The longest rest between an answer and the next question.
const REST: Duration = Duration::from_millis(100);

/// A question that many may ask at the same time. It is put once at a time, and whoever asks meanwhile
/// gets the next answer together with all who wait: never one to a question that was put before. However
/// many ask, whoever answers rests as long as an answer took.
#[derive(Debug)]
pub(super) struct Shared<T> {
    /// How many times it was put.
    put: AtomicU64,
    /// How many ask and have no answer yet.
    asking: AtomicUsize,
    turn: Mutex<Turn<T>>,
}

/// What whoever may put the question next knows of the last time.
#[derive(Debug)]
struct Turn<T> {
    /// The newest answer and its number, while somebody may want it.
    newest: Option<(u64, T)>,
    rested: Instant,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            put: AtomicU64::new(0),
            asking: AtomicUsize::new(0),
            turn: Mutex::new(Turn {
                newest: None,
                rested: Instant::now(),
            }),
        }
    }
}

impl<T: Clone> Shared<T> {
    /// The answer to a question that is put from now on, by `put` unless another does.
    pub(super) async fn ask(&self, put: impl AsyncFnOnce() -> T) -> T {
        let before = self.put.load(SeqCst);
        let asking = Asking::new(&self.asking);
        let mut turn = self.turn.lock().await;
        let newest = turn.newest.take().filter(|(number, _)| *number > before);
        let (number, answer) = match newest {
            Some(newest) => newest,
            None => {
                sleep_until(turn.rested).await;
                let (number, begun) = (self.put.fetch_add(1, SeqCst) + 1, Instant::now());
                let answer = put().await;
                turn.rested = Instant::now() + begun.elapsed().min(REST);
                (number, answer)
            }
        };
        if !asking.is_alone() {
            turn.newest = Some((number, answer.clone()));
        }
        answer
    }
}

/// Somebody who asks; ends with the value, also where the answer is not waited for.
struct Asking<'a>(&'a AtomicUsize);

impl<'a> Asking<'a> {
    fn new(asking: &'a AtomicUsize) -> Self {
        asking.fetch_add(1, SeqCst);
        Self(asking)
    }

    fn is_alone(&self) -> bool {
        self.0.load(SeqCst) == 1
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;

    const LONG: Duration = Duration::from_secs(1);

    /// Each answer is the time at which its question was put.
    struct Clock {
        shared: Shared<Instant>,
        put: Cell<u32>,
    }

    impl Clock {
        fn new() -> Self {
            Self {
                shared: Shared::default(),
                put: Cell::new(0),
            }
        }

        async fn ask(&self) -> Instant {
            let answer = self.shared.ask(async || {
                self.put.set(self.put.get() + 1);
                let at = Instant::now();
                sleep(LONG).await;
                at
            });
            answer.await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_who_ask_one_after_the_other_get_few_answers_each_from_after_they_asked() {
        let clock = Clock::new();
        let asks = (0..1000).map(|number| {
            let clock = &clock;
            async move {
                sleep(Duration::from_millis(number)).await;
                let asked = Instant::now();
                let at = clock.ask().await;
                assert!(at >= asked, "an answer from before");
                assert!(asked.elapsed() <= LONG * 2 + REST + Duration::from_millis(5));
            }
        });
        join_all(asks).await;
        assert_eq!(clock.put.get(), 2);
        assert!(
            clock.shared.turn.lock().await.newest.is_none(),
            "kept for nobody"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_answers_without_end_rests_between() {
        let shared = Shared::default();
        let (begin, busy) = (Instant::now(), Cell::new(Duration::ZERO));
        let asks = (0..10).map(|_| async {
            while begin.elapsed() < LONG {
                let took = Duration::from_millis(20);
                let answer = shared.ask(async || {
                    busy.set(busy.get() + took);
                    sleep(took).await;
                });
                answer.await;
            }
        });
        join_all(asks).await;
        assert!(busy.get() <= begin.elapsed().mul_f32(0.6), "{busy:?}");
        assert!(busy.get() >= begin.elapsed().mul_f32(0.4), "{busy:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_keeps_nobody_from_an_answer() {
        let clock = Clock::new();
        let gives_up = timeout(LONG / 2, clock.ask());
        let waits = async {
            sleep(LONG / 4).await;
            let asked = Instant::now();
            assert!(clock.ask().await >= asked);
        };
        let (given_up, ()) = tokio::join!(gives_up, waits);
        assert!(given_up.is_err());
        assert_eq!(clock.shared.asking.load(SeqCst), 0);
        assert!(
            clock.shared.turn.lock().await.newest.is_none(),
            "kept for nobody"
        );
    }
}
