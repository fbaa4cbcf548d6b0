//! `dockmaster audit prove`, and the fetching of evidence.

use std::path::PathBuf;

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{
    api::{audit::ProvenEntry, certs::CertificateDetail},
    id::Serial,
    route::Route,
};
use dockmaster_tlog::evidence::Evidence;

use crate::cli::{Global, error::CliError, files, output, proof::Proven, remote::Remote};

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
    let proven = match args.subject {
        Subject::Entry(index) => proven(&mut remote, index).await?,
        Subject::Certificate(serial) => {
            let call = Call::new(Route::Certificate).parameter(serial.to_string());
            let detail: CertificateDetail = remote.call(&call).await?;
            Proven::check(&remote, &detail.entry, &detail.proof)?
        }
    };
    let Proven { evidence, size } = proven;
    files::write(&args.output, evidence.encode().as_bytes())?;
    output::note(&format!(
        "entry {} of {}, proven by its signed head of {size} entries: {}",
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
    Ok(proven(remote, index).await?.evidence)
}

async fn proven(remote: &mut Remote, index: u64) -> Result<Proven, CliError> {
    let call = Call::new(Route::AuditProof).parameter(index.to_string());
    let answer: ProvenEntry = remote.call(&call).await?;
    let proven = Proven::check(remote, &answer.entry, &answer.proof)?;
    let given = proven.evidence.proof.index;
    if given != index {
        return Err(CliError::failed(
            format!("the master proves entry {given}, not {index}"),
            "is it another version than this program?",
        ));
    }
    Ok(proven)
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
