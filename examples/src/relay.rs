//! One client's connection through the proxy.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::{
    backends::Backends,
    http::{self, Kind, Request},
};

/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(60);
/// How long a backend may take to accept. They are on the same network.
const CONNECT: Duration = Duration::from_millis(500);
/// How long a backend may take to begin its answer to a request that another one could answer too.
const FIRST_BYTE: Duration = Duration::from_secs(2);

/// Serves a client from the backend whose turn it is, or the next one that can be reached. A
/// `GET` whose backend ends before the first byte of its answer is sent to the next one.
pub fn relay(mut client: TcpStream, backends: &Backends) {
    let prepared = client
        .set_nodelay(true)
        .and_then(|()| client.set_read_timeout(Some(IDLE)))
        .and_then(|()| client.set_write_timeout(Some(IDLE)));
    if prepared.is_err() {
        return;
    }
    let Ok(request) = http::read_request(&mut client) else {
        return;
    };
    if request.bytes.is_empty() {
        return;
    }
    for backend in backends.in_turn(Instant::now()) {
        match begin(backend, &request) {
            Ok((stream, first)) => {
                if client.write_all(&first).is_ok() {
                    exchange(&client, &stream);
                }
                return;
            }
            Err(_) => backends.failed(backend, Instant::now()),
        }
    }
    let nobody = b"no backend can be reached\n";
    let _ = http::answer(&mut client, "503 Service Unavailable", nobody, request.kind);
}

/// Sends the request to a backend, and waits for the beginning of its answer if the request could
/// be sent again.
fn begin(backend: SocketAddr, request: &Request) -> io::Result<(TcpStream, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&backend, CONNECT)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(IDLE))?;
    let mut first = Vec::new();
    if matches!(request.kind, Kind::Get | Kind::Head) {
        stream.set_read_timeout(Some(FIRST_BYTE))?;
        stream.write_all(&request.bytes)?;
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        first.extend_from_slice(&chunk[..read]);
        stream.set_read_timeout(Some(IDLE))?;
    } else {
        stream.set_read_timeout(Some(IDLE))?;
        // From here on the backend may have acted on it: whatever fails now, it is not repeated.
        let _ = stream.write_all(&request.bytes);
    }
    Ok((stream, first))
}

/// Copies in both directions until both are done.
fn exchange(mut client: &TcpStream, mut backend: &TcpStream) {
    let (Ok(from_client), Ok(to_backend)) = (client.try_clone(), backend.try_clone()) else {
        return;
    };
    let up = thread::Builder::new().stack_size(128 << 10).spawn(move || {
        let how = match io::copy(&mut &from_client, &mut &to_backend) {
            Ok(_) => Shutdown::Write,
            Err(_) => Shutdown::Both,
        };
        let _ = to_backend.shutdown(how);
    });
    let _ = io::copy(&mut backend, &mut client);
    // Sends what is left and wakes the other thread, which waits for the client.
    let _ = client.shutdown(Shutdown::Both);
    let _ = backend.shutdown(Shutdown::Both);
    if let Ok(up) = up {
        let _ = up.join();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::server::Server;

    const LOCAL: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

    /// A backend that answers with its name, or closes without a word; and how often it was asked.
    fn backend(name: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let server = Server::start(LOCAL.into(), 8, move |mut stream| {
            let request = http::read_request(&mut stream).unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            if !name.is_empty() {
                let _ = http::answer(&mut stream, "200 OK", name.as_bytes(), request.kind);
            }
        });
        (server.unwrap().address(), asked)
    }

    /// An address at which nobody listens.
    const NOBODY: ([u8; 4], u16) = ([127, 0, 0, 1], 1);

    fn ask(all: Vec<SocketAddr>, request: &str) -> String {
        let backends = Backends::default();
        backends.set(all);
        let proxy = Server::start(LOCAL.into(), 8, move |client| relay(client, &backends));
        let mut client = TcpStream::connect(proxy.unwrap().address()).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_get_is_answered_by_the_first_backend_that_can() {
        let ((silent, asked), (good, _)) = (backend(""), backend("good"));
        let answer = ask(vec![NOBODY.into(), silent, good], "GET / HTTP/1.1\r\n\r\n");
        assert!(answer.ends_with("good"), "{answer}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_may_have_been_done_is_not_done_again() {
        let ((silent, asked), (good, other)) = (backend(""), backend("good"));
        let post = "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(ask(vec![NOBODY.into(), silent, good], post), "");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(other.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn without_any_backend_the_client_is_told_so() {
        let answer = ask(vec![NOBODY.into()], "GET / HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    }
}
