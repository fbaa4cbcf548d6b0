//! Calls to the master: the context file, one connection, and errors with their exit codes.

use std::future::Future;

use dockmaster_client::{Call, ClientError, Connection, Context};
use dockmaster_proto::{problem::ProblemCode, route::Route};
use dockmaster_tlog::note::VerifierKey;
use serde::{Serialize, de::DeserializeOwned};

use super::{Global, error::CliError};

/// The pairs of a query; those without a value are left out.
pub(crate) type Query<'a> = &'a [(&'static str, Option<String>)];

/// A connection to the master of the context.
pub(crate) struct Remote {
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
        let context =
            Context::load(path).map_err(|error| CliError::because("no context", &error, ""))?;
        let bundle = context.trust_bundle().map_err(CliError::from)?;
        let log_key = VerifierKey::parse(bundle.log_key()).map_err(|error| {
            CliError::because("the context's log key cannot be used", &error, "")
        })?;
        let connection = context.dialer()?.dial().await?;
        Ok(Self {
            connection,
            log_key,
        })
    }

    /// The key that signs the log's checkpoints, as the trust bundle has it.
    pub(crate) const fn log_key(&self) -> &VerifierKey {
        &self.log_key
    }

    /// Asks for something.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn get<A: DeserializeOwned>(
        &mut self,
        route: Route,
        parameter: &str,
        query: Query<'_>,
    ) -> Result<A, CliError> {
        let call = Call::new(route)
            .parameter(parameter)
            .query(query.iter().cloned());
        Ok(self.connection.call(&call).await?)
    }

    /// Asks for something that may not be there.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn find<A: DeserializeOwned>(
        &mut self,
        route: Route,
        parameter: &str,
    ) -> Result<Option<A>, CliError> {
        found(
            self.connection
                .call(&Call::new(route).parameter(parameter))
                .await,
        )
    }

    /// Sends a request with a body.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn send<Q: Serialize, A: DeserializeOwned>(
        &mut self,
        route: Route,
        parameter: &str,
        body: &Q,
    ) -> Result<A, CliError> {
        Ok(self
            .connection
            .call(&Call::new(route).parameter(parameter).json(body))
            .await?)
    }

    /// Asks for bytes; `None` when there is no such thing.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn get_bytes(
        &mut self,
        route: Route,
        parameter: &str,
    ) -> Result<Option<Vec<u8>>, CliError> {
        let reply = found(
            self.connection
                .send(&Call::new(route).parameter(parameter))
                .await,
        )?;
        Ok(reply.map(|reply| reply.body.to_vec()))
    }

    /// Uploads bytes.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn put_bytes(
        &mut self,
        route: Route,
        parameter: &str,
        bytes: Vec<u8>,
    ) -> Result<(), CliError> {
        self.connection
            .send(&Call::new(route).parameter(parameter).bytes(bytes))
            .await?;
        Ok(())
    }
}

fn found<A>(answer: Result<A, ClientError>) -> Result<Option<A>, CliError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(ClientError::Problem(problem)) if problem.code == ProblemCode::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Problem(problem) => problem.into(),
            error if error.is_unreachable() => Self::unreachable(error.to_string(), ""),
            error => Self::failed(error.to_string(), ""),
        }
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
