//! How fast somebody is served who asks for more than anyone honest does: not refused, but let wait.
//!
//! What is refused without a cost to the one who asks is asked again as fast as the answers come, and
//! then everybody else waits for a processor. So what is asked for has a price in time, and whoever
//! owes more than a credit waits until it has been paid: each wait costs the master a timer, and nobody
//! else anything. The price is known by what is asked for and not by what it took, so that it does not
//! depend on how busy the machine is.

use std::{
    collections::HashMap,
    iter,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::origin::{Group, Origin, Party};

/// The price of any request.
const REQUEST: Duration = Duration::from_micros(200);
/// What a request costs besides that is refused, or whose sender does not wait for the answer.
const REFUSAL: Duration = Duration::from_millis(5);
/// The price of a TLS handshake: the most expensive thing that anyone may ask for.
const HANDSHAKE: Duration = Duration::from_millis(40);
/// What an origin may owe for requests and need not wait: 5000 of them, or 200 refusals.
const REQUESTS_CREDIT: Duration = Duration::from_secs(1);
/// The same for handshakes: as many as it may have connections.
const HANDSHAKES_CREDIT: Duration = HANDSHAKE.saturating_mul(256);
/// The longest wait; what is owed beyond is forgiven.
const MOST: Duration = Duration::from_secs(2);
/// A group of origins pays too: all that a host relays may ask for as much as this many origins, ...
const ORIGINS_OF_RELAY: u32 = 20;
/// ... and all strangers for as much as this many, but at once for as much as one.
const ORIGINS_OF_STRANGERS: u32 = 2;

/// Below so many debtors nobody looks for those who have paid.
const FEW: usize = 1024;
/// How often it is told that somebody has to wait.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Who pays.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Debtor {
    Origin(Origin),
    Group(Group),
}

impl Debtor {
    /// Who pays for a party.
    fn of(party: &Party) -> impl Iterator<Item = Self> + use<> {
        let group = party.group.clone().map(Self::Group);
        iter::once(Self::Origin(party.origin.clone())).chain(group)
    }

    /// For how many it pays.
    const fn origins(&self) -> u32 {
        match self {
            Self::Origin(_) => 1,
            Self::Group(Group::Relay(_)) => ORIGINS_OF_RELAY,
            Self::Group(Group::Strangers) => ORIGINS_OF_STRANGERS,
        }
    }

    /// What it may owe, where one origin may owe this.
    fn credit(&self, one: Duration) -> Duration {
        match self {
            Self::Origin(_) | Self::Group(Group::Relay(_)) => one,
            Self::Group(Group::Strangers) => one / ORIGINS_OF_STRANGERS,
        }
    }
}

/// Lets those wait who owe more than their credit.
#[derive(Debug)]
pub struct Pace {
    /// What is asked for, for people.
    what: &'static str,
    credit: Duration,
    debts: Mutex<Debts>,
}

#[derive(Debug, Default)]
struct Debts {
    /// When all that somebody owes will have been paid.
    paid_at: HashMap<Debtor, Instant>,
    /// At this number those who have paid are looked for again.
    prune_at: usize,
    told_at: Option<Instant>,
}

/// A request that is being answered.
#[derive(Debug)]
#[must_use]
pub struct Turn<'a> {
    pace: &'a Pace,
    /// None when it was answered.
    party: Option<Party>,
}

impl Turn<'_> {
    /// It was answered, and no refusal.
    pub fn answered(mut self) {
        self.party = None;
    }
}

impl Drop for Turn<'_> {
    /// Also where the sender takes its request back: it must not get its work for less by that.
    fn drop(&mut self) {
        if let Some(party) = self.party.take() {
            self.pace.charge(&party, REFUSAL);
        }
    }
}

impl Pace {
    /// For requests.
    #[must_use]
    pub fn of_requests() -> Self {
        Self::new("requests", REQUESTS_CREDIT)
    }

    /// For TLS handshakes.
    #[must_use]
    pub fn of_handshakes() -> Self {
        Self::new("connections", HANDSHAKES_CREDIT)
    }

    fn new(what: &'static str, credit: Duration) -> Self {
        Self {
            what,
            credit,
            debts: Mutex::default(),
        }
    }

    /// Waits until it is the turn of a request, before anything is done about it. `slot` is given back
    /// after the wait, also where the request is taken back before.
    pub async fn request(&self, party: Party, slot: impl Send + 'static) -> Turn<'_> {
        self.keep(&party, REQUEST, slot).await;
        Turn {
            pace: self,
            party: Some(party),
        }
    }

    /// Waits until it is the turn of a handshake.
    pub async fn handshake(&self, party: &Party) {
        self.keep(party, HANDSHAKE, ()).await;
    }

    /// Takes the price of a handshake back, of one who turned out to be an operator or a host: an
    /// operator's script may call as often as it likes.
    pub fn forgive_handshake(&self, party: &Party) {
        let mut debts = self.debts();
        for debtor in Debtor::of(party) {
            let price = HANDSHAKE / debtor.origins();
            if let Some(paid_at) = debts.paid_at.get_mut(&debtor) {
                // A time before now is as good as none.
                *paid_at = paid_at.checked_sub(price).unwrap_or(*paid_at);
            }
        }
    }

    async fn keep(&self, party: &Party, price: Duration, slot: impl Send + 'static) {
        let wait = self.charge(party, price);
        // A timer rounds up to the next millisecond, also none at all.
        if !wait.is_zero() {
            self.tell(&party.origin);
            let waiting = tokio::spawn(async move {
                let _slot = slot;
                tokio::time::sleep(wait).await;
            });
            // It neither panics nor is it aborted.
            let _ = waiting.await;
        }
    }

    /// Has a party owe so much more. Gives how long it is until that is within the credit again.
    fn charge(&self, party: &Party, price: Duration) -> Duration {
        let now = Instant::now();
        let mut debts = self.debts();
        debts.prune(now);
        Debtor::of(party)
            .map(|debtor| {
                let (price, credit) = (price / debtor.origins(), debtor.credit(self.credit));
                debts.charge(debtor, price, credit, now)
            })
            .max()
            .unwrap_or_default()
    }

    fn tell(&self, origin: &Origin) {
        let now = Instant::now();
        let told_at = &mut self.debts().told_at;
        if told_at.is_none_or(|told| now.duration_since(told) >= TELL_EVERY) {
            *told_at = Some(now);
            let what = self.what;
            tracing::warn!(%origin, "more {what} come from there than from anyone honest; they have to wait for their turn");
        }
    }

    fn debts(&self) -> MutexGuard<'_, Debts> {
        self.debts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debts {
    fn charge(
        &mut self,
        debtor: Debtor,
        price: Duration,
        credit: Duration,
        now: Instant,
    ) -> Duration {
        let paid_at = self.paid_at.entry(debtor).or_insert(now);
        *paid_at = ((*paid_at).max(now) + price).min(now + credit + MOST);
        paid_at.duration_since(now).saturating_sub(credit)
    }

    /// Looked for only when there are twice as many as were left the last time, so that a thousand at
    /// once do not each go through a thousand.
    fn prune(&mut self, now: Instant) {
        if self.paid_at.len() >= self.prune_at.max(FEW) {
            self.paid_at.retain(|_, paid_at| *paid_at > now);
            self.prune_at = 2 * self.paid_at.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn ip(number: u32) -> IpAddr {
        Ipv4Addr::from(0x0A00_0000 + number).into()
    }

    fn known(number: u32) -> Party {
        Party::known(Origin::direct(ip(number)))
    }

    fn stranger(number: u32) -> Party {
        Party::unknown(Origin::direct(ip(number)))
    }

    fn relayed(number: u32) -> Party {
        Party::unknown(Origin::relayed(ip(number), "h2".parse().unwrap()))
    }

    async fn refused(pace: &Pace, party: Party) -> Duration {
        let begin = Instant::now();
        drop(pace.request(party, ()).await);
        begin.elapsed()
    }

    async fn answered(pace: &Pace, party: Party) -> Duration {
        let begin = Instant::now();
        pace.request(party, ()).await.answered();
        begin.elapsed()
    }

    /// How many of `times` did not wait, and how long all took one after the other.
    async fn flood(times: u32, mut one: impl AsyncFnMut() -> Duration) -> (u32, Duration) {
        let begin = Instant::now();
        let mut at_once = 0;
        for _ in 0..times {
            at_once += u32::from(one().await.is_zero());
        }
        (at_once, begin.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_refusals_is_told_at_once_and_the_rest_at_their_pace() {
        let pace = Pace::of_requests();
        let (at_once, took) = flood(1000, async || refused(&pace, known(1)).await).await;
        assert!((190..=200).contains(&at_once), "{at_once}");
        // 1000 times 5.2 ms, less the credit.
        assert!((4100..=4300).contains(&took.as_millis()), "{took:?}");
        assert!(
            answered(&pace, known(2)).await.is_zero(),
            "others do not wait"
        );
        tokio::time::sleep(REQUESTS_CREDIT + MOST).await;
        assert!(refused(&pace, known(1)).await.is_zero(), "all is paid");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_cost_little_and_yet_something() {
        let pace = Pace::of_requests();
        let (at_once, took) = flood(10_000, async || answered(&pace, known(1)).await).await;
        assert!(at_once >= 5000, "{at_once}");
        assert!((900..=1100).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_its_requests_back_has_no_more_of_them_worked_at() {
        let pace = Pace::of_requests();
        let (begin, mut begun) = (Instant::now(), 0);
        while begin.elapsed() < Duration::from_secs(10) {
            // It goes away in the middle of the work, or of its wait.
            let work = async {
                let _turn = pace.request(known(1), ()).await;
                begun += 1;
                std::future::pending::<()>().await;
            };
            let _ = tokio::time::timeout(Duration::from_millis(1), work).await;
        }
        // 200 at once, and 200 a second.
        assert!((1500..=2300).contains(&begun), "{begun}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_a_request_back_that_waits_has_its_slot_back_after_the_wait() {
        let pace = Pace::of_requests();
        let _ = flood(300, async || refused(&pace, known(1)).await).await;
        let slots = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
        let slot = slots.clone().acquire_owned().await.unwrap();
        let moment = Duration::from_micros(1);
        let waiting = tokio::time::timeout(moment, pace.request(known(1), slot));
        assert!(waiting.await.is_err());
        assert_eq!(slots.available_permits(), 0);
        tokio::time::sleep(MOST).await;
        assert_eq!(slots.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn many_at_once_wait_each_for_its_own_turn_and_none_longer_than_the_longest_wait() {
        let pace = Pace::of_handshakes();
        let begin = Instant::now();
        let waits = (0..1000).map(|_| async {
            pace.handshake(&known(1)).await;
            begin.elapsed()
        });
        let waits = futures_util::future::join_all(waits).await;
        assert!(waits[..256].iter().all(Duration::is_zero));
        let in_turn: Vec<_> = waits[256..306].to_vec();
        assert!(
            in_turn.windows(2).all(|pair| pair[0] < pair[1]),
            "{in_turn:?}"
        );
        let longest = waits.iter().max().unwrap();
        assert!(*longest <= MOST + Duration::from_millis(1), "{longest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_operators_script_never_waits() {
        let pace = Pace::of_handshakes();
        let (at_once, _) = flood(10_000, async || {
            let begin = Instant::now();
            pace.handshake(&known(1)).await;
            pace.forgive_handshake(&known(1));
            begin.elapsed()
        })
        .await;
        assert_eq!(at_once, 10_000);
        // And it saves nothing up by it.
        let (at_once, _) = flood(1000, async || {
            let begin = Instant::now();
            pace.handshake(&known(1)).await;
            begin.elapsed()
        })
        .await;
        assert!(at_once < 260, "{at_once}");
    }

    /// Any number of them together are as one that asks for so much more.
    async fn pay_together(member: impl Fn(u32) -> Party, times: u32) {
        let pace = Pace::of_requests();
        let mut number = 0;
        let (_, took) = flood(times, async || {
            number += 1;
            refused(&pace, member(number)).await
        })
        .await;
        // 5.2 s, less the credit.
        assert!((4100..=5100).contains(&took.as_millis()), "{took:?}");
        assert!(answered(&pace, known(1)).await.is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_invents_origins_pays_for_all_of_them_and_one_container_does_not_use_that_up()
     {
        pay_together(relayed, 20_000).await;
        let pace = Pace::of_requests();
        let _ = flood(1000, async || refused(&pace, relayed(1)).await).await;
        assert!(refused(&pace, relayed(2)).await.is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_addresses_that_are_nobodys_pays_for_all_of_them() {
        pay_together(stranger, 2000).await;
        // What they may ask for at once is as much as one may.
        let pace = Pace::of_handshakes();
        let mut number = 0;
        let (at_once, _) = flood(2000, async || {
            let begin = Instant::now();
            number += 1;
            pace.handshake(&stranger(number)).await;
            begin.elapsed()
        })
        .await;
        assert!((250..=260).contains(&at_once), "{at_once}");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_have_paid_are_forgotten() {
        let pace = Pace::of_requests();
        for number in 0..100_000 {
            let _ = answered(&pace, known(number)).await;
            if number % 100 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let known = pace.debts().paid_at.len();
        assert!(known <= 2 * FEW, "{known}");
    }
}
