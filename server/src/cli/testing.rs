//! A master of canned answers behind real TLS, for the tests of commands.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use dockmaster_certs::{
    authority::{Authority, AuthoritySeed},
    bundle::TrustBundle,
    infra::Terms,
    issue::{Issued, Validity},
    key::{KeyPair, random_serial},
};
use dockmaster_client::Context;
use dockmaster_proto::{
    id::Serial,
    problem::{Problem, ProblemCode},
};
use dockmaster_tlog::note::{KeyName, SigningKey};
use ring::rand::SystemRandom;
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, crypto::ring::default_provider,
    server::WebPkiClientVerifier,
};
use serde::Serialize;
use tempfile::TempDir;

use super::Global;

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Method, path and query, such as `GET /v1/nodes?all=true`.
    pub(crate) what: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// An answer to give.
pub(crate) struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// Something as JSON.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        Self::bytes(serde_json::to_vec(value).unwrap())
    }

    /// Bytes.
    pub(crate) fn bytes(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            body: body.into(),
        }
    }

    /// A problem.
    pub(crate) fn problem(code: ProblemCode) -> Self {
        Self {
            status: code.status(),
            ..Self::json(&Problem::new(code, "detail", "hint"))
        }
    }
}

/// The master; it serves until the test's process ends.
pub(crate) struct Stub {
    asked: Arc<Mutex<Vec<Asked>>>,
    /// What a command needs to reach it.
    pub(crate) global: Global,
    _dir: TempDir,
}

type Answers = Arc<dyn Fn(&Asked) -> Answer + Send + Sync>;

impl Stub {
    /// Starts a master that gives these answers.
    pub(crate) fn start(answers: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let pki = Pki::new();
        let dir = tempfile::tempdir().unwrap();
        let context = dir.path().join("operator.yaml");
        let text = pki.context(&listener).to_yaml().unwrap();
        fs::write(&context, text).unwrap();
        let asked = Arc::new(Mutex::new(vec![]));
        let (config, answers): (_, Answers) = (pki.server(), Arc::new(answers));
        let record = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(config.clone()).unwrap();
                let (answers, record) = (answers.clone(), record.clone());
                thread::spawn(move || serve(connection, stream.unwrap(), &answers, &record));
            }
        });
        Self {
            asked,
            global: Global {
                context: Some(context),
            },
            _dir: dir,
        }
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// The key that signs the log of every such master.
pub(crate) fn log_key() -> SigningKey {
    let name = KeyName::new("td.example/dockmaster-log").unwrap();
    SigningKey::from_seed(name, &[7; 32])
}

/// Answers one request after the other until the client goes.
fn serve(
    connection: ServerConnection,
    stream: TcpStream,
    answers: &Answers,
    record: &Mutex<Vec<Asked>>,
) {
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    loop {
        let (mut first, mut length) = (String::new(), 0);
        // A client that goes away ends the connection here.
        if !matches!(stream.read_line(&mut first), Ok(1..)) {
            return;
        }
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let what = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        let asked = Asked { what, body };
        // Every command begins with it; a master of an older release serves as well.
        let is_outset = asked.what.starts_with("GET /v1/trust");
        let answer = if is_outset {
            Answer::problem(ProblemCode::NotFound)
        } else {
            answers(&asked)
        };
        if !is_outset {
            record.lock().unwrap().push(asked);
        }
        let head = format!(
            "HTTP/1.1 {} X\r\ncontent-length: {}\r\n\r\n",
            answer.status,
            answer.body.len()
        );
        let bytes = [head.as_bytes(), &answer.body].concat();
        stream.get_mut().write_all(&bytes).unwrap();
    }
}

/// An installation's authorities, a master's and an operator's certificate.
struct Pki {
    root: Authority,
    infra: Authority,
    master: (Issued, KeyPair),
    operator: (Issued, KeyPair),
}

impl Pki {
    fn new() -> Self {
        let name = |text: &str| text.parse().unwrap();
        let trust_domain = "td.example".parse().unwrap();
        let root = Authority::create_root(&trust_domain, seed()).unwrap();
        let infra = Authority::create_infra_intermediate(&root, seed()).unwrap();
        let terms = || Terms {
            serial: serial(),
            validity: Validity::backdated(dockmaster_client::now(), 3_600_000),
        };
        let (key, ips) = (key(), [Ipv4Addr::LOCALHOST.into()]);
        let master = infra
            .issue_master(key.public_key(), &name("m1"), &ips, terms())
            .unwrap();
        let master = (master, key);
        let key = self::key();
        let operator = infra
            .issue_operator(key.public_key(), &name("ada"), &name("admin"), terms())
            .unwrap();
        Self {
            root,
            infra,
            master,
            operator: (operator, key),
        }
    }

    fn context(&self, listener: &TcpListener) -> Context {
        let roots = vec![self.root.certificate().clone()];
        let bundle = TrustBundle::new(roots, &log_key().verifier().to_string()).unwrap();
        let (certificate, key) = &self.operator;
        Context {
            master: listener.local_addr().unwrap(),
            bundle: bundle.to_pem(),
            certificate: certificate.pem.clone() + &self.infra.certificate_pem(),
            key: key.to_pem(),
        }
    }

    fn server(&self) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.certificate().clone()).unwrap();
        let provider = Arc::new(default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .unwrap();
        let (certificate, key) = &self.master;
        let chain = vec![certificate.der.clone(), self.infra.certificate().clone()];
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key.to_private_key_der())
            .unwrap();
        Arc::new(config)
    }
}

fn seed() -> AuthoritySeed {
    AuthoritySeed {
        key: key(),
        serial: serial(),
        now: dockmaster_client::now(),
    }
}

fn key() -> KeyPair {
    KeyPair::generate(&SystemRandom::new()).unwrap()
}

fn serial() -> Serial {
    random_serial(&SystemRandom::new()).unwrap()
}
