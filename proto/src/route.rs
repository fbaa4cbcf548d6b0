//! The route table: every path of the API, who may use it, and how large a body it takes.
//!
//! The master's router, the agent and the command line all take their paths from here.

use std::fmt::Write as _;

use http::Method;

use crate::catalog::MAX_CATALOG_BYTES;
use crate::report::MAX_REPORT_BYTES;

/// Who may use a route, by the client certificate that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Anyone, with or without a certificate.
    Anyone,
    /// A container whose certificate is current.
    Node,
    /// A host that was enrolled and not evicted.
    Host,
    /// An operator.
    Operator,
}

/// Declares the routes: `Name: METHOD "template", audience, largest body in bytes;`.
macro_rules! routes {
    ($($(#[$doc:meta])* $name:ident: $method:ident $template:literal, $audience:ident, $body:expr;)*) => {
        /// A route of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Route {
            $($(#[$doc])* $name,)*
        }

        impl Route {
            /// All routes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The method.
            #[must_use]
            pub const fn method(self) -> Method {
                match self { $(Self::$name => Method::$method,)* }
            }

            /// The path; segments in braces are parameters.
            #[must_use]
            pub const fn template(self) -> &'static str {
                match self { $(Self::$name => $template,)* }
            }

            /// Who may use it.
            #[must_use]
            pub const fn audience(self) -> Audience {
                match self { $(Self::$name => Audience::$audience,)* }
            }

            /// The largest request body in bytes; 0 where none is taken.
            #[must_use]
            pub const fn max_body(self) -> usize {
                match self { $(Self::$name => $body,)* }
            }
        }
    };
}

const DOCUMENT: usize = 4 << 20;
const SMALL: usize = 64 << 10;

routes! {
    /// The trust bundle: `?pin=sha256:HEX` to [`crate::api::identity::Trust`].
    Trust: GET "/v1/trust", Anyone, 0;
    /// The revocation list (RFC 5280) in DER; `?form=pem` all of them, for a relying party's file.
    Crl: GET "/v1/crl", Anyone, 0;
    /// A first certificate: [`crate::api::identity::CertificateRequest`] to [`crate::api::identity::IssuedCertificate`].
    Enroll: POST "/v1/enroll", Anyone, SMALL;
    /// A certificate with a new key.
    Renew: POST "/v1/renew", Node, SMALL;
    /// The caller's catalog; `If-None-Match` and `Prefer: wait=SECONDS`.
    Catalog: GET "/v1/catalog", Node, 0;
    /// A blob that the caller's catalog names.
    Blob: GET "/v1/blobs/{sha256}", Node, 0;
    /// The result of an apply: [`crate::report::Report`].
    Reports: POST "/v1/reports", Node, MAX_REPORT_BYTES;

    /// A host's certificate with a new key: [`crate::api::hosts::HostRenewal`] to [`crate::api::hosts::HostCertificate`].
    HostRenew: POST "/v1/host/renew", Host, SMALL;
    /// What runs on a host: an HTTP/1.1 upgrade to frames of [`crate::api::hosts::HostSays`] and [`crate::api::hosts::MasterSays`].
    HostWatch: POST "/v1/host/watch", Host, 0;
    /// A connection of a container, passed on as it is: `?origin=IP:PORT&dialled=IP:PORT`, an HTTP/1.1 upgrade.
    HostRelay: POST "/v1/host/relay", Host, 0;

    /// Hosts: [`crate::api::hosts::HostList`].
    Hosts: GET "/v1/hosts", Operator, 0;
    /// Enrolls a host: [`crate::api::hosts::HostProposal`] to [`crate::api::hosts::HostEnrollment`].
    HostEnroll: POST "/v1/hosts", Operator, SMALL;
    /// Evicts a host: [`crate::api::hosts::Eviction`].
    HostEvict: DELETE "/v1/hosts/{host}", Operator, 0;

    /// Nodes: `?selector=&all=true` to [`crate::api::nodes::NodeList`].
    Nodes: GET "/v1/nodes", Operator, 0;
    /// One node: [`crate::api::nodes::NodeDetail`].
    Node: GET "/v1/nodes/{node}", Operator, 0;
    /// Its operator labels: [`crate::label::LabelChange`] to [`crate::api::nodes::NodeSummary`].
    NodeLabels: PATCH "/v1/nodes/{node}/labels", Operator, SMALL;
    /// Its catalog: [`crate::api::nodes::NodeCatalog`].
    NodeCatalog: GET "/v1/nodes/{node}/catalog", Operator, 0;
    /// Why it is classified as it is: `?class=` to [`crate::api::nodes::Explanation`].
    NodeWhy: GET "/v1/nodes/{node}/why", Operator, 0;

    /// Lets a banned node enroll again.
    Unban: DELETE "/v1/nodes/{node}/ban", Operator, 0;
    /// Why it, or an IP, got no certificate: [`crate::api::denials::WhyDenied`].
    NodeDenials: GET "/v1/nodes/{node}/denials", Operator, 0;

    /// Requests that wait for an operator: [`crate::api::requests::RequestList`].
    Requests: GET "/v1/requests", Operator, 0;
    /// One of them: [`crate::api::requests::HeldRequest`].
    Request: GET "/v1/requests/{request}", Operator, 0;
    /// Lets it have a certificate: [`crate::api::requests::HeldRequest`].
    RequestApprove: POST "/v1/requests/{request}/approve", Operator, 0;
    /// Says no: [`crate::api::requests::Denial`] to [`crate::api::requests::HeldRequest`].
    RequestDeny: POST "/v1/requests/{request}/deny", Operator, SMALL;

    /// The classification in force: [`crate::api::documents::CurrentClassification`].
    Classification: GET "/v1/classification", Operator, 0;
    /// What a classification would change: [`crate::api::documents::ClassificationProposal`] to [`crate::api::documents::Plan`].
    ClassificationPlan: POST "/v1/classification/plan", Operator, DOCUMENT;
    /// Puts a classification in force: [`crate::api::documents::ClassificationProposal`] to [`crate::api::documents::Applied`].
    ClassificationApply: POST "/v1/classification", Operator, DOCUMENT;

    /// The site in force: [`crate::api::documents::CurrentSite`].
    Site: GET "/v1/site", Operator, 0;
    /// Which files of a site the master lacks: [`crate::api::documents::SiteManifest`] to [`crate::api::documents::MissingFiles`].
    SiteMissing: POST "/v1/site/missing", Operator, DOCUMENT;
    /// Uploads one file of a site.
    SiteFile: PUT "/v1/site/files/{sha256}", Operator, MAX_CATALOG_BYTES;
    /// Puts a site in force: [`crate::api::documents::SiteProposal`] to [`crate::api::documents::Applied`].
    SiteDeploy: POST "/v1/site", Operator, DOCUMENT;

    /// Certificates: `?node=&selector=&policy=&rule=&all=true&before=&limit=` to [`crate::api::certs::CertificateList`].
    Certificates: GET "/v1/certs", Operator, 0;
    /// One certificate: [`crate::api::certs::CertificateDetail`].
    Certificate: GET "/v1/certs/{serial}", Operator, 0;

    /// Ends certificates before their time: [`crate::api::certs::RevocationRequest`] to [`crate::api::certs::Revoked`].
    Revoke: POST "/v1/revocations", Operator, SMALL;

    /// A new certificate for the calling operator: [`crate::api::identity::CertificateRequest`] to [`crate::api::identity::OperatorCertificate`].
    OperatorRenew: POST "/v1/operator/renew", Operator, SMALL;
    /// The authorities: [`crate::api::authority::AuthorityReport`].
    Authorities: GET "/v1/ca", Operator, 0;
    /// A step of a rotation: [`crate::api::authority::RotationRequest`] to [`crate::api::authority::AuthorityReport`].
    Rotate: POST "/v1/ca/rotation", Operator, SMALL;

    /// Join tokens: [`crate::api::tokens::TokenList`].
    Tokens: GET "/v1/tokens", Operator, 0;
    /// A new one: [`crate::api::tokens::TokenProposal`] to [`crate::api::tokens::CreatedToken`].
    TokenCreate: POST "/v1/tokens", Operator, SMALL;
    /// Takes one back: `?nodes=true` to [`crate::api::tokens::RevokedToken`].
    TokenRevoke: DELETE "/v1/tokens/{token}", Operator, 0;

    /// Ledger entries: see [`crate::api::audit::EntryQuery`] to [`crate::api::audit::EntryList`].
    Audit: GET "/v1/audit", Operator, 0;
    /// Who held an IP: see [`crate::api::audit::HolderQuery`] to [`crate::api::audit::Holders`].
    AuditWho: GET "/v1/audit/who", Operator, 0;
    /// An entry with the proof that it is in the log: [`crate::api::audit::ProvenEntry`].
    AuditProof: GET "/v1/audit/entries/{index}", Operator, 0;

    /// The small files of the data directory, keys among them: [`crate::api::backup::SmallFiles`].
    Backup: POST "/v1/backup", Operator, 0;
    /// Blobs: [`crate::api::backup::WantedBlobs`] to their bytes.
    BackupBlobs: POST "/v1/backup/blobs", Operator, SMALL;

    /// The signed head of the log.
    Checkpoint: GET "/log/checkpoint", Anyone, 0;
    /// A tile or an entry bundle of the log (C2SP tlog-tiles).
    Tile: GET "/log/tile/{*path}", Anyone, 0;
    /// The process lives.
    Healthz: GET "/healthz", Anyone, 0;
    /// The master can do its work; 503 with the reasons when it cannot.
    Readyz: GET "/readyz", Anyone, 0;
}

impl Route {
    /// The path with its parameter filled in; a route without one ignores it.
    ///
    /// ```
    /// # use dockmaster_proto::route::Route;
    /// assert_eq!(Route::Node.path("web 1"), "/v1/nodes/web%201");
    /// assert_eq!(Route::Trust.path(""), "/v1/trust");
    /// ```
    #[must_use]
    pub fn path(self, parameter: &str) -> String {
        let template = self.template();
        match (template.find('{'), template.find('}')) {
            (Some(open), Some(close)) => {
                let keeps_slashes = template[open..].starts_with("{*");
                let mut path = template[..open].to_owned();
                percent_encode(parameter, keeps_slashes.then_some('/'), &mut path);
                path.push_str(&template[close + 1..]);
                path
            }
            _ => template.to_owned(),
        }
    }

    /// The path with a query; pairs without a value are left out.
    #[must_use]
    pub fn path_and_query(self, parameter: &str, query: &[(&str, Option<String>)]) -> String {
        let mut path = self.path(parameter);
        let mut separator = '?';
        for (key, value) in query {
            if let Some(value) = value {
                path.push(separator);
                path.push_str(key);
                path.push('=');
                percent_encode(value, None, &mut path);
                separator = '&';
            }
        }
        path
    }
}

fn percent_encode(text: &str, also_plain: Option<char>, into: &mut String) {
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric()
            || b"-._~".contains(&byte)
            || also_plain == Some(char::from(byte));
        if plain {
            into.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// Undoes percent-encoding; `None` when it is malformed or not UTF-8.
#[must_use]
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// The pairs of a query, decoded; malformed pairs are `None`.
#[must_use]
pub fn parse_query(query: &str) -> Option<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((percent_decode(key)?, percent_decode(value)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_routes_share_method_and_path() {
        let distinct: BTreeSet<_> = Route::ALL
            .iter()
            .map(|route| (route.method().to_string(), route.template()))
            .collect();
        assert_eq!(distinct.len(), Route::ALL.len());
    }

    #[test]
    fn parameters_cannot_leave_their_segment() {
        assert_eq!(Route::Node.path("../trust?x"), "/v1/nodes/..%2Ftrust%3Fx");
        assert_eq!(
            Route::Tile.path("0/x001/067.p/112"),
            "/log/tile/0/x001/067.p/112"
        );
        assert_eq!(percent_decode("..%2Ftrust%3Fx").unwrap(), "../trust?x");
        assert_eq!(percent_decode("%zz"), None);
        assert_eq!(percent_decode("%ff"), None);
    }

    #[test]
    fn a_query_reads_back_as_written() {
        let path =
            Route::Nodes.path_and_query("", &[("selector", Some("a=b, c".into())), ("all", None)]);
        assert_eq!(path, "/v1/nodes?selector=a%3Db%2C%20c");
        assert_eq!(
            parse_query("selector=a%3Db%2C%20c").unwrap(),
            [("selector".to_owned(), "a=b, c".to_owned())]
        );
    }
}
