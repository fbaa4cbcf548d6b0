//! A server of blocking threads, bounded, that ends without cutting anybody off.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A server that runs until it is stopped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stopping: AtomicBool,
    limit: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many connections are served, the one that is waited for among them.
    serving: usize,
    /// Whether no connection can come any more.
    closed: bool,
}

impl Server {
    /// Binds an address and serves each connection in a thread of its own, at most `limit` at a
    /// time. Further connections wait in the kernel's queue.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start(
        address: SocketAddr,
        limit: usize,
        serve: impl Fn(TcpStream) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            stopping: AtomicBool::new(false),
            limit,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                accept(&listener, &shared, &Arc::new(serve));
                drop(listener);
                shared.state().closed = true;
                shared.changed.notify_all();
            }
        });
        Ok(Self { address, shared })
    }

    /// The address that it is bound to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new connections, but serves those that have come, for at most `patience`.
    pub fn stop(self, patience: Duration) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect_timeout(&reachable(self.address), Duration::from_secs(1));
        let until = Instant::now() + patience;
        let mut state = self.shared.state();
        while !state.closed || state.serving > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a free place and takes it.
    fn enter(self: &Arc<Self>) -> Place {
        let free = self
            .changed
            .wait_while(self.state(), |state| state.serving >= self.limit);
        free.unwrap_or_else(PoisonError::into_inner).serving += 1;
        Place(Arc::clone(self))
    }
}

/// The place of one connection, given back when it is dropped, also by a panic.
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state().serving -= 1;
        self.0.changed.notify_all();
    }
}

fn accept<F>(listener: &TcpListener, shared: &Arc<Shared>, serve: &Arc<F>)
where
    F: Fn(TcpStream) + Send + Sync + 'static,
{
    loop {
        let place = shared.enter();
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            // What waits in the kernel's queue has been promised an answer; then nothing is left.
            let _ = listener.set_nonblocking(true);
        }
        match accepted {
            Ok((stream, _)) => {
                let serve = Arc::clone(serve);
                let _ = stream.set_nonblocking(false);
                let thread = thread::Builder::new().stack_size(128 << 10);
                // Without a thread the connection is dropped, and so is its place.
                let _ = thread.spawn(move || {
                    let _place = place;
                    serve(stream);
                });
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // The peer gave up, or file descriptors ran out: the others go on.
            Err(_) => thread::yield_now(),
        }
    }
}

/// An address by which a listener can be reached from its own machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        sync::mpsc,
    };

    use super::*;

    const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

    #[test]
    fn who_has_connected_is_served_although_the_server_stops() {
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let server = Server::start(ANY, 8, move |mut stream| {
            let _ = wait.lock().unwrap().recv();
            let _ = stream.write_all(b"served");
        })
        .unwrap();
        let address = reachable(server.address());
        let clients: Vec<_> = (0..3)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        let shared = Arc::clone(&server.shared);
        let stopping = thread::spawn(move || server.stop(Duration::from_secs(20)));
        while !shared.stopping.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        drop(go);
        stopping.join().unwrap();
        assert!(TcpStream::connect(address).is_err());
        for mut client in clients {
            let mut text = String::new();
            client.read_to_string(&mut text).unwrap();
            assert_eq!(text, "served");
        }
    }

    #[test]
    fn no_more_are_served_at_a_time_than_allowed() {
        let (at_work, most) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
        let seen = Arc::clone(&most);
        let server = Server::start(ANY, 2, move |mut stream| {
            let now = {
                let mut at_work = at_work.lock().unwrap();
                *at_work += 1;
                *at_work
            };
            let mut most = seen.lock().unwrap();
            *most = now.max(*most);
            drop(most);
            let _ = stream.read(&mut [0; 1]);
            *at_work.lock().unwrap() -= 1;
        })
        .unwrap();
        let address = reachable(server.address());
        let clients: Vec<_> = (0..6)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        for mut client in clients {
            let _ = client.write_all(b"x");
        }
        server.stop(Duration::from_secs(20));
        assert!(*most.lock().unwrap() <= 2);
    }
}
