//! A stand-in that speaks to the master itself, where an agent would keep what it hears to itself.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use dockmaster_certs::{bundle::TrustBundle, csr::create_request, key::KeyPair};
use dockmaster_client::{Call, ClientError, Connection, Dialer, Identity, Reply};
use dockmaster_proto::{
    api::{
        identity::{CertificateRequest, HeldAnswer, IssuedCertificate},
        tokens::Redemption,
    },
    route::Route,
    token::{JoinToken, MachineId},
};
use ring::rand::SystemRandom;

use crate::{inventory::StandIn, machine::Machine, master::Master};

/// What speaks from a stand-in's address.
#[derive(Debug, Clone)]
pub struct Peer {
    master: SocketAddr,
    ip: IpAddr,
    bundle: Arc<TrustBundle>,
}

/// A certificate as it was received.
#[derive(Debug)]
pub struct Enrolled {
    /// What a connection shows.
    pub identity: Identity,
    /// All that the master said.
    pub issued: IssuedCertificate,
}

/// What the master answers that does not refuse.
#[derive(Debug)]
pub enum Asked {
    /// The certificate.
    Issued(Box<Enrolled>),
    /// An operator's word is waited for.
    Held(HeldAnswer),
}

impl Peer {
    /// One that speaks from this stand-in's first address.
    ///
    /// # Panics
    /// When the master has no trust bundle.
    #[must_use]
    pub fn new(master: &Master, stand_in: &StandIn) -> Self {
        let bundle = fs::read_to_string(master.data().join("ca/bundle.pem")).unwrap();
        Self {
            master: master.address(),
            ip: stand_in.ips[0],
            bundle: Arc::new(TrustBundle::parse(&bundle).unwrap()),
        }
    }

    /// One that speaks from this machine's address.
    ///
    /// # Panics
    /// When the master has no trust bundle.
    #[must_use]
    pub fn of(master: &Master, machine: &Machine) -> Self {
        let bundle = fs::read_to_string(master.data().join("ca/bundle.pem")).unwrap();
        Self {
            master: master.address(),
            ip: machine.ip,
            bundle: Arc::new(TrustBundle::parse(&bundle).unwrap()),
        }
    }

    /// Connections from addresses that nobody is known to have, 250 of each: as many of `wanted` as are to be
    /// had. `first` is the number of the first address, as of a stand-in.
    ///
    /// # Panics
    /// When the master has no trust bundle.
    pub async fn strangers(master: &Master, first: u16, wanted: u16) -> Vec<Connection> {
        let mut open = Vec::new();
        for number in 0..wanted {
            let stranger = Self::new(master, &StandIn::numbered(first + number / 250));
            open.extend(stranger.connect(None).await.ok());
        }
        open
    }

    /// Asks for a certificate for this key with a join token.
    ///
    /// # Errors
    /// When none is given.
    ///
    /// # Panics
    /// When no request can be made.
    pub async fn redeem(
        &self,
        token: &JoinToken,
        machine: MachineId,
        key: &KeyPair,
    ) -> Result<Enrolled, ClientError> {
        let mut connection = self.connect(None).await?;
        let request = redemption(&connection, token, machine, key);
        let call = Call::new(Route::Enroll).json(&request);
        let issued: IssuedCertificate = connection.call(&call).await?;
        Ok(Enrolled {
            identity: Identity {
                chain: issued.chain.clone(),
                key: key.to_pem(),
            },
            issued,
        })
    }

    /// Connects, as nobody or as the holder of a certificate.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn connect(&self, identity: Option<&Identity>) -> Result<Connection, ClientError> {
        let bundle = Arc::clone(&self.bundle);
        Dialer::new(self.master, Some(self.ip), bundle, identity)?
            .dial()
            .await
    }

    /// Asks for a certificate.
    ///
    /// # Errors
    /// When none is given.
    ///
    /// # Panics
    /// When no key can be made.
    pub async fn enroll(&self) -> Result<Enrolled, ClientError> {
        let mut connection = self.connect(None).await?;
        let key = KeyPair::generate(&SystemRandom::new()).unwrap();
        let request = CertificateRequest {
            csr: create_request(&key, connection.exporter()).unwrap(),
            agent_version: "by hand".to_owned(),
            seen: None,
            token: None,
        };
        let call = Call::new(Route::Enroll).json(&request);
        let issued: IssuedCertificate = connection.call(&call).await?;
        Ok(Enrolled {
            identity: Identity {
                chain: issued.chain.clone(),
                key: key.to_pem(),
            },
            issued,
        })
    }

    /// Asks for a certificate for this key, and has the master hold the question this long while an
    /// operator's word is waited for.
    ///
    /// # Errors
    /// When the master refuses.
    ///
    /// # Panics
    /// When the answer is none.
    pub async fn ask(&self, key: &KeyPair, wait: Duration) -> Result<Asked, ClientError> {
        self.request(Route::Enroll, None, key, wait).await
    }

    /// Asks for a certificate with a new key, as the holder of the one before.
    ///
    /// # Errors
    /// When the master refuses.
    ///
    /// # Panics
    /// When no key can be made.
    pub async fn renew(&self, before: &Enrolled) -> Result<Asked, ClientError> {
        let key = KeyPair::generate(&SystemRandom::new()).unwrap();
        self.request(Route::Renew, Some(&before.identity), &key, Duration::ZERO)
            .await
    }

    async fn request(
        &self,
        route: Route,
        identity: Option<&Identity>,
        key: &KeyPair,
        wait: Duration,
    ) -> Result<Asked, ClientError> {
        let mut connection = self.connect(identity).await?;
        let request = CertificateRequest {
            csr: create_request(key, connection.exporter()).unwrap(),
            agent_version: "by hand".to_owned(),
            seen: None,
            token: None,
        };
        let call = Call::new(route).json(&request).wait(wait);
        let reply = connection.send(&call).await?;
        if reply.status.as_u16() == 202 {
            return Ok(Asked::Held(connection.read(&reply)?));
        }
        let issued: IssuedCertificate = connection.read(&reply)?;
        let identity = Identity {
            chain: issued.chain.clone(),
            key: key.to_pem(),
        };
        Ok(Asked::Issued(Box::new(Enrolled { identity, issued })))
    }

    /// Makes a call as nobody or as the holder of a certificate.
    ///
    /// # Errors
    /// When the master refuses.
    pub async fn call(
        &self,
        identity: Option<&Identity>,
        call: &Call,
    ) -> Result<Reply, ClientError> {
        self.connect(identity).await?.send(call).await
    }

    /// Asks for the catalog: at once, or when it is another one than that of `etag`.
    ///
    /// # Errors
    /// When none is given.
    pub async fn catalog(
        &self,
        enrolled: &Enrolled,
        etag: Option<&str>,
    ) -> Result<Reply, ClientError> {
        let mut connection = self.connect(Some(&enrolled.identity)).await?;
        let mut call = Call::new(Route::Catalog);
        if let Some(etag) = etag {
            call = call.unless(etag).wait(HELD);
        }
        connection.send(&call).await
    }
}

/// A request with a join token, for this connection.
///
/// # Panics
/// When none can be made.
#[must_use]
pub fn redemption(
    connection: &Connection,
    token: &JoinToken,
    machine: MachineId,
    key: &KeyPair,
) -> CertificateRequest {
    CertificateRequest {
        csr: create_request(key, connection.exporter()).unwrap(),
        agent_version: "by hand".to_owned(),
        seen: None,
        token: Some(Redemption {
            token: token.clone(),
            machine,
        }),
    }
}

/// How long a request for a catalog is held when nothing happens: longer than any test waits.
const HELD: Duration = Duration::from_secs(300);
