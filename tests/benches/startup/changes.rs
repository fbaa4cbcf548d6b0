//! From an operator's change to an application that took it up.

use dockmaster_tests::{
    Container, Master,
    measure::{Bounds, Samples, head, mib, resident},
};

use crate::log::{self, Log};

/// The application's line after a reload.
const TAKEN_UP: &str = "reloaded ";

/// Labels a node again and again, and prints how long each label took to reach the application.
pub(crate) fn measure(bounds: Bounds, master: &Master, container: &Container) {
    let _ = Log::once(container, "applied: ", 1);
    let mut answered = Samples::default();
    let mut taken_up = Samples::default();
    for turn in bounds.turns() {
        let label = format!("tier=bench-{turn}");
        let began = log::now();
        let ran = master.cli(["node", "label", container.name(), &label]);
        let ended = log::now();
        let _ = ran.ok();
        let log = Log::once(container, TAKEN_UP, turn + 1);
        answered.between(began, ended);
        taken_up.between(began, log.time(TAKEN_UP));
    }
    head("From \"dockmaster node label\" to the application's reload");
    answered.line("the command has ended");
    taken_up.line("the application says that it reloaded");

    let pid = container.inspect()["State"]["Pid"].as_u64().unwrap();
    println!(
        "\nresident: the agent {} in its container, the master {}",
        mib(resident(pid)),
        mib(resident(master.pid().into()))
    );
}
