//! What others notice of one container, or of many, that flood the master.

mod kind;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use dockmaster_tests::measure::{Bounds, Samples, mib, resident};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use self::kind::{Flood, Target};
use crate::{
    catalog::{Agents, Ask},
    drive::drive,
    fleet::Fleet,
};

/// Clients whose latency is measured.
const OTHERS: usize = 4;
/// How much cheaper a catalog is than a certificate: so many more are measured.
const FACTOR: usize = 4;

/// Prints the latency of others alone and beside each flood, and how many times as long it is.
pub(crate) async fn measure(bounds: Bounds, fleet: &Fleet) {
    raise_file_limit();
    println!(
        "\nBeside a flood: milliseconds of latency of {OTHERS} others at a time\n\n\
         | {:<22} | {:<26} | {:>5} | {:>6} | {:>6} | {:>7} | {:>7} | {:>9} | {:>9} |",
        "", "flood", "n", "p50", "p99", "x p50", "x p99", "flood/s", "RSS"
    );
    let mut alone = None;
    for flood in [None].into_iter().chain(Flood::ALL.map(Some)) {
        let running = flood.map(|kind| Running::start(kind, fleet));
        let catalogs = catalogs(bounds.times(FACTOR).count, fleet).await;
        let certificates = enrollments(bounds.half().count, fleet).await;
        let rate = running.map_or(0.0, Running::end);
        let now = [("catalog 304", catalogs), ("enroll", certificates)];
        let before: &[_; 2] =
            alone.get_or_insert_with(|| now.each_ref().map(|(_, it)| quantiles(it)));
        for ((what, samples), before) in now.iter().zip(before) {
            let [p50, p99] = quantiles(samples);
            println!(
                "| {what:<22} | {:<26} | {:>5} | {p50:>6.2} | {p99:>6.2} | {:>7.2} | {:>7.2} | {rate:>9.0} | {:>9} |",
                flood.map_or("none", Flood::name),
                samples.count(),
                p50 / before[0],
                p99 / before[1],
                mib(resident(fleet.master.pid().into())),
            );
        }
    }
}

/// A crowd has a file for each connection.
fn raise_file_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

fn quantiles(samples: &Samples) -> [f64; 2] {
    [samples.percentile(50), samples.percentile(99)]
}

/// Catalogs that did not change, on open connections.
async fn catalogs(count: usize, fleet: &Fleet) -> Samples {
    let agents = Agents::connect(fleet, OTHERS, Ask::Changed).await;
    drive(agents, 0..count, async |agents, _| agents.ask().await).await
}

/// Certificates, each on a new connection.
async fn enrollments(count: usize, fleet: &Fleet) -> Samples {
    drive(vec![(); OTHERS], fleet.in_turn(count), async |(), node| {
        node.enroll().await;
    })
    .await
}

/// A flood at work, on a thread of its own: its clients must not queue before those that are measured.
struct Running {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    begin: Instant,
    thread: thread::JoinHandle<()>,
}

impl Running {
    fn start(kind: Flood, fleet: &Fleet) -> Self {
        let (stop, count) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let target = Target::of(&fleet.master);
        let thread = thread::spawn({
            let (stop, count) = (stop.clone(), count.clone());
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let each = kind
                        .origins()
                        .map(|from| kind.run(&target, from, &stop, &count));
                    futures_util::future::join_all(each).await;
                });
            }
        });
        // It has to be under way.
        while count.load(Relaxed) < kind.under_way() {
            thread::park_timeout(Duration::from_millis(10));
        }
        count.store(0, Relaxed);
        Self {
            stop,
            count,
            begin: Instant::now(),
            thread,
        }
    }

    /// Ends it, and gives how many it made a second.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    fn end(self) -> f64 {
        let rate = self.count.load(Relaxed) as f64 / self.begin.elapsed().as_secs_f64();
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap();
        rate
    }
}
