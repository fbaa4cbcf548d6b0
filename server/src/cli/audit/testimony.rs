//! What a file of evidence shows: entries that the log proves, and an answer of `audit who` held
//! against them, word for word. No I/O.

use std::collections::BTreeMap;

use dockmaster_proto::{
    address::Address,
    api::audit::{Holder, Holders},
    event::{CertIssued, Entry, Event, LeaseClosed, LeaseOpened},
    id::Serial,
};
use dockmaster_tlog::{evidence::Evidence, note::VerifierKey};
use serde::{Deserialize, Serialize};

use crate::cli::error::chain;

/// The first word of a testimony's form; another form has another one.
const FORM: &str = "dockmaster-testimony/1";

/// An answer of `audit who` with the entries that it rests on, each with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Testimony {
    form: String,
    /// The answer.
    pub(super) answer: Holders,
    /// Tlog-proofs with their entries.
    evidence: Vec<String>,
}

impl Testimony {
    /// An answer and what proves it.
    pub(super) fn new(answer: Holders, evidence: &[Evidence]) -> Self {
        Self {
            form: FORM.to_owned(),
            answer,
            evidence: evidence.iter().map(Evidence::encode).collect(),
        }
    }
}

/// An entry that the log proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Proven {
    /// Its index.
    pub(super) index: u64,
    /// The size of the log whose signed head proves it.
    pub(super) log_size: u64,
    /// What it says.
    pub(super) entry: Entry,
}

/// What a file shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Shown {
    /// The log.
    pub(super) log: String,
    /// Its entries, by index.
    pub(super) entries: Vec<Proven>,
    /// The answer that they bear out; none where the file is the proof of one entry.
    pub(super) answer: Option<Holders>,
    /// What it does not show, where one might think so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
}

/// Reads a file of evidence and checks all of it with the log's key.
///
/// # Errors
/// Everything that does not hold.
pub(super) fn examine(text: &str, key: &VerifierKey) -> Result<Shown, Vec<String>> {
    let (files, answer) = if text.trim_start().starts_with('{') {
        let testimony: Testimony = serde_json::from_str(text)
            .map_err(|error| vec![format!("it is no testimony: {error}")])?;
        if testimony.form != FORM {
            let form = testimony.form;
            return Err(vec![format!(
                "it is of the form {form:?}; this program reads {FORM:?}"
            )]);
        }
        (testimony.evidence, Some(testimony.answer))
    } else {
        (vec![text.to_owned()], None)
    };
    let mut proven = BTreeMap::new();
    let mut faults = Vec::new();
    for (number, file) in (1..).zip(&files) {
        match prove(file, key) {
            Ok(entry) => {
                proven.insert(entry.index, entry);
            }
            Err(fault) if answer.is_some() => faults.push(format!("evidence {number}: {fault}")),
            Err(fault) => faults.push(fault),
        }
    }
    let mut notes = Vec::new();
    if let (true, Some(answer)) = (faults.is_empty(), &answer) {
        if answer.holders.is_empty() {
            faults.push("it names no holder, and that nobody held an address is shown by the whole log only".to_owned());
        }
        for holder in &answer.holders {
            let case = Case {
                answer,
                holder,
                proven: &proven,
            };
            faults.extend(case.faults());
            notes.extend(case.note());
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Shown {
        log: key.name().to_string(),
        entries: proven.into_values().collect(),
        answer,
        notes,
    })
}

fn prove(file: &str, key: &VerifierKey) -> Result<Proven, String> {
    let evidence = Evidence::parse(file).map_err(|error| chain(&error))?;
    let head = evidence.verify(key).map_err(|error| chain(&error))?;
    let index = evidence.proof.index;
    let entry = serde_json::from_slice(&evidence.entry).map_err(|error| {
        format!("entry {index} is in the log, but this program cannot read it: {error}")
    })?;
    Ok(Proven {
        index,
        log_size: head.size,
        entry,
    })
}

/// One holder and the entries that should bear it out.
struct Case<'a> {
    answer: &'a Holders,
    holder: &'a Holder,
    proven: &'a BTreeMap<u64, Proven>,
}

impl Case<'_> {
    /// What the answer says and no entry bears out.
    fn faults(&self) -> Vec<String> {
        let Self { answer, holder, .. } = self;
        let who = format!("{} on {}", holder.container.short(), self.address());
        let mut faults = Vec::new();
        if !self.entries().any(|entry| self.opens(entry)) {
            faults.push(format!("no entry shows that the lease of {who} began so"));
        }
        let is_closed = holder.closed_at_ms.is_some() || holder.closed_cause.is_some();
        if is_closed && !self.entries().any(|entry| self.closes(entry)) {
            faults.push(format!("no entry shows that the lease of {who} ended so"));
        }
        let covers = holder.opened_at_ms <= answer.at_ms
            && holder
                .closed_at_ms
                .is_none_or(|closed| answer.at_ms < closed);
        if !covers {
            faults.push(format!(
                "the lease of {who} does not cover {}",
                answer.at_ms
            ));
        }
        for serial in &holder.certificates {
            if !self.entries().any(|entry| self.certifies(entry, serial)) {
                faults.push(format!(
                    "no entry shows that certificate {serial} was issued to {who}"
                ));
            }
        }
        faults
    }

    /// An entry shows what happened and never what did not.
    fn note(&self) -> Option<String> {
        let newest = self.proven.values().map(|proven| proven.log_size).max()?;
        self.holder.closed_at_ms.is_none().then(|| {
            format!(
                "that the lease of {} had not ended by then is shown by the whole log of {newest} entries only: \"dockmaster audit verify\"",
                self.holder.container.short()
            )
        })
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.proven.values().map(|proven| &proven.entry)
    }

    fn address(&self) -> Address {
        Address::new(self.holder.network.clone(), self.answer.ip)
    }

    fn opens(&self, entry: &Entry) -> bool {
        let Event::LeaseOpened(LeaseOpened {
            address,
            epoch,
            container,
            name,
            image,
            host,
            cause,
        }) = &entry.event
        else {
            return false;
        };
        let holder = self.holder;
        *address == self.address()
            && *epoch == holder.epoch
            && *container == holder.container
            && *name == holder.name
            && *image == holder.image
            && *host == holder.host
            && *cause == holder.opened_cause
            && entry.ts_ms == holder.opened_at_ms
    }

    fn closes(&self, entry: &Entry) -> bool {
        let Event::LeaseClosed(LeaseClosed {
            address,
            epoch,
            container,
            cause,
        }) = &entry.event
        else {
            return false;
        };
        let holder = self.holder;
        *address == self.address()
            && *epoch == holder.epoch
            && *container == holder.container
            && Some(*cause) == holder.closed_cause
            && Some(entry.ts_ms) == holder.closed_at_ms
    }

    fn certifies(&self, entry: &Entry, wanted: &Serial) -> bool {
        let (Event::CertIssued(event) | Event::CertRenewed(event)) = &entry.event else {
            return false;
        };
        let CertIssued {
            container,
            addresses,
            serial,
            ..
        } = event;
        serial == wanted
            && *container == Some(self.holder.container)
            && addresses
                .iter()
                .any(|held| held.address == self.address() && held.epoch == self.holder.epoch)
    }
}

#[cfg(test)]
mod tests;
