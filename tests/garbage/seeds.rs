//! Right inputs.

use dockmaster_certs::csr::create_request;
use serde_json::{Value, json};

use crate::targets::{BINDING, INSPECTION, NETWORKS, frame, key};

const EVENTS: &str = include_str!("../../server/host/src/docker/fixtures/events.jsonl");
const IN_HOST: &str = include_str!("../../server/host/src/docker/fixtures/inspect-host.json");
const SHARED: &str = include_str!("../../server/host/src/docker/fixtures/inspect-shared.json");

/// Right inputs for the target of this name.
pub(crate) fn seeds(target: &str) -> Vec<Vec<u8>> {
    let digest = "0f".repeat(32);
    let (texts, values): (Vec<String>, Vec<Value>) = match target {
        "csr" => {
            return (0..3)
                .map(|_| create_request(&key(), &BINDING).unwrap())
                .collect();
        }
        "certificate_request" => (
            vec![],
            vec![
                json!({ "csr": "MIIB", "agent_version": "0.1.0" }),
                json!({ "csr": "", "agent_version": "", "seen": "example.org/log\n7\n\n" }),
                json!({ "csr": "MIIB", "agent_version": "0.1.0", "token":
                    { "token": TOKEN, "machine": "5a".repeat(16) } }),
            ],
        ),
        "report" => (
            vec![],
            vec![report(&digest, ""), report(&digest, &"é".repeat(600))],
        ),
        "label_change" => (
            vec![],
            vec![
                json!({ "set": { "tier": "front", "a.b/c": "" }, "remove": ["canary"] }),
                json!({}),
            ],
        ),
        "classification_proposal" => (
            vec![],
            vec![
                json!({ "document": "groups: []\n", "file": "a.yaml", "message": "m", "base": 3 }),
            ],
        ),
        "site_manifest" => (vec![], vec![json!({ "files": { "site.yaml": digest } })]),
        "site_proposal" => (
            vec![],
            vec![json!({ "manifest": { "files": { "a/b": digest } }, "message": "m" })],
        ),
        "wanted_blobs" => (vec![], vec![json!({ "blobs": [digest, digest] })]),
        "host_proposal" => (
            vec![],
            vec![
                json!({ "name": "h2", "csr": "MIIB", "cidrs": ["10.9.0.0/16", "fd00::/8"], "reach": "direct" }),
                json!({ "name": "h2", "csr": "" }),
            ],
        ),
        "host_renewal" => (vec![], vec![json!({ "csr": "MIIB" })]),
        "token_proposal" => (
            vec![],
            vec![
                json!({ "labels": { "role": "web" }, "network": "backend", "ttl_ms": 600_000, "uses": 3 }),
                json!({ "ttl_ms": 0, "uses": 0 }),
            ],
        ),
        "revocation_request" => (
            vec![],
            vec![
                json!({ "target": { "node": "web-1" }, "reason": "keyCompromise", "message": "m",
                        "afterwards": "banned" }),
                json!({ "target": { "serial": "0f".repeat(16) } }),
            ],
        ),
        "rotation_request" => (
            vec![],
            vec![
                json!({ "step": "roll_back", "insistence": "forced" }),
                json!({ "step": "start" }),
            ],
        ),
        "denial" => (vec![], vec![json!({ "reason": "who is it?" }), json!({})]),
        "relayed_from" => (
            vec![
                "origin=10.9.0.2%3A40000&dialled=10.9.0.1:8140".into(),
                "dialled=[fd00::1]:8140&origin=[fd00::2]:1".into(),
            ],
            vec![],
        ),
        "join_token" => (vec![TOKEN.into()], vec![]),
        "host_says" => (vec![], [host_says(&digest), oversteps(&digest)].concat()),
        "watch_stream" => {
            let says = |says: &[Value]| {
                let frames = says.iter().map(|says| frame(says.to_string().as_bytes()));
                frames.collect::<Vec<_>>().concat()
            };
            let (all, rogue) = (host_says(&digest), oversteps(&digest));
            let [begins, container, .., ends] = &all[..4] else {
                return vec![];
            };
            // Within a snapshot the same container twice, and one that is not this host's.
            let snapshot = [begins, container, container, &rogue[0], ends].map(Value::clone);
            return vec![
                says(&all),
                says(&snapshot),
                says(&[&snapshot, &rogue[1..]].concat()),
            ];
        }
        "master_says" => (vec![], master_says(&digest)),
        "query" => (
            vec![
                "selector=role%3Dweb&all=true&ip=fd00::1".into(),
                "a&&=b%20".into(),
            ],
            vec![],
        ),
        // Those that matter are among them, and every kind that does not.
        "event" => (
            EVENTS
                .lines()
                .filter(|line| {
                    crate::targets::ALL
                        .iter()
                        .any(|it| it.name == "event" && (it.run)(line.as_bytes()))
                })
                .map(str::to_owned)
                .collect(),
            vec![],
        ),
        "inspection" => (
            vec![INSPECTION.into(), IN_HOST.into(), SHARED.into()],
            vec![],
        ),
        "networks" => (vec![NETWORKS.into()], vec![]),
        "inventory_json" => (vec![], vec![inventory(&digest)]),
        "inventory_yaml" => (vec![yaml(&digest)], vec![inventory(&digest)]),
        _ => (vec![], vec![]),
    };
    let written = values.iter().map(Value::to_string);
    texts
        .into_iter()
        .chain(written)
        .map(String::into_bytes)
        .collect()
}

const TOKEN: &str = "dockmaster-token-0123456789abcdef-\
    00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn facts(id: &str) -> Value {
    json!({
        "id": id, "name": "web", "image": "web:1", "image_digest": "", "labels": { "role": "web" },
        "started_at_ms": 1, "limits": { "memory_bytes": 1, "cpu_millis": null }, "network_mode": "own",
        "attachments": [{ "network": "h2/bridge", "ips": ["10.9.0.2"] },
                        { "network": "backend", "ips": ["10.9.0.3"] }],
    })
}

/// All that a host says, in an order that makes sense.
fn host_says(id: &str) -> Vec<Value> {
    vec![
        json!({ "say": "snapshot_begins" }),
        json!({ "say": "container", "facts": facts(id) }),
        json!({ "say": "unclear", "id": "1".repeat(64) }),
        json!({ "say": "snapshot_ends" }),
        json!({ "say": "up", "facts": facts(&"2".repeat(64)) }),
        json!({ "say": "down", "id": id, "cause": "died" }),
        json!({ "say": "answer", "number": 1, "found": [{ "facts": facts(id), "main_pid": 7 }] }),
        json!({ "say": "answer", "number": 2, "sharing": [id],
                "socket": { "verdict": "owned", "container": id, "pid": 7 } }),
        json!({ "say": "answer", "number": 3, "error": "the engine is away" }),
        json!({ "say": "lost", "reason": "the engine is away" }),
        json!({ "say": "beat" }),
    ]
}

/// What can be said, and is not for a host to say: first of a container in a snapshot, then after it.
fn oversteps(id: &str) -> Vec<Value> {
    let with = |network: &str, ip: &str| {
        let mut facts = facts(id);
        facts["attachments"] = json!([{ "network": network, "ips": [ip] }]);
        facts
    };
    vec![
        json!({ "say": "container", "facts": with("h1/bridge", "10.9.0.2") }),
        json!({ "say": "up", "facts": with("h1/bridge", "10.9.0.2") }),
        json!({ "say": "up", "facts": with("h2/bridge", "10.9.1.2") }),
        json!({ "say": "up", "facts": with("backend", "::ffff:10.9.1.2") }),
        json!({ "say": "down", "id": id, "cause": "host_evicted" }),
        json!({ "say": "lost", "reason": "é".repeat(600) }),
    ]
}

fn master_says(id: &str) -> Vec<Value> {
    vec![
        json!({ "say": "inspect", "number": 1, "id": id }),
        json!({ "say": "find", "number": 2, "ip": "10.9.0.2" }),
        json!({ "say": "sharing", "number": 3, "namespace": { "of": "container", "id": id, "name": "web" } }),
        json!({ "say": "look", "number": 4, "source": "10.9.0.2:40000", "local": "10.9.0.1:8140",
                "subjects": [{ "id": id, "main_pid": 7 }] }),
        json!({ "say": "beat" }),
    ]
}

fn report(digest: &str, alarm: &str) -> Value {
    let told = |value: Value| json!({ "value": value, "source": "/proc" });
    json!({
        "catalog": digest, "agent_version": "0.1.0", "started_at_ms": 1, "duration_us": 2,
        "status": "changed",
        "resources": [
            { "resource": "file[/a]", "outcome": { "outcome": "unchanged" }, "duration_us": 0 },
            { "resource": "exec[b]", "duration_us": 9, "outcome":
                { "outcome": "changed", "what": "ran", "change": "corrective", "diff": "+x\n" } },
            { "resource": "file[/c]", "outcome": { "outcome": "failed", "error": "e" }, "duration_us": 1 },
        ],
        "processes": [{ "title": "app", "pid": 7, "restarts": 0, "reloads": 1 }],
        "facts": {
            "memory_bytes": told(json!(58_720_256)), "cpu_millis": told(Value::Null),
            "ips": told(json!(["172.17.0.5", "fd00::5"])), "hostname": told(json!("web")),
            "kernel": told(json!("6.1.0")), "cgroup_version": told(json!(2)),
            "os": told(json!("debian 12")),
        },
        "alarm": alarm,
    })
}

fn inventory(id: &str) -> Value {
    json!({ "containers": [
        { "id": id, "name": "web", "image": "web:1", "labels": { "role": "web" },
          "ips": ["127.77.0.1", { "ip": "10.1.2.3", "network": "backend" }],
          "started_at": "2026-11-24T14:03:00Z", "limits": { "memory_bytes": 1 } },
        { "id": "1".repeat(64), "name": "db", "image": "db:1", "ips": ["127.77.0.2"] },
    ] })
}

fn yaml(id: &str) -> String {
    format!(
        "containers:\n  - id: \"{id}\"\n    name: web\n    image: web:1\n    labels:\n      role: web\n    \
         ips:\n      - 127.77.0.1\n      - {{ip: 10.1.2.3, network: backend}}\n"
    )
}
