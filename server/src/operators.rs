//! Operators' certificates: renewed by the operator who holds one that counts.

use std::sync::{Mutex, PoisonError};

use dockmaster_certs::{
    csr::VerifiedCsr,
    infra::Terms,
    issue::{Issued, Validity},
    key::random_serial,
};
use dockmaster_ledger::CommitError;
use dockmaster_proto::{
    api::identity::OperatorCertificate,
    error::chain,
    event::{Event, OperatorGranted},
    id::{Name, Serial},
    problem::{Problem, ProblemCode},
};
use ring::rand::SystemRandom;

use crate::{
    authorities::Authorities,
    enrollment::Binding,
    env,
    journal::{Cause, Journal},
    quota::{Allowance, Quota},
};

/// Lifetime of an operator's certificate, as far as the authority itself lasts: 90 days.
pub(crate) const LIFETIME_MS: u64 = 90 * 86_400_000;
/// Certificates of one operator: one in a month and a half is enough.
const CERTIFICATES: Allowance = Allowance {
    burst: 10,
    refill_ms: 60_000,
};

/// Renews operators' certificates.
#[derive(Debug)]
pub struct Operators {
    journal: Journal,
    authorities: Authorities,
    quota: Mutex<Quota<Name>>,
}

/// Why there is none.
#[derive(Debug)]
pub enum OperatorError {
    /// What the operator is told.
    Problem(Problem),
    /// It could not be recorded.
    Commit(CommitError),
}

impl Operators {
    /// With these authorities.
    #[must_use]
    pub fn new(journal: Journal, authorities: Authorities) -> Self {
        Self {
            journal,
            authorities,
            quota: Mutex::new(Quota::new(CERTIFICATES)),
        }
    }

    /// A certificate for a new key, with the name and the role of the one that was shown. That one
    /// goes on to count: the answer may get lost.
    ///
    /// # Errors
    /// When the request is not acceptable, there were too many, or it cannot be recorded.
    pub async fn renew(
        &self,
        name: &Name,
        shown: &Serial,
        csr: &[u8],
        binding: &Binding,
        cause: &Cause,
    ) -> Result<OperatorCertificate, OperatorError> {
        let refused = |code, detail: String, hint: &str| {
            OperatorError::Problem(Problem::new(code, detail, hint))
        };
        let csr = VerifiedCsr::parse(csr, binding.exporter())
            .map_err(|error| refused(ProblemCode::BadCsr, error.to_string(), ""))?;
        let claim = binding
            .claim(csr.public_key().spki_sha256())
            .map_err(|error| refused(ProblemCode::BadCsr, error.to_string(), ""))?;
        let role = self
            .journal
            .state()
            .operator(shown)
            .map(|it| it.role.clone());
        let role: Name = role
            .and_then(|role| role.parse().ok())
            .ok_or_else(|| internal("the ledger names no role for the certificate"))?;
        self.quota
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(name.clone(), env::now())
            .map_err(|wait_ms| {
                refused(
                    ProblemCode::TooManyRequests,
                    format!("operator {name} asks for too many certificates"),
                    &format!("the next one is given in {} s", wait_ms.div_ceil(1000)),
                )
            })?;
        let signing = self.authorities.now();
        let authority = &signing.operators;
        let serial =
            random_serial(&SystemRandom::new()).map_err(|error| internal(&chain(&error)))?;
        let validity = Validity::backdated(env::now(), LIFETIME_MS).within(authority.not_after());
        let issued = authority
            .issue_operator(csr.public_key(), name, &role, Terms { serial, validity })
            .map_err(|error| internal(&chain(&error)))?;
        let granted = granted(name, &role, &issued);
        self.journal
            .commit(
                cause,
                vec![Event::OperatorGranted(granted)],
                vec![issued.der.to_vec()],
            )
            .await
            .map_err(OperatorError::Commit)?;
        claim.keep();
        Ok(OperatorCertificate {
            chain: issued.pem + &authority.certificate_pem(),
            bundle: signing.bundle.to_pem(),
            serial: issued.serial,
            not_after_ms: issued.not_after,
            master_time_ms: env::now(),
        })
    }
}

/// The record of an operator's certificate.
#[must_use]
pub fn granted(name: &Name, role: &Name, issued: &Issued) -> OperatorGranted {
    OperatorGranted {
        operator: name.clone(),
        role: role.to_string(),
        serial: issued.serial,
        not_after_ms: issued.not_after,
        der_sha256: issued.der_sha256,
        issuer_key_id: issued.issuer_key_id.to_string(),
    }
}

fn internal(why: &str) -> OperatorError {
    tracing::error!(%why, "an operator's certificate could not be issued");
    OperatorError::Problem(Problem::new(
        ProblemCode::Internal,
        "the master could not issue the certificate",
        "its log says why, under this request ID",
    ))
}
