//! Revocation lists: fetched as often as the master says, checked, and left for the application.

use std::time::{Duration, Instant};

use dockmaster_certs::{
    bundle::TrustBundle,
    crl::{self, CheckedList, ListError},
};
use dockmaster_client::Call;
use dockmaster_proto::{api::identity::Trust, problem::ProblemCode, route::Route};
use http::StatusCode;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{Link, LinkError};
use crate::{rundir, say};

/// The time between two questions where the master does not say.
const EVERY: Duration = Duration::from_secs(60);
/// And where it has no lists: it is of an older release.
const WITHOUT: Duration = Duration::from_secs(3600);

/// What is known of the lists.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Names those that are in the run dir.
    pub etag: Option<String>,
    /// The next question is due then.
    due: Option<Instant>,
    newest: Vec<CheckedList>,
    alerts: Option<String>,
    /// The authorities that the master named last.
    pub authorities: Vec<CertificateDer<'static>>,
    /// What was said last that is wrong with them.
    pub complaint: Option<String>,
}

impl Lists {
    /// The time until they are asked for.
    pub(super) fn due_in(&self) -> Duration {
        self.due.map_or(Duration::ZERO, |due| {
            due.saturating_duration_since(Instant::now())
        })
    }

    /// The master says how often there was something urgent in the lists; when that is another number
    /// than before, they are asked for at the next opportunity.
    pub(super) fn heard(&mut self, alerts: Option<&str>) {
        if alerts.is_some() && self.alerts.as_deref() != alerts {
            self.alerts = alerts.map(str::to_owned);
            self.are_due();
        }
    }

    /// They are asked for at the next opportunity.
    pub(super) fn are_due(&mut self) {
        self.due = None;
    }

    /// The master answered; `Cache-Control` says when it is asked again.
    pub(super) fn answered(&mut self, cache_control: Option<&str>) {
        self.due = Some(Instant::now() + max_age(cache_control).unwrap_or(EVERY));
    }

    /// The master has none.
    pub(super) fn absent(&mut self) {
        self.due = Some(Instant::now() + WITHOUT);
    }

    /// Checks the signatures of new lists, and that none is older than the one before.
    pub(super) fn check(
        &mut self,
        text: &str,
        chain: &str,
        bundle: &TrustBundle,
    ) -> Result<(), Unchecked> {
        let own = CertificateDer::pem_slice_iter(chain.as_bytes()).skip(1);
        let known: Vec<_> = own
            .filter_map(Result::ok)
            .chain(self.authorities.iter().cloned())
            .collect();
        let checked = match crl::check(text, &known, bundle) {
            Err(ListError::UnknownIssuer) => return Err(Unchecked::UnknownIssuer),
            Err(error) => return Err(Unchecked::Wrong(error.to_string())),
            Ok(checked) => checked,
        };
        for list in &checked {
            let is_older =
                |last: &&CheckedList| last.issuer == list.issuer && last.number > list.number;
            if let Some(last) = self.newest.iter().find(is_older) {
                return Err(Unchecked::Wrong(format!(
                    "number {} of authority {} came after number {}",
                    list.number, list.issuer, last.number
                )));
            }
        }
        self.newest = checked;
        Ok(())
    }
}

/// Why lists are not kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unchecked {
    /// An authority is not known here; the master may name it.
    UnknownIssuer,
    /// They are wrong.
    Wrong(String),
}

fn max_age(cache_control: Option<&str>) -> Option<Duration> {
    let parts = cache_control?.split(',');
    let seconds = parts
        .rev()
        .find_map(|part| part.trim().strip_prefix("max-age="))?;
    let seconds: u64 = seconds.parse().ok()?;
    Some(Duration::from_secs(seconds.clamp(10, 24 * 3600)))
}

impl Link<'_> {
    /// The time until the revocation lists are asked for.
    #[must_use]
    pub fn lists_in(&self) -> Duration {
        self.lists.due_in()
    }

    /// Fetches the revocation lists when it is time to, checks them, and leaves them in the run dir.
    ///
    /// # Errors
    /// [`LinkError`] when the master does not answer; what is wrong with the lists is said, and the
    /// old ones stay.
    pub async fn refresh_lists(&mut self) -> Result<(), LinkError> {
        if !self.lists.due_in().is_zero() {
            return Ok(());
        }
        let mut call = Call::new(Route::Crl).query([("form", Some("pem".to_owned()))]);
        if let Some(etag) = &self.lists.etag {
            call = call.unless(etag);
        }
        let reply = match self
            .connect()
            .await?
            .send(&call)
            .await
            .map_err(LinkError::from)
        {
            Err(error) if error.problem() == Some(ProblemCode::NotFound) => {
                self.lists.absent();
                return Ok(());
            }
            Err(error) if error.is_for_later() => {
                self.lists.answered(None);
                return Ok(());
            }
            reply => reply?,
        };
        self.lists.answered(reply.header("cache-control"));
        if reply.status == StatusCode::NOT_MODIFIED {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        let kept = match self.check_lists(&text).await? {
            Ok(()) => self
                .run
                .write(rundir::LISTS, text.as_bytes())
                .map_err(|error| error.to_string()),
            Err(why) => Err(format!(
                "the master's revocation lists are not used: {why}; those from before stay"
            )),
        };
        match kept {
            Ok(()) => {
                self.lists.etag = reply.header("etag").map(str::to_owned);
                self.lists.complaint = None;
            }
            Err(why) => {
                if self.lists.complaint.as_ref() != Some(&why) {
                    say!("{why}");
                }
                self.lists.complaint = Some(why);
            }
        }
        Ok(())
    }

    async fn check_lists(&mut self, text: &str) -> Result<Result<(), String>, LinkError> {
        let (Some(certificate), Some(trusted)) = (&self.certificate, &self.trusted) else {
            return Ok(Err("there is nothing to check them by".to_owned()));
        };
        let (chain, trusted) = (certificate.identity.chain.clone(), trusted.clone());
        let mut checked = self.lists.check(text, &chain, &trusted);
        if checked == Err(Unchecked::UnknownIssuer) {
            let trust: Trust = self.connect().await?.call(&Call::new(Route::Trust)).await?;
            self.lists.authorities = trust
                .authorities
                .iter()
                .filter_map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).ok())
                .collect();
            checked = self.lists.check(text, &chain, &trusted);
        }
        Ok(checked.map_err(|unchecked| match unchecked {
            Unchecked::UnknownIssuer => {
                "one is of no authority that leads to the trust bundle".to_owned()
            }
            Unchecked::Wrong(why) => why,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_master_says_when_to_ask_again_within_reason() {
        let of = |text| max_age(Some(text)).map(|age| age.as_secs());
        assert_eq!(of("max-age=90"), Some(90));
        assert_eq!(of("private, max-age=0"), Some(10));
        assert_eq!(of("max-age=99999999999"), Some(86_400));
        assert_eq!(of("no-store"), None);
        assert_eq!(max_age(None), None);
    }

    #[test]
    fn lists_are_asked_for_at_once_and_then_when_they_are_due() {
        let mut lists = Lists::default();
        assert_eq!(lists.due_in(), Duration::ZERO);
        lists.answered(Some("max-age=90"));
        assert!(lists.due_in() > Duration::from_secs(60));
        lists.are_due();
        assert_eq!(lists.due_in(), Duration::ZERO);
    }

    #[test]
    fn an_alert_makes_them_due_once_and_no_alert_is_missed() {
        let mut lists = Lists::default();
        lists.heard(Some("0"));
        lists.answered(None);
        lists.heard(Some("0"));
        lists.heard(None);
        assert!(lists.due_in() > Duration::ZERO);
        lists.heard(Some("1"));
        assert_eq!(lists.due_in(), Duration::ZERO);
    }
}
