//! What a container gets from one `docker run`.

use std::{
    net::{IpAddr, Ipv4Addr},
    process::{Child, Command, Stdio},
};

use dockmaster_tests::{
    Container, Credentials, HELLO_APP, Image, Network, Ran, Setup, eventually, get, require_all,
};

fn openssl(args: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(args);
    command
}

/// `openssl verify` of the leaf, with what else is asked of it.
fn verify(credentials: &Credentials, more: &[&str]) -> Ran {
    let mut verify = openssl(&["verify", "-x509_strict", "-CAfile"]);
    verify.arg(credentials.path("bundle.pem"));
    verify.arg("-untrusted").arg(credentials.path("above.pem"));
    Ran::run(verify.args(more).arg(credentials.path("leaf.pem")))
}

/// A TLS server with the container's certificate in the container's network, ended when dropped.
struct Server(Child);

impl Server {
    fn start(container: &Container, credentials: &Credentials) -> Self {
        let mut server = container.beside("openssl");
        server.args(["s_server", "-quiet", "-accept", "8443", "-tls1_3"]);
        server.arg("-cert").arg(credentials.path("leaf.pem"));
        server.arg("-key").arg(credentials.path("key.pem"));
        server.arg("-cert_chain").arg(credentials.path("above.pem"));
        let server = server
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(server.spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A TLS client that wants the server at `ip` to prove that it is `expected`.
fn shake_hands(ip: IpAddr, expected: IpAddr, credentials: &Credentials) -> Ran {
    let mut client = openssl(&["s_client", "-brief", "-x509_strict", "-verify_return_error"]);
    client.args(["-connect", &format!("{ip}:8443")]);
    client.args(["-verify_ip", &expected.to_string()]);
    Ran::run(client.arg("-CAfile").arg(credentials.path("bundle.pem")))
}

const SOMEBODY_ELSE: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 17, 255, 250));

#[test]
fn one_docker_run_brings_identity_configuration_and_application() {
    if !require_all(&["docker", "openssl"]) {
        return;
    }
    let network = Network::create("identity");
    let master = Setup::docker(&[&network]).start();
    master.deploy("hello");
    let image = Image::shared();
    let container = image
        .run("web")
        .label("role", "web")
        .option("--memory", "56m")
        .agent(&master, &network, &HELLO_APP)
        .start();
    let (ip, id) = (container.ip(&network), container.id().to_string());

    // The application runs, as it was told, with the configuration that was written before.
    let at = container.at(&network, 8080);
    let (page, _) = eventually("the application's answer", || get(at, "/").ok());
    let conf = container.text("/etc/hello/hello.conf").unwrap();
    assert_eq!(page, conf);
    for line in [
        "greeting = hello",
        "workers = 4",
        &format!("node = {}", container.name()),
        &format!("ip = {ip}"),
        "tier = none",
        "cache_bytes = 44040192",
    ] {
        assert!(conf.lines().any(|it| it == line), "{line} in\n{conf}");
    }
    for (path, mode) in [
        ("/etc/hello", "drwxr-xr-x"),
        ("/etc/hello/hello.conf", "-rw-r--r--"),
        ("/etc/motd", "-rw-r--r--"),
        ("/run/dockmaster", "drwx------"),
        ("/run/dockmaster/key.pem", "-rw-------"),
    ] {
        let stat = container.stat(path).unwrap();
        assert_eq!(
            (stat.mode.as_str(), stat.uid, stat.gid),
            (mode, 0, 0),
            "{path}"
        );
    }

    // The certificate is the container's, and nothing else is in it.
    let credentials = container.credentials();
    for purpose in ["sslserver", "sslclient"] {
        let verified = verify(
            &credentials,
            &["-purpose", purpose, "-verify_ip", &ip.to_string()],
        );
        assert!(verified.ok().ends_with(": OK\n"));
    }
    let wrong = verify(&credentials, &["-verify_ip", &SOMEBODY_ELSE.to_string()]);
    assert!(wrong.fails(2).contains("IP address mismatch"), "{wrong:?}");
    assert_eq!(
        credentials.print(&["-subject"]),
        format!("subject=serialNumber={id}")
    );
    let names = credentials.print(&["-ext", "subjectAltName"]);
    assert_eq!(
        names.lines().last().unwrap().trim(),
        format!("URI:spiffe://dockmaster.internal/host/h1/container/{id}, IP Address:{ip}")
    );

    // Other people's TLS takes it for what it is.
    let _server = Server::start(&container, &credentials);
    let (shaken, _) = eventually("a handshake", || {
        let shaken = shake_hands(ip, ip, &credentials);
        (shaken.code == 0).then_some(shaken)
    });
    assert!(shaken.stderr.contains("Verification: OK"), "{shaken:?}");
    let refused = shake_hands(ip, SOMEBODY_ELSE, &credentials);
    assert!(
        refused.fails(1).contains("IP address mismatch"),
        "{refused:?}"
    );

    // The record knows who it was.
    let who = master.json(["audit", "who", &ip.to_string()]);
    assert_eq!(who["certainty"], "held");
    assert_eq!(who["holders"].as_array().unwrap().len(), 1);
    assert_eq!(who["holders"][0]["container"], id.as_str());
    assert_eq!(who["holders"][0]["name"], container.name());
    let serial = credentials.print(&["-serial"]).to_lowercase();
    let serial = serial.strip_prefix("serial=").unwrap();
    let logged = who["holders"][0]["certificates"].as_array().unwrap();
    assert_eq!(logged.len(), 1);
    assert_eq!(
        logged[0].as_str().unwrap().trim_start_matches('0'),
        serial.trim_start_matches('0')
    );
    let _ = master.cli(["audit", "verify"]).ok();
}

#[test]
fn two_containers_that_claim_one_hostname_get_two_identities() {
    if !require_all(&["docker", "openssl"]) {
        return;
    }
    let network = Network::create("hostname");
    let master = Setup::docker(&[&network]).start();
    let image = Image::shared();
    let containers = ["first", "second"].map(|label| {
        image
            .run(label)
            .option("--hostname", "web01")
            .agent(&master, &network, &[])
            .start()
    });
    let subjects = containers.each_ref().map(|container| {
        let node = master.reported(container);
        let credentials = container.credentials();
        let subject = credentials.print(&["-subject"]);
        assert_eq!(subject, format!("subject=serialNumber={}", container.id()));
        let everything = credentials.print(&["-text"]);
        assert!(!everything.contains("web01"), "{everything}");
        let ip = container.ip(&network);
        assert!(verify(&credentials, &["-verify_ip", &ip.to_string()]).code == 0);
        assert_eq!(node["name"], container.name());
        subject
    });
    assert_ne!(subjects[0], subjects[1]);
}
