//! What to do next about a refusal, by its code alone: for entries that do not say it themselves.

use dockmaster_proto::problem::ProblemCode;

/// What to do about a request that waits.
pub const ABOUT_HELD: &str = "an operator decides: \"dockmaster request list\", then \"request approve\" or \"request deny\"";

/// The next step; none for a code that enrollment records no refusal with.
#[must_use]
pub const fn next_step(code: ProblemCode) -> Option<&'static str> {
    match code {
        ProblemCode::BadRequest => Some(
            "dockmaster-agent makes requests that are right; see which settings the container has (DOCKMASTER_TOKEN_FILE, DOCKMASTER_TRUST)",
        ),
        ProblemCode::BadCsr => {
            Some("let dockmaster-agent make the request; its format is in docs/enrollment.md")
        }
        ProblemCode::CertificateRevoked => {
            Some("a container must enroll for a certificate of its own")
        }
        ProblemCode::Banned => Some("an operator lifts it by \"dockmaster cert unban\""),
        ProblemCode::NoLease => Some(
            "the request must come from a running container of the engine that \"dockmaster serve --docker\" watches, and not through a proxy or NAT; \"dockmaster node list\" shows the addresses",
        ),
        ProblemCode::AmbiguousAddress => Some("give the networks distinct ranges"),
        ProblemCode::SocketMismatch => Some(
            "somebody else uses the container's address, or the connection goes through a proxy or NAT; drop NET_RAW and NET_ADMIN of its neighbours, and dial an address that the master itself listens on",
        ),
        ProblemCode::AddressNotPermitted => Some(
            "the ranges are chosen by --permit at \"dockmaster init\"; \"openssl x509 -text -in DIR/ca/intermediate.pem\" shows them",
        ),
        ProblemCode::TooManyRequests => Some(
            "one agent in a container is enough; \"dockmaster request list\" shows requests that wait",
        ),
        ProblemCode::TokenRefused => Some(
            "\"dockmaster token list\" shows the tokens; make another one: \"dockmaster token create\"",
        ),
        ProblemCode::DeniedByPolicy => Some(
            "\"dockmaster policy test\" shows which rule decides; the rules stand in DIR/dockmaster.yaml",
        ),
        ProblemCode::RequestDenied => Some(
            "\"dockmaster request approve\" takes a denial back; a container that is started again may ask again",
        ),
        // What no agent does, or the master's own fault, which is no evidence about anyone: not recorded.
        ProblemCode::TooLarge
        | ProblemCode::NoCertificate
        | ProblemCode::Forbidden
        | ProblemCode::NotFound
        | ProblemCode::Ambiguous
        | ProblemCode::MethodNotAllowed
        | ProblemCode::InvalidDocument
        | ProblemCode::CompileFailed
        | ProblemCode::Conflict
        | ProblemCode::Unavailable
        | ProblemCode::Internal => None,
    }
}
