//! Tokens that let nobody in.

use std::time::Duration;

use dockmaster_client::{Call, ClientError};
use dockmaster_proto::{
    id::TokenId,
    problem::ProblemCode,
    route::Route,
    token::{JoinToken, TokenSecret},
};
use dockmaster_tests::{Machine, Peer, clock, redemption, require_all};

use crate::stage::{Stage, halves, is_refused, key};

#[test]
fn a_token_that_was_revoked_lets_nobody_in_and_its_machines_may_go_with_it() {
    let stage = Stage::new();
    let token = stage.token(&["--uses", "3"]);
    let (first, second) = (Machine::numbered(50), Machine::numbered(51));
    let enrolled = stage.redeem(&first, &token, &key()).unwrap();
    stage.comes_back(&first, &enrolled).unwrap();
    let (id, _) = halves(&token);
    let revoked = stage.master.cli(["token", "revoke", id]).ok();
    assert!(revoked.contains("is revoked"), "{revoked}");
    let again = stage.master.cli(["token", "revoke", id]).ok();
    assert!(again.contains("was revoked already"), "{again}");
    assert_eq!(stage.entries("token_revoked").len(), 1);
    is_refused(stage.redeem(&second, &token, &key()));
    assert!(stage.fact().contains("was revoked"), "{}", stage.fact());
    stage.comes_back(&first, &enrolled).unwrap();

    let out = stage.master.json(["token", "revoke", id, "--nodes"]);
    assert_eq!(out["evicted"][0], first.node().to_string());
    let problem = stage.comes_back(&first, &enrolled).unwrap_err();
    assert_eq!(problem.code, ProblemCode::CertificateRevoked);
    assert_eq!(stage.entries("lease_closed")[0]["cause"], "evicted");
    let unknown = stage.master.cli(["token", "revoke", "0123456789abcdef"]);
    assert!(
        unknown.fails(1).contains("there is no token"),
        "{unknown:?}"
    );
}

#[test]
fn a_token_whose_time_is_over_lets_nobody_in() {
    if !require_all(&["vdso"]) {
        return;
    }
    let stage = Stage::new();
    let token = stage.token(&["--ttl", "10m"]);
    let machine = Machine::numbered(52);
    clock::pass(stage.master.pid(), Duration::from_secs(9 * 60));
    let own = key();
    let _ = stage.redeem(&machine, &token, &own).unwrap();
    clock::pass(stage.master.pid(), Duration::from_secs(11 * 60));
    is_refused(stage.redeem(&machine, &token, &own));
    assert!(stage.fact().contains("expired at"), "{}", stage.fact());
    assert_eq!(stage.listed()["state"], "expired");
}

#[test]
fn a_token_outlives_a_crash_of_the_master_and_the_loss_of_its_index() {
    let mut stage = Stage::new();
    let token = stage.token(&["--uses", "2"]);
    let (first, second) = (Machine::numbered(53), Machine::numbered(54));
    let own = key();
    let lost = stage.redeem(&first, &token, &own).unwrap();
    stage.master.kill();
    std::fs::remove_dir_all(stage.master.data().join("index.sled")).unwrap();
    stage.master.serve();
    // What is open stays open, and nobody has to report it.
    stage.comes_back(&first, &lost).unwrap();
    stage.master.crash_and_restart();
    is_refused(stage.redeem(&first, &token, &own));
    let _ = stage.redeem(&second, &token, &key()).unwrap();
    is_refused(stage.redeem(&first, &token, &key()));
}

#[test]
fn an_operators_request_keeps_to_its_bounds() {
    let stage = Stage::new();
    for wrong in [
        &["--ttl", "30s"][..],
        &["--ttl", "25h"],
        &["--uses", "0"],
        &["--uses", "101"],
        &["--label", "role"],
        &["--network", "a/b/c"],
    ] {
        let ran = stage.master.cli([&["token", "create"], wrong].concat());
        let _ = ran.fails(2);
    }
    let own = ["token", "create", "--network", "h1/bridge"];
    let ran = stage.master.cli(own);
    assert!(ran.fails(1).contains("host h1's own"), "{ran:?}");
    let label = format!("a={}", "x".repeat(5000));
    let ran = stage.master.cli(["token", "create", "--label", &label]);
    assert!(ran.fails(1).contains("at most 32 labels"), "{ran:?}");
    assert!(stage.entries("token_created").is_empty());
}

#[test]
fn a_thousand_guesses_are_slowed_down_and_a_handful_of_entries() {
    let stage = Stage::new();
    let good: JoinToken = stage.token(&[]).parse().unwrap();
    let machine = Machine::numbered(55);
    let peer = Peer::of(&stage.master, &machine);
    let mut codes = [0, 0];
    stage.runtime.block_on(async {
        let mut connection = peer.connect(None).await.unwrap();
        let key = key();
        for number in 0..1000_u32 {
            let mut guess = [0; 32];
            guess[..4].copy_from_slice(&number.to_be_bytes());
            let mut token = good.clone();
            token.secret = TokenSecret::from_bytes(guess);
            if number % 2 == 1 {
                token.id = TokenId::from_bytes(guess[..8].try_into().unwrap());
            }
            let request = redemption(&connection, &token, machine.id, &key);
            let call = Call::new(Route::Enroll).json(&request);
            match connection.send(&call).await {
                Err(ClientError::Problem(problem)) => match problem.code {
                    ProblemCode::TokenRefused => codes[0] += 1,
                    ProblemCode::TooManyRequests => codes[1] += 1,
                    code => panic!("{code}"),
                },
                other => panic!("{other:?}"),
            }
        }
    });
    // Twenty at once, and one more every three seconds.
    assert!(codes[0] >= 20 && codes[1] > 500, "{codes:?}");
    let denied = stage.entries("cert_denied");
    assert!(denied.len() <= 20, "{} entries", denied.len());
    // Others are not slowed down by it.
    let other = Machine::numbered(56);
    let _ = stage.redeem(&other, &good.expose(), &key()).unwrap();
}
