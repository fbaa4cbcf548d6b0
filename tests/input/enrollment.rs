//! Requests for a certificate that are none, or that want too much.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Command, Stdio},
};

use dockmaster_proto::route::Route;
use dockmaster_tests::{Ran, require_all};
use serde_json::{Value, json};

use crate::stand::Stand;

#[test]
fn a_garbage_request_is_refused_and_leaves_only_its_entry() {
    if !require_all(&["curl"]) {
        return;
    }
    let stand = Stand::new(1);
    let before = stand.trace();
    let garbage = json!({ "csr": "Z2FyYmFnZQ==", "agent_version": "0" });
    let answer = stand.enroll(&[], &garbage.to_string());
    assert_eq!(answer.problem(400), "bad-csr");
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains("not a PKCS#10 request in DER"), "{detail}");
    let new = stand.trace().only_entries_since(&before);
    assert_eq!(new.len(), 1, "{new:?}");
    assert_eq!(new[0]["event"], "cert_denied");
    assert_eq!(new[0]["source"], stand.ip().to_string());
    assert_eq!(new[0]["reason"], "bad-csr");

    // What is no request at all is no evidence about anyone.
    let before = stand.trace();
    for body in ["garbage", "{}", "{\"csr\":1}", "[[[[[[[["] {
        let answer = stand.enroll(&[], body);
        assert_eq!(answer.problem(400), "bad-request", "{body}");
    }
    assert!(stand.trace().only_entries_since(&before).is_empty());
}

#[test]
fn a_mebibyte_of_json_is_refused_and_leaves_nothing() {
    if !require_all(&["curl"]) {
        return;
    }
    let stand = Stand::new(2);
    let before = stand.trace();
    let frame = json!({ "csr": "", "agent_version": "0" }).to_string();
    let csr = "A".repeat((1 << 20) - frame.len());
    let body = json!({ "csr": csr, "agent_version": "0" }).to_string();
    for more in [
        &["--http2"][..],
        &["--http1.1"],
        // Without the length told beforehand.
        &["--http1.1", "--header", "transfer-encoding: chunked"],
    ] {
        let answer = stand.enroll(more, &body);
        assert_eq!(answer.problem(413), "too-large", "{more:?}");
        assert!(answer.body.contains("65536 bytes"), "{answer:?}");
    }
    assert!(stand.trace().only_entries_since(&before).is_empty());
}

/// The `tls-exporter` value of a connection, as `openssl s_client` prints it.
fn exporter(lines: &mut impl Iterator<Item = String>) -> String {
    let hex = lines
        .find_map(|line| {
            let (_, hex) = line.split_once("Keying material: ")?;
            Some(hex.trim().to_owned())
        })
        .unwrap();
    let bytes: String = (0..hex.len())
        .step_by(2)
        .map(|at| format!("\\x{}", &hex[at..at + 2]))
        .collect();
    base64(&format!("printf '{bytes}'"))
}

/// The base64 of what a shell command prints.
fn base64(command: &str) -> String {
    let line = format!("{command} | openssl base64 -A");
    let encoded = Ran::run(Command::new("bash").args(["-c", &line])).ok();
    encoded.trim().to_owned()
}

/// A request that names all that it must not, made with openssl for the connection of `binding`.
fn greedy_request(binding: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("request.cnf");
    fs::write(
        &config,
        format!(
            "[req]
prompt = no
distinguished_name = name
attributes = attributes
req_extensions = extensions
[name]
CN = master.example
serialNumber = {}
[attributes]
challengePassword = {binding}
[extensions]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectAltName = IP:10.9.9.9, IP:127.0.0.1, DNS:master.example, \
                 URI:spiffe://dockmaster.internal/operator/admin
",
            "ab".repeat(32)
        ),
    )
    .unwrap();
    let mut request = Command::new("openssl");
    request.args(["req", "-new", "-newkey", "ec", "-pkeyopt"]);
    request.args(["ec_paramgen_curve:P-256", "-nodes", "-outform", "DER"]);
    let der = dir.path().join("request.der");
    request.arg("-keyout").arg(dir.path().join("key.pem"));
    request.arg("-out").arg(&der).arg("-config").arg(&config);
    let _ = Ran::run(&mut request).ok();
    base64(&format!("cat {}", der.display()))
}

/// Sends one request for a certificate `times` times over one connection: `openssl s_client` speaks
/// TLS, the test speaks HTTP. The status and the body of each answer.
fn enroll_by_hand(stand: &Stand, times: usize) -> Vec<(u16, Value)> {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-ign_eof", "-connect"]);
    client.arg(stand.master.address().to_string());
    client.args(["-bind", &format!("{}:0", stand.ip())]);
    client.args(["-keymatexport", "EXPORTER-Channel-Binding"]);
    client.args(["-keymatexportlen", "32"]);
    let mut client = client
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(client.stdout.take().unwrap());
    let binding = exporter(&mut output.by_ref().lines().map(Result::unwrap));
    let csr = greedy_request(&binding);
    let body = json!({ "csr": csr, "agent_version": "by hand" }).to_string();
    let path = Route::Enroll.path("");
    let mut input = client.stdin.take().unwrap();
    for number in 1..=times {
        let connection = if number == times {
            "close"
        } else {
            "keep-alive"
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: master\r\nconnection: {connection}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        input.write_all((head + &body).as_bytes()).unwrap();
    }
    let mut answers = Vec::new();
    output.read_to_end(&mut answers).unwrap();
    client.wait().unwrap();
    let answers = String::from_utf8_lossy(&answers);
    let read = |answer: &str| {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut values = serde_json::Deserializer::from_str(body).into_iter();
        (head[..3].parse().unwrap(), values.next().unwrap().unwrap())
    };
    answers.split("HTTP/1.1 ").skip(1).map(read).collect()
}

#[test]
fn whatever_a_request_names_the_certificate_says_only_what_the_host_attests() {
    if !require_all(&["openssl"]) {
        return;
    }
    let stand = Stand::new(3);
    let answers = enroll_by_hand(&stand, 1);
    let [(201, issued)] = &answers[..] else {
        panic!("no certificate in {answers:?}");
    };
    let (id, ip) = (&stand.container.id, stand.ip());
    assert_eq!(issued["container_id"], id.as_str());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cert.pem");
    fs::write(&file, issued["chain"].as_str().unwrap()).unwrap();
    let print = |args: &[&str]| {
        let mut print = Command::new("openssl");
        print.args(["x509", "-noout", "-nameopt", "RFC2253", "-in"]);
        Ran::run(print.arg(&file).args(args)).ok().trim().to_owned()
    };
    assert_eq!(print(&["-subject"]), format!("subject=serialNumber={id}"));
    let names = print(&["-ext", "subjectAltName"]);
    assert_eq!(
        names.lines().last().unwrap().trim(),
        format!("URI:spiffe://dockmaster.internal/host/h1/container/{id}, IP Address:{ip}")
    );
    let everything = print(&["-text"]);
    for foreign in [
        "10.9.9.9",
        "master.example",
        "CA:TRUE",
        "operator",
        "Certificate Sign",
    ] {
        assert!(!everything.contains(foreign), "{foreign} in\n{everything}");
    }
    assert!(everything.contains("CA:FALSE"), "{everything}");
}

#[test]
fn a_request_that_is_repeated_on_its_connection_gets_no_second_certificate() {
    if !require_all(&["openssl"]) {
        return;
    }
    let stand = Stand::new(10);
    let answers = enroll_by_hand(&stand, 2);
    let [(201, issued), (400, problem)] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!(problem["code"], "bad-csr");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("certified on this connection already"),
        "{detail}"
    );
    let list = stand
        .master
        .json(["cert", "list", "--all", "--node", &stand.container.id]);
    let serials: Vec<&Value> = list["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|certificate| &certificate["serial"])
        .collect();
    assert_eq!(serials, [&issued["serial"]]);
}
