//! Requests and answers of the HTTP API, one module per group of routes.

pub mod audit;
pub mod authority;
pub mod backup;
pub mod certs;
pub mod denials;
pub mod documents;
pub mod hosts;
pub mod identity;
pub mod nodes;
pub mod requests;
pub mod tokens;
