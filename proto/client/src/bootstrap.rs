//! The first contact: all that is known of the master is its address and the digest of its trust
//! bundle. No trust on first use: nothing that the peer says counts before the digest fits and the
//! certificate that the peer showed leads to that very bundle.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use dockmaster_certs::bundle::{MAX_BUNDLE_LENGTH, TrustBundle};
use dockmaster_proto::{api::identity::Trust, id::TrustPin, route::Route};
use rustls::pki_types::CertificateDer;

use crate::{
    Call, ClientError, Connection,
    dialer::{check_master, handshake, peer_chain},
    tls,
};

/// The largest list of authorities beside the bundle, in bytes.
const MAX_AUTHORITIES_LENGTH: usize = 64 << 10;

/// A connection to someone who may be the master.
#[derive(Debug)]
pub struct Bootstrap {
    master: SocketAddr,
    chain: Vec<CertificateDer<'static>>,
    connection: Connection,
}

impl Bootstrap {
    /// Connects to whoever is there.
    ///
    /// # Errors
    /// When nobody is.
    pub async fn dial(master: SocketAddr, bind: Option<IpAddr>) -> Result<Self, ClientError> {
        let stream = handshake(master, bind, Arc::new(tls::deferring()?)).await?;
        let chain = peer_chain(&stream);
        let connection = Connection::start(master, stream).await?;
        Ok(Self {
            master,
            chain,
            connection,
        })
    }

    /// Fetches the trust bundle, checks it against the pin and the peer against it. What comes out
    /// is the same connection, now known to be with the master.
    ///
    /// # Errors
    /// When the bundle is not the pinned one, or the peer no master of it.
    pub async fn trust(mut self, pin: TrustPin) -> Result<(Connection, TrustBundle), ClientError> {
        let master = self.master;
        // While its authorities are rotated a master has several bundles, and gives the pinned one.
        let question = Call::new(Route::Trust)
            .query([("pin", Some(pin.to_string()))])
            .at_most(2 * MAX_BUNDLE_LENGTH + MAX_AUTHORITIES_LENGTH);
        let trust: Trust = self.connection.call(&question).await?;
        let got = TrustPin::of(&trust.bundle);
        if got != pin {
            return Err(ClientError::WrongPin {
                master,
                pinned: pin,
                got,
            });
        }
        let bundle =
            TrustBundle::parse(&trust.bundle).map_err(|error| ClientError::Credentials {
                what: "the trust bundle",
                why: error.to_string(),
            })?;
        check_master(master, &self.chain, &bundle)?;
        Ok((self.connection, bundle))
    }
}
