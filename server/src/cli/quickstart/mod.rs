//! `dockmaster quickstart`: a whole running demonstration. Everything in it is real: this program
//! as master, agents as processes (or containers), and the commands that it shows are run as shown.

mod cast;
mod containers;
mod programs;
mod roles;
mod site;
mod stand_ins;

use std::{
    io::IsTerminal as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use clap::Args;
use dockmaster::{
    app::{HostSource, Master, Options},
    setup::{self, Setup},
};
use dockmaster_proto::{api::nodes::NodeList, id::TrustPin};

use self::{cast::Cast, containers::Containers, programs::Programs, stand_ins::StandIns};
use super::{error::CliError, output::note};

/// Run a whole demonstration on this machine
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster quickstart
  dockmaster quickstart --docker

Without --docker it needs neither root nor an engine: three stand-ins run as processes, each at a
loopback address of its own. It goes on until Ctrl-C and then takes away everything that it made;
without a terminal it ends when it has shown everything.")]
pub(crate) struct QuickstartArgs {
    /// Use real containers of this machine's engine instead of stand-ins
    #[arg(
        long,
        value_name = "SOCKET",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "/var/run/docker.sock"
    )]
    pub(crate) docker: Option<PathBuf>,
}

/// How long the nodes may take to apply their first catalog, or a change.
const PATIENCE: Duration = Duration::from_secs(30);
/// The usual port of a master; another one when it is taken.
const PORT: u16 = 8140;

/// Runs the demonstration.
pub(crate) fn run(args: QuickstartArgs) -> Result<(), CliError> {
    let programs = Programs::find()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| CliError::because("cannot start", &error, ""))?;
    runtime.block_on(async {
        let interrupted = tokio::signal::ctrl_c();
        tokio::pin!(interrupted);
        let mut play = Play::open(&programs, args.docker).await?;
        let shown = tokio::select! {
            shown = play.show() => shown,
            _ = &mut interrupted => Ok(()),
        };
        if shown.is_ok() && std::io::stdin().is_terminal() {
            note("\nIt goes on until Ctrl-C.");
            // Without signals there is nothing to wait for.
            let _ = interrupted.await;
        }
        play.close().await;
        shown
    })
}

/// Everything that runs for the demonstration.
struct Play {
    dir: tempdir::TempDir,
    master: Master,
    cast: Cast,
    context: PathBuf,
}

impl Play {
    async fn open(programs: &Programs, docker: Option<PathBuf>) -> Result<Self, CliError> {
        let dir = tempdir::TempDir::new()?;
        note("A master, made for this demonstration alone:");
        let data = dir.path().join("master");
        let listen = match &docker {
            Some(_) => free_port(Ipv4Addr::UNSPECIFIED)?,
            None => free_port(Ipv4Addr::LOCALHOST)?,
        };
        let pin = init(&data, listen).await?;
        let source = match docker {
            Some(socket) => HostSource::Docker(socket),
            None => HostSource::File(dir.path().join("inventory.yaml")),
        };
        let cast = match &source {
            HostSource::Docker(_) => {
                Cast::Containers(Containers::prepare(programs, listen.port(), pin)?)
            }
            _ => Cast::StandIns(StandIns::prepare(programs, dir.path(), listen, pin)?),
        };
        let master = Master::start(Options {
            data: data.clone(),
            source,
            host: None,
        })
        .await;
        let master =
            master.map_err(|error| CliError::because("the master does not start", &error, ""))?;
        note(&format!(
            "  ready https://{}\n  trust pin {pin}\n",
            master.address()
        ));
        site::unpack(dir.path())?;
        Ok(Self {
            dir,
            master,
            cast,
            context: data.join("operator.yaml"),
        })
    }

    async fn show(&mut self) -> Result<(), CliError> {
        let site = self.dir.path().join("site");
        let classification = self.dir.path().join("classification.yaml");
        note("What nodes with which labels are to get:");
        self.dockmaster(&["site", "deploy", &path(&site), "-m", "the hello example"])?;
        self.dockmaster(&["classify", "apply", "-f", &path(&classification), "--yes"])?;

        note(&format!(
            "Three {} start, each with the agent in front of its application:",
            self.cast.what()
        ));
        let started = Instant::now();
        self.cast.start()?;
        self.until("the three have applied their first catalog", |nodes| {
            nodes
                .nodes
                .iter()
                .filter(|node| node.last_apply.is_some())
                .count()
                >= roles::ROLES.len()
        })
        .await?;
        note(&format!(
            "  certificates, configuration and applications after {} ms\n",
            started.elapsed().as_millis()
        ));
        self.dockmaster(&["node", "list"])?;
        self.dockmaster(&["cert", "list"])?;
        self.cast.show_page("web-1")?;

        note(
            "An operator gives one of them a label; its configuration follows and its application reloads:",
        );
        let before = self.page("web-1");
        let changed = Instant::now();
        let node = self.cast.node("web-1");
        self.dockmaster(&["node", "label", &node, "tier=front"])?;
        while self.page("web-1") == before {
            if changed.elapsed() > PATIENCE {
                return Err(CliError::failed(
                    "the new configuration did not arrive",
                    self.cast.logs(),
                ));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        note(&format!(
            "  served after {} ms\n",
            changed.elapsed().as_millis()
        ));
        self.cast.show_page("web-1")?;

        note("Who held the address, and is the record whole?");
        let ip = self.cast.ip("web-1")?;
        self.dockmaster(&["audit", "who", &ip])?;
        self.dockmaster(&["audit", "verify"])?;
        self.how_to_go_on();
        Ok(())
    }

    fn how_to_go_on(&self) {
        let program =
            std::env::current_exe().map_or_else(|_| "dockmaster".to_owned(), |exe| path(&exe));
        note(&format!(
            "To look around, in another terminal:\n  \
             export DOCKMASTER_CONTEXT={}\n  \
             {program} node show {}\n  \
             {program} audit list\n  \
             {program} node label {} tier=front\n\
             The site and its classification lie in {}.",
            path(&self.context),
            self.cast.node("web-1"),
            self.cast.node("web-2"),
            path(self.dir.path()),
        ));
    }

    /// Runs this program with the arguments, as a person would, and shows it.
    fn dockmaster(&self, arguments: &[&str]) -> Result<(), CliError> {
        note(&format!("$ dockmaster {}", arguments.join(" ")));
        let output = self.output(arguments)?;
        note(&indent(&output));
        Ok(())
    }

    fn output(&self, arguments: &[&str]) -> Result<String, CliError> {
        let failed = |error: &dyn std::error::Error| {
            CliError::because("the demonstration's own command failed", error, "")
        };
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let output = Command::new(program)
            .env("DOCKMASTER_CONTEXT", &self.context)
            .args(arguments)
            .output();
        let output = output.map_err(|error| failed(&error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(CliError::failed(
            format!("dockmaster {} failed: {}", arguments.join(" "), why.trim()),
            self.cast.logs(),
        ))
    }

    async fn until(
        &mut self,
        what: &str,
        holds: impl Fn(&NodeList) -> bool,
    ) -> Result<(), CliError> {
        let start = Instant::now();
        loop {
            let nodes = self.output(&["node", "list", "-o", "json"])?;
            if serde_json::from_str::<NodeList>(&nodes).is_ok_and(|nodes| holds(&nodes)) {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(CliError::failed(
                    format!("it did not come to be that {what}"),
                    self.cast.logs(),
                ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn page(&self, name: &str) -> Option<String> {
        self.cast.page(name).ok()
    }

    async fn close(mut self) {
        note("\nCleaning up.");
        self.cast.stop();
        self.master.stop().await;
    }
}

async fn init(data: &Path, listen: SocketAddr) -> Result<TrustPin, CliError> {
    let name = |text: &str| {
        text.parse()
            .map_err(|error| CliError::because("a name cannot be used", &error, ""))
    };
    let ranges = [
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
    ];
    let setup = Setup {
        data: data.to_owned(),
        listen,
        addresses: Vec::new(),
        permit: ranges
            .iter()
            .filter_map(|range| range.parse().ok())
            .collect(),
        trust_domain: "quickstart.internal"
            .parse()
            .map_err(|error| CliError::because("a name cannot be used", &error, ""))?,
        name: name("master")?,
        host: name("here")?,
        operator: name("you")?,
    };
    let made = setup::init(&setup)
        .await
        .map_err(|error| CliError::because("no master was made", &error, ""))?;
    Ok(made.trust_pin)
}

/// The usual port where it is free, else any.
fn free_port(ip: Ipv4Addr) -> Result<SocketAddr, CliError> {
    let bound = TcpListener::bind((ip, PORT)).or_else(|_| TcpListener::bind((ip, 0)));
    let address = bound.and_then(|listener| listener.local_addr());
    address.map_err(|error| CliError::because("no port is free for the master", &error, ""))
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("  {line}\n")
            }
        })
        .collect()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// A directory that goes with its value.
mod tempdir {
    use std::{
        fs::DirBuilder,
        os::unix::fs::DirBuilderExt as _,
        path::{Path, PathBuf},
    };

    use super::CliError;

    pub(super) struct TempDir(PathBuf);

    impl TempDir {
        pub(super) fn new() -> Result<Self, CliError> {
            let path =
                std::env::temp_dir().join(format!("dockmaster-quickstart-{}", std::process::id()));
            // Not recursive: a directory that someone else made before is refused.
            let made = DirBuilder::new().mode(0o700).create(&path);
            made.map_err(|error| {
                CliError::because(
                    format!("cannot make {}", path.display()),
                    &error,
                    "set TMPDIR to a directory that you may write",
                )
            })?;
            Ok(Self(path))
        }

        pub(super) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            // What is left lies in the system's temporary directory, which cleans up after all.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
