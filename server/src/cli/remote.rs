//! Calls to the master: the context file, one connection, and errors with their exit codes.

use std::future::Future;

use dockmaster_proto::route::Route;
use dockmaster_tlog::note::VerifierKey;
use serde::{Serialize, de::DeserializeOwned};

use super::{Global, error::CliError};

/// The pairs of a query; those without a value are left out.
pub(crate) type Query<'a> = &'a [(&'a str, Option<String>)];

/// A connection to the master of the context.
pub(crate) struct Remote {
    log_key: VerifierKey,
}

impl Remote {
    /// Reads the context file and dials its master.
    ///
    /// # Errors
    /// When there is no context, it cannot be read, or the master cannot be reached or trusted.
    pub(crate) async fn connect(global: &Global) -> Result<Self, CliError> {
        let Some(_path) = &global.context else {
            return Err(CliError::usage(
                "no context says which master to ask",
                "give --context FILE or set DOCKMASTER_CONTEXT; \"dockmaster init\" wrote DIR/operator.yaml",
            ));
        };
        std::future::ready(Err(CliError::unreachable("no client yet", ""))).await
    }

    /// The key that signs the log's checkpoints, as the context has it.
    pub(crate) const fn log_key(&self) -> &VerifierKey {
        &self.log_key
    }

    /// Asks for something.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn get<A: DeserializeOwned>(
        &mut self,
        _route: Route,
        _parameter: &str,
        _query: Query<'_>,
    ) -> Result<A, CliError> {
        std::future::ready(Err(CliError::unreachable("no client yet", ""))).await
    }

    /// Asks for something that may not be there.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn find<A: DeserializeOwned>(
        &mut self,
        _route: Route,
        _parameter: &str,
    ) -> Result<Option<A>, CliError> {
        std::future::ready(Err(CliError::unreachable("no client yet", ""))).await
    }

    /// Sends a request with a body.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn send<Q: Serialize, A: DeserializeOwned>(
        &mut self,
        _route: Route,
        _parameter: &str,
        _body: &Q,
    ) -> Result<A, CliError> {
        std::future::ready(Err(CliError::unreachable("no client yet", ""))).await
    }

    /// Asks for bytes; `None` when there is no such thing.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn get_bytes(
        &mut self,
        _route: Route,
        _parameter: &str,
    ) -> Result<Option<Vec<u8>>, CliError> {
        std::future::ready(Err(CliError::unreachable("no client yet", ""))).await
    }

    /// Uploads bytes.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub(crate) async fn put_bytes(
        &mut self,
        _route: Route,
        _parameter: &str,
        _bytes: Vec<u8>,
    ) -> Result<(), CliError> {
        std::future::ready(Err(CliError::unreachable("no client yet", ""))).await
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
