//! Stand-ins for agents, many in one process: each asks for its catalog again and again, follows the
//! trust bundle, and renews when it is told to. No request of theirs may ever fail.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dockmaster_certs::{bundle::TrustBundle, csr::create_request, key::KeyPair};
use dockmaster_client::{Bootstrap, Call, ClientError, Connection, Dialer, Identity};
use dockmaster_proto::{
    api::identity::{CertificateRequest, IssuedCertificate, Trust},
    id::TrustPin,
    route::Route,
};
use ring::rand::SystemRandom;

/// A follower; what it is at the end is what [`Follower::follow`] gives.
#[derive(Debug)]
pub(crate) struct Follower {
    master: SocketAddr,
    ip: IpAddr,
    pub(crate) bundle: Arc<TrustBundle>,
    pub(crate) identity: Option<Identity>,
    pub(crate) requests: u64,
    pub(crate) renewals: u64,
}

impl Follower {
    /// Trusts the master by a pin and enrolls, as a new container does.
    pub(crate) async fn begin(
        master: SocketAddr,
        ip: IpAddr,
        pin: TrustPin,
    ) -> Result<Self, ClientError> {
        let (mut connection, bundle) = Bootstrap::dial(master, Some(ip)).await?.trust(pin).await?;
        let mut follower = Self {
            master,
            ip,
            bundle: Arc::new(bundle),
            identity: None,
            requests: 0,
            renewals: 0,
        };
        follower.certify(&mut connection, Route::Enroll).await?;
        Ok(follower)
    }

    async fn certify(
        &mut self,
        connection: &mut Connection,
        route: Route,
    ) -> Result<(), ClientError> {
        let key = KeyPair::generate(&SystemRandom::new()).unwrap();
        let request = CertificateRequest {
            csr: create_request(&key, connection.exporter()).unwrap(),
            agent_version: "follower".to_owned(),
            seen: None,
            token: None,
        };
        let issued: IssuedCertificate = connection.call(&Call::new(route).json(&request)).await?;
        self.bundle = Arc::new(TrustBundle::parse(&issued.bundle).unwrap());
        self.identity = Some(Identity {
            chain: issued.chain,
            key: key.to_pem(),
        });
        Ok(())
    }

    async fn connect(&self) -> Result<Connection, ClientError> {
        let bundle = self.bundle.clone();
        Dialer::new(self.master, Some(self.ip), bundle, self.identity.as_ref())?
            .dial()
            .await
    }

    /// Goes on until told to stop, on one connection but for renewals.
    pub(crate) async fn follow(mut self, stop: Arc<AtomicBool>) -> Result<Self, ClientError> {
        let mut connection = self.connect().await?;
        while !stop.load(Ordering::Relaxed) {
            let pin = self.bundle.pin().to_string();
            let call = Call::new(Route::Catalog).header("dockmaster-bundle", &pin);
            let reply = connection.send(&call).await?;
            self.requests += 1;
            if reply.header("dockmaster-bundle") != Some(pin.as_str()) {
                let trust: Trust = connection.call(&Call::new(Route::Trust)).await?;
                let new = TrustBundle::parse(&trust.bundle).unwrap();
                assert!(new.follows(&self.bundle));
                self.bundle = Arc::new(new);
            }
            if reply.header("dockmaster-renew-within").is_some() {
                self.certify(&mut connection, Route::Renew).await?;
                connection = self.connect().await?;
                self.renewals += 1;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(self)
    }
}
