//! What to do next about a refusal, by its code alone: for entries that do not say it themselves.

use crate::index::HELD;

/// The next step; empty for a code that this version does not know.
#[must_use]
pub fn next_step(code: &str) -> &'static str {
    match code {
        HELD => {
            "an operator decides: \"dockmaster request list\", then \"request approve\" or \"request deny\""
        }
        "bad-csr" => "let dockmaster-agent make the request; its format is in docs/enrollment.md",
        "no-lease" => {
            "the request must come from a running container of the engine that \"dockmaster serve --docker\" watches, and not through a proxy or NAT; \"dockmaster node list\" shows the addresses"
        }
        "ambiguous-address" => "give the networks distinct ranges",
        "address-not-permitted" => {
            "the ranges are chosen by --permit at \"dockmaster init\"; \"openssl x509 -text -in DIR/ca/intermediate.pem\" shows them"
        }
        "certificate-revoked" => "a container must enroll for a certificate of its own",
        "too-many-requests" => {
            "one agent in a container is enough; \"dockmaster request list\" shows requests that wait"
        }
        "token-refused" => {
            "\"dockmaster token list\" shows the tokens; make another one: \"dockmaster token create\""
        }
        "denied-by-policy" => {
            "\"dockmaster policy test\" shows which rule decides; the rules stand in DIR/dockmaster.yaml"
        }
        "request-denied" => {
            "\"dockmaster request approve\" takes a denial back; a container that is started again may ask again"
        }
        _ => "",
    }
}
