//! Agents without an engine: each at a loopback address of its own, vouched for by a file.

use std::{
    fs::{self, File},
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use dockmaster_tests::{
    Inventory, Master, Ran, Setup, StandIn, binary, eventually,
    measure::{Bounds, Samples, head, mib, resident},
};

/// How many enroll at a time in the second part.
const AT_A_TIME: usize = 16;

/// Enrolls agents one after the other, then side by side, then keeps as many connected.
pub(crate) fn measure(bounds: Bounds) {
    let count = bounds.count;
    let stand_ins: Vec<_> = (1..=u16::try_from(3 * count).unwrap())
        .map(|number| StandIn::numbered(number).label("role", "web"))
        .collect();
    let inventory = Inventory::new(&stand_ins);
    let master = Setup::inventory(&inventory).start();
    master.deploy("hello");
    let begin = resident(master.pid().into());
    let dir = tempfile::tempdir().unwrap();
    let agents = Agents {
        master: &master,
        dir: dir.path(),
    };
    let (one, rest) = stand_ins.split_at(count);
    let (many, held) = rest.split_at(count);

    head("On loopback: \"dockmaster-agent once\", from its start to its end");
    agents.one_after_the_other(one).line("one after the other");
    let (samples, whole) = agents.side_by_side(many);
    samples.line(&format!("{AT_A_TIME} at a time"));
    println!(
        "{count} agents, {AT_A_TIME} at a time, in {:.2} s",
        whole.as_secs_f64()
    );

    let enrolled = resident(master.pid().into());
    let running = agents.keep(held);
    let each = median(running.iter().map(|agent| resident(agent.0.id().into())));
    println!(
        "\nresident: the master {} with {} leases, {} after {} agents came and went, {} with \
         {count} agents connected; an agent {} (median)",
        mib(begin),
        3 * count,
        mib(enrolled),
        2 * count,
        mib(resident(master.pid().into())),
        mib(each),
    );
}

struct Agents<'a> {
    master: &'a Master,
    dir: &'a Path,
}

impl Agents<'_> {
    fn one_after_the_other(&self, stand_ins: &[StandIn]) -> Samples {
        let mut samples = Samples::default();
        for stand_in in stand_ins {
            samples.add(self.once(stand_in));
        }
        samples
    }

    fn side_by_side(&self, stand_ins: &[StandIn]) -> (Samples, Duration) {
        let next = AtomicUsize::new(0);
        let work = || {
            let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            let mine = numbers.map_while(|number| stand_ins.get(number));
            mine.map(|stand_in| self.once(stand_in)).collect::<Vec<_>>()
        };
        let begin = Instant::now();
        let taken = thread::scope(|scope| {
            let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
            let ended = workers
                .into_iter()
                .flat_map(|worker| worker.join().unwrap());
            ended.collect::<Vec<_>>()
        });
        let whole = begin.elapsed();
        let mut samples = Samples::default();
        taken.into_iter().for_each(|sample| samples.add(sample));
        (samples, whole)
    }

    fn once(&self, stand_in: &StandIn) -> Duration {
        let mut command = self.command(stand_in);
        command.arg("once");
        let begin = Instant::now();
        let ran = Ran::run(&mut command);
        let taken = begin.elapsed();
        let _ = ran.ok();
        taken
    }

    /// Starts them and waits until each has applied its catalog; then they wait for the next one.
    fn keep(&self, stand_ins: &[StandIn]) -> Vec<Running> {
        let start = |stand_in: &StandIn| {
            let mut command = self.command(stand_in);
            let log = self.root(stand_in).join("log");
            let written = File::create(&log).unwrap();
            let agent = command.arg("run").stdin(Stdio::null());
            let agent = agent.stdout(Stdio::null()).stderr(written).spawn().unwrap();
            (Running(agent), log)
        };
        let (running, logs): (Vec<_>, Vec<_>) = stand_ins.iter().map(start).unzip();
        for log in logs {
            eventually("an applied catalog", || {
                let text = fs::read_to_string(&log).unwrap();
                text.contains(" applied: ").then_some(())
            });
        }
        // The last report is on its way.
        thread::park_timeout(Duration::from_secs(1));
        running
    }

    fn command(&self, stand_in: &StandIn) -> Command {
        let root = self.root(stand_in);
        fs::create_dir_all(root.join("etc")).unwrap();
        let mut command = Command::new(binary("dockmaster-agent"));
        command
            .env("DOCKMASTER_MASTER", self.master.address().to_string())
            .env("DOCKMASTER_TRUST", self.master.trust().to_string())
            .env("DOCKMASTER_BIND", address(stand_in).to_string())
            .env("DOCKMASTER_RUN_DIR", root.join("run"))
            .env("DOCKMASTER_ROOT", root);
        command
    }

    fn root(&self, stand_in: &StandIn) -> PathBuf {
        self.dir.join(&stand_in.name)
    }
}

fn address(stand_in: &StandIn) -> IpAddr {
    stand_in.ips[0]
}

/// An agent, ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The one in the middle.
fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values[values.len() / 2]
}
