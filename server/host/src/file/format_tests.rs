use proptest::prelude::*;

use super::*;

fn host() -> Name {
    "h1".parse().unwrap()
}

fn yaml(text: &str) -> Result<Vec<ContainerFacts>, FormatError> {
    read(text, Path::new("inventory.yaml"), &host())
}

fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn entry(digit: char, rest: &str) -> String {
    format!(
        "  - id: {}\n    name: c{digit}\n    image: app:1\n    {rest}\n",
        id(digit)
    )
}

#[test]
fn a_whole_entry_is_read() {
    let text = format!(
        "containers:\n{}",
        entry(
            'a',
            "labels: {role: web}\n    ips:\n    - 127.1.0.2\n    - {ip: 10.0.0.7, network: backend}\n    \
             started_at: 2026-11-24T14:03:00Z\n    limits: {memory_bytes: 1024}"
        )
    );
    let all = yaml(&text).unwrap();
    assert_eq!(
        serde_json::to_value(&all).unwrap(),
        serde_json::json!([{
            "id": id('a'), "name": "ca", "image": "app:1", "image_digest": "",
            "labels": {"role": "web"},
            "started_at_ms": 1_795_528_980_000_u64,
            "limits": {"memory_bytes": 1024, "cpu_millis": null},
            "network_mode": "own",
            "attachments": [
                {"network": "backend", "ips": ["10.0.0.7"]},
                {"network": "h1/file", "ips": ["127.1.0.2"]},
            ],
        }])
    );
}

#[test]
fn a_key_that_stands_twice_is_refused_with_its_line() {
    let twice = format!(
        "containers:\n{}",
        entry('a', "labels: {role: web, role: db}")
    );
    let error = yaml(&twice).unwrap_err().to_string();
    assert!(
        error.contains("\"role\" stands here a second time"),
        "{error}"
    );
    assert!(error.starts_with("line 5"), "{error}");
    let twice = format!("containers:\n{}", entry('a', "name: other"));
    assert!(
        yaml(&twice)
            .unwrap_err()
            .to_string()
            .contains("duplicate field")
    );
}

#[test]
fn json_says_the_same_as_yaml() {
    let text = format!(
        r#"{{"containers": [{{"id": "{}", "name": "ca", "image": "app:1", "ips": ["127.1.0.2"]}}]}}"#,
        id('a')
    );
    let json = read(&text, Path::new("inventory.json"), &host()).unwrap();
    let same = yaml(&format!("containers:\n{}", entry('a', "ips: [127.1.0.2]"))).unwrap();
    assert_eq!(json, same);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let message = |text: &str| yaml(text).unwrap_err().to_string();
    let typo = message(&format!("containers:\n{}", entry('a', "lables: {}")));
    assert!(
        typo.starts_with("line 5: ") && typo.contains("unknown field `lables`"),
        "{typo}"
    );

    let twice = message(&format!(
        "containers:\n{}{}",
        entry('a', ""),
        entry('a', "")
    ));
    assert_eq!(twice, "line 6: container ca has the same id as ca");

    let same_ip = entry('a', "ips: [127.1.0.2]") + &entry('b', "ips: ['::ffff:127.1.0.2']");
    assert_eq!(
        message(&format!("containers:\n{same_ip}")),
        "line 6: container cb holds h1/file/127.1.0.2, and so does ca"
    );

    let elsewhere = entry('a', "ips: [{ip: 172.17.0.2, network: h2/bridge}]");
    assert_eq!(
        message(&format!("containers:\n{elsewhere}")),
        "line 2: container ca is said to be in h2/bridge, a network of another host; this host is h1"
    );

    for nobodys in ["0.0.0.0", "'::'", "224.0.0.1", "'ff02::1'"] {
        let told = message(&format!(
            "containers:\n{}",
            entry('a', &format!("ips: [{nobodys}]"))
        ));
        assert!(told.ends_with("which is nobody's own"), "{told}");
    }

    let when = entry('a', "started_at: yesterday");
    assert!(message(&format!("containers:\n{when}")).contains("no usable started_at"));
    assert!(message(&"[".repeat(100_000)).contains("brackets are open"));
}

proptest! {
    #[test]
    fn garbage_never_panics(text in "\\PC{0,200}|(containers:\n)?( *- |id: |ips: |[a-f\\[\\]{}&*!:,\n]){0,60}") {
        let _ = yaml(&text);
        let _ = read(&text, Path::new("inventory.json"), &host());
    }
}
