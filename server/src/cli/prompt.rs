//! Asking before something that touches much.

use std::io;

use super::{error::CliError, output};

/// What the person said beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// `--yes`: do not ask.
    Given,
    /// Ask.
    ToBeAsked,
}

impl Consent {
    /// The meaning of a `--yes` flag.
    pub(crate) const fn from_flag(yes: bool) -> Self {
        if yes { Self::Given } else { Self::ToBeAsked }
    }
}

/// Goes on when there is consent; asks for it on a terminal.
///
/// # Errors
/// When the person says no, or nobody can be asked.
pub(crate) fn confirm(what: &str, consent: Consent) -> Result<(), CliError> {
    decide(what, consent, output::can_ask().then_some(output::ask))
}

/// The same with a way to ask, where there is one.
fn decide(
    what: &str,
    consent: Consent,
    ask: Option<impl FnOnce(&str) -> io::Result<String>>,
) -> Result<(), CliError> {
    if consent == Consent::Given {
        return Ok(());
    }
    let Some(ask) = ask else {
        return Err(CliError::refused(
            format!("{what}, and there is no terminal to ask on"),
            "give --yes to go on without being asked",
        ));
    };
    let answer = ask(&format!("{what}. Go on? [y/N]"))
        .map_err(|error| CliError::because("no answer could be read", &error, ""))?;
    match answer.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::failed(
            "nothing was changed: the answer was no",
            "",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::error::Exit;

    const WHAT: &str = "this touches 3 of 4 nodes";

    fn answered(answer: &str) -> Result<(), CliError> {
        let answer = answer.to_owned();
        decide(WHAT, Consent::ToBeAsked, Some(|_: &str| Ok(answer)))
    }

    #[test]
    fn only_a_yes_goes_on() {
        assert_eq!(answered("y"), Ok(()));
        assert_eq!(answered("YES"), Ok(()));
        for no in ["", "n", "yep"] {
            assert_eq!(answered(no).unwrap_err().exit(), Exit::Failed, "{no:?}");
        }
    }

    #[test]
    fn where_nobody_can_be_asked_it_is_refused_with_the_way_out() {
        let nobody: Option<fn(&str) -> io::Result<String>> = None;
        let error = decide(WHAT, Consent::ToBeAsked, nobody).unwrap_err();
        assert_eq!(error.exit(), Exit::Refused);
        assert!(error.to_string().contains("hint: give --yes"), "{error}");
        assert_eq!(decide(WHAT, Consent::from_flag(true), nobody), Ok(()));
    }
}
