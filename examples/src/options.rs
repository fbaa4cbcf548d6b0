//! Options of the form `--name value`.

use std::{fmt::Display, str::FromStr};

/// Why options cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// An option that the program does not have.
    #[error("there is no option {0:?}; the options are {1}")]
    Unknown(String, String),
    /// An option without its value.
    #[error("the option {0} needs a value")]
    NoValue(String),
    /// An option that must be given.
    #[error("the option {0} is missing")]
    Missing(String),
    /// A value that does not fit.
    #[error("the option {option} cannot be {value:?}: {reason}")]
    Value {
        /// The option.
        option: String,
        /// Its value.
        value: String,
        /// What is wrong.
        reason: String,
    },
}

/// The options that a program was started with.
#[derive(Debug)]
pub struct Options(Vec<(String, String)>);

impl Options {
    /// Reads arguments, the program's name not among them.
    ///
    /// # Errors
    /// On an option that is not `known`, or one without a value.
    pub fn read(
        arguments: impl IntoIterator<Item = String>,
        known: &[&str],
    ) -> Result<Self, OptionsError> {
        let mut arguments = arguments.into_iter();
        let mut options = Vec::new();
        while let Some(option) = arguments.next() {
            if !known.contains(&option.as_str()) {
                return Err(OptionsError::Unknown(option, known.join(" ")));
            }
            let value = arguments.next();
            let value = value.ok_or_else(|| OptionsError::NoValue(option.clone()))?;
            options.push((option, value));
        }
        Ok(Self(options))
    }

    /// The value of an option that must be there; the last one when it is given twice.
    ///
    /// # Errors
    /// When it is missing or does not parse.
    pub fn get<T: FromStr<Err: Display>>(&self, option: &str) -> Result<T, OptionsError> {
        let mut given = self.0.iter().rev();
        let (_, value) = given
            .find(|(name, _)| name == option)
            .ok_or_else(|| OptionsError::Missing(option.to_owned()))?;
        value.parse().map_err(|error: T::Err| OptionsError::Value {
            option: option.to_owned(),
            value: value.clone(),
            reason: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn read(line: &str) -> Result<Options, OptionsError> {
        Options::read(
            line.split_whitespace().map(str::to_owned),
            &["--config", "--listen"],
        )
    }

    #[test]
    fn options_are_read_by_name() {
        let options = read("--listen 127.0.0.1:80 --config /a --config /b").unwrap();
        assert_eq!(options.get::<String>("--config").unwrap(), "/b");
        let listen: SocketAddr = options.get("--listen").unwrap();
        assert_eq!(listen.port(), 80);
    }

    #[test]
    fn a_mistake_is_named() {
        assert_eq!(
            read("--port 80").unwrap_err().to_string(),
            "there is no option \"--port\"; the options are --config --listen"
        );
        assert_eq!(
            read("--config").unwrap_err().to_string(),
            "the option --config needs a value"
        );
        let options = read("--listen here").unwrap();
        assert!(
            options
                .get::<SocketAddr>("--listen")
                .unwrap_err()
                .to_string()
                .contains("\"here\"")
        );
        assert!(options.get::<String>("--config").is_err());
    }
}
