//! Stand-in containers, each at a loopback address of its own, and what their agents do.

use std::{cell::RefCell, sync::Arc};

use dockmaster_certs::{bundle::TrustBundle, csr::create_request, key::KeyPair};
use dockmaster_client::{Bootstrap, Call, Connection, Dialer, Identity};
use dockmaster_proto::{
    api::identity::{CertificateRequest, IssuedCertificate},
    route::Route,
};
use dockmaster_tests::{Inventory, Master, Setup, StandIn};
use dockmaster_tlog::proof::TlogProof;
use ring::rand::SystemRandom;

use crate::{MANY, drive::drive};

/// How many there are: so many that none asks for more certificates than the master gives one
/// container at once.
pub(crate) const CONTAINERS: u16 = 1000;
/// One more, which is not among those that are measured: it floods.
pub(crate) const FLOODER: u16 = CONTAINERS + 1;

/// A master that watches them, and their agents.
pub(crate) struct Fleet {
    pub(crate) master: Master,
    pub(crate) nodes: Vec<Node>,
    _inventory: Inventory,
}

impl Fleet {
    /// Starts the master, deploys `examples/hello`, and gives each container its first certificate.
    pub(crate) async fn start() -> Self {
        let stand_ins: Vec<_> = (1..=FLOODER)
            .map(|number| StandIn::numbered(number).label("role", "web"))
            .collect();
        let inventory = Inventory::new(&stand_ins);
        let master = Setup::inventory(&inventory).start();
        master.deploy("hello");
        let first = Bootstrap::dial(master.address(), None).await.unwrap();
        let (_, bundle) = first.trust(master.trust()).await.unwrap();
        let bundle = Arc::new(bundle);
        let nodes: Vec<_> = stand_ins[..usize::from(CONTAINERS)]
            .iter()
            .map(|stand_in| Node::new(&master, stand_in, &bundle))
            .collect();
        drive(vec![(); MANY], nodes.iter(), async |(), node| {
            node.enroll().await;
        })
        .await;
        Self {
            master,
            nodes,
            _inventory: inventory,
        }
    }

    /// So many nodes, beginning anew with the first when all had their turn.
    pub(crate) fn in_turn(&self, count: usize) -> impl Iterator<Item = &Node> {
        self.nodes.iter().cycle().take(count)
    }
}

/// One container's agent, as far as the master sees it.
pub(crate) struct Node {
    dialer: Dialer,
    of_identity: Box<dyn Fn(&Identity) -> Dialer>,
    /// Its newest certificate.
    identity: RefCell<Option<Identity>>,
    /// The newest head of the log that it was shown: the master has to prove that it goes on from there.
    seen: RefCell<Option<String>>,
}

impl Node {
    fn new(master: &Master, stand_in: &StandIn, bundle: &Arc<TrustBundle>) -> Self {
        let (master, bind, bundle) = (master.address(), stand_in.ips[0], Arc::clone(bundle));
        let dialer = move |identity: Option<&Identity>| {
            Dialer::new(master, Some(bind), Arc::clone(&bundle), identity).unwrap()
        };
        Self {
            dialer: dialer(None),
            of_identity: Box::new(move |identity| dialer(Some(identity))),
            identity: RefCell::default(),
            seen: RefCell::default(),
        }
    }

    /// A new connection, a new key, a certificate.
    pub(crate) async fn enroll(&self) {
        let mut connection = self.dialer.dial().await.unwrap();
        self.certify(&mut connection, Route::Enroll).await;
    }

    /// A certificate for a new key.
    pub(crate) async fn certify(&self, connection: &mut Connection, route: Route) {
        let key = KeyPair::generate(&SystemRandom::new()).unwrap();
        let request = CertificateRequest {
            csr: create_request(&key, connection.exporter()).unwrap(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            seen: self.seen.borrow().clone(),
            token: None,
        };
        let call = Call::new(route).json(&request);
        let issued: IssuedCertificate = connection.call(&call).await.unwrap();
        let proof = TlogProof::parse(&issued.proof).unwrap();
        self.seen.replace(Some(proof.checkpoint));
        self.identity.replace(Some(Identity {
            chain: issued.chain,
            key: key.to_pem(),
        }));
    }

    /// An open connection that shows the newest certificate.
    pub(crate) async fn connect(&self) -> Connection {
        let dialer = self.identity.borrow().as_ref().map(&self.of_identity);
        dialer.unwrap().dial().await.unwrap()
    }
}
