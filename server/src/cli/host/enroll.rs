//! `dockmaster host enroll`.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;
use dockmaster_certs::{csr::create_request, key::KeyPair};
use dockmaster_client::Context;
use dockmaster_proto::{
    api::hosts::{HostEnrollment, HostProposal},
    event::Reach,
    id::Name,
    range::Range,
    route::Route,
};
use ring::rand::SystemRandom;

use crate::cli::{Global, error::CliError, output, remote::Remote, table};

/// Let a further host vouch for its containers
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster host enroll h2 --master 10.0.0.1:8140
  dockmaster host enroll h3 --cidr 172.30.0.0/16 --cidr 172.31.0.0/16 -o h3.yaml
  dockmaster host enroll h4 --cidr 10.4.0.0/16 --direct

Carry the file to the host, and run \"dockmaster --context FILE host run --docker\" there.
Whoever has the file vouches for containers as that host.")]
pub(crate) struct EnrollArgs {
    /// The host's name in certificates, networks and listings
    name: Name,
    /// A range that the host may vouch for; any, where none is given
    #[arg(long, value_name = "CIDR")]
    cidr: Vec<Range>,
    /// The ranges are routed: containers in them may also reach the master without the host's relay
    #[arg(long, requires = "cidr")]
    direct: bool,
    /// Where the host dials the master; where this context does, if not given
    #[arg(long, value_name = "IP:PORT")]
    master: Option<SocketAddr>,
    /// Where to write the host's context file; NAME.yaml if not given
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Enrolls a host and writes its context file.
pub(crate) async fn run(global: &Global, args: EnrollArgs) -> Result<(), CliError> {
    let EnrollArgs {
        name,
        cidr,
        direct,
        master,
        out,
    } = args;
    let out = out.unwrap_or_else(|| PathBuf::from(format!("{name}.yaml")));
    let mut remote = Remote::connect(global).await?;
    // Before the host is enrolled: an enrollment whose key is lost can only be evicted.
    let mut file = claim(&out)?;
    let enrolled = enroll(&mut remote, &name, cidr, direct).await;
    let written = enrolled.and_then(|(key, enrollment)| {
        let notes = notes(&name, &enrollment);
        let issued = enrollment.certificate;
        let context = Context {
            master: master.unwrap_or_else(|| remote.master()),
            bundle: issued.bundle,
            certificate: issued.chain,
            key: key.to_pem(),
        };
        let text = context
            .to_host_yaml()
            .map_err(|error| CliError::because("the host's context", &error, ""))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|error| {
                CliError::because(
                    format!("{} cannot be written", out.display()),
                    &error,
                    format!(
                        "the host is enrolled without it; evict it: dockmaster host evict {name}"
                    ),
                )
            })?;
        Ok((context.master, issued.not_after_ms, notes))
    });
    let (master, until, notes) = written.inspect_err(|_| {
        // Nothing of use is in it.
        let _ = fs::remove_file(&out);
    })?;
    if master.ip().is_loopback() {
        output::note(&format!(
            "note: the host will dial {master}, which is this machine only; give --master IP:PORT for another"
        ));
    }
    for note in notes {
        output::note(&note);
    }
    output::print(&format!(
        "host {name} is enrolled until {until}; it renews by itself while it runs\n\
         carry {} to it, and run there: dockmaster --context {} host run --docker",
        out.display(),
        out.display()
    ))
}

async fn enroll(
    remote: &mut Remote,
    name: &Name,
    cidrs: Vec<Range>,
    direct: bool,
) -> Result<(KeyPair, HostEnrollment), CliError> {
    let made = |error: &dyn std::error::Error| CliError::because("no key for the host", error, "");
    let key = KeyPair::generate(&SystemRandom::new()).map_err(|error| made(&error))?;
    let exporter = remote.exporter().await?;
    let proposal = HostProposal {
        name: name.clone(),
        csr: create_request(&key, &exporter).map_err(|error| made(&error))?,
        cidrs,
        reach: if direct { Reach::Direct } else { Reach::Relay },
    };
    let issued = remote.send(Route::HostEnroll, &proposal).await?;
    Ok((key, issued))
}

/// What an operator should know of the host's ranges, before somebody wonders.
fn notes(name: &Name, enrollment: &HostEnrollment) -> Vec<String> {
    let HostEnrollment {
        certificate: _,
        uncertified,
        certified,
        overlapping,
    } = enrollment;
    let mut notes = Vec::new();
    for range in uncertified {
        let inside = certified.iter().filter(|part| range.contains(*part));
        let which = match table::joined(inside) {
            parts if parts.is_empty() => {
                "a container with an IP there gets no certificate".to_owned()
            }
            parts => format!("a container with an IP there gets a certificate only within {parts}"),
        };
        notes.push(format!(
            "note: {range} is not wholly in what the master certifies, which is {}; {which}; \
             give the networks of host {name} ranges in there (\"default-address-pools\" of a Docker engine), or make a master with --permit {range}",
            table::joined(certified)
        ));
    }
    if !overlapping.is_empty() {
        notes.push(format!(
            "note: the same IPs may be in certificates of containers of {} too; \
             what tells them apart is the SPIFFE ID, spiffe://DOMAIN/host/{name}/container/ID: \
             who verifies a container on another machine has to look at it, not at the IP alone (SECURITY.md); \
             or give each host ranges of its own",
            table::joined(overlapping)
        ));
    }
    notes
}

/// A file of the owner's alone, where there is none yet.
fn claim(path: &Path) -> Result<File, CliError> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.map_err(|error| {
        CliError::because(
            format!("{} cannot be made", path.display()),
            &error,
            "give another file with -o",
        )
    })
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{api::hosts::HostCertificate, id::Serial, time::UnixMs};

    use super::*;

    fn enrollment(uncertified: &[&str], overlapping: &[&str]) -> HostEnrollment {
        let certificate = HostCertificate {
            chain: String::new(),
            bundle: String::new(),
            serial: Serial::from_bytes([1; 16]),
            not_after_ms: UnixMs(1),
            renew_at_ms: UnixMs(1),
        };
        HostEnrollment {
            certificate,
            uncertified: uncertified.iter().map(|it| it.parse().unwrap()).collect(),
            certified: vec!["172.16.0.0/12".parse().unwrap()],
            overlapping: overlapping.iter().map(|it| it.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn a_range_without_certificates_and_one_that_others_have_too_are_told_with_what_to_do() {
        let of = |uncertified: &[&str], overlapping: &[&str]| {
            notes(
                &"h2".parse().unwrap(),
                &enrollment(uncertified, overlapping),
            )
        };
        assert_eq!(of(&[], &[]), Vec::<String>::new());
        let none = of(&["192.0.2.0/24"], &[]).join("\n");
        assert!(none.contains("gets no certificate;"), "{none}");
        assert!(none.contains("--permit 192.0.2.0/24"), "{none}");
        let some = of(&["172.0.0.0/8"], &[]).join("\n");
        assert!(some.contains("only within 172.16.0.0/12;"), "{some}");
        let shared = of(&[], &["h1", "h3"]).join("\n");
        assert!(shared.contains("containers of h1, h3 too"), "{shared}");
        assert!(
            shared.contains("spiffe://DOMAIN/host/h2/container/ID"),
            "{shared}"
        );
    }
}
