//! One witness asked for one cosignature, over plain HTTP: what it signs is checked with its key, so a
//! secure channel would add nothing.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use bytes::Bytes;
use dockmaster_ledger::{Head, Ledger, ReadError};
use dockmaster_proto::error::chain;
use dockmaster_tlog::{
    hash::Hash,
    note::{SignedNote, VerifierKey},
    witness::{ADD_CHECKPOINT, AddCheckpoint, SIZE_TYPE, WitnessError, accept},
};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long a witness may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 128 << 10;

/// Where a witness takes requests: `http://IP:PORT/` and a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessUrl {
    address: SocketAddr,
    prefix: String,
}

/// Why a text is no [`WitnessUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not like http://10.0.0.9:7380/prefix/: a witness is reached by its IP, and its signature is checked, so there is no need for TLS"
)]
pub struct WitnessUrlError(String);

impl FromStr for WitnessUrl {
    type Err = WitnessUrlError;

    fn from_str(text: &str) -> Result<Self, WitnessUrlError> {
        let wrong = || WitnessUrlError(text.to_owned());
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
        let (address, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        if !prefix.bytes().all(is_plain) {
            return Err(wrong());
        }
        let prefix = prefix.trim_end_matches('/');
        Ok(Self {
            address: address.parse().map_err(|_| wrong())?,
            prefix: if prefix.is_empty() {
                String::new()
            } else {
                format!("/{prefix}")
            },
        })
    }
}

impl fmt::Display for WitnessUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}/", self.address, self.prefix)
    }
}

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no connection, or it broke.
    #[error("it cannot be reached: {0}")]
    Away(String),
    /// It refused.
    #[error("it answered {status}: {why}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The beginning of its answer.
        why: String,
    },
    /// It cosigned a larger log under this key than there is.
    #[error(
        "it has cosigned this log at {seen} entries, and there are {size}: the log was put back to an older state"
    )]
    Ahead {
        /// What it has seen.
        seen: u64,
        /// What there is.
        size: u64,
    },
    /// Its answer is not good.
    #[error(transparent)]
    Answer(#[from] WitnessError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Asks for a cosignature of a head. `last` is the size that the witness cosigned last, as far as is
/// known, and is set to what it says; the head's note with its signature comes back.
pub(super) async fn ask(
    ledger: &Ledger,
    (url, key): (&WitnessUrl, &VerifierKey),
    head: &Head,
    note: &SignedNote,
    last: &mut u64,
) -> Result<SignedNote, AskError> {
    for is_retry in [false, true] {
        let request = AddCheckpoint {
            old_size: *last,
            proof: proof(ledger, *last, head.size).await?,
            checkpoint: head.checkpoint.to_string(),
        };
        let (status, is_size, answer) = post(url, request.encode()).await?;
        match status {
            StatusCode::OK => {
                let cosigned = accept(note, &answer, key)?;
                *last = head.size;
                return Ok(cosigned);
            }
            StatusCode::CONFLICT if is_size && !is_retry => {
                let seen = answer.trim().parse().map_err(|_| WitnessError::Spelling)?;
                if seen > head.size {
                    let size = head.size;
                    return Err(AskError::Ahead { seen, size });
                }
                *last = seen;
            }
            status => return Err(refused(status, &answer)),
        }
    }
    Err(refused(StatusCode::CONFLICT, "it says so twice"))
}

fn refused(status: StatusCode, answer: &str) -> AskError {
    let first = answer.lines().next().unwrap_or_default();
    AskError::Refused {
        status,
        why: first.chars().take(200).collect(),
    }
}

async fn proof(ledger: &Ledger, old: u64, new: u64) -> Result<Vec<Hash>, AskError> {
    let ledger = ledger.clone();
    let proof = tokio::task::spawn_blocking(move || ledger.consistency_between(old, new));
    // The thread ends only with the master.
    let proof = proof.await.map_err(|error| AskError::Away(chain(&error)))?;
    Ok(proof?)
}

/// A task that does not outlive who waits for it.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn post(url: &WitnessUrl, body: String) -> Result<(StatusCode, bool, String), AskError> {
    let exchange = async {
        let stream = TcpStream::connect(url.address)
            .await
            .map_err(|error| chain(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| chain(&error))?;
        let request = Request::post(format!("{}/{ADD_CHECKPOINT}", url.prefix))
            .header(header::HOST, url.address.to_string())
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| chain(&error))?;
        // It drives the exchange, and ends with it.
        let _driven = AbortOnDrop(tokio::spawn(connection));
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| chain(&error))?;
        let status = response.status();
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_size = kind.is_some_and(|kind| kind.as_bytes().starts_with(SIZE_TYPE.as_bytes()));
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        let answer = String::from_utf8_lossy(&body).into_owned();
        Ok::<_, String>((status, is_size, answer))
    };
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(answer) => answer.map_err(AskError::Away),
        Err(_) => Err(AskError::Away(format!(
            "no answer within {} s",
            PATIENCE.as_secs()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_is_reached_by_ip() {
        for (text, shown) in [
            ("http://10.0.0.9:7380", "http://10.0.0.9:7380/"),
            ("http://10.0.0.9:7380/a/b/", "http://10.0.0.9:7380/a/b/"),
            ("http://[fd00::1]:80/w", "http://[fd00::1]:80/w/"),
        ] {
            assert_eq!(text.parse::<WitnessUrl>().unwrap().to_string(), shown);
        }
        for wrong in [
            "",
            "10.0.0.9:7380",
            "https://10.0.0.9:7380/",
            "http://witness.example/",
            "http://10.0.0.9/",
            "http://10.0.0.9:7380/a b",
            "http://10.0.0.9:7380/a?b",
        ] {
            assert!(wrong.parse::<WitnessUrl>().is_err(), "{wrong}");
        }
    }
}
