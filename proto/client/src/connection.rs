//! One connection to a master, and calls on it.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use dockmaster_proto::{catalog::MAX_CATALOG_BYTES, error::chain, problem::Problem, route::Route};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_rustls::client::TlsStream;

use crate::ClientError;

/// How long an answer may take, beyond what the call itself asks the master to wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const MAX_ANSWER: usize = MAX_CATALOG_BYTES;
/// RFC 9266 section 4.2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Call {
    route: Route,
    parameter: String,
    query: Vec<(&'static str, Option<String>)>,
    headers: HeaderMap,
    body: Option<Bytes>,
    wait: Duration,
    largest_answer: usize,
}

impl Call {
    /// A call of a route without a parameter.
    #[must_use]
    pub fn new(route: Route) -> Self {
        Self {
            route,
            parameter: String::new(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
            wait: Duration::ZERO,
            largest_answer: MAX_ANSWER,
        }
    }

    /// With the path's parameter.
    #[must_use]
    pub fn parameter(mut self, parameter: impl Into<String>) -> Self {
        self.parameter = parameter.into();
        self
    }

    /// With a query; pairs without a value are left out.
    #[must_use]
    pub fn query(
        mut self,
        query: impl IntoIterator<Item = (&'static str, Option<String>)>,
    ) -> Self {
        self.query.extend(query);
        self
    }

    /// With a JSON body.
    ///
    /// # Panics
    /// Never for the request types of `dockmaster-proto`: they always serialise.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "requests are made of strings, numbers, lists and maps with string keys"
    )]
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.body = Some(
            serde_json::to_vec(body)
                .expect("a request serialises")
                .into(),
        );
        self.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        self
    }

    /// With a body of bytes.
    #[must_use]
    pub fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        self
    }

    /// Only if the thing is no longer the one with this ETag.
    #[must_use]
    pub fn unless(mut self, etag: &str) -> Self {
        // An ETag came from a header, so it fits into one.
        if let Ok(etag) = HeaderValue::from_str(etag) {
            self.headers.insert(header::IF_NONE_MATCH, etag);
        }
        self
    }

    /// With this header; a value that no header takes is left out.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// The master may hold the request until the thing changes, this long (RFC 7240 section 4.3).
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        if let Ok(prefer) = HeaderValue::from_str(&format!("wait={}", wait.as_secs())) {
            self.headers
                .insert(HeaderName::from_static("prefer"), prefer);
        }
        self.wait = wait;
        self
    }

    /// No more than this is read of the answer, in bytes.
    #[must_use]
    pub(crate) const fn at_most(mut self, bytes: usize) -> Self {
        self.largest_answer = bytes;
        self
    }
}

/// An answer that is no problem.
#[derive(Debug, Clone)]
pub struct Reply {
    /// 2xx, or 304 where the call had an ETag.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A connection to the master. One call at a time.
pub struct Connection {
    master: SocketAddr,
    local: Option<IpAddr>,
    exporter: [u8; 32],
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("master", &self.master)
            .finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(crate) async fn start(
        master: SocketAddr,
        stream: TlsStream<TcpStream>,
    ) -> Result<Self, ClientError> {
        let exporter =
            stream
                .get_ref()
                .1
                .export_keying_material([0; 32], EXPORTER_LABEL, Some(&[]));
        let exporter = exporter.map_err(|error| ClientError::Tls {
            master,
            why: error.to_string(),
        })?;
        let local = stream.get_ref().0.local_addr().ok();
        let broken = |error: hyper::Error| ClientError::Broken {
            master,
            why: chain(&error),
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let driver = tokio::spawn(async move {
            // What breaks the connection shows in the call that it breaks.
            let _ = connection.with_upgrades().await;
        });
        Ok(Self {
            master,
            local: local.map(|address| address.ip()),
            exporter,
            sender,
            driver,
        })
    }

    /// The connection's RFC 9266 `tls-exporter` value: what binds a certificate request to it.
    #[must_use]
    pub const fn exporter(&self) -> &[u8; 32] {
        &self.exporter
    }

    /// The address that it was made from; none where the kernel does not tell.
    #[must_use]
    pub const fn local(&self) -> Option<IpAddr> {
        self.local
    }

    /// The master that it leads to.
    #[must_use]
    pub const fn master(&self) -> SocketAddr {
        self.master
    }

    /// Whether calls are still possible.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Makes a call and reads the JSON of its answer.
    ///
    /// # Errors
    /// When the master refuses, does not answer, or answers something else.
    pub async fn call<T: DeserializeOwned>(&mut self, call: &Call) -> Result<T, ClientError> {
        let reply = self.send(call).await?;
        self.read(&reply)
    }

    /// Reads the JSON of an answer, where the status says which it is.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T, ClientError> {
        serde_json::from_slice(&reply.body).map_err(|error| ClientError::BadAnswer {
            master: self.master,
            why: error.to_string(),
        })
    }

    /// Makes a call.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub async fn send(&mut self, call: &Call) -> Result<Reply, ClientError> {
        let master = self.master;
        let after = ANSWER_TIMEOUT + call.wait;
        let answered = tokio::time::timeout(after, self.exchange(call)).await;
        answered.map_err(|_| ClientError::Timeout { master, after })?
    }

    /// Makes a call that asks for another protocol on this very connection, and gives the bytes of it
    /// (RFC 9110 section 7.8), with the headers of the answer.
    ///
    /// # Errors
    /// When the master refuses or does not answer.
    pub async fn upgrade(
        mut self,
        call: &Call,
        protocol: &'static str,
    ) -> Result<(HeaderMap, TokioIo<Upgraded>), ClientError> {
        let master = self.master;
        let after = ANSWER_TIMEOUT;
        let upgraded = tokio::time::timeout(after, self.switch(call, protocol)).await;
        upgraded.map_err(|_| ClientError::Timeout { master, after })?
    }

    async fn switch(
        &mut self,
        call: &Call,
        protocol: &'static str,
    ) -> Result<(HeaderMap, TokioIo<Upgraded>), ClientError> {
        let master = self.master;
        let broken = |error: hyper::Error| ClientError::Broken {
            master,
            why: chain(&error),
        };
        let mut request = request(master, call)?;
        let headers = request.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static(protocol));
        self.sender.ready().await.map_err(broken)?;
        let response = self.sender.send_request(request).await.map_err(broken)?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let headers = response.headers().clone();
            let upgraded = hyper::upgrade::on(response).await.map_err(broken)?;
            return Ok((headers, TokioIo::new(upgraded)));
        }
        match self.receive(response, call).await {
            Ok(_) => Err(ClientError::BadAnswer {
                master,
                why: format!("it does not speak {protocol}"),
            }),
            Err(error) => Err(error),
        }
    }

    async fn exchange(&mut self, call: &Call) -> Result<Reply, ClientError> {
        let master = self.master;
        let broken = |error: hyper::Error| ClientError::Broken {
            master,
            why: chain(&error),
        };
        self.sender.ready().await.map_err(broken)?;
        let response = self
            .sender
            .send_request(request(master, call)?)
            .await
            .map_err(broken)?;
        self.receive(response, call).await
    }

    async fn receive(
        &self,
        response: Response<Incoming>,
        call: &Call,
    ) -> Result<Reply, ClientError> {
        let master = self.master;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, call.largest_answer).collect().await;
        let body = body
            .map_err(|error| ClientError::Broken {
                master,
                why: error.to_string(),
            })?
            .to_bytes();
        if head.status.is_success() || head.status == StatusCode::NOT_MODIFIED {
            return Ok(Reply {
                status: head.status,
                headers: head.headers,
                body,
            });
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(problem.into()),
            Err(_) => Err(ClientError::BadAnswer {
                master,
                why: format!("status {}", head.status),
            }),
        }
    }
}

fn request(master: SocketAddr, call: &Call) -> Result<Request<Full<Bytes>>, ClientError> {
    let path = call.route.path_and_query(&call.parameter, &call.query);
    let body = Full::new(call.body.clone().unwrap_or_default());
    let request = Request::builder()
        .method(call.route.method())
        .uri(path)
        .header(header::HOST, master.to_string());
    let mut request = request.body(body).map_err(|error| ClientError::BadAnswer {
        master,
        why: error.to_string(),
    })?;
    request.headers_mut().extend(call.headers.clone());
    Ok(request)
}
