//! `dockmaster audit prove`, and the fetching of evidence.

use std::path::PathBuf;

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{
    api::{audit::ProvenEntry, certs::CertificateDetail},
    id::Serial,
    route::Route,
};
use dockmaster_tlog::{evidence::Evidence, proof::TlogProof};

use crate::cli::{Global, error::CliError, files, output, remote::Remote};

/// Write an entry and the proof that it is logged into one file
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster audit prove 17 -o entry-17.tlog-proof
  dockmaster audit prove 0123456789abcdef0123456789abcdef -o certificate.tlog-proof
  dockmaster audit check entry-17.tlog-proof

The file is a C2SP tlog-proof with the entry in its \"extra\" line. Whoever has it and the log's key
can check it, without this master and without this program.")]
pub(super) struct ProveArgs {
    /// The index of an entry, or the serial number of a certificate
    #[arg(value_name = "INDEX|SERIAL", value_parser = subject)]
    subject: Subject,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// What is to be proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Entry(u64),
    Certificate(Serial),
}

/// A serial has 32 digits, and no log has an index of that many.
fn subject(text: &str) -> Result<Subject, String> {
    if let Ok(serial) = text.parse() {
        return Ok(Subject::Certificate(serial));
    }
    text.parse().map(Subject::Entry).map_err(|_| {
        "neither the index of an entry nor the 32 hex digits of a serial number".to_owned()
    })
}

/// Proves and writes.
pub(super) async fn run(global: &Global, args: ProveArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let evidence = match args.subject {
        Subject::Entry(index) => entry(&mut remote, index).await?,
        Subject::Certificate(serial) => {
            let call = Call::new(Route::Certificate).parameter(serial.to_string());
            let detail: CertificateDetail = remote.call(&call).await?;
            read(&detail.entry, &detail.proof)?
        }
    };
    let head = verified(&remote, &evidence)?;
    files::write(&args.output, evidence.encode().as_bytes())?;
    output::note(&format!(
        "entry {} of {}, proven by its signed head of {head} entries: {}",
        evidence.proof.index,
        remote.log_key().name(),
        args.output.display()
    ));
    Ok(())
}

/// Fetches an entry with its proof.
///
/// # Errors
/// When there is none, or the proof does not hold.
pub(super) async fn entry(remote: &mut Remote, index: u64) -> Result<Evidence, CliError> {
    let call = Call::new(Route::AuditProof).parameter(index.to_string());
    let proven: ProvenEntry = remote.call(&call).await?;
    let evidence = read(&proven.entry, &proven.proof)?;
    verified(remote, &evidence)?;
    if evidence.proof.index != index {
        return Err(CliError::failed(
            format!(
                "the master proves entry {}, not {index}",
                evidence.proof.index
            ),
            "is it another version than this program?",
        ));
    }
    Ok(evidence)
}

fn read(entry: &str, proof: &str) -> Result<Evidence, CliError> {
    let proof = TlogProof::parse(proof)
        .map_err(|error| CliError::because("the master's proof cannot be read", &error, ""))?;
    Ok(Evidence {
        entry: entry.as_bytes().to_vec(),
        proof,
    })
}

/// The size of the log that proves it.
fn verified(remote: &Remote, evidence: &Evidence) -> Result<u64, CliError> {
    let head = evidence.verify(remote.log_key()).map_err(|error| {
        CliError::because(
            format!("the master does not prove entry {}", evidence.proof.index),
            &error,
            "run \"dockmaster audit verify\"; is the context of this installation?",
        )
    })?;
    Ok(head.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_and_a_serial_are_told_apart() {
        assert_eq!(subject("17"), Ok(Subject::Entry(17)));
        let serial = "12".repeat(16);
        assert_eq!(
            subject(&serial),
            Ok(Subject::Certificate(serial.parse().unwrap()))
        );
        for wrong in ["", "-1", "17x", "latest"] {
            assert!(subject(wrong).is_err(), "{wrong}");
        }
    }
}
