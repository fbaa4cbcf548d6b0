//! Frames: a length and so many bytes of JSON.

use std::io;

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The largest frame in bytes: an answer with as many containers as one may have, each with as much
/// as a container may say of itself.
pub const MAX_FRAME: usize = 1 << 20;

/// Why there is no frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other end closed the stream between two frames.
    #[error("the other end closed the stream")]
    Closed,
    /// The stream broke.
    #[error("the stream broke")]
    Io(#[from] io::Error),
    /// A length that no honest peer sends.
    #[error("a frame of {0} bytes; at most {MAX_FRAME} are read")]
    TooLarge(usize),
    /// Bytes that are no message.
    #[error("a frame that is no message of this protocol: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Reads a frame. Not cancel-safe: the stream is of no use after an end in the middle.
pub(super) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<(T, usize), FrameError> {
    let mut length = [0; 4];
    match from.read(&mut length[..1]).await? {
        0 => return Err(FrameError::Closed),
        _ => from.read_exact(&mut length[1..]).await?,
    };
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(FrameError::TooLarge(length));
    }
    // Grows with what arrives: a length alone takes no memory.
    let mut bytes = Vec::new();
    let read = from.take(length as u64).read_to_end(&mut bytes).await?;
    if read < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok((serde_json::from_slice(&bytes)?, length))
}

/// Writes a frame.
pub(super) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> Result<(), FrameError> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len()).map_err(|_| FrameError::TooLarge(json.len()))?;
    if json.len() > MAX_FRAME {
        return Err(FrameError::TooLarge(json.len()));
    }
    let mut bytes = Vec::with_capacity(4 + json.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&json);
    to.write_all(&bytes).await?;
    to.flush().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::api::hosts::HostSays;
    use proptest::prelude::*;

    use super::*;

    async fn read_all(mut bytes: &[u8]) -> Result<HostSays, FrameError> {
        read::<HostSays>(&mut bytes).await.map(|(says, _)| says)
    }

    #[tokio::test]
    async fn a_message_reads_back_as_written() {
        let mut bytes = Vec::new();
        let says = HostSays::Lost {
            reason: "the engine is away".into(),
        };
        write(&mut bytes, &says).await.unwrap();
        assert_eq!(read_all(&bytes).await.unwrap(), says);
        assert!(matches!(read_all(&[]).await, Err(FrameError::Closed)));
        assert!(matches!(
            read_all(&bytes[..bytes.len() - 1]).await,
            Err(FrameError::Io(_))
        ));
    }

    #[tokio::test]
    async fn a_length_beyond_the_bound_is_refused_before_anything_is_read() {
        let bytes = u32::MAX.to_be_bytes();
        assert!(matches!(
            read_all(&bytes).await,
            Err(FrameError::TooLarge(_))
        ));
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            prop_assert!(runtime.block_on(read_all(&bytes)).is_err());
        }
    }
}
