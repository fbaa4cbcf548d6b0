//! The programs as they are run: started, told to read their files again, ended.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

struct Program {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Program {
    fn start(path: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(path)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next line that it says.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The address in "started on IP:PORT …".
    fn address(&mut self) -> String {
        let line = self.line();
        let rest = line.strip_prefix("started on ").unwrap();
        rest.split(' ').next().unwrap().to_owned()
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.unwrap().success());
    }

    fn end(mut self) {
        self.signal("TERM");
        assert_eq!(self.line(), "ended");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split("\r\n\r\n").nth(1).unwrap().to_owned()
}

fn app(config: &Path) -> Program {
    let config = config.to_str().unwrap();
    let listen = ["--config", config, "--listen", "127.0.0.1:0"];
    Program::start(env!("CARGO_BIN_EXE_hello-app"), &listen)
}

#[test]
fn the_app_serves_its_file_and_reads_it_again_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("app.conf");
    std::fs::write(&config, "one").unwrap();
    let mut app = app(&config);
    let address = app.address();
    assert_eq!(get(&address), "one");

    std::fs::write(&config, "two").unwrap();
    assert_eq!(get(&address), "one");
    app.signal("HUP");
    assert!(app.line().starts_with("reloaded"));
    assert_eq!(get(&address), "two");

    std::fs::remove_file(&config).unwrap();
    app.signal("HUP");
    assert!(app.line().starts_with("kept the last configuration"));
    assert_eq!(get(&address), "two");
    app.end();
}

#[test]
fn no_request_through_the_proxy_fails_while_backends_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut apps = Vec::new();
    for name in ["a", "b", "c"] {
        let config = dir.path().join(name);
        std::fs::write(&config, name).unwrap();
        let mut app = app(&config);
        let address = app.address();
        apps.push((app, address));
    }
    let config = dir.path().join("proxy.conf");
    let configure = |backends: &[(Program, String)]| {
        let lines = backends.iter().map(|(_, it)| format!("backend {it}\n"));
        let text = format!("listen 127.0.0.1:0\n{}", lines.collect::<String>());
        std::fs::write(&config, text).unwrap();
    };
    configure(&apps);
    let path = config.to_str().unwrap();
    let mut proxy = Program::start(env!("CARGO_BIN_EXE_tiny-proxy"), &["--config", path]);
    let address = proxy.address();
    let mut answers: Vec<_> = (0..3).map(|_| get(&address)).collect();
    answers.sort();
    assert_eq!(answers, ["a", "b", "c"]);

    // A backend that is killed before the proxy hears of it costs no request.
    drop(apps.pop());
    for _ in 0..9 {
        assert_ne!(get(&address), "c");
    }
    apps.remove(0).0.end();
    configure(&apps);
    proxy.signal("HUP");
    assert_eq!(proxy.line(), "reloaded with 1 backends");
    for _ in 0..5 {
        assert_eq!(get(&address), "b");
    }
    std::fs::write(&config, "listen nowhere").unwrap();
    proxy.signal("HUP");
    assert_eq!(proxy.line(), "kept the last configuration");
    assert_eq!(get(&address), "b");
    proxy.end();
}
