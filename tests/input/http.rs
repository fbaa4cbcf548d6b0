//! HTTP as strangers speak it.

use dockmaster_proto::route::Route;
use dockmaster_tests::{Ran, require_all};

use crate::stand::Stand;

#[test]
fn a_head_is_answered_like_a_get_without_its_body_in_both_versions_of_http() {
    if !require_all(&["curl"]) {
        return;
    }
    let stand = Stand::new(11);
    for version in ["--http1.1", "--http2"] {
        for route in [Route::Healthz, Route::Trust] {
            let ask = |more: &[&str]| {
                let mut curl = stand.curl();
                curl.args(["--silent", "--show-error", version]).args(more);
                curl.arg("--cacert")
                    .arg(stand.master.data().join("ca/bundle.pem"));
                Ran::run(curl.arg(stand.url(route))).ok()
            };
            let written = "%{http_code} %header{content-type} %header{content-length} ";
            let head = ask(&["--head", "--output", "/dev/null", "--write-out", written]);
            let get = ask(&["--output", "/dev/null", "--write-out", written]);
            assert_eq!(head, get, "{version} {route:?}");
            assert!(head.starts_with("200 "), "{head}");
        }
    }
}
