//! What an issuance rests on, in words.

use dockmaster_proto::event::Evidence;

use super::table;

/// One piece of evidence a line.
pub(crate) fn words(evidence: &[Evidence]) -> String {
    table::list(evidence.iter().map(|evidence| match evidence {
        Evidence::Host {
            host, no_socket, ..
        } if !no_socket.is_empty() => {
            format!("host {host}, not asked about the connection: {no_socket}")
        }
        Evidence::Host { host, .. } => format!("host {host}"),
        Evidence::Socket {
            host, source, pid, ..
        } => format!("socket {source} of process {pid} on host {host}"),
        Evidence::Token {
            token,
            returned_with: None,
        } => format!("token {token}"),
        Evidence::Token {
            token,
            returned_with: Some(serial),
        } => format!("token {token}, back by the key of certificate {serial}"),
        Evidence::Operator { operator, request } => {
            format!("operator {operator}, request {request}")
        }
        Evidence::Master => "master".to_owned(),
    }))
}
