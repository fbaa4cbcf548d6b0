//! The link to the master: trusted, with a current certificate, dialled again when it breaks.

mod addresses;
mod blobs;
mod certify;
mod error;
mod lists;
mod pending;
mod received;
mod schedule;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dockmaster_certs::bundle::TrustBundle;
use dockmaster_client::{Call, ClientError, Connection, Dialer, Identity};
use dockmaster_proto::{
    api::identity::Trust, header, id::Serial, report::Report, route::Route, time::UnixMs,
};
use http::StatusCode;
use ring::rand::SystemRandom;

pub use self::blobs::MasterBlobs;
pub use self::error::{Cause, LinkError};
pub use self::pending::{Held, Note};
pub use self::received::Received;

use self::{
    addresses::Addresses, error::Verdict, lists::Lists, pending::Pending, schedule::Schedule,
};

use crate::{
    env,
    identity::{self, SeenHead},
    rundir::{self, RunDir},
    say,
    settings::Settings,
};

/// The longest time over which renewals are spread, in seconds.
const MAX_SPREAD_S: u64 = 3600;
/// So many failures in a row on connections with a certificate, and the certificate is suspected.
const SUSPICIOUS: u32 = 3;

/// The link to the master.
#[derive(Debug)]
pub struct Link<'a> {
    settings: &'a Settings,
    run: &'a RunDir,
    random: SystemRandom,
    trusted: Option<Arc<TrustBundle>>,
    certificate: Option<Certificate>,
    connection: Option<Connection>,
    failures: u32,
    /// The newest head of the log; from an earlier life of the container at first.
    seen: Option<SeenHead>,
    /// That the log contradicts it.
    alarm: Option<String>,
    /// The run dir has taken a certificate.
    has_saved: bool,
    lists: Lists,
    /// The master has another trust bundle than the one that is trusted here.
    has_other_bundle: bool,
    /// It was said that the clock here is off.
    is_clock_off: bool,
    /// The certificate that seemed to be what was wrong: the next time it is done without.
    suspected: Option<Serial>,
    /// The certificate that the master does not honour.
    rejected: Option<Serial>,
    /// The request that is asked for, or waits for an operator.
    pending: Pending,
    /// Made with the first connection.
    addresses: Option<Addresses>,
}

#[derive(Debug)]
struct Certificate {
    identity: Identity,
    serial: Serial,
    schedule: Schedule,
}

impl<'a> Link<'a> {
    /// A link that is not there yet.
    #[must_use]
    pub fn new(settings: &'a Settings, run: &'a RunDir) -> Self {
        Self {
            settings,
            run,
            random: SystemRandom::new(),
            trusted: None,
            certificate: None,
            connection: None,
            failures: 0,
            seen: None,
            alarm: None,
            has_saved: false,
            lists: Lists::default(),
            has_other_bundle: false,
            is_clock_off: false,
            suspected: None,
            rejected: None,
            pending: Pending::default(),
            addresses: None,
        }
    }

    /// The agent's source of randomness.
    #[must_use]
    pub fn random(&self) -> &SystemRandom {
        &self.random
    }

    /// What is wrong with the master's log, once it is.
    #[must_use]
    pub fn alarm(&self) -> Option<&str> {
        self.alarm.as_deref()
    }

    /// Sees to a current certificate and an open connection.
    ///
    /// # Errors
    /// [`LinkError`] when there is none to be had.
    pub async fn ready(&mut self) -> Result<(), LinkError> {
        let now = Instant::now();
        if self
            .certificate
            .as_ref()
            .is_some_and(|certificate| certificate.schedule.expires_at <= now)
        {
            say!("the certificate has expired; asking for a new one");
            self.forget();
        }
        if self.certificate.is_none() {
            self.enroll().await?;
        }
        self.connect().await?;
        if self.renew_in() == Duration::ZERO {
            self.renew().await?;
            self.connect().await?;
        }
        Ok(())
    }

    /// The time until the certificate should be renewed.
    #[must_use]
    pub fn renew_in(&self) -> Duration {
        let renew_at = self
            .certificate
            .as_ref()
            .map(|certificate| certificate.schedule.renew_at);
        renew_at.map_or(Duration::ZERO, |at| {
            at.saturating_duration_since(Instant::now())
        })
    }

    /// Asks for the catalog; `None` when it is still the one of `etag` after `wait`.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn catalog(
        &mut self,
        etag: Option<&str>,
        wait: Duration,
    ) -> Result<Option<Received>, LinkError> {
        let mut call = Call::new(Route::Catalog);
        if let Some(etag) = etag {
            call = call.unless(etag).wait(wait);
        }
        call = call.header(header::TIME, &env::now().0.to_string());
        let pin = self.trusted.as_ref().map(|bundle| bundle.pin().to_string());
        if let Some(pin) = &pin {
            call = call.header(header::BUNDLE, pin);
        }
        let may_renew = |certificate: &Certificate| !certificate.schedule.is_put_off();
        if self.certificate.as_ref().is_some_and(may_renew) {
            call = call.header(header::RENEW, "now");
        }
        let reply = self.ask(&call).await?;
        self.failures = 0;
        let bundle = reply.header(header::BUNDLE);
        if bundle.is_some() && bundle != pin.as_deref() {
            self.has_other_bundle = true;
        }
        self.compare_clocks(reply.header(header::TIME));
        let within = reply.header(header::RENEW_WITHIN);
        if let Some(seconds) = within.and_then(|text| text.parse::<u64>().ok()) {
            self.renew_within(Duration::from_secs(seconds.min(MAX_SPREAD_S)));
        }
        self.lists.heard(reply.header(header::CRL));
        if reply.header(header::RENEW).is_some()
            && let Some(certificate) = &mut self.certificate
        {
            say!("the container's addresses have changed; renewing the certificate");
            certificate.schedule.renew_now(Instant::now());
        }
        if reply.status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let etag = reply.header("etag").map(str::to_owned);
        Received::parse(&reply.body, etag).map(Some)
    }

    /// Sends a report.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn report(&mut self, report: &Report) -> Result<(), LinkError> {
        let call = Call::new(Route::Reports).json(report);
        self.connect().await?.send(&call).await?;
        Ok(())
    }

    /// Tells once when the clock here goes wrong, and when it is right again.
    fn compare_clocks(&mut self, master: Option<&str>) {
        let Some(master) = master.and_then(|time| time.parse().ok()) else {
            return;
        };
        let warning = identity::skew(UnixMs(master), env::now());
        match (&warning, self.is_clock_off) {
            (Some(warning), false) => say!("{warning}"),
            (None, true) => say!("this container's clock agrees with the master's again"),
            _ => {}
        }
        self.is_clock_off = warning.is_some();
    }

    /// The authorities are being changed: whoever has a certificate of the old one takes its turn.
    fn renew_within(&mut self, spread: Duration) {
        let chance = f64::from(env::chance(&self.random)) / f64::from(u32::MAX);
        let turn = spread.mul_f64(chance);
        if let Some(certificate) = &mut self.certificate {
            certificate.schedule.bring_forward(Instant::now() + turn);
        }
    }

    /// Takes up the trust bundle that is in force, where it is another one. The connection is with a
    /// master by the bundle that is trusted so far.
    ///
    /// # Errors
    /// [`LinkError`] when the master does not answer; a bundle that cannot follow is said.
    pub async fn follow_bundle(&mut self) -> Result<(), LinkError> {
        if !std::mem::take(&mut self.has_other_bundle) {
            return Ok(());
        }
        let trust: Trust = self.connect().await?.call(&Call::new(Route::Trust)).await?;
        let new = match TrustBundle::parse(&trust.bundle) {
            Ok(new) if self.trusted.as_ref().is_some_and(|old| new.follows(old)) => new,
            Ok(_) => {
                say!(
                    "the master's trust bundle has no root in common with the one trusted here, or is of another log; it is not used"
                );
                return Ok(());
            }
            Err(error) => {
                say!("the master's trust bundle is not used: {error}");
                return Ok(());
            }
        };
        if let Err(error) = self.run.write(rundir::BUNDLE, trust.bundle.as_bytes()) {
            // Not confirmed: the application would not have it.
            say!("{error}");
            return Ok(());
        }
        say!(
            "the trust bundle has {} roots now, {}",
            new.roots().len(),
            new.pin()
        );
        self.trusted = Some(Arc::new(new));
        // Which authorities count has changed.
        self.lists.are_due();
        self.lists.etag = None;
        Ok(())
    }

    /// Draws conclusions from an error: the next [`ready`](Self::ready) starts as far back as needed.
    pub fn failed(&mut self, error: &LinkError) {
        match error.verdict() {
            Verdict::EnrollAgain => {
                if self.certificate.is_some() {
                    say!("the certificate is not accepted any more; asking for a new one");
                }
                self.rejected = self.serial().or(self.rejected);
                self.forget();
            }
            Verdict::Keep => {}
            Verdict::Redial => {
                if self.connection.take().is_some() {
                    self.failures += 1;
                }
                if self.failures >= SUSPICIOUS {
                    self.suspected = self.serial();
                    self.forget();
                }
            }
        }
    }

    fn serial(&self) -> Option<Serial> {
        self.certificate
            .as_ref()
            .map(|certificate| certificate.serial)
    }

    fn forget(&mut self) {
        self.certificate = None;
        self.connection = None;
        self.failures = 0;
    }

    async fn connect(&mut self) -> Result<&mut Connection, LinkError> {
        if self
            .connection
            .as_ref()
            .is_some_and(|connection| !connection.is_open())
        {
            self.connection = None;
        }
        if self.connection.is_none() {
            let (Some(certificate), Some(trusted)) = (&self.certificate, &self.trusted) else {
                return Err(LinkError::Client(ClientError::Credentials {
                    what: "the certificate",
                    why: "there is none yet".to_owned(),
                }));
            };
            let dialer = Dialer::new(
                self.settings.master,
                self.settings.bind,
                Arc::clone(trusted),
                Some(&certificate.identity),
            )?;
            self.connection = Some(dialer.dial().await?);
        }
        match &mut self.connection {
            Some(connection) => Ok(connection),
            None => Err(LinkError::Catalog("there is no connection".to_owned())),
        }
    }
}
