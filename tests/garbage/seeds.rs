//! Right inputs.

use dockmaster_certs::csr::create_request;
use serde_json::{Value, json};

use crate::targets::{BINDING, INSPECTION, NETWORKS, key};

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
