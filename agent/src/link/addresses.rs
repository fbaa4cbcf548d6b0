//! Is the address still ours? A connection whose address was taken away is silent for good: no answer
//! reaches it, and it hears no end. The kernel tells at once, by netlink.

use std::{
    io,
    net::{IpAddr, UdpSocket},
    os::fd::OwnedFd,
};

use dockmaster_client::{Call, ClientError, Reply};
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, recv,
    socket_with,
};
use tokio::io::unix::AsyncFd;

use super::{Link, LinkError};

/// `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR` of linux/rtnetlink.h.
const ADDRESSES: u32 = 0x10 | 0x100;

/// News about the addresses of this network namespace.
#[derive(Debug)]
pub(super) struct Addresses {
    /// None where the kernel tells nothing; then the connection's own probes have to do.
    news: Option<AsyncFd<OwnedFd>>,
}

impl Addresses {
    /// Listens from now on.
    pub(super) fn listen() -> Self {
        Self {
            news: subscribe().ok(),
        }
    }

    /// Returns when an address came or went; never where the kernel does not tell.
    pub(super) async fn changed(&self) {
        let Some(news) = &self.news else {
            return std::future::pending().await;
        };
        let Ok(mut ready) = news.readable().await else {
            return std::future::pending().await;
        };
        // What the messages say does not matter, nor that some were lost: whoever hears looks.
        let mut message = [0; 1024];
        while recv(news.get_ref(), &mut message, RecvFlags::DONTWAIT)
            .map_or_else(|error| error == rustix::io::Errno::NOBUFS, |_| true)
        {}
        ready.clear_ready();
    }

    /// Returns when an address is not this namespace's any more.
    pub(super) async fn lost(&self, ip: IpAddr) {
        while is_ours(ip) {
            self.changed().await;
        }
    }
}

#[expect(
    deprecated,
    reason = "it is for descriptors that nobody owns; this one is owned, and `register` takes a promise of that by `unsafe`"
)]
fn subscribe() -> io::Result<AsyncFd<OwnedFd>> {
    // `NETLINK_ROUTE` is protocol 0.
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    bind(&socket, &SocketAddrNetlink::new(0, ADDRESSES))?;
    AsyncFd::new(socket)
}

/// Whether a socket may have this address.
fn is_ours(ip: IpAddr) -> bool {
    match UdpSocket::bind((ip, 0)) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::AddrNotAvailable,
    }
}

impl Link<'_> {
    /// Makes a call that the master may hold. It ends when the address is gone that it was made from:
    /// no answer could arrive.
    pub(super) async fn ask(&mut self, call: &Call) -> Result<Reply, LinkError> {
        let addresses = self.addresses.take().unwrap_or_else(Addresses::listen);
        let answered = match self.connect().await {
            Err(error) => Err(error),
            Ok(connection) => {
                let (master, local) = (connection.master(), connection.local());
                let lost = async {
                    match local {
                        Some(ip) => {
                            addresses.lost(ip).await;
                            ip
                        }
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    reply = connection.send(call) => Ok(reply?),
                    ip = lost => Err(ClientError::Broken {
                        master,
                        why: format!("its own address {ip} is gone"),
                    }
                    .into()),
                }
            }
        };
        self.addresses = Some(addresses);
        answered
    }

    /// Returns when an address of the container came or went, and may make up for what failed before;
    /// never where the kernel does not tell.
    pub async fn addresses_changed(&self) {
        match &self.addresses {
            Some(addresses) => addresses.changed().await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_address_of_somebody_else_is_lost_and_one_of_our_own_is_not() {
        let addresses = Addresses::listen();
        addresses.lost("192.0.2.1".parse().unwrap()).await;
        let ours = addresses.lost("127.0.0.1".parse().unwrap());
        let waited = tokio::time::timeout(Duration::from_millis(50), ours).await;
        assert!(waited.is_err());
    }
}
