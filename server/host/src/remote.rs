//! Hosts that the master hears of over a connection: the master's end ([`RemoteInventory`]), the
//! host's end ([`report`]), and what a host may vouch for ([`Remit`]).
//!
//! The stream carries frames: four bytes of length, most significant first, and so many of JSON.
//! The host says observations and answers; the master asks.

mod frame;
mod inventory;
mod link;
mod remit;
mod report;

use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use self::link::heard;
pub use self::{
    frame::{FrameError, MAX_FRAME},
    inventory::{RemoteError, RemoteInventory},
    remit::{Remit, Trespass},
    report::{ReportError, report},
};

/// A stream of bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A stream of bytes, whatever carries it.
pub type Conduit = Box<dyn Duplex>;

/// How often either end says that it lives, and how long the other waits for any word.
const BEAT: std::time::Duration = std::time::Duration::from_secs(5);
const SILENCE: std::time::Duration = std::time::Duration::from_secs(20);
