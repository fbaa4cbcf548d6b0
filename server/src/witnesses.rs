//! Witnesses: others who cosign the head of the log, so that who trusts them need not trust this master
//! not to show one log here and another there (C2SP tlog-witness, tlog-cosignature).

mod ask;

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use dockmaster_ledger::{Head, Ledger};
use dockmaster_proto::error::chain;
use dockmaster_tlog::{
    checkpoint::Checkpoint,
    note::{SignedNote, VerifierKey},
    witness::cosignatures,
};
use tokio::sync::watch;

pub use self::ask::{AskError, WitnessUrl, WitnessUrlError};

/// How often witnesses are asked when the log has grown.
const EVERY: Duration = Duration::from_secs(5);

/// A witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Where it takes requests.
    pub url: WitnessUrl,
    /// Its key.
    pub key: VerifierKey,
}

/// All witnesses, and the newest head that they cosigned.
#[derive(Debug)]
pub struct Witnesses {
    list: Vec<Witness>,
    required: usize,
    /// Where the cosigned head is kept over a restart.
    file: PathBuf,
    cosigned: RwLock<Option<Cosigned>>,
}

/// A head with cosignatures.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cosigned {
    size: u64,
    note: SignedNote,
}

impl Witnesses {
    /// Witnesses of whom `required` have to cosign a head before it is shown to anyone; with 0 it is
    /// shown at once and their signatures are added as they come. `file` holds the cosigned head.
    #[must_use]
    pub fn new(list: Vec<Witness>, required: usize, log: &VerifierKey, file: PathBuf) -> Self {
        let kept = std::fs::read_to_string(&file).ok().and_then(|note| {
            let size = Checkpoint::open(&note, log).ok()?.size;
            let note = SignedNote::parse(&note).ok()?;
            Some(Cosigned { size, note })
        });
        let witnesses = Self {
            list,
            required,
            file,
            cosigned: RwLock::new(None),
        };
        let kept = kept.filter(|kept| witnesses.count(&kept.note) >= required.max(1));
        *witnesses
            .cosigned
            .write()
            .unwrap_or_else(PoisonError::into_inner) = kept;
        witnesses
    }

    /// The head to show: the newest, or the newest with enough cosignatures where some are required.
    /// None when there is no such head yet.
    #[must_use]
    pub fn show(&self, newest: &Head) -> Option<String> {
        let cosigned = self.cosigned.read().unwrap_or_else(PoisonError::into_inner);
        match &*cosigned {
            Some(cosigned) if self.required > 0 || cosigned.size == newest.size => {
                Some(cosigned.note.to_string())
            }
            _ if self.required > 0 => None,
            _ => Some(newest.checkpoint.to_string()),
        }
    }

    /// Whether anything has to be shown beside the newest head.
    #[must_use]
    pub const fn are_none(&self) -> bool {
        self.list.is_empty()
    }

    /// Has the head cosigned whenever the log has grown, until told to stop.
    pub async fn run(self: Arc<Self>, ledger: Ledger, mut stopping: watch::Receiver<bool>) {
        if self.are_none() {
            return;
        }
        let mut memories = vec![Memory::default(); self.list.len()];
        let mut timer = tokio::time::interval(EVERY);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = timer.tick() => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
            let head = ledger.published();
            if memories
                .iter()
                .any(|memory| memory.last != head.size || memory.told.is_some())
            {
                self.round(&ledger, &head, &mut memories).await;
            }
        }
    }

    async fn round(&self, ledger: &Ledger, head: &Head, memories: &mut [Memory]) {
        let Ok(plain) = SignedNote::parse(&head.checkpoint) else {
            // The ledger signed it, so it is a note.
            return;
        };
        let asked = self.list.iter().zip(memories).map(|(witness, memory)| {
            let plain = &plain;
            async move {
                let who = (&witness.url, &witness.key);
                let asked = ask::ask(ledger, who, head, plain, &mut memory.last).await;
                memory.settle(witness, asked)
            }
        });
        let mut note = plain.clone();
        for cosigned in futures_util::future::join_all(asked)
            .await
            .into_iter()
            .flatten()
        {
            for signature in &cosigned.signatures()[plain.signatures().len()..] {
                // There is room for more witnesses than anyone has.
                let _ = note.add(signature.clone());
            }
        }
        if self.count(&note) >= self.required.max(1) {
            self.keep(Cosigned {
                size: head.size,
                note,
            });
        }
    }

    fn count(&self, note: &SignedNote) -> usize {
        let keys: Vec<VerifierKey> = self
            .list
            .iter()
            .map(|witness| witness.key.clone())
            .collect();
        cosignatures(note, &keys)
    }

    fn keep(&self, cosigned: Cosigned) {
        if let Err(error) = std::fs::write(&self.file, cosigned.note.to_string()) {
            // It is only for the next start, which can have it cosigned again.
            tracing::warn!(%error, file = %self.file.display(), "the cosigned head cannot be kept");
        }
        *self
            .cosigned
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(cosigned);
    }
}

/// What is known of a witness.
#[derive(Debug, Clone, Default)]
struct Memory {
    /// The size that it cosigned last.
    last: u64,
    /// What was last said of it.
    told: Option<String>,
}

impl Memory {
    /// Says what is new.
    fn settle(
        &mut self,
        witness: &Witness,
        asked: Result<SignedNote, AskError>,
    ) -> Option<SignedNote> {
        let name = witness.key.name();
        match asked {
            Ok(note) => {
                if self.told.take().is_some() {
                    tracing::info!(witness = %name, "the witness cosigns again");
                }
                Some(note)
            }
            Err(error) => {
                let text = chain(&error);
                if self.told.as_ref() != Some(&text) {
                    tracing::warn!(witness = %name, url = %witness.url, "no cosignature: {text}");
                }
                self.told = Some(text);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
