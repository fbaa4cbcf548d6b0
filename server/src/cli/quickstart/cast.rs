//! Who plays the containers.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::{CliError, containers::Containers, indent, note, roles::APP_PORT, stand_ins::StandIns};

/// Processes at loopback addresses, or containers.
pub(super) enum Cast {
    StandIns(StandIns),
    Containers(Containers),
}

impl Cast {
    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::StandIns(_) => "stand-ins for containers",
            Self::Containers(_) => "containers",
        }
    }

    pub(super) fn start(&mut self) -> Result<(), CliError> {
        match self {
            Self::StandIns(cast) => cast.start(),
            Self::Containers(cast) => cast.start(),
        }
    }

    /// A player's name as the master knows it.
    pub(super) fn node(&self, name: &str) -> String {
        match self {
            Self::StandIns(_) => name.to_owned(),
            Self::Containers(cast) => cast.container(name),
        }
    }

    pub(super) fn ip(&self, name: &str) -> Result<String, CliError> {
        match self {
            Self::StandIns(cast) => cast.ip(name),
            Self::Containers(cast) => cast.ip(name),
        }
    }

    /// What they said, for when something goes wrong.
    pub(super) fn logs(&self) -> String {
        match self {
            Self::StandIns(cast) => cast.logs(),
            Self::Containers(cast) => cast.logs(),
        }
    }

    pub(super) fn stop(&mut self) {
        match self {
            Self::StandIns(cast) => cast.stop(),
            Self::Containers(cast) => cast.stop(),
        }
    }

    /// What a player's application serves.
    pub(super) fn page(&self, name: &str) -> Result<String, CliError> {
        let address = format!("{}:{APP_PORT}", self.ip(name)?);
        get(&address).map_err(|error| {
            CliError::because(
                format!("the application at {address} does not answer"),
                &error,
                self.logs(),
            )
        })
    }

    pub(super) fn show_page(&self, name: &str) -> Result<(), CliError> {
        note(&format!("$ curl http://{}:{APP_PORT}/", self.ip(name)?));
        note(&indent(&self.page(name)?));
        Ok(())
    }
}

fn get(address: &str) -> std::io::Result<String> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let address: SocketAddr = address.parse().map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(
        format!("GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = String::new();
    stream.take(64 << 10).read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(body.to_owned())
}
