//! Keys. One tree holds everything, so that one batch changes everything at once.

use std::net::IpAddr;

use dockmaster_proto::{
    address::{Address, ip_key},
    id::{ContainerId, Name, RequestId, Serial, TokenId},
    time::UnixMs,
};

pub(super) const FORMAT: &[u8] = b"m/format";
pub(super) const APPLIED: &[u8] = b"m/applied";
pub(super) const CLASSIFICATION: &[u8] = b"d/classification";
/// `null` or the authorities that count.
pub(super) const AUTHORITIES: &[u8] = b"d/authorities";
pub(super) const SITE: &[u8] = b"d/site";

/// The key under which the time of the newest entry stands: how far a watch is certain that a
/// crash of the master cut off.
pub(super) const LAST_TIME: &[u8] = b"m/last-time";
/// Nodes whose container runs. All of them are read at every start.
pub(super) const NODES: &[u8] = b"n/";
/// Nodes whose container ended. There is no end to their number.
pub(super) const ENDED_NODES: &[u8] = b"g/";
/// What operators said of nodes that ended, by ID and host: the labels are the node's again when the
/// same host runs it again.
pub(super) const LABELLED: &[u8] = b"h/";
pub(super) const EPOCHS: &[u8] = b"e/";
pub(super) const CERTIFICATES_BY_INDEX: &[u8] = b"i/";
pub(super) const OPERATORS: &[u8] = b"p/";
/// Hosts that may vouch for containers.
pub(super) const HOSTS: &[u8] = b"z/";
/// Certificates that ended before their time, by the end of that time: those that are over go first.
pub(super) const REVOKED: &[u8] = b"v/";
pub(super) const BANS: &[u8] = b"b/";
/// The policy that is in force.
pub(super) const POLICY: &[u8] = b"d/policy";
/// Requests that wait for an operator.
pub(super) const REQUESTS: &[u8] = b"r/";
pub(super) const WATCHES: &[u8] = b"w/";
pub(super) const TOKENS: &[u8] = b"t/";
/// Containers that their hosts may not vouch for.
pub(super) const HOST_REFUSALS: &[u8] = b"q/";
/// Machines that a join token let in. There is no end to their number; what is long past is not read.
pub(super) const MACHINES: &[u8] = b"a/";
const DENIALS_BY_IP: &[u8] = b"x/";
const DENIALS_OF: &[u8] = b"y/";
const LEASES: &[u8] = b"l/";
const LEASE_CERTIFICATES: &[u8] = b"k/";
const OPEN_LEASES: &[u8] = b"o/";
const CERTIFICATES: &[u8] = b"c/";
/// When and why certificates ended before their time: beside them, so that the end of one does not have
/// all of it written again.
const REVOCATIONS: &[u8] = b"u/";

fn key(prefix: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut key = prefix.to_vec();
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

pub(super) fn node(id: &ContainerId) -> Vec<u8> {
    key(NODES, &[id.as_bytes()])
}

pub(super) fn ended_node(id: &ContainerId) -> Vec<u8> {
    key(ENDED_NODES, &[id.as_bytes()])
}

pub(super) fn labelled(id: &ContainerId, host: &Name) -> Vec<u8> {
    key(LABELLED, &[id.as_bytes(), host.as_str().as_bytes()])
}

/// Leases sort by IP, network and beginning, so that the lease of an address at a time is the last
/// one that began before.
pub(super) fn lease(address: &Address, opened_at: UnixMs) -> Vec<u8> {
    key(LEASES, &[&lease_tail(address, opened_at)])
}

/// The certificates that name a lease: a key each, so that a container that asks for thousands
/// makes no record grow.
pub(super) fn certificates_of_lease(address: &Address, opened_at: UnixMs) -> Vec<u8> {
    key(LEASE_CERTIFICATES, &[&lease_tail(address, opened_at)])
}

pub(super) fn certificate_of_lease(address: &Address, opened_at: UnixMs, index: u64) -> Vec<u8> {
    key(
        &certificates_of_lease(address, opened_at),
        &[&index.to_be_bytes()],
    )
}

/// The index that a key of [`certificate_of_lease`] ends with.
pub(super) fn index_after(prefix: &[u8], key: &[u8]) -> Option<u64> {
    let tail = key.strip_prefix(prefix)?;
    Some(u64::from_be_bytes(tail.try_into().ok()?))
}

fn lease_tail(address: &Address, opened_at: UnixMs) -> Vec<u8> {
    key(
        &ip_key(address.ip),
        &[
            address.network.as_str().as_bytes(),
            &[0],
            &opened_at.0.to_be_bytes(),
        ],
    )
}

pub(super) fn leases_of_ip(ip: IpAddr) -> Vec<u8> {
    key(LEASES, &[&ip_key(ip)])
}

/// The beginning of the lease of an address that is open now.
pub(super) fn open_lease(address: &Address) -> Vec<u8> {
    key(OPEN_LEASES, &[address.to_string().as_bytes()])
}

pub(super) fn epoch(address: &Address) -> Vec<u8> {
    key(EPOCHS, &[address.to_string().as_bytes()])
}

pub(super) fn certificate(serial: &Serial) -> Vec<u8> {
    key(CERTIFICATES, &[serial.as_bytes()])
}

pub(super) fn revocation(serial: &Serial) -> Vec<u8> {
    key(REVOCATIONS, &[serial.as_bytes()])
}

pub(super) fn certificate_at(index: u64) -> Vec<u8> {
    key(CERTIFICATES_BY_INDEX, &[&index.to_be_bytes()])
}

pub(super) fn operator(serial: &Serial) -> Vec<u8> {
    key(OPERATORS, &[serial.as_bytes()])
}

pub(super) fn revoked(not_after: UnixMs, serial: &Serial) -> Vec<u8> {
    key(REVOKED, &[&not_after.0.to_be_bytes(), serial.as_bytes()])
}

/// Where those begin that end at this time or later.
pub(super) fn revoked_from(not_after: UnixMs) -> Vec<u8> {
    key(REVOKED, &[&not_after.0.to_be_bytes()])
}

pub(super) fn ban(id: &ContainerId) -> Vec<u8> {
    key(BANS, &[id.as_bytes()])
}

pub(super) fn token(id: &TokenId) -> Vec<u8> {
    key(TOKENS, &[id.as_bytes()])
}

pub(super) fn machine(id: &ContainerId) -> Vec<u8> {
    key(MACHINES, &[id.as_bytes()])
}

pub(super) fn host(name: &Name) -> Vec<u8> {
    key(HOSTS, &[name.as_str().as_bytes()])
}

pub(super) fn watches_of(host: &Name) -> Vec<u8> {
    key(WATCHES, &[host.as_str().as_bytes(), &[0]])
}

pub(super) fn watch(host: &Name, since: UnixMs) -> Vec<u8> {
    key(&watches_of(host), &[&since.0.to_be_bytes()])
}

pub(super) fn request(id: &RequestId) -> Vec<u8> {
    key(REQUESTS, &[id.as_bytes()])
}

pub(super) fn host_refusal(id: &ContainerId) -> Vec<u8> {
    key(HOST_REFUSALS, &[id.as_bytes()])
}

pub(super) fn denials_by_ip(ip: IpAddr) -> Vec<u8> {
    key(DENIALS_BY_IP, &[&ip_key(ip)])
}

/// What was refused or held sorts by where it came from, and then by entry.
pub(super) fn denial_by_ip(ip: IpAddr, index: u64) -> Vec<u8> {
    key(&denials_by_ip(ip), &[&index.to_be_bytes()])
}

pub(super) fn denials_of(container: &ContainerId) -> Vec<u8> {
    key(DENIALS_OF, &[container.as_bytes()])
}

/// Where a container's refusal came from: under that IP stands the rest.
pub(super) fn denial_of(container: &ContainerId, index: u64) -> Vec<u8> {
    key(&denials_of(container), &[&index.to_be_bytes()])
}
