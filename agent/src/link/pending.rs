//! A request that an operator has to look at first: its key is kept until there is an answer.

use std::time::Duration;

use dockmaster_certs::key::KeyPair;
use dockmaster_proto::{
    api::identity::HeldAnswer, id::RequestId, problem::ProblemCode, time::UnixMs,
};
use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};

use super::LinkError;
use crate::{
    identity::{Asked, Enrolled, IdentityError},
    rundir::{self, RunDir, RunDirError},
};

/// The shortest and the longest pause between two questions of a request that waits.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(60)];
/// The pause after a denial: what would help is a person.
pub(super) const DENIED: Duration = Duration::from_secs(60);

/// The request that is under way: a new key for each, but for one that waits, or was denied and may
/// be approved yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    key: Option<KeyPair>,
    note: Option<Note>,
    /// What the run dir says of it; not known at first, where an earlier life may have left something.
    saved: Option<Option<Note>>,
}

impl Pending {
    /// The key to ask with.
    pub(super) fn key(&mut self, random: &dyn SecureRandom) -> Result<&KeyPair, IdentityError> {
        match &mut self.key {
            Some(key) => Ok(key),
            none => Ok(none.insert(KeyPair::generate(random)?)),
        }
    }

    /// Whether an operator's word is waited for.
    pub(super) fn waits(&self) -> bool {
        let note = self.note.as_ref();
        note.is_some_and(|note| note.denied.is_empty())
    }

    /// Draws the conclusions from an answer.
    pub(super) fn settle(
        &mut self,
        asked: Result<Asked, IdentityError>,
    ) -> Result<Enrolled, LinkError> {
        match asked {
            Ok(Asked::Issued(enrolled)) => {
                (self.key, self.note) = (None, None);
                Ok(*enrolled)
            }
            Ok(Asked::Held(held)) => {
                self.note = Some(Note::of(&held));
                Err(LinkError::Held(Held(held)))
            }
            Err(error) => {
                let error = LinkError::Identity(error);
                match (error.problem(), &mut self.note) {
                    (
                        Some(ProblemCode::RequestDenied | ProblemCode::DeniedByPolicy),
                        Some(note),
                    ) => note.denied = error.to_string(),
                    // The key is of no use any more, as when it was certified and the answer lost.
                    (Some(ProblemCode::BadCsr), _) | (_, None) => {
                        (self.key, self.note) = (None, None);
                    }
                    // Whatever else is in the way now says nothing of the request.
                    _ => {}
                }
                Err(error)
            }
        }
    }

    /// Has the run dir say how the request stands.
    pub(super) fn save(&mut self, run: &RunDir) -> Result<(), RunDirError> {
        if self.saved.as_ref() == Some(&self.note) {
            return Ok(());
        }
        match &self.note {
            Some(note) => run.write(rundir::REQUEST, &note.to_bytes())?,
            None => run.remove(rundir::REQUEST)?,
        }
        self.saved = Some(self.note.clone());
        Ok(())
    }
}

/// How a request stands, for `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The request.
    pub request: RequestId,
    /// From then on the master forgets it.
    pub expires_at_ms: UnixMs,
    /// Why it is held, in the master's words; may be empty.
    pub reason: String,
    /// What an operator said, in the master's words; empty while it waits.
    pub denied: String,
}

impl Note {
    #[expect(clippy::expect_used, reason = "it is made of strings and a number")]
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a note serialises")
    }

    pub(super) fn of(held: &HeldAnswer) -> Self {
        Self {
            request: held.request,
            expires_at_ms: held.expires_at_ms,
            reason: held.reason.clone(),
            denied: String::new(),
        }
    }
}

/// That the master holds a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "waiting for an operator: request {}{} (\"dockmaster request approve {}\"); it is forgotten at {}",
    .0.request,
    if .0.reason.is_empty() { String::new() } else { format!(", {}", .0.reason) },
    .0.request,
    .0.expires_at_ms
)]
pub struct Held(pub HeldAnswer);

impl Held {
    /// How long to wait before the next question.
    pub(super) fn pause(&self) -> Duration {
        let [shortest, longest] = PAUSES;
        Duration::from_millis(self.0.retry_after_ms).clamp(shortest, longest)
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{id::Digest, problem::Problem};
    use ring::rand::SystemRandom;

    use super::*;

    fn held(retry_after_ms: u64) -> Held {
        Held(HeldAnswer {
            request: RequestId::from_bytes([0x12; 8]),
            reason: "look at it".into(),
            retry_after_ms,
            expires_at_ms: UnixMs(1_795_528_980_000),
            master_time_ms: UnixMs(0),
        })
    }

    #[test]
    fn whoever_waits_says_for_what_and_how_it_is_approved() {
        assert_eq!(
            held(0).to_string(),
            "waiting for an operator: request 1212121212121212, look at it \
             (\"dockmaster request approve 1212121212121212\"); it is forgotten at 2026-11-24T14:03:00.000Z"
        );
    }

    fn refused(code: ProblemCode) -> Result<Asked, IdentityError> {
        Err(IdentityError::Client(Problem::new(code, "no", "").into()))
    }

    fn key_of(pending: &mut Pending) -> Digest {
        let key = pending.key(&SystemRandom::new()).unwrap();
        key.public_key().spki_sha256()
    }

    #[test]
    fn a_request_that_waits_keeps_its_key_whatever_is_in_the_way_and_others_do_not() {
        let mut pending = Pending::default();
        let first = key_of(&mut pending);
        assert!(pending.settle(refused(ProblemCode::NoLease)).is_err());
        let second = key_of(&mut pending);
        assert_ne!(second, first, "nobody has promised anything to the first");
        let asked = pending.settle(Ok(Asked::Held(held(0).0)));
        assert!(matches!(asked, Err(LinkError::Held(_))));
        for code in [
            ProblemCode::Unavailable,
            ProblemCode::TooManyRequests,
            ProblemCode::NoLease,
        ] {
            assert!(pending.settle(refused(code)).is_err());
            assert!(pending.waits(), "{code}");
            assert_eq!(key_of(&mut pending), second, "{code}");
        }
        assert!(pending.settle(refused(ProblemCode::BadCsr)).is_err());
        assert!(!pending.waits());
        assert_ne!(key_of(&mut pending), second);
    }

    #[test]
    fn a_denial_keeps_the_key_for_the_case_that_it_is_taken_back() {
        let mut pending = Pending::default();
        let key = key_of(&mut pending);
        assert!(pending.settle(Ok(Asked::Held(held(0).0))).is_err());
        assert!(pending.settle(refused(ProblemCode::RequestDenied)).is_err());
        assert!(!pending.waits());
        assert_eq!(key_of(&mut pending), key);
        assert!(pending.settle(Ok(Asked::Held(held(0).0))).is_err());
        assert!(pending.waits());
    }

    #[test]
    fn the_run_dir_says_how_a_request_stands_only_while_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(&folder.path().join("run")).unwrap();
        let note = || run.read(rundir::REQUEST).unwrap();
        let mut pending = Pending::default();
        key_of(&mut pending);
        assert!(pending.settle(Ok(Asked::Held(held(0).0))).is_err());
        pending.save(&run).unwrap();
        let read: Note = serde_json::from_slice(&note().unwrap()).unwrap();
        assert_eq!(read, Note::of(&held(0).0));
        assert!(pending.settle(refused(ProblemCode::BadCsr)).is_err());
        pending.save(&run).unwrap();
        assert_eq!(note(), None);
        // Another life has left one.
        run.write(rundir::REQUEST, b"{}").unwrap();
        Pending::default().save(&run).unwrap();
        assert_eq!(note(), None);
    }

    #[test]
    fn however_the_master_reckons_the_pause_is_neither_none_nor_for_ever() {
        assert_eq!(held(0).pause(), PAUSES[0]);
        assert_eq!(held(u64::MAX).pause(), PAUSES[1]);
        assert_eq!(held(700).pause(), Duration::from_millis(700));
    }
}
