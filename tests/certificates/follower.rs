//! Stand-ins for agents, many in one process: each asks for its catalog, follows the trust bundle, and
//! renews when it is told to. No request of theirs may ever fail.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use dockmaster_certs::{bundle::TrustBundle, csr::create_request, key::KeyPair};
use dockmaster_client::{Bootstrap, Call, ClientError, Connection, Dialer, Identity};
use dockmaster_proto::{
    api::identity::{CertificateRequest, IssuedCertificate, Trust},
    id::TrustPin,
    route::Route,
};
use ring::rand::SystemRandom;
use tokio::sync::watch;

/// How long the master may hold a request: longer than any test waits.
const HELD: Duration = Duration::from_secs(300);
/// The pause of those that the master may hold nothing of.
const PAUSE: Duration = Duration::from_millis(200);

/// How a follower asks for its catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As an agent does: the master holds the request until there is something to tell.
    Held,
    /// Again and again, so that there is hardly a moment at which it asks nothing.
    Restless,
}

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
    pub(crate) async fn follow(
        mut self,
        manner: Manner,
        mut stop: watch::Receiver<bool>,
    ) -> Result<Self, ClientError> {
        loop {
            tokio::select! {
                renewed = self.until_renewal(manner) => renewed?,
                _ = stop.wait_for(|stop| *stop) => return Ok(self),
            }
        }
    }

    async fn until_renewal(&mut self, manner: Manner) -> Result<(), ClientError> {
        let mut connection = self.connect().await?;
        let mut etag: Option<String> = None;
        let mut turn: Option<Instant> = None;
        while turn.is_none_or(|turn| Instant::now() < turn) {
            let pin = self.bundle.pin().to_string();
            let mut call = Call::new(Route::Catalog).header("dockmaster-bundle", &pin);
            if let (Manner::Held, Some(etag)) = (manner, &etag) {
                let wait = turn.map_or(HELD, |turn| turn.duration_since(Instant::now()));
                call = call.unless(etag).wait(wait.max(Duration::from_secs(1)));
            }
            let reply = connection.send(&call).await?;
            self.requests += 1;
            etag = reply.header("etag").map(str::to_owned);
            if reply.header("dockmaster-bundle") != Some(pin.as_str()) {
                let trust: Trust = connection.call(&Call::new(Route::Trust)).await?;
                let new = TrustBundle::parse(&trust.bundle).unwrap();
                assert!(new.follows(&self.bundle));
                self.bundle = Arc::new(new);
            }
            let within = reply.header("dockmaster-renew-within");
            if let (Some(within), None) = (within, turn) {
                turn = Some(Instant::now() + self.share(within.parse().unwrap()));
            }
            if manner == Manner::Restless {
                tokio::time::sleep(PAUSE).await;
            }
        }
        self.certify(&mut connection, Route::Renew).await?;
        self.renewals += 1;
        Ok(())
    }

    /// Its own part of the time over which renewals are spread; an agent's is by chance.
    fn share(&self, seconds: u64) -> Duration {
        let IpAddr::V4(ip) = self.ip else {
            panic!("stand-ins have IPv4 addresses")
        };
        Duration::from_millis(u64::from(ip.octets()[3]) * seconds * 1000 / 256)
    }
}
