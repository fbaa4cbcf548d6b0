//! Certificates that were issued.

use std::collections::HashSet;

use dockmaster_proto::{
    api::certs::{CertificateDetail, CertificateList, CertificateState, CertificateSummary},
    id::{ContainerId, Digest, Serial},
    problem::{Problem, ProblemCode},
    time::UnixMs,
};
use http::StatusCode;

use super::{Api, Reply, Request, problem, reply};
use crate::{env, index::CertificateRecord};

/// Certificates of a page where no number is given, and at most.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

impl Api {
    pub(super) fn certificates(&self, request: &Request) -> Result<Reply, Problem> {
        let limit = request
            .query_as::<usize>("limit")?
            .unwrap_or(DEFAULT_LIMIT)
            .clamp(1, MAX_LIMIT);
        let before = request.query_as::<u64>("before")?.unwrap_or(u64::MAX);
        let all = request.query("all") == Some("true");
        let with_pem = request.query("pem") == Some("true");
        let nodes = self.wanted_nodes(request)?;
        let now = env::now();
        let mut certificates = Vec::new();
        let mut next_before = None;
        for record in self.index.certificates(before) {
            let record = record.map_err(|error| problem::from_index(&error))?;
            if !is_under(&record, request) {
                continue;
            }
            let summary = summary(record, now);
            let of_node = nodes
                .as_ref()
                .is_none_or(|nodes| summary.container.is_some_and(|id| nodes.contains(&id)));
            if !of_node || (!all && summary.state != CertificateState::Valid) {
                continue;
            }
            if certificates.len() == limit {
                next_before = certificates
                    .last()
                    .map(|last: &CertificateSummary| last.index);
                break;
            }
            certificates.push(summary);
        }
        if with_pem {
            for certificate in &mut certificates {
                certificate.pem = self.pem(certificate)?.unwrap_or_default();
            }
        }
        Ok(reply::json(
            StatusCode::OK,
            &CertificateList {
                certificates,
                next_before,
            },
        ))
    }

    /// The nodes that `node` (a reference) or `selector` asks for.
    fn wanted_nodes(&self, request: &Request) -> Result<Option<HashSet<ContainerId>>, Problem> {
        if let Some(reference) = request.query("node") {
            return self
                .find_any(reference)
                .map(|node| Some(HashSet::from([*node.id()])));
        }
        let Some(selector) = super::nodes::selector(request)? else {
            return Ok(None);
        };
        Ok(Some(
            super::nodes::matching(&self.journal.state(), &selector)
                .map(|node| *node.id())
                .collect(),
        ))
    }

    pub(super) fn certificate(&self, request: &Request) -> Result<Reply, Problem> {
        let serial: Serial = request
            .parameter
            .parse()
            .map_err(|error| problem::bad_request(format!("{error}")))?;
        let record = self
            .index
            .certificate(&serial)
            .map_err(|error| problem::from_index(&error))?;
        let record = record.ok_or_else(|| {
            Problem::new(
                ProblemCode::NotFound,
                format!("there is no certificate {serial}"),
                "\"dockmaster cert list --all\" shows all that there are",
            )
        })?;
        let proven = self.proven(record.index)?;
        let evidence = record.issued.evidence.clone();
        let mut summary = summary(record, env::now());
        summary.pem = self.pem(&summary)?.ok_or_else(|| {
            problem::not_found(format_args!("certificate {serial} in the blobs yet"))
        })?;
        let detail = CertificateDetail {
            summary,
            entry: proven.entry,
            proof: proven.proof,
            evidence,
        };
        Ok(reply::json(StatusCode::OK, &detail))
    }

    /// The certificate itself, once it is in the blobs.
    fn pem(&self, certificate: &CertificateSummary) -> Result<Option<String>, Problem> {
        let der = self.blobs.get(&certificate.der_sha256);
        let der = der.map_err(|error| problem::from_blob(&error))?;
        Ok(der.map(|der| dockmaster_certs::pem::certificate(&der)))
    }
}

/// Whether a certificate was issued under the policy and by the rule that are asked for.
fn is_under(record: &CertificateRecord, request: &Request) -> bool {
    let issued = &record.issued;
    let of_policy = request.query("policy").is_none_or(|wanted| {
        let policy = issued.policy_sha256.as_ref().map(Digest::to_string);
        policy.is_some_and(|policy| policy.starts_with(wanted))
    });
    let of_rule = request.query("rule").is_none_or(|rule| issued.rule == rule);
    of_policy && of_rule
}

fn summary(record: CertificateRecord, now: UnixMs) -> CertificateSummary {
    let CertificateRecord {
        issued,
        index,
        name,
        revoked,
    } = record;
    let state = match &revoked {
        Some(_) => CertificateState::Revoked,
        None if issued.not_after_ms <= now => CertificateState::Expired,
        None => CertificateState::Valid,
    };
    CertificateSummary {
        serial: issued.serial,
        subject: issued.subject,
        container: issued.container,
        name,
        addresses: issued.addresses,
        ips: issued.ips,
        not_before_ms: issued.not_before_ms,
        not_after_ms: issued.not_after_ms,
        state,
        revoked_reason: revoked.map(|revoked| revoked.reason).unwrap_or_default(),
        index,
        der_sha256: issued.der_sha256,
        pem: String::new(),
    }
}
