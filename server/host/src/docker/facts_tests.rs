use dockmaster_proto::id::Name;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const TWO_NETWORKS: &str = include_str!("fixtures/inspect-two-networks.json");

fn host() -> Name {
    "h1".parse().unwrap()
}

fn networks() -> Networks {
    let list: Vec<bollard::models::Network> =
        serde_json::from_str(include_str!("fixtures/networks.json")).unwrap();
    Networks::read(list, &host())
}

fn look(value: Value) -> Result<Look, FactsError> {
    read(serde_json::from_value(value).unwrap(), &networks())
}

/// The facts of a fixture after a change to it.
fn facts(fixture: &str, change: impl FnOnce(&mut Value)) -> (ContainerFacts, Vec<String>) {
    let mut value = serde_json::from_str(fixture).unwrap();
    change(&mut value);
    match look(value).unwrap() {
        Look::Running { facts, blank, .. } => (*facts, blank),
        Look::Stopped => panic!("it runs"),
    }
}

#[test]
fn a_container_in_two_networks_is_read_whole() {
    let (facts, blank) = facts(TWO_NETWORKS, |_| ());
    assert!(blank.is_empty());
    assert_eq!(
        serde_json::to_value(&facts).unwrap(),
        json!({
            "id": "a1f60e130517323965ac128fe193be48f44236a1954740e31beb3b1352e2dd11",
            "name": "hostcap-one",
            "image": "hostcap:1",
            "image_digest": "sha256:0e276707f36ce7af8e05f23e635271a297ae571b9a90487f6738be43f3459928",
            "labels": {"role": "web", "tier": "front"},
            "started_at_ms": 1_795_540_392_955_u64,
            "limits": {"memory_bytes": 58_720_256, "cpu_millis": 500},
            "network_mode": "own",
            "attachments": [
                {"network": "h1/bridge", "ips": ["172.17.0.2"]},
                {"network": "h1/hostcap-net", "ips": ["172.18.0.2"]},
            ],
        })
    );
}

#[test]
fn who_shares_a_namespace_or_has_none_holds_no_address() {
    let (by_host, blank) = facts(include_str!("fixtures/inspect-host.json"), |_| ());
    assert_eq!(by_host.network_mode, NetworkMode::Host);
    assert!(by_host.attachments.is_empty() && blank.is_empty());

    let (shared, blank) = facts(include_str!("fixtures/inspect-shared.json"), |_| ());
    assert!(matches!(shared.network_mode, NetworkMode::Container(id) if id.starts_with("a1f60e")));
    assert!(shared.attachments.is_empty() && blank.is_empty());

    let (none, blank) = facts(include_str!("fixtures/inspect-none.json"), |_| ());
    assert_eq!(none.network_mode, NetworkMode::Own);
    assert!(none.attachments.is_empty() && blank.is_empty());
}

#[test]
fn a_network_without_an_address_is_worth_another_look() {
    let (facts, blank) = facts(TWO_NETWORKS, |value| {
        value["NetworkSettings"]["Networks"]["hostcap-net"]["IPAddress"] = json!("");
    });
    assert_eq!(
        blank,
        ["4f0c3ec25a51b7cd318196d131fabf962b7e0151c22df7f2e88d752343039afa"]
    );
    assert_eq!(facts.attachments[1].ips, [] as [IpAddr; 0]);
}

#[test]
fn both_families_of_an_endpoint_are_read() {
    let (facts, _) = facts(TWO_NETWORKS, |value| {
        value["NetworkSettings"]["Networks"]["bridge"]["GlobalIPv6Address"] = json!("fd00::2");
    });
    let expected: [IpAddr; 2] = ["172.17.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
    assert_eq!(facts.attachments[0].ips, expected);
}

#[test]
fn a_container_between_restarts_does_not_run() {
    for (field, value) in [("Running", false), ("Restarting", true), ("Dead", true)] {
        let mut answer: Value = serde_json::from_str(TWO_NETWORKS).unwrap();
        answer["State"][field] = json!(value);
        assert_eq!(look(answer).unwrap(), Look::Stopped, "{field}");
    }
}

#[test]
fn an_unlisted_network_is_named() {
    let mut answer: Value = serde_json::from_str(TWO_NETWORKS).unwrap();
    answer["NetworkSettings"]["Networks"]["bridge"]["NetworkID"] = json!("feed");
    let error = look(answer).unwrap_err().to_string();
    assert_eq!(
        error,
        "container a1f60e130517 is attached to network feed, which the engine did not list"
    );
}

#[test]
fn a_quota_is_a_limit_too() {
    let of = |nanos, quota, period| {
        limits(&HostConfig {
            nano_cpus: Some(nanos),
            cpu_quota: Some(quota),
            cpu_period: Some(period),
            ..HostConfig::default()
        })
        .cpu_millis
    };
    assert_eq!(of(0, 0, 0), None);
    assert_eq!(of(1_500_000_000, 0, 0), Some(1500));
    assert_eq!(of(0, 50_000, 0), Some(500));
    assert_eq!(of(0, 50_000, 200_000), Some(250));
    assert_eq!(of(0, -1, 100_000), None);
}

#[test]
fn a_long_label_value_is_cut_between_characters() {
    let (facts, _) = facts(TWO_NETWORKS, |value| {
        value["Config"]["Labels"] = json!({"k": "é".repeat(4000), "x".repeat(300): "v"});
    });
    assert_eq!(facts.labels.len(), 1);
    assert_eq!(facts.labels["k"].len(), 4096);
    let (facts, _) = self::facts(TWO_NETWORKS, |value| {
        value["Config"]["Labels"] = json!({"k": format!("a{}", "é".repeat(4000))});
    });
    assert_eq!(facts.labels["k"].len(), 4095);
}

/// Every place of a document, as JSON pointers.
fn places(value: &Value, here: &str, into: &mut Vec<String>) {
    into.push(here.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                places(value, &format!("{here}/{key}"), into);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                places(value, &format!("{here}/{index}"), into);
            }
        }
        _ => {}
    }
}

fn garbage() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,80}".prop_map(Value::from),
        "[0-9a-f:./TZ-]{0,40}".prop_map(Value::from),
        Just(json!({})),
        Just(json!([])),
    ]
}

proptest! {
    #[test]
    fn garbage_is_refused_or_read_but_never_a_panic(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), garbage()), 1..6)
    ) {
        let mut answer: Value = serde_json::from_str(TWO_NETWORKS).unwrap();
        for (place, value) in changes {
            let mut all = Vec::new();
            places(&answer, "", &mut all);
            *answer.pointer_mut(&all[place.index(all.len())]).unwrap() = value;
        }
        if let Ok(answer) = serde_json::from_value(answer) {
            let _ = read(answer, &networks());
        }
    }
}

/// What Podman 4.3 answers over its Docker-compatible socket.
fn by_podman(fixture: &str) -> (ContainerFacts, Vec<String>, Option<u32>) {
    let networks: Vec<bollard::models::Network> =
        serde_json::from_str(include_str!("fixtures/podman-networks.json")).unwrap();
    let networks = Networks::read(networks, &"h1".parse().unwrap());
    match read(serde_json::from_str(fixture).unwrap(), &networks).unwrap() {
        Look::Running {
            facts,
            main_pid,
            blank,
        } => (*facts, blank, main_pid),
        Look::Stopped => panic!("it runs"),
    }
}

#[test]
fn podman_names_networks_where_docker_tells_ids_and_its_default_one_by_two_names() {
    let (facts, blank, main_pid) = by_podman(include_str!("fixtures/podman-inspect.json"));
    assert!(blank.is_empty());
    assert_eq!(main_pid, Some(22206));
    assert_eq!(facts.name, "podcap-one");
    assert_eq!(facts.labels["role"], "web");
    assert_eq!(facts.limits.memory_bytes, Some(58_720_256));
    assert_eq!(
        serde_json::to_value(&facts.attachments).unwrap(),
        json!([{"network": "h1/bridge", "ips": ["10.88.0.8"]}])
    );
}

#[test]
fn podman_repeats_the_address_of_a_shared_network_and_its_sharer_holds_none() {
    let (facts, blank, _) = by_podman(include_str!("fixtures/podman-inspect-shared.json"));
    assert!(facts.attachments.is_empty() && blank.is_empty());
    assert!(matches!(facts.network_mode, NetworkMode::Container(id) if id.starts_with("52fc460f")));
}

#[test]
fn a_container_that_is_listed_elsewhere_than_it_was_reported_has_moved() {
    let listed: Vec<ContainerSummary> =
        serde_json::from_str(include_str!("fixtures/podman-list.json")).unwrap();
    let (mut one, ..) = by_podman(include_str!("fixtures/podman-inspect.json"));
    let (two, ..) = by_podman(include_str!("fixtures/podman-inspect-shared.json"));
    assert!(!has_moved(&listed[0], &one));
    assert!(!has_moved(&listed[1], &two), "its addresses are another's");
    one.attachments[0].ips = vec!["10.88.0.9".parse().unwrap()];
    assert!(has_moved(&listed[0], &one));
    one.attachments.clear();
    assert!(has_moved(&listed[0], &one));
}
