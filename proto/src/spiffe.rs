//! SPIFFE IDs: who a certificate speaks for.

use std::{fmt, str::FromStr};

use crate::id::{ContainerId, IdError, Name, TrustDomain, serde_as_text};

/// The holder of a certificate, without its trust domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// A container: `/host/HOST/container/ID`.
    Container {
        /// The host that vouches for it.
        host: Name,
        /// The container.
        id: ContainerId,
    },
    /// A master: `/master/NAME`.
    Master(Name),
    /// A host watcher: `/host/NAME`.
    Host(Name),
    /// An operator: `/operator/NAME`.
    Operator(Name),
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container { host, id } => write!(f, "/host/{host}/container/{id}"),
            Self::Master(name) => write!(f, "/master/{name}"),
            Self::Host(name) => write!(f, "/host/{name}"),
            Self::Operator(name) => write!(f, "/operator/{name}"),
        }
    }
}

/// A SPIFFE ID of one of the four forms that Dockmaster issues (SPIFFE-ID section 2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    /// The trust domain.
    pub trust_domain: TrustDomain,
    /// The holder.
    pub principal: Principal,
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}{}", self.trust_domain, self.principal)
    }
}

impl FromStr for SpiffeId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || {
            IdError::new(
                "a SPIFFE ID of ours",
                "spiffe://DOMAIN/(host|master|operator)/NAME or spiffe://DOMAIN/host/NAME/container/ID",
                text,
            )
        };
        let rest = text.strip_prefix("spiffe://").ok_or_else(error)?;
        let mut parts = rest.split('/');
        let trust_domain = parts.next().ok_or_else(error)?.parse()?;
        let parts: Vec<&str> = parts.collect();
        let principal = match parts[..] {
            ["host", host, "container", id] => Principal::Container {
                host: host.parse()?,
                id: id.parse()?,
            },
            ["host", name] => Principal::Host(name.parse()?),
            ["master", name] => Principal::Master(name.parse()?),
            ["operator", name] => Principal::Operator(name.parse()?),
            _ => return Err(error()),
        };
        Ok(Self {
            trust_domain,
            principal,
        })
    }
}

serde_as_text!(SpiffeId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_as_written() {
        let id = "0f".repeat(32);
        for text in [
            format!("spiffe://td.example/host/h1/container/{id}"),
            "spiffe://td.example/host/h1".to_owned(),
            "spiffe://td.example/master/m1".to_owned(),
            "spiffe://td.example/operator/ada".to_owned(),
        ] {
            assert_eq!(text.parse::<SpiffeId>().unwrap().to_string(), text);
        }
        for text in [
            "spiffe://td/x/y",
            "http://td/host/h",
            "spiffe://TD/host/h",
            "spiffe://td/host/h/",
            "spiffe://td/host/h/container/00",
            "spiffe://td",
        ] {
            assert!(text.parse::<SpiffeId>().is_err(), "{text}");
        }
    }
}
