//! The parts that are to be played.

/// A player.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role {
    pub(super) name: &'static str,
    pub(super) label: (&'static str, &'static str),
    /// Whether the example application runs in it; else the agent is alone.
    pub(super) serves: bool,
}

/// The players.
pub(super) const ROLES: [Role; 3] = [
    Role {
        name: "web-1",
        label: ("role", "web"),
        serves: true,
    },
    Role {
        name: "web-2",
        label: ("role", "web"),
        serves: true,
    },
    Role {
        name: "db-1",
        label: ("role", "db"),
        serves: false,
    },
];
/// Where each one's application listens.
pub(super) const APP_PORT: u16 = 8080;
/// The file that the application serves.
pub(super) const CONFIG: &str = "/etc/hello/hello.conf";
