//! Processor time.

use std::{collections::BTreeMap, fs, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// `USER_HZ`: the unit of `/proc/PID/stat`, a hundredth of a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// What a process has used so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpu {
    /// In the program.
    pub user: Duration,
    /// In the kernel on its behalf.
    pub system: Duration,
    /// Both, by the names of the threads that live.
    pub threads: BTreeMap<String, Duration>,
}

impl Cpu {
    /// Of a process.
    ///
    /// # Panics
    /// When there is no such process.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (user, system) = times(&stat);
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            let task = task.unwrap().path();
            // One that ended meanwhile is in the sum only.
            let read = |file: &str| fs::read_to_string(task.join(file)).unwrap_or_default();
            let name = read("comm").trim().to_owned();
            *threads.entry(name).or_default() += on_cpu(&read("schedstat"));
        }
        Self {
            user,
            system,
            threads,
        }
    }

    /// In the program and in the kernel.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.user + self.system
    }

    /// What was used since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |name: &String| earlier.threads.get(name).copied().unwrap_or_default();
        let threads = self.threads.iter();
        Self {
            user: self.user - earlier.user,
            system: self.system - earlier.system,
            threads: threads
                .map(|(name, used)| (name.clone(), used.saturating_sub(before(name))))
                .collect(),
        }
    }
}

/// What the calling thread has used so far, to the nanosecond.
#[must_use]
pub fn of_this_thread() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    // Neither is ever negative: a thread begins at 0.
    Duration::new(
        used.tv_sec.unsigned_abs(),
        u32::try_from(used.tv_nsec).unwrap(),
    )
}

/// Fields 14 and 15; the name in field 2 may hold spaces, and ends with the last bracket.
fn times(stat: &str) -> (Duration, Duration) {
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |field: usize| TICK * fields[field - 3].parse::<u32>().unwrap();
    (ticks(14), ticks(15))
}

/// The first number is the time on the processor in nanoseconds.
fn on_cpu(schedstat: &str) -> Duration {
    let first = schedstat.split_whitespace().next();
    Duration::from_nanos(first.and_then(|it| it.parse().ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_moves_no_field() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 30 0 0 20 0";
        let (user, system) = times(stat);
        assert_eq!(user, Duration::from_millis(2500));
        assert_eq!(system, Duration::from_millis(300));
    }

    #[test]
    fn work_shows_in_the_time_of_its_process_and_its_thread() {
        let begin = Cpu::of(std::process::id());
        let (mut sum, mut used) = (0_u64, Cpu::default());
        // What the kernel shows of others it counts in ticks.
        while used.total() < 2 * TICK || used.threads.values().all(Duration::is_zero) {
            sum = std::hint::black_box(sum + 1);
            used = Cpu::of(std::process::id()).since(&begin);
        }
        assert!(of_this_thread() > Duration::ZERO);
    }
}
