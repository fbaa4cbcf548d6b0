//! Calls to the master: the context file, one connection, and errors with their exit codes.

use std::{future::Future, net::SocketAddr};

use dockmaster_client::{Call, ClientError, Connection, Context, Dialer};
use dockmaster_proto::{problem::ProblemCode, route::Route};
use dockmaster_tlog::note::VerifierKey;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Global,
    error::{CliError, chain},
    renewal,
};

/// The master of the context.
pub(crate) struct Remote {
    master: SocketAddr,
    dialer: Dialer,
    connection: Connection,
    log_key: VerifierKey,
}

impl Remote {
    /// Reads the context file and dials its master.
    ///
    /// # Errors
    /// When there is no context, it cannot be read, or the master cannot be reached or trusted.
    pub(crate) async fn connect(global: &Global) -> Result<Self, CliError> {
        let Some(path) = &global.context else {
            return Err(CliError::usage(
                "no context says which master to ask",
                "give --context FILE or set DOCKMASTER_CONTEXT; \"dockmaster init\" wrote DIR/operator.yaml",
            ));
        };
        // The error's text has its cause in it.
        let context = Context::load(path).map_err(|error| {
            CliError::failed(
                error.to_string(),
                "give the file with --context or DOCKMASTER_CONTEXT; \"dockmaster init\" wrote DIR/operator.yaml",
            )
        })?;
        let bundle = context.trust_bundle()?;
        let log_key = VerifierKey::parse(bundle.log_key()).map_err(|error| {
            CliError::because("the log key in the context's trust bundle", &error, "")
        })?;
        let dialer = context.dialer()?;
        let mut connection = dialer.dial().await?;
        if let Some(new) = renewal::refresh(path, &context, &mut connection).await {
            let dialer = new.dialer()?;
            return Ok(Self {
                master: new.master,
                connection: dialer.dial().await?,
                dialer,
                log_key,
            });
        }
        Ok(Self {
            master: context.master,
            connection,
            dialer,
            log_key,
        })
    }

    /// The key that signs the log's checkpoints, as the context has it.
    pub(crate) const fn log_key(&self) -> &VerifierKey {
        &self.log_key
    }

    /// What a certificate request on the connection has to be bound to.
    ///
    /// # Errors
    /// When the master cannot be reached any more.
    pub(crate) async fn exporter(&mut self) -> Result<[u8; 32], CliError> {
        Ok(*self.open().await?.exporter())
    }

    /// Where the master is dialled.
    pub(crate) const fn master(&self) -> SocketAddr {
        self.master
    }

    /// Makes a call and reads its answer.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn call<A: DeserializeOwned>(&mut self, call: &Call) -> Result<A, CliError> {
        Ok(self.open().await?.call(call).await?)
    }

    /// Sends a request with a body and reads its answer.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn send<A: DeserializeOwned>(
        &mut self,
        route: Route,
        body: &impl Serialize,
    ) -> Result<A, CliError> {
        self.call(&Call::new(route).json(body)).await
    }

    /// Asks for bytes that may not be there.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn find_bytes(&mut self, call: &Call) -> Result<Option<Vec<u8>>, CliError> {
        let reply = self.open().await?.send(call).await;
        Ok(unless_absent(reply)?.map(|reply| reply.body.to_vec()))
    }

    /// Makes a call and gives its answer as it is.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn bytes(&mut self, call: &Call) -> Result<Vec<u8>, CliError> {
        Ok(self.open().await?.send(call).await?.body.to_vec())
    }

    /// Makes a call whose answer says nothing.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn tell(&mut self, call: &Call) -> Result<(), CliError> {
        self.open().await?.send(call).await?;
        Ok(())
    }

    /// The connection; a new one where the master closed the last (a person may take long to answer).
    async fn open(&mut self) -> Result<&mut Connection, CliError> {
        if !self.connection.is_open() {
            self.connection = self.dialer.dial().await?;
        }
        Ok(&mut self.connection)
    }
}

/// Runs a client command: one thread is plenty.
///
/// # Errors
/// The command's own, or that no runtime could be started.
pub(crate) fn block_on(
    command: impl Future<Output = Result<(), CliError>>,
) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::because("cannot start", &error, ""))?;
    runtime.block_on(command)
}

fn unless_absent<A>(answer: Result<A, ClientError>) -> Result<Option<A>, CliError> {
    match answer {
        Err(ClientError::Problem(problem)) if problem.code == ProblemCode::NotFound => Ok(None),
        answer => Ok(Some(answer?)),
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let unreachable = error.is_unreachable();
        match error {
            ClientError::Problem(problem) => problem.into(),
            // Its own text has the hint within; here what and what next are two lines.
            ClientError::Connect { master, source } => Self::unreachable(
                format!("cannot connect to the master at {master}: {source}"),
                "is \"dockmaster serve\" running there, and does a firewall let this address through?",
            ),
            ClientError::BadAnswer { master, why } => Self::failed(
                format!("the master at {master} gave an answer that cannot be read: {why}"),
                "is it another version than this program?",
            ),
            ClientError::NotTheMaster { .. } => Self::failed(
                error.to_string(),
                "is the context of this installation? \"dockmaster init\" wrote DIR/operator.yaml",
            ),
            error if unreachable => Self::unreachable(
                chain(&error),
                "is \"dockmaster serve\" running well there, and is the context's certificate still valid?",
            ),
            error => Self::failed(
                chain(&error),
                "is the context of this installation, and its certificate still valid?",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use dockmaster_proto::problem::Problem;

    use super::*;
    use crate::cli::error::Exit;

    fn problem(code: ProblemCode) -> ClientError {
        Problem::new(code, "detail", "hint").into()
    }

    #[test]
    fn a_master_that_is_away_is_unreachable_and_one_that_says_no_refuses() {
        let master = "127.0.0.1:8140".parse().unwrap();
        let refused = ClientError::Connect {
            master,
            source: io::ErrorKind::ConnectionRefused.into(),
        };
        let slow = ClientError::Timeout {
            master,
            after: Duration::from_secs(30),
        };
        let other = ClientError::NotTheMaster {
            master,
            why: "it is a container".into(),
        };
        for (error, exit) in [
            (refused, Exit::Unreachable),
            (slow, Exit::Unreachable),
            (other, Exit::Failed),
            (problem(ProblemCode::Forbidden), Exit::Refused),
            (problem(ProblemCode::Conflict), Exit::Failed),
        ] {
            let error = CliError::from(error);
            assert_eq!(error.exit(), exit, "{error}");
            assert!(error.to_string().contains("\n  hint: "), "{error}");
        }
    }

    #[test]
    fn only_what_is_not_found_is_absent() {
        assert_eq!(unless_absent(Ok(1)), Ok(Some(1)));
        assert_eq!(
            unless_absent::<()>(Err(problem(ProblemCode::NotFound))),
            Ok(None)
        );
        assert!(unless_absent::<()>(Err(problem(ProblemCode::Ambiguous))).is_err());
    }

    fn refused(context: Option<std::path::PathBuf>) -> CliError {
        let mut error = None;
        let ended = block_on(async {
            error = Remote::connect(&Global { context }).await.err();
            Ok(())
        });
        assert_eq!(ended, Ok(()));
        error.unwrap()
    }

    #[test]
    fn without_a_context_the_command_was_used_wrongly() {
        assert_eq!(refused(None).exit(), Exit::Usage);
    }

    #[test]
    fn a_context_that_is_not_there_says_where_one_comes_from() {
        let dir = tempfile::tempdir().unwrap();
        let error = refused(Some(dir.path().join("absent.yaml")));
        assert_eq!(error.exit(), Exit::Failed);
        assert!(
            error.to_string().contains("\n  hint: give the file"),
            "{error}"
        );
    }
}
