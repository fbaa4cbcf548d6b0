//! Asking before something that touches much.

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
    if consent == Consent::Given {
        return Ok(());
    }
    if !output::can_ask() {
        return Err(CliError::refused(
            format!("{what}, and there is no terminal to ask on"),
            "give --yes to go on without being asked",
        ));
    }
    let answer = output::ask(&format!("{what}. Go on? [y/N]"))
        .map_err(|error| CliError::because("no answer could be read", &error, ""))?;
    match answer.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::failed("not applied: you said no", "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consent_given_beforehand_is_not_asked_for() {
        assert_eq!(
            confirm("this touches 3 of 4 nodes", Consent::from_flag(true)),
            Ok(())
        );
    }
}
