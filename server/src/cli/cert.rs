//! `dockmaster cert`: certificates that the master issued.

mod revoke;

use clap::{Args, Subcommand};
use dockmaster_client::Call;
use dockmaster_proto::{
    api::certs::{CertificateDetail, CertificateList, CertificateState, CertificateSummary},
    event::{Entry, Event},
    id::Serial,
    route::Route,
    selector::Selector,
};

use super::{
    Global,
    error::CliError,
    evidence,
    output::OutputArgs,
    proof::Proven,
    remote::{Remote, block_on},
    table,
};

/// How many certificates are asked for at once.
const PAGE: u32 = 500;

/// List, show and revoke certificates
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  dockmaster cert list --node web-1
  dockmaster cert show 0123456789abcdef0123456789abcdef
  dockmaster cert revoke --node web-1 --reason keyCompromise"
)]
pub(crate) struct CertArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(ListArgs),
    Show(ShowArgs),
    Revoke(revoke::RevokeArgs),
    Unban(revoke::UnbanArgs),
}

/// List certificates, newest first
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster cert list
  dockmaster cert list -l 'role=web, tier!=back'
  dockmaster cert list --node 172.17.0.2 --all -o json")]
pub(crate) struct ListArgs {
    /// Only those of live nodes that this selector matches
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "node")]
    selector: Option<Selector>,
    /// Only those of this node: a container ID or its beginning, an IP, or a container name
    #[arg(long, value_parser = super::reference::node)]
    node: Option<String>,
    /// Only those issued under this policy: its SHA-256, or the beginning of that
    #[arg(long, value_name = "DIGEST")]
    policy: Option<String>,
    /// Only those issued by this rule of the policy
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Also those that expired or were revoked
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Show a certificate
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster cert show 0123456789abcdef0123456789abcdef
  dockmaster cert show 0123456789abcdef0123456789abcdef --proof
  dockmaster cert show 0123456789abcdef0123456789abcdef -o json")]
pub(crate) struct ShowArgs {
    /// The serial number
    serial: Serial,
    /// Check that the log proves it, and show its entry and the proof; "audit prove" writes them to a file
    #[arg(long)]
    proof: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the subcommand.
pub(crate) fn run(global: &Global, args: CertArgs) -> Result<(), CliError> {
    match args.command {
        Command::List(args) => block_on(list(global, args)),
        Command::Show(args) => block_on(show(global, args)),
        Command::Revoke(args) => block_on(revoke::revoke(global, args)),
        Command::Unban(args) => block_on(revoke::unban(global, args)),
    }
}

async fn list(global: &Global, args: ListArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let which = Which {
        node: args.node,
        selector: args.selector,
        policy: args.policy,
        rule: args.rule,
        all: args.all.then_some(All),
        pem: None,
    };
    let mut pages = Pages::new(which);
    let mut certificates = vec![];
    while let Some(page) = pages.next(&mut remote).await? {
        certificates.extend(page);
    }
    let list = CertificateList {
        certificates,
        next_before: None,
    };
    args.output.print(&list, render)
}

async fn show(global: &Global, args: ShowArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let detail: CertificateDetail = remote
        .call(&Call::new(Route::Certificate).parameter(args.serial.to_string()))
        .await?;
    if !args.proof {
        return args.output.print(&detail, render_detail);
    }
    let proven = Proven::check(&remote, &detail.entry, &detail.proof)?;
    if !is_about(&detail, &proven.evidence.entry) {
        return Err(CliError::failed(
            format!(
                "the entry that the master proves is not that of certificate {}",
                args.serial
            ),
            "run \"dockmaster audit verify\"; is it another version than this program?",
        ));
    }
    let verdict = format!(
        "by {}'s signed head of {} entries",
        remote.log_key().name(),
        proven.size
    );
    args.output
        .print(&detail, |detail| render_proof(detail, &verdict))
}

/// Whether an entry is that of this very certificate.
fn is_about(detail: &CertificateDetail, entry: &[u8]) -> bool {
    let summary = &detail.summary;
    match serde_json::from_slice::<Entry>(entry).map(|entry| entry.event) {
        Ok(Event::CertIssued(issued) | Event::CertRenewed(issued)) => {
            issued.serial == summary.serial && issued.der_sha256 == summary.der_sha256
        }
        Ok(Event::OperatorGranted(granted)) => {
            granted.serial == summary.serial && granted.der_sha256 == summary.der_sha256
        }
        _ => false,
    }
}

/// Those that no longer count as well.
#[derive(Debug, Clone, Copy)]
pub(crate) struct All;

/// With the certificates themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WithPem;

/// Which certificates to list.
#[derive(Debug, Default)]
pub(crate) struct Which {
    /// Only this node's.
    pub(crate) node: Option<String>,
    /// Only those of live nodes that this selects.
    pub(crate) selector: Option<Selector>,
    /// Only those issued under this policy.
    pub(crate) policy: Option<String>,
    /// Only those issued by this rule.
    pub(crate) rule: Option<String>,
    /// Also those that no longer count.
    pub(crate) all: Option<All>,
    /// With the certificates themselves.
    pub(crate) pem: Option<WithPem>,
}

/// A listing, page after page.
pub(crate) struct Pages {
    which: Which,
    before: Option<u64>,
    is_over: bool,
}

impl Pages {
    /// The first page is yet to come.
    pub(crate) const fn new(which: Which) -> Self {
        Self {
            which,
            before: None,
            is_over: false,
        }
    }

    /// The next page; none after the last.
    ///
    /// # Errors
    /// When the master refuses, does not answer, or its pages do not come to an end.
    pub(crate) async fn next(
        &mut self,
        remote: &mut Remote,
    ) -> Result<Option<Vec<CertificateSummary>>, CliError> {
        if self.is_over {
            return Ok(None);
        }
        let which = &self.which;
        let query = [
            ("node", which.node.clone()),
            ("selector", which.selector.as_ref().map(Selector::to_string)),
            ("policy", which.policy.clone()),
            ("rule", which.rule.clone()),
            ("all", which.all.map(|All| "true".to_owned())),
            ("pem", which.pem.map(|WithPem| "true".to_owned())),
            ("before", self.before.map(|index| index.to_string())),
            ("limit", Some(PAGE.to_string())),
        ];
        let page: CertificateList = remote
            .call(&Call::new(Route::Certificates).query(query))
            .await?;
        self.before = next_page(self.before, page.next_before)?;
        self.is_over = self.before.is_none();
        Ok(Some(page.certificates))
    }
}

/// Where the next page begins: pages go down, so a master that repeats itself cannot hold us.
///
/// # Errors
/// When the next page is not below this one.
pub(crate) fn next_page(this: Option<u64>, next: Option<u64>) -> Result<Option<u64>, CliError> {
    match (this, next) {
        (Some(this), Some(next)) if next >= this => Err(CliError::failed(
            format!("the master's page after {this} begins at {next}, which is not below it"),
            "is it another version than this program?",
        )),
        _ => Ok(next),
    }
}

fn render(list: &CertificateList) -> String {
    let heading = [
        "SERIAL",
        "NAME",
        "CONTAINER",
        "IP",
        "STATE",
        "NOT AFTER",
        "INDEX",
    ];
    table::columns(
        heading,
        list.certificates.iter().map(row),
        "no certificates",
    )
}

fn row(certificate: &CertificateSummary) -> [String; 7] {
    let name = if certificate.name.is_empty() {
        certificate.subject.principal.to_string()
    } else {
        certificate.name.clone()
    };
    [
        // Whole: "cert show" takes no shorter one.
        certificate.serial.to_string(),
        name,
        certificate
            .container
            .as_ref()
            .map(table::short_id)
            .unwrap_or_default(),
        ips(certificate),
        state(certificate),
        certificate.not_after_ms.to_string(),
        certificate.index.to_string(),
    ]
}

fn render_detail(detail: &CertificateDetail) -> String {
    let certificate = &detail.summary;
    let held = certificate
        .addresses
        .iter()
        .map(|held| format!("{} (epoch {})", held.address, held.epoch));
    let bare = certificate.ips.iter().map(ToString::to_string);
    let container = certificate.container.map(|id| id.to_string());
    let mut text = table::fields([
        ("serial", certificate.serial.to_string()),
        ("subject", certificate.subject.to_string()),
        ("name", table::one_line(&certificate.name)),
        ("container", container.unwrap_or_default()),
        ("addresses", held.chain(bare).collect::<Vec<_>>().join("\n")),
        ("state", state(certificate)),
        ("evidence", evidence::words(&detail.evidence)),
        ("not before", certificate.not_before_ms.to_string()),
        ("not after", certificate.not_after_ms.to_string()),
        ("sha256", certificate.der_sha256.to_string()),
        ("log index", certificate.index.to_string()),
    ]);
    text.push_str(&format!("\n{}", table::printable(&certificate.pem)));
    text
}

/// The certificate with its entry and the proof, which holds.
fn render_proof(detail: &CertificateDetail, verdict: &str) -> String {
    let mut text = format!("{}\nproven      {verdict}\n", render_detail(detail));
    for (title, part) in [("entry", &detail.entry), ("proof", &detail.proof)] {
        text.push_str(&format!(
            "\n{title}\n{}",
            table::indented(&table::printable(part))
        ));
    }
    text
}

fn ips(certificate: &CertificateSummary) -> String {
    let held = certificate.addresses.iter().map(|held| held.address.ip);
    table::joined(held.chain(certificate.ips.iter().copied()))
}

fn state(certificate: &CertificateSummary) -> String {
    match certificate.state {
        CertificateState::Valid => "valid".into(),
        CertificateState::Expired => "expired".into(),
        CertificateState::Revoked if certificate.revoked_reason.is_empty() => "revoked".into(),
        CertificateState::Revoked => format!("revoked: {}", certificate.revoked_reason),
    }
}

/// A certificate for the tests.
#[cfg(test)]
pub(crate) fn example() -> CertificateSummary {
    use dockmaster_proto::{
        event::HeldAddress,
        id::{ContainerId, Digest},
        time::UnixMs,
    };

    let container = ContainerId::from_bytes([0xab; 32]);
    CertificateSummary {
        serial: Serial::from_bytes([0x1f; 16]),
        subject: format!("spiffe://td/host/h1/container/{container}")
            .parse()
            .unwrap(),
        container: Some(container),
        name: "web-1".into(),
        addresses: vec![HeldAddress {
            address: "h1/bridge/172.17.0.2".parse().unwrap(),
            epoch: 3,
        }],
        ips: vec![],
        not_before_ms: UnixMs(1_795_528_980_000),
        not_after_ms: UnixMs(1_795_532_580_000),
        state: CertificateState::Valid,
        revoked_reason: String::new(),
        index: 5,
        der_sha256: Digest::of(b"der"),
        pem: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::event::Evidence;

    use super::*;

    #[test]
    fn a_certificate_is_a_row() {
        let mut other = example();
        other.name.clear();
        other.container = None;
        other.addresses.clear();
        other.ips = vec!["10.0.0.1".parse().unwrap()];
        other.subject = "spiffe://td/master/m1".parse().unwrap();
        other.state = CertificateState::Revoked;
        other.revoked_reason = "superseded".into();
        let text = render(&CertificateList {
            certificates: vec![example(), other],
            next_before: None,
        });
        let serial = "1f".repeat(16);
        assert_eq!(
            text,
            format!(
                "SERIAL                            NAME        CONTAINER     IP          STATE                NOT AFTER                 INDEX\n\
                 {serial}  web-1       abababababab  172.17.0.2  valid                2026-11-24T15:03:00.000Z  5\n\
                 {serial}  /master/m1  -             10.0.0.1    revoked: superseded  2026-11-24T15:03:00.000Z  5"
            )
        );
    }

    #[test]
    fn a_certificate_is_shown_with_its_leases_and_its_pem() {
        let detail = CertificateDetail {
            summary: CertificateSummary {
                pem: "-----BEGIN CERTIFICATE-----\n".into(),
                ..example()
            },
            entry: "{\"v\":1}".into(),
            proof: "c2sp.org/tlog-proof@v1\nindex 5\n".into(),
            evidence: vec![Evidence::Master],
        };
        let text = render_detail(&detail);
        assert!(
            text.contains("addresses   h1/bridge/172.17.0.2 (epoch 3)\n"),
            "{text}"
        );
        assert!(text.ends_with("\n-----BEGIN CERTIFICATE-----\n"), "{text}");
        let proof = render_proof(&detail, "by the log");
        assert!(proof.starts_with(&text), "{proof}");
        assert!(
            proof.contains("\nproof\n  c2sp.org/tlog-proof@v1\n  index 5\n"),
            "{proof}"
        );
    }

    #[test]
    fn an_entry_of_another_certificate_is_no_proof_of_this_one() {
        let mut detail = CertificateDetail {
            summary: example(),
            entry: String::new(),
            proof: String::new(),
            evidence: vec![],
        };
        let (serial, sha256) = (detail.summary.serial, detail.summary.der_sha256);
        let entry = format!(
            r#"{{"v":1,"ts_ms":7,"event":"operator_granted","operator":"ada","role":"admin","serial":"{serial}","not_after_ms":9,"der_sha256":"{sha256}","request_id":"r","actor":"a","master":"m1"}}"#
        );
        assert!(is_about(&detail, entry.as_bytes()));
        detail.summary.der_sha256 = dockmaster_proto::id::Digest::of(b"another");
        assert!(!is_about(&detail, entry.as_bytes()));
        assert!(!is_about(&detail, b"{}"));
    }

    #[test]
    fn pages_that_do_not_go_down_are_an_error() {
        assert_eq!(next_page(None, Some(9)).unwrap(), Some(9));
        assert_eq!(next_page(Some(9), Some(4)).unwrap(), Some(4));
        assert_eq!(next_page(Some(9), None).unwrap(), None);
        assert!(next_page(Some(9), Some(9)).is_err());
    }
}
