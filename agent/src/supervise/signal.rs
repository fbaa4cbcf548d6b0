//! Signals by name.

use rustix::process::Signal;

const NAMES: [(&str, Signal); 21] = [
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("ILL", Signal::ILL),
    ("ABRT", Signal::ABORT),
    ("BUS", Signal::BUS),
    ("FPE", Signal::FPE),
    ("KILL", Signal::KILL),
    ("USR1", Signal::USR1),
    ("SEGV", Signal::SEGV),
    ("USR2", Signal::USR2),
    ("PIPE", Signal::PIPE),
    ("ALRM", Signal::ALARM),
    ("TERM", Signal::TERM),
    ("CHLD", Signal::CHILD),
    ("CONT", Signal::CONT),
    ("STOP", Signal::STOP),
    ("TSTP", Signal::TSTP),
    ("XCPU", Signal::XCPU),
    ("WINCH", Signal::WINCH),
    ("SYS", Signal::SYS),
];

/// The signal of a name such as `HUP` or `SIGHUP`.
#[must_use]
pub fn by_name(name: &str) -> Option<Signal> {
    let name = name.strip_prefix("SIG").unwrap_or(name);
    let found = NAMES.iter().find(|(known, _)| *known == name)?;
    Some(found.1)
}

/// The name of a signal's number, without `SIG`; the number itself where it has none here.
#[must_use]
pub fn name(number: i32) -> String {
    let known = NAMES.iter().find(|(_, signal)| signal.as_raw() == number);
    known.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_found_with_and_without_its_prefix() {
        assert_eq!(by_name("HUP"), Some(Signal::HUP));
        assert_eq!(by_name("SIGUSR2"), Some(Signal::USR2));
        assert_eq!(by_name("hup"), None);
        assert_eq!(by_name("SIGSIGHUP"), None);
        assert_eq!(name(15), "TERM");
        assert_eq!(name(63), "63");
    }
}
