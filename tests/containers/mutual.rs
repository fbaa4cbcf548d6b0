//! Two containers that know each other by their certificates, with other people's programs on both sides:
//! dialled by IP, verified by IP.

use std::{
    net::IpAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use dockmaster_tests::{
    Answer, Container, Credentials, Image, Network, Ran, Setup, checkout, eventually, require_all,
};

const NGINX: &str = "/usr/sbin/nginx";
const PORT: u16 = 8443;

fn script(name: &str) -> std::path::PathBuf {
    checkout().join("tests/containers/mutual").join(name)
}

/// The agent, and nginx as an application.
fn image() -> Image {
    let conf = std::fs::read(script("nginx.conf")).unwrap();
    Image::with_programs(
        &[Path::new(NGINX)],
        &[
            ("/etc/nginx.conf", &conf),
            ("/etc/passwd", b"root:x:0:0::/:/\n"),
            ("/etc/group", b"root:x:0:\n"),
            ("/tmp/.keep", b""),
        ],
    )
}

fn url(ip: IpAddr) -> String {
    format!("https://{ip}:{PORT}/")
}

/// `server.py` with these credentials in a container's network, ended when dropped.
struct Server(Child);

impl Server {
    fn start(container: &Container, credentials: &Credentials, ip: IpAddr) -> Self {
        let mut server = container.beside("python3");
        server.arg(script("server.py"));
        let server = with(&mut server, credentials, ip);
        Self(server.stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The arguments that both scripts take.
fn with<'a>(command: &'a mut Command, credentials: &Credentials, ip: IpAddr) -> &'a mut Command {
    for name in ["cert.pem", "key.pem", "bundle.pem"] {
        command.arg(credentials.path(name));
    }
    command.args([ip.to_string(), PORT.to_string()])
}

/// `client.py` in a container's network.
fn python(from: &Container, credentials: &Credentials, ip: IpAddr) -> Ran {
    let mut client = from.beside("python3");
    client.arg(script("client.py"));
    Ran::run(with(&mut client, credentials, ip))
}

#[test]
fn containers_know_each_other_by_their_certificates_and_nobody_else() {
    if !require_all(&["docker", "nginx", "curl", "python3"]) {
        return;
    }
    let network = Network::create("mutual");
    let (master, other_master) = (
        Setup::docker(&[&network]).start(),
        Setup::docker(&[&network]).start(),
    );
    let image = image();
    let serve = [NGINX, "-e", "stderr", "-c", "/etc/nginx.conf"];
    let web = image.run("web").agent(&master, &network, &serve).start();
    let app = image.run("app").agent(&master, &network, &[]).start();
    // A container of another installation in the same network.
    let stranger = image
        .run("stranger")
        .agent(&other_master, &network, &[])
        .start();
    let _ = (master.reported(&web), master.reported(&app));
    let _ = other_master.reported(&stranger);
    let (web_ip, app_ip) = (web.ip(&network), app.ip(&network));
    let (webs, apps) = (web.credentials(), app.credentials());
    let strangers = stranger.credentials();

    // curl and Python dial nginx, which knows who they are.
    let you = format!("you are serialNumber={}", app.id());
    let (answer, _) = eventually("nginx's answer", || {
        let answer = apps.get(app.beside("curl"), &url(web_ip));
        (answer.status != 0).then_some(answer)
    });
    assert_eq!((answer.status, answer.body.trim()), (200, you.as_str()));
    assert_eq!(
        python(&app, &apps, web_ip).ok().trim(),
        format!("200 {you}")
    );
    // A client without a certificate, and one of another installation, which takes this one for what it is.
    let nobody = Answer::of(app.beside("curl"), &apps.path("bundle.pem"), &url(web_ip));
    assert_eq!(nobody.status, 400, "{nobody:?}");
    assert!(nobody.body.contains("No required SSL certificate"));
    let mut trusting = stranger.beside("curl");
    trusting.arg("--cert").arg(strangers.path("cert.pem"));
    trusting.arg("--key").arg(strangers.path("key.pem"));
    let foreign = Answer::of(trusting, &apps.path("bundle.pem"), &url(web_ip));
    assert_eq!(foreign.status, 400, "{foreign:?}");
    assert!(
        foreign.body.contains("SSL certificate error"),
        "{foreign:?}"
    );
    // One that trusts another installation does not talk to nginx at all.
    let distrusted = strangers.get(stranger.beside("curl"), &url(web_ip));
    assert_eq!(distrusted.status, 0);
    assert!(distrusted.stderr.contains("curl: (60)"), "{distrusted:?}");
    let distrusted = python(&stranger, &strangers, web_ip);
    assert!(
        distrusted.fails(1).contains("not verified"),
        "{distrusted:?}"
    );

    // The other way about: a server that looks at where its client comes from.
    let server = Server::start(&app, &apps, app_ip);
    let (answer, _) = eventually("Python's answer", || {
        let answer = webs.get(web.beside("curl"), &url(app_ip));
        (answer.status != 0).then_some(answer)
    });
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains(&web_ip.to_string()), "{answer:?}");
    // With a copy of the other's certificate and key, from an address that is not in it.
    let copied = webs.get(stranger.beside("curl"), &url(app_ip));
    assert_eq!(copied.status, 403, "{copied:?}");
    let foreign = strangers.get(stranger.beside("curl"), &url(app_ip));
    assert_eq!(foreign.status, 0, "{foreign:?}");
    let nobody = Answer::of(web.beside("curl"), &webs.path("bundle.pem"), &url(app_ip));
    assert_eq!(nobody.status, 0, "{nobody:?}");
    drop(server);

    // A server with another's certificate is not who was dialled.
    let _server = Server::start(&app, &webs, app_ip);
    let (refused, _) = eventually("a refusal by curl", || {
        let answer = webs.get(web.beside("curl"), &url(app_ip));
        answer.stderr.contains("curl: (60)").then_some(answer)
    });
    assert_eq!(refused.status, 0);
    assert!(refused.stderr.contains("target host name"), "{refused:?}");
    let refused = python(&web, &webs, app_ip);
    assert!(
        refused.fails(1).contains("IP address mismatch"),
        "{refused:?}"
    );
}
