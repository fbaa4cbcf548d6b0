//! Revocation lists: fetched as often as the master says, checked, and left for the application.

use std::time::{Duration, Instant};

use dockmaster_certs::{
    bundle::TrustBundle,
    crl::{self, CheckedList, ListError},
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

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
