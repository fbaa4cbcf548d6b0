//! How the link comes by certificates: the first one, each next one, and one that was kept.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dockmaster_certs::bundle::TrustBundle;
use dockmaster_client::{Bootstrap, Connection, Dialer};
use dockmaster_proto::route::Route;
use dockmaster_tlog::note::VerifierKey;

use super::{Certificate, Link, LinkError, error::Verdict, schedule::Schedule};
use crate::{
    env,
    identity::{self, Ask, Asked, Enrolled, Fork, IdentityError, SeenHead},
    join::{Joining, Kept},
    rundir, say,
    settings::Anchor,
};

/// The pause after a renewal that failed, while the certificate still counts.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);
/// How long the master holds the question of a request that waits for an operator. Meanwhile nothing
/// that has drifted is put right.
const HELD: Duration = Duration::from_secs(30);

impl Link<'_> {
    pub(super) async fn enroll(&mut self) -> Result<(), LinkError> {
        let (mut connection, bundle) = self.first_contact().await?;
        if self.seen.is_none() {
            let key = VerifierKey::parse(bundle.log_key()).ok();
            self.seen = key.and_then(|key| SeenHead::load(self.run, &key));
        }
        if let Some(kept) = Kept::load(self.run) {
            // Tried by turns with asking anew: what failed with it may have been the master's trouble.
            let doubtful = [self.suspected.take(), self.rejected];
            if !doubtful.contains(&Some(kept.serial)) && self.resume(&kept) {
                return Ok(());
            }
            match self.come_back(&mut connection, &bundle, &kept).await {
                // What else there is to ask with is a token.
                Err(error)
                    if self.settings.join.is_some()
                        && error.problem().is_some()
                        && !error.is_for_later() =>
                {
                    say!("{error}");
                }
                other => return other,
            }
        }
        let joining = match &self.settings.join {
            Some(join) => Some(join.prepare(self.run, &self.random)?),
            None => None,
        };
        let wait = if self.pending.waits() {
            HELD
        } else {
            Duration::ZERO
        };
        let (key, token) = match &joining {
            Some(Joining { key, redemption }) => (key, Some(redemption.clone())),
            None => (self.pending.key(&self.random)?, None),
        };
        let ask = Ask {
            route: Route::Enroll,
            key,
            seen: self.seen.as_ref(),
            wait,
            token,
        };
        let asked = identity::request(&mut connection, &bundle, ask, env::now).await;
        let enrolled = self.settle(asked)?;
        self.adopt(enrolled, "enrolled")
    }

    /// Asks with the key of a certificate that counts no more. The master gives that key another one, where
    /// the machine may come back; a lost answer costs nothing, since the same key asks again. The new
    /// certificate is renewed at once, so that the key is used no longer than that.
    async fn come_back(
        &mut self,
        connection: &mut Connection,
        bundle: &TrustBundle,
        kept: &Kept,
    ) -> Result<(), LinkError> {
        say!(
            "certificate {} until {}, which this machine kept, counts no more; asking for another with its key",
            kept.serial,
            kept.not_after
        );
        let ask = Ask {
            route: Route::Enroll,
            key: &kept.key,
            seen: self.seen.as_ref(),
            wait: Duration::ZERO,
            token: None,
        };
        let asked = identity::request(connection, bundle, ask, env::now).await;
        let enrolled = self.settle(asked)?;
        self.adopt(enrolled, "back")?;
        if let Some(certificate) = &mut self.certificate {
            certificate.schedule.renew_now(Instant::now());
        }
        Ok(())
    }

    /// Takes up the certificate of an earlier start, where this machine joined by a token, unless it has
    /// expired. It is renewed at once.
    fn resume(&mut self, kept: &Kept) -> bool {
        let now = env::now();
        if kept.not_after <= now {
            return false;
        }
        say!(
            "going on with certificate {} until {}, of an earlier start",
            kept.serial,
            kept.not_after
        );
        self.certificate = Some(Certificate {
            identity: kept.identity.clone(),
            serial: kept.serial,
            schedule: Schedule::kept(kept.not_after.since(now), Instant::now()),
        });
        self.has_saved = true;
        true
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

    pub(super) async fn renew(&mut self) -> Result<(), LinkError> {
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
            token: None,
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
        // It was told with the answer, if it is.
        let master = enrolled.issued.master_time_ms;
        self.is_clock_off = identity::skew(master, env::now()).is_some();
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
            serial: issued.serial,
            identity: enrolled.identity,
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
}
