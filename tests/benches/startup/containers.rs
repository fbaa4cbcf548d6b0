//! From `docker run` to an application that runs, with the agent and without it.

use std::time::SystemTime;

use dockmaster_tests::{
    Container, Image, Master, Network, Setup,
    measure::{Bounds, Samples, head},
};

use crate::{
    changes,
    log::{self, Log},
    site::CONFIG,
};

/// What the application without the agent reads: the same size as what the agent writes.
const BAKED: &str = "/etc/baked.conf";
/// The application's first line.
const FIRST_SIGN: &str = "started on ";

/// Runs the containers, and prints what they took.
pub(crate) fn measure(bounds: Bounds) {
    let network = Network::create("bench");
    let master = Setup::docker(&[&network]).start();
    master.deploy("hello");
    let image = Image::with(&[(BAKED, &[b'x'; 128])]);
    let bench = Bench {
        network: &network,
        master: &master,
        image: &image,
    };

    // One of each beforehand: what only the first one pays is not measured.
    drop(bench.alone());
    drop(bench.with_agent());
    let mut taken = Taken::default();
    for turn in bounds.turns() {
        // Each goes first in half of the pairs.
        if turn % 2 == 0 {
            taken.alone(&bench);
            taken.with_agent(&bench);
        } else {
            taken.with_agent(&bench);
            taken.alone(&bench);
        }
    }
    taken.print();
    changes::measure(bounds.half(), &master, &bench.with_agent().container);
}

struct Bench<'a> {
    network: &'a Network,
    master: &'a Master,
    image: &'a Image,
}

/// A container that was run, and when.
struct Started {
    began: SystemTime,
    container: Container,
}

impl Bench<'_> {
    fn alone(&self) -> Started {
        let run = self.image.run("alone").network(self.network);
        let run = run.label("role", "web").command(&app(BAKED));
        let began = log::now();
        let container = run.start();
        Started { began, container }
    }

    fn with_agent(&self) -> Started {
        let run = self.image.run("agent").label("role", "web");
        let run = run.agent(self.master, self.network, &app(CONFIG));
        let began = log::now();
        let container = run.start();
        Started { began, container }
    }
}

fn app(config: &str) -> [&str; 5] {
    ["/hello-app", "--config", config, "--listen", "0.0.0.0:8080"]
}

#[derive(Default)]
struct Taken {
    alone: Samples,
    with_agent: Samples,
    engine: Samples,
    agent: Samples,
    certificate: Samples,
    enrolled: Samples,
    catalog: Samples,
    started: Samples,
    applied: Samples,
}

impl Taken {
    fn alone(&mut self, bench: &Bench<'_>) {
        let Started { began, container } = bench.alone();
        let log = Log::once(&container, FIRST_SIGN, 1);
        self.alone.between(began, log.time(FIRST_SIGN));
    }

    fn with_agent(&mut self, bench: &Bench<'_>) {
        let Started { began, container } = bench.with_agent();
        let _ = Log::once(&container, FIRST_SIGN, 1);
        let log = Log::once(&container, "applied: ", 1);
        self.with_agent.between(began, log.time(FIRST_SIGN));
        // The agent's own clock starts with its process.
        let begin = log.time(" enrolled as ") - log.mark(" enrolled as ");
        self.engine.between(began, begin);
        self.agent.between(begin, log.time(FIRST_SIGN));
        self.certificate.between(began, log.time(" enrolled as "));
        self.enrolled.add(log.mark(" enrolled as "));
        self.catalog.add(log.mark(" catalog "));
        self.started.add(log.mark(" process app started"));
        self.applied.add(log.mark(" applied: "));
    }

    fn print(&self) {
        head("From \"docker run\" to the application's first line");
        self.alone.line("the application alone");
        self.with_agent.line("enrolled and configured by the agent");
        let difference = self.with_agent.above(&self.alone);
        difference.line("difference within a pair");
        self.certificate
            .line("with the agent: until it has its certificate");
        self.engine
            .line("with the agent: until the agent's process runs");
        self.agent
            .line("with the agent: from there to the first line");
        for percent in [50, 99] {
            let (alone, with_agent) = (
                self.alone.percentile(percent),
                self.with_agent.percentile(percent),
            );
            println!(
                "p{percent}: ratio {:.2}, difference {:.1} ms",
                with_agent / alone,
                with_agent - alone
            );
        }
        head("The agent's own marks (whole milliseconds since its process began)");
        self.enrolled.line("enrolled: certificate proven and kept");
        self.catalog.line("catalog received");
        self.started.line("application started");
        self.applied.line("applied");
    }
}
