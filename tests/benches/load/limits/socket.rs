//! A connection without TLS and HTTP: what kernel and runtime take for it alone.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use dockmaster_tests::measure::of_this_thread;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// How many, one after the other.
const CONNECTIONS: u32 = 2000;
/// Client's and server's messages: as many as a handshake, a request and its answer take.
const EXCHANGES: usize = 3;
/// About the size of each.
const MESSAGE: usize = 1024;

/// The server's processor time for one connection.
pub(crate) fn server_side() -> Duration {
    let (tell, address) = mpsc::channel();
    let server = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(serve(&tell))
    });
    let address = address.recv().unwrap();
    for _ in 0..CONNECTIONS {
        converse(address);
    }
    server.join().unwrap() / CONNECTIONS
}

async fn serve(tell: &mpsc::Sender<SocketAddr>) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    tell.send(listener.local_addr().unwrap()).unwrap();
    let begin = of_this_thread();
    for _ in 0..CONNECTIONS {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let answered = tokio::spawn(async move {
            let mut message = [0; MESSAGE];
            for _ in 0..EXCHANGES {
                stream.read_exact(&mut message).await.unwrap();
                stream.write_all(&message).await.unwrap();
            }
        });
        answered.await.unwrap();
    }
    of_this_thread() - begin
}

fn converse(server: SocketAddr) {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut message = [0; MESSAGE];
    for _ in 0..EXCHANGES {
        stream.write_all(&message).unwrap();
        stream.read_exact(&mut message).unwrap();
    }
}
