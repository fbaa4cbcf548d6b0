//! What an issuance rests on, in words.

use dockmaster_proto::event::Evidence;

use super::table;

/// One piece of evidence a line.
pub(crate) fn words(evidence: &[Evidence]) -> String {
    table::list(evidence.iter().map(|evidence| match evidence {
        Evidence::Host { host, .. } => format!("host {host}"),
        Evidence::Token { token } => format!("token {token}"),
        Evidence::Operator { operator, request } => {
            format!("operator {operator}, request {request}")
        }
        Evidence::Master => "master".to_owned(),
    }))
}
