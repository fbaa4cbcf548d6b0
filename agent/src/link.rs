//! The link to the master: trusted, with a current certificate, dialled again when it breaks.

mod blobs;
mod error;
mod pending;
mod received;
mod schedule;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dockmaster_certs::bundle::TrustBundle;
use dockmaster_client::{Bootstrap, Call, ClientError, Connection, Dialer};
use dockmaster_proto::{report::Report, route::Route};
use dockmaster_tlog::note::VerifierKey;
use http::StatusCode;
use ring::rand::SystemRandom;

pub use self::blobs::MasterBlobs;
pub use self::error::{Cause, LinkError};
pub use self::pending::{Held, Note};
pub use self::received::Received;

use self::{error::Verdict, pending::Pending, schedule::Schedule};

use crate::{
    env,
    identity::{self, Ask, Asked, Enrolled, Fork, IdentityError, SeenHead},
    rundir::{self, RunDir},
    say,
    settings::{Anchor, Settings},
};

/// The pause after a renewal that failed, while the certificate still counts.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);
/// How long the master holds the question of a request that waits for an operator. Meanwhile nothing
/// that has drifted is put right.
const HELD: Duration = Duration::from_secs(30);
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
    /// The request that is asked for, or waits for an operator.
    pending: Pending,
}

#[derive(Debug)]
struct Certificate {
    enrolled: Enrolled,
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
            pending: Pending::default(),
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
        let reply = self.connect().await?.send(&call).await?;
        self.failures = 0;
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

    /// Draws conclusions from an error: the next [`ready`](Self::ready) starts as far back as needed.
    pub fn failed(&mut self, error: &LinkError) {
        match error.verdict() {
            Verdict::EnrollAgain => {
                if self.certificate.is_some() {
                    say!("the certificate is not accepted any more; asking for a new one");
                }
                self.forget();
            }
            Verdict::Keep => {}
            Verdict::Redial => {
                if self.connection.take().is_some() {
                    self.failures += 1;
                }
                if self.failures >= SUSPICIOUS {
                    self.forget();
                }
            }
        }
    }

    fn forget(&mut self) {
        self.certificate = None;
        self.connection = None;
        self.failures = 0;
    }

    async fn enroll(&mut self) -> Result<(), LinkError> {
        let (mut connection, bundle) = self.first_contact().await?;
        if self.seen.is_none() {
            let key = VerifierKey::parse(bundle.log_key()).ok();
            self.seen = key.and_then(|key| SeenHead::load(self.run, &key));
        }
        let wait = if self.pending.waits() {
            HELD
        } else {
            Duration::ZERO
        };
        let ask = Ask {
            route: Route::Enroll,
            key: self.pending.key(&self.random)?,
            seen: self.seen.as_ref(),
            wait,
        };
        let asked = identity::request(&mut connection, &bundle, ask, env::now).await;
        let enrolled = self.settle(asked)?;
        self.adopt(enrolled, "enrolled")
    }

    /// The certificate, where it was given. A request that waits, or that an operator denied and may
    /// approve yet, keeps its key.
    fn settle(&mut self, asked: Result<Asked, IdentityError>) -> Result<Enrolled, LinkError> {
        let settled = self.pending.settle(asked);
        if let Err(error) = self.pending.save(self.run) {
            say!("{error}");
        }
        settled
    }

    async fn first_contact(&mut self) -> Result<(Connection, Arc<TrustBundle>), LinkError> {
        let (master, bind) = (self.settings.master, self.settings.bind);
        let bundle = match (&self.trusted, &self.settings.anchor) {
            (Some(bundle), _) => Arc::clone(bundle),
            (None, Anchor::Bundle(text)) => Arc::new(TrustBundle::parse(text)?),
            (None, Anchor::Pin(pin)) => {
                let (connection, bundle) = Bootstrap::dial(master, bind).await?.trust(*pin).await?;
                let bundle = Arc::new(bundle);
                self.trusted = Some(Arc::clone(&bundle));
                return Ok((connection, bundle));
            }
        };
        self.trusted = Some(Arc::clone(&bundle));
        let dialer = Dialer::new(master, bind, Arc::clone(&bundle), None)?;
        Ok((dialer.dial().await?, bundle))
    }

    async fn renew(&mut self) -> Result<(), LinkError> {
        let (Some(connection), Some(trusted)) = (&mut self.connection, &self.trusted) else {
            return Ok(());
        };
        let trusted = Arc::clone(trusted);
        // Not held at the master: the certificate that counts has better to do.
        let ask = Ask {
            route: Route::Renew,
            key: self.pending.key(&self.random)?,
            seen: self.seen.as_ref(),
            wait: Duration::ZERO,
        };
        let asked = identity::request(connection, &trusted, ask, env::now).await;
        match self.settle(asked) {
            // The old connection shows the old certificate.
            Ok(enrolled) => {
                self.connection = None;
                self.adopt(enrolled, "renewed")
            }
            // A master that does not issue now (its disk is full) still serves catalogs to the
            // certificate that counts.
            Err(error) if error.verdict() == Verdict::Keep => {
                say!("the certificate cannot be renewed now: {error}");
                if let Some(certificate) = &mut self.certificate {
                    certificate.schedule.put_off(Instant::now() + RENEWAL_PAUSE);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn adopt(&mut self, enrolled: Enrolled, word: &str) -> Result<(), LinkError> {
        match enrolled.save(self.run) {
            Ok(()) => self.has_saved = true,
            // Nothing can be kept here: the settings are wrong.
            Err(error) if !self.has_saved => return Err(error.into()),
            // A full disk, say. To ask for another certificate each time would mend nothing and fill
            // the master's log.
            Err(error) => say!("{error}; what lies in the run dir is the certificate before"),
        }
        match &enrolled.fork {
            Some(fork) => self.raise(fork),
            None => self.see(enrolled.head.clone()),
        }
        let issued = &enrolled.issued;
        let ips: Vec<String> = issued
            .addresses
            .iter()
            .map(|address| address.ip.to_string())
            .collect();
        say!(
            "{word} as {} [{}], certificate {} until {}, proven in the log",
            issued.container_id.short(),
            ips.join(", "),
            issued.serial,
            issued.not_after_ms
        );
        self.trusted = Some(Arc::new(enrolled.bundle.clone()));
        self.certificate = Some(Certificate {
            schedule: Schedule::of(issued, Instant::now()),
            enrolled,
        });
        Ok(())
    }

    fn see(&mut self, head: SeenHead) {
        if let Err(error) = head.save(self.run) {
            say!("{error}");
        }
        self.seen = Some(head);
    }

    /// The certificate is used all the same: to do without would take down the application, and mend
    /// nothing. The head that was seen before stays, so that each renewal tells it again.
    fn raise(&mut self, fork: &Fork) {
        say!(
            "ALARM: {}. Its record of who held which address cannot be trusted; both signed heads are in {}",
            fork.what,
            self.run.path().join(rundir::FORK).display()
        );
        if self.alarm.is_none()
            && let Err(error) = self.run.write(rundir::FORK, fork.heads.as_bytes())
        {
            say!("{error}");
        }
        self.alarm = Some(fork.what.clone());
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
                Some(&certificate.enrolled.identity),
            )?;
            self.connection = Some(dialer.dial().await?);
        }
        match &mut self.connection {
            Some(connection) => Ok(connection),
            None => Err(LinkError::Catalog("there is no connection".to_owned())),
        }
    }
}
