//! `dockmaster-agent status`.

use dockmaster_certs::identity::peer_identity;
use dockmaster_proto::report::{Outcome, Report};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{facts::columns, print};
use crate::{
    env, exit,
    link::Note,
    rundir::{self, RunDir},
    say,
    settings::{self, Flags},
};

/// Shows what the run dir holds.
#[must_use]
pub fn status(flags: &Flags) -> u8 {
    let local = match settings::local(flags) {
        Ok(local) => local,
        Err(error) => {
            say!("{error}");
            return exit::USAGE;
        }
    };
    let run = RunDir::existing(&local.run_dir);
    let read = |name| run.read(name);
    let (certificate, report) = match (read(rundir::CERTIFICATE), read(rundir::REPORT)) {
        (Ok(certificate), Ok(report)) => (certificate, report),
        (Err(error), _) | (_, Err(error)) => {
            say!("{error}");
            return exit::FAILED;
        }
    };
    let request = read(rundir::REQUEST).ok().flatten();
    let request = request.and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok());
    if certificate.is_none() && report.is_none() && request.is_none() {
        say!(
            "there is nothing in {}: no agent has enrolled here (is DOCKMASTER_RUN_DIR the agent's?)",
            run.path().display()
        );
        return exit::FAILED;
    }
    let mut rows = Vec::new();
    if let Some(note) = &request {
        rows.push(request_row(note));
    }
    if let Some(pem) = certificate {
        rows.extend(certificate_rows(&pem));
    }
    let report = report.and_then(|bytes| serde_json::from_slice::<Report>(&bytes).ok());
    if let Some(report) = &report {
        rows.extend(report_rows(report));
    }
    print(&columns(&rows));
    exit::DONE
}

fn row(name: &str, value: &dyn std::fmt::Display) -> [String; 2] {
    [name.to_owned(), value.to_string()]
}

fn request_row(note: &Note) -> [String; 2] {
    let Note {
        request,
        expires_at_ms,
        reason,
        denied,
    } = note;
    let state = if denied.is_empty() {
        format!("{request} waits for an operator until {expires_at_ms}: {reason}")
    } else {
        denied.lines().next().unwrap_or_default().to_owned()
    };
    row("request", &state)
}

fn certificate_rows(pem: &[u8]) -> Vec<[String; 2]> {
    let leaf = CertificateDer::from_pem_slice(pem).ok();
    let Some(Ok(identity)) = leaf.map(|leaf| peer_identity(&leaf)) else {
        return vec![row("certificate", &"cannot be read")];
    };
    let ips: Vec<String> = identity.ips.iter().map(ToString::to_string).collect();
    let expired = if identity.not_after < env::now() {
        " (expired)"
    } else {
        ""
    };
    vec![
        row("identity", &identity.id),
        row("ips", &ips.join(" ")),
        row("serial", &identity.serial),
        row("valid until", &format!("{}{expired}", identity.not_after)),
    ]
}

fn report_rows(report: &Report) -> Vec<[String; 2]> {
    let mut rows = vec![
        row("catalog", &report.catalog),
        row(
            "applied",
            &format!(
                "{} in {} ms: {:?}",
                report.started_at_ms,
                report.duration_us / 1000,
                report.status
            ),
        ),
    ];
    for resource in &report.resources {
        let why = match &resource.outcome {
            Outcome::Failed { error } => format!("failed: {error}"),
            Outcome::Skipped { reason } => format!("skipped: {reason}"),
            _ => continue,
        };
        rows.push(row(&resource.resource.to_string(), &why));
    }
    for process in &report.processes {
        let pid = process
            .pid
            .map_or_else(|| "not running".to_owned(), |pid| format!("pid {pid}"));
        let name = format!("process[{}]", process.title);
        let counts = format!(
            "{pid}, {} restarts, {} reloads when last applied",
            process.restarts, process.reloads
        );
        rows.push(row(&name, &counts));
    }
    rows
}
