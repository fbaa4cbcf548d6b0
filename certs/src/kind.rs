//! The three kinds of authorities.

use std::fmt;

use dockmaster_proto::spiffe::Principal;

/// What an authority may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityKind {
    /// Intermediates.
    Root,
    /// Containers.
    Containers,
    /// Masters, hosts and operators.
    Infrastructure,
}

impl AuthorityKind {
    /// The common name in certificates: signed by the root, so it cannot be claimed.
    pub(crate) const fn common_name(self) -> &'static str {
        match self {
            Self::Root => "Dockmaster root",
            Self::Containers => "Dockmaster containers",
            Self::Infrastructure => "Dockmaster infrastructure",
        }
    }

    /// How many authorities may follow below.
    pub(crate) const fn path_length(self) -> u8 {
        match self {
            Self::Root => 1,
            Self::Containers | Self::Infrastructure => 0,
        }
    }

    /// Whether certificates of this principal come from such an authority.
    #[must_use]
    pub const fn issues_to(self, principal: &Principal) -> bool {
        match principal {
            Principal::Container { .. } => matches!(self, Self::Containers),
            Principal::Master(_) | Principal::Host(_) | Principal::Operator(_) => {
                matches!(self, Self::Infrastructure)
            }
        }
    }
}

impl fmt::Display for AuthorityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::Containers => "container",
            Self::Infrastructure => "infrastructure",
        })
    }
}
