use std::sync::Mutex;

use dockmaster_ledger::{Committed, Config as LedgerConfig, Proposal, Sink};
use dockmaster_tlog::{
    note::{Cosigner, KeyName, SigningKey},
    witness::{AddCheckpoint, Refused, Remembered},
};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;

struct Nothing;

impl Sink for Nothing {
    fn apply(&self, _: &[Committed]) {}

    fn persist(&self, _: &[Committed]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

fn log_key() -> SigningKey {
    SigningKey::from_seed(KeyName::new("td/dockmaster-log").unwrap(), &[1; 32])
}

fn ledger(dir: &std::path::Path) -> Ledger {
    let clock = Arc::new(|| 1_000);
    let config = LedgerConfig::new(dir.join("ledger"), dir.join("blobs"), log_key(), clock);
    Ledger::create(&config).unwrap();
    Ledger::open(config).unwrap().start(Nothing).unwrap()
}

async fn grow(ledger: &Ledger) -> Head {
    let proposal = Proposal::of(|stamp| format!("{{\"entry\":{}}}", stamp.index).into_bytes());
    ledger.commit(proposal).await.unwrap();
    while ledger.published().size < ledger.head().size {
        tokio::task::yield_now().await;
    }
    ledger.published()
}

/// A witness that is real but for its clock.
struct Running {
    memory: Arc<Mutex<Remembered>>,
    witness: Witness,
}

async fn running(number: u8) -> Running {
    let name = KeyName::new(format!("example.org/w{number}")).unwrap();
    let cosigner = Arc::new(Cosigner::from_seed(name, &[number; 32]));
    let memory = Arc::new(Mutex::new(Remembered {
        key: log_key().verifier().clone(),
        head: None,
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let witness = Witness {
        url: format!("http://{address}/w").parse().unwrap(),
        key: cosigner.verifier().clone(),
    };
    let remembered = memory.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (cosigner, memory) = (cosigner.clone(), remembered.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (cosigner, memory) = (cosigner.clone(), memory.clone());
                async move {
                    assert_eq!(request.uri().path(), "/w/add-checkpoint");
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let body = std::str::from_utf8(&body).unwrap();
                    let request = AddCheckpoint::parse(body).unwrap();
                    let answer = memory.lock().unwrap().cosign(&request, &cosigner, 9);
                    let mut response = Response::new(Full::new(bytes::Bytes::new()));
                    match answer {
                        Ok(lines) => *response.body_mut() = Full::new(lines.into()),
                        Err(Refused::Conflict(size)) => {
                            *response.status_mut() = StatusCode::CONFLICT;
                            let kind = "text/x.tlog.size".parse().unwrap();
                            response.headers_mut().insert("content-type", kind);
                            *response.body_mut() = Full::new(format!("{size}\n").into());
                        }
                        Err(_) => *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY,
                    }
                    Ok::<_, std::convert::Infallible>(response)
                }
            });
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(served);
        }
    });
    Running { memory, witness }
}

fn witnesses(of: &[&Running], required: usize, dir: &std::path::Path) -> Witnesses {
    let list = of.iter().map(|running| running.witness.clone()).collect();
    let key = log_key();
    Witnesses::new(list, required, key.verifier(), dir.join("cosigned"))
}

#[tokio::test]
async fn a_head_is_shown_with_the_cosignatures_that_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let (one, two) = (running(2).await, running(3).await);
    let all = witnesses(&[&one, &two], 0, dir.path());
    let mut memories = vec![Memory::default(); 2];
    let head = grow(&ledger).await;
    assert_eq!(all.show(&head), Some(head.checkpoint.to_string()));
    all.round(&ledger, &head, &mut memories).await;
    let shown = all.show(&head).unwrap();
    assert!(shown.starts_with(&*head.checkpoint));
    assert_eq!(all.count(&SignedNote::parse(&shown).unwrap()), 2);
    // The next head is shown at once, and cosigned with a proof that it goes on.
    let head = grow(&ledger).await;
    assert_eq!(all.show(&head), Some(head.checkpoint.to_string()));
    all.round(&ledger, &head, &mut memories).await;
    assert_eq!(
        all.count(&SignedNote::parse(&all.show(&head).unwrap()).unwrap()),
        2
    );
    // A master that starts again has it, and learns from the witness where that one is.
    let again = witnesses(&[&one, &two], 0, dir.path());
    assert_eq!(again.show(&head), all.show(&head));
    let head = grow(&ledger).await;
    again
        .round(&ledger, &head, &mut [Memory::default(), Memory::default()])
        .await;
    assert_eq!(
        again.count(&SignedNote::parse(&again.show(&head).unwrap()).unwrap()),
        2
    );
    ledger.shutdown().await;
}

#[tokio::test]
async fn where_witnesses_are_required_no_other_head_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let (one, mut two) = (running(2).await, running(3).await);
    let there = two.witness.url.clone();
    two.witness.url = "http://127.0.0.1:1/".parse().unwrap();
    let first = grow(&ledger).await;
    let mut memories = vec![Memory::default(); 2];
    let all = witnesses(&[&one, &two], 2, dir.path());
    all.round(&ledger, &first, &mut memories).await;
    assert_eq!(all.show(&first), None);
    assert!(
        memories[1]
            .told
            .as_ref()
            .unwrap()
            .contains("cannot be reached")
    );
    two.witness.url = there;
    let all = witnesses(&[&one, &two], 2, dir.path());
    all.round(&ledger, &first, &mut memories).await;
    let shown = all.show(&first).unwrap();
    let second = grow(&ledger).await;
    assert_eq!(all.show(&second), Some(shown));
    ledger.shutdown().await;
}

#[tokio::test]
async fn a_witness_that_has_seen_more_is_no_witness_of_this_log() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let one = running(2).await;
    let head = grow(&ledger).await;
    let mut more = Checkpoint::open(&head.checkpoint, log_key().verifier()).unwrap();
    more.size = 99;
    one.memory.lock().unwrap().head = Some(more);
    let all = witnesses(&[&one], 1, dir.path());
    let mut memories = [Memory::default()];
    all.round(&ledger, &head, &mut memories).await;
    assert!(memories[0].told.as_ref().unwrap().contains("at 99 entries"));
    // Another history of the same size: its proof does not hold.
    let mut other = Checkpoint::open(&head.checkpoint, log_key().verifier()).unwrap();
    other.root = dockmaster_tlog::hash::empty_root();
    one.memory.lock().unwrap().head = Some(other);
    let head = grow(&ledger).await;
    all.round(&ledger, &head, &mut memories).await;
    assert!(memories[0].told.as_ref().unwrap().contains("422"));
    assert_eq!(all.show(&head), None);
    ledger.shutdown().await;
}
