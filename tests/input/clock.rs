//! Clocks that do not agree.

use dockmaster_tests::{
    Agent,
    clock::{self, Clocks},
    eventually, require_all,
};

use crate::stand::Stand;

/// Beyond the five minutes that nobody is told of.
const TEN_MINUTES: i32 = 600;

/// What an agent without classes says when it is done.
const DONE: &str = "nothing to apply";

/// An agent that waits for its master with a clock of its own, and the master that comes then.
fn meets(stand: &mut Stand, seconds: i32) -> Agent {
    stand.master.kill();
    let agent = Agent::start(&stand.master, &stand.container);
    agent.says("waiting for the master");
    clock::shift(agent.pid(), Clocks::TimeOfDay, seconds);
    stand.master.serve();
    agent
}

/// The warning, of ten minutes but for the moment between two looks at two clocks.
fn warns(agent: &Agent, word: &str) {
    agent.says(DONE);
    let log = agent.log();
    let mut told = (598..=602)
        .map(|apart| format!("WARNING: this container's clock is {apart} s {word} the master's"));
    assert!(told.any(|told| log.contains(&told)), "{log}");
}

/// The master says it too, in its log and to operators.
fn master_warns(stand: &Stand, sign: i64, word: &str) {
    let words = format!("s {word} the master's");
    eventually("the clock in the master's log and in \"node show\"", || {
        let show = ["node", "show", &stand.container.id];
        let skew = stand.master.json(show)["clock_skew_ms"].as_i64()?;
        let log = stand.master.log();
        let told = log.iter().any(|line| line.contains(&words));
        let shown = stand.master.cli(show).ok();
        let line = shown.lines().find(|line| line.starts_with("clock "))?;
        assert!(line.contains(&words), "{shown}");
        ((598_000..=602_000).contains(&(sign * skew)) && told).then_some(())
    });
}

#[test]
fn an_agent_whose_clock_is_ahead_says_by_how_much_and_goes_on_and_so_does_the_master() {
    if !require_all(&["vdso"]) {
        return;
    }
    let mut stand = Stand::new(10);
    let agent = meets(&mut stand, TEN_MINUTES);
    warns(&agent, "ahead of");
    master_warns(&stand, 1, "ahead of");
}

#[test]
fn an_agent_whose_clock_is_behind_says_by_how_much_and_goes_on_and_so_does_the_master() {
    if !require_all(&["vdso"]) {
        return;
    }
    let stand = Stand::new(11);
    clock::shift(stand.master.pid(), Clocks::TimeOfDay, TEN_MINUTES);
    let agent = Agent::start(&stand.master, &stand.container);
    warns(&agent, "behind");
    master_warns(&stand, -1, "behind");
}

#[test]
fn an_agent_for_which_the_masters_certificate_is_not_valid_yet_blames_the_clock_until_it_is_set() {
    if !require_all(&["vdso"]) {
        return;
    }
    let mut stand = Stand::new(12);
    let agent = meets(&mut stand, -TEN_MINUTES);
    agent.says("and the clock here says ");
    agent.says("set the clock that is wrong");
    clock::shift(agent.pid(), Clocks::TimeOfDay, 0);
    agent.says(DONE);
    assert!(!agent.log().contains("WARNING"), "{}", agent.log());
}

#[test]
fn an_agent_whose_clock_is_a_little_off_says_nothing_of_it() {
    if !require_all(&["vdso"]) {
        return;
    }
    let mut stand = Stand::new(13);
    let agent = meets(&mut stand, TEN_MINUTES / 3);
    agent.says(DONE);
    assert!(!agent.log().contains("clock"), "{}", agent.log());
}
