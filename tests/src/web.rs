//! One plain HTTP request.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// The body of the answer to `GET PATH`.
///
/// # Errors
/// When nobody answers within some seconds, or not with 200.
pub fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let patience = Duration::from_secs(10);
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| io::Error::other(format!("no HTTP answer: {answer:?}")))?;
    if head.split(' ').nth(1) != Some("200") {
        return Err(io::Error::other(head.to_owned()));
    }
    Ok(body.to_owned())
}
