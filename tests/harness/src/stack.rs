//! The real binary, as one process with everything embedded, or as four services.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Context as _;
use serde_json::Value;

use crate::{api::Api, child::Child, nats::NatsServer, wait::eventually};

/// The admin token of every stack.
pub const ADMIN_TOKEN: &str = "test-admin-token-0123456789";
/// How long a stack may take to become ready, seconds.
const READY_SECONDS: u64 = 60;

/// Sizes of streams for which any machine has room: the server reserves them.
const SMALL_STREAMS: [&str; 12] = [
    "--stream-raw-max-bytes",
    "134217728",
    "--stream-delivery-max-bytes",
    "134217728",
    "--stream-parked-max-bytes",
    "134217728",
    "--stream-dead-max-bytes",
    "134217728",
    "--stream-journal-max-bytes",
    "268435456",
    "--stream-object-max-bytes",
    "536870912",
];

fn owned(environment: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    environment.iter().map(owned).collect()
}

/// One of the four services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Takes webhooks in.
    Ingress,
    /// Processes events.
    Processor,
    /// Delivers.
    Dispatcher,
    /// Definitions and API.
    Config,
}

impl Service {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Config, Self::Processor, Self::Dispatcher, Self::Ingress];

    /// Its subcommand.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Processor => "processor",
            Self::Dispatcher => "dispatcher",
            Self::Config => "config",
        }
    }
}

/// The `hookrail` program: `HOOKRAIL_BINARY`, else what `cargo build` made.
pub fn hookrail_binary() -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/debug/hookrail");
    std::env::var_os("HOOKRAIL_BINARY").map_or_else(built, Into::into)
}

/// A running installation; it ends when this is dropped.
pub struct Stack {
    /// What kind it is, for messages.
    pub kind: &'static str,
    /// A client with the admin token.
    pub api: Api,
    /// Its processes, by name.
    pub processes: Vec<(String, Child)>,
    /// Its nats-server, where it is not embedded.
    pub nats: Option<NatsServer>,
    /// The program that its processes are started from.
    pub program: PathBuf,
    /// Its folder: data, logs.
    pub folder: tempfile::TempDir,
    ports: Ports,
    database_url: Option<String>,
    extra: Vec<String>,
    environment: Vec<(String, String)>,
}

#[derive(Debug, Clone, Default)]
struct Ports {
    ingress: u16,
    api: u16,
    ops: [u16; 4],
}

impl Stack {
    /// `hookrail up` in a folder of its own.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn up() -> anyhow::Result<Self> {
        Self::up_with(&[]).await
    }

    /// As [`Stack::up`], with settings by environment variables.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn up_with(environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let ports = Ports::free()?;
        let mut stack = Self::new("hookrail up", folder, ports, None, None);
        stack.environment = owned(environment);
        stack.start_up().await?;
        Ok(stack)
    }

    /// One of the same kind as this, of its own, with settings by environment variables. A database is
    /// made for it where it needs one.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn another(&self, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let database_url = match &self.database_url {
            Some(_) => crate::create_database(&format!("hookrail_e2e_{}", next_number()))?,
            None => None,
        };
        let nats = match &self.nats {
            Some(_) => Some(NatsServer::start(&folder.path().join("nats")).await?),
            None => None,
        };
        let mut stack = Self::new(self.kind, folder, Ports::free()?, nats, database_url);
        stack.environment = owned(environment);
        if stack.nats.is_none() {
            stack.start_up().await?;
            return Ok(stack);
        }
        for service in Service::ALL {
            stack.start_service(service)?;
        }
        stack.wait_ready().await?;
        Ok(stack)
    }

    /// Kills what processes events at once, and starts it again: the whole process of `hookrail up`, the
    /// processor of the four.
    ///
    /// # Errors
    /// When it does not become ready again.
    pub async fn restart_processor(&mut self) -> anyhow::Result<()> {
        if self.nats.is_none() {
            self.kill("up");
            return self.start_up().await;
        }
        self.kill(Service::Processor.name());
        self.start_service(Service::Processor)?;
        self.wait_ready().await
    }

    /// Kills what takes webhooks in and what delivers them at once, and starts it again: the whole process of
    /// `hookrail up`, ingress and dispatcher of the four.
    ///
    /// # Errors
    /// When it does not become ready again.
    pub async fn restart_both_ends(&mut self) -> anyhow::Result<()> {
        if self.nats.is_none() {
            self.kill("up");
            return self.start_up().await;
        }
        for service in [Service::Ingress, Service::Dispatcher] {
            self.kill(service.name());
        }
        for service in [Service::Ingress, Service::Dispatcher] {
            self.start_service(service)?;
        }
        self.wait_ready().await
    }

    /// The four services against one nats-server and this PostgreSQL database.
    ///
    /// # Errors
    /// When they do not become ready.
    pub async fn four(database_url: String) -> anyhow::Result<Self> {
        Self::four_with(database_url, &[]).await
    }

    /// As [`Stack::four`], with more flags for each service.
    ///
    /// # Errors
    /// When they do not become ready.
    pub async fn four_with(database_url: String, extra: &[&str]) -> anyhow::Result<Self> {
        Self::four_of(hookrail_binary(), database_url, extra).await
    }

    /// As [`Stack::four_with`], of another program than the one under test, such as an older version.
    ///
    /// # Errors
    /// When they do not become ready.
    pub async fn four_of(program: PathBuf, database_url: String, extra: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let nats = NatsServer::start(&folder.path().join("nats")).await?;
        let mut stack = Self::new(
            "four services",
            folder,
            Ports::free()?,
            Some(nats),
            Some(database_url),
        );
        stack.program = program;
        stack.extra = extra.iter().map(|flag| (*flag).to_owned()).collect();
        for service in Service::ALL {
            stack.start_service(service)?;
        }
        stack.wait_ready().await?;
        Ok(stack)
    }

    fn new(
        kind: &'static str,
        folder: tempfile::TempDir,
        ports: Ports,
        nats: Option<NatsServer>,
        database_url: Option<String>,
    ) -> Self {
        let processes = if nats.is_some() { ports.ops.len() } else { 1 };
        let ops = ports.ops.iter().take(processes).map(|port| url(*port)).collect();
        let api = Api::new(&url(ports.api), &url(ports.ingress), ADMIN_TOKEN).with_ops(ops);
        Self {
            kind,
            api,
            processes: Vec::new(),
            nats,
            program: hookrail_binary(),
            folder,
            ports,
            database_url,
            extra: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Starts `hookrail up` on this stack's folder and ports, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start_up(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command
            .arg("up")
            .arg("--data-dir")
            .arg(self.folder.path().join("data"));
        command.args([
            "--ingress-listen",
            &listen(self.ports.ingress),
            "--api-listen",
            &listen(self.ports.api),
        ]);
        command.args(["--ops-listen", &listen(self.ports.ops[0])]);
        self.start("up", &mut command)?;
        self.wait_ready().await
    }

    /// Starts one service of the four.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start_service(&mut self, service: Service) -> anyhow::Result<()> {
        let nats = self
            .nats
            .as_ref()
            .context("the four services have a nats-server")?
            .url();
        let mut command = Command::new(&self.program);
        command.arg(service.name()).args([
            "--nats-url",
            &nats,
            "--ops-listen",
            &listen(self.ports.ops_of(service)),
        ]);
        command.args(SMALL_STREAMS).args(&self.extra);
        command.env("HOOKRAIL_KEY_RING", crate::key_ring_text());
        let database = self.database_url.clone().unwrap_or_default();
        match service {
            Service::Ingress => drop(command.args(["--ingress-listen", &listen(self.ports.ingress)])),
            // A version that doesn't know this setting of the processor refuses the flag.
            Service::Processor => {
                command.args(["--database-url", &database]);
                command.env("HOOKRAIL_OUTBOUND_ALLOW", "127.0.0.0/8");
            }
            Service::Dispatcher => drop(command.args(["--outbound-allow", "127.0.0.0/8"])),
            Service::Config => {
                command.args([
                    "--database-url",
                    &database,
                    "--api-listen",
                    &listen(self.ports.api),
                ]);
                command.args([
                    "--outbound-allow",
                    "127.0.0.0/8",
                    "--ingress-url",
                    &url(self.ports.ingress),
                ]);
            }
        }
        self.start(service.name(), &mut command)
    }

    fn start(&mut self, name: &str, command: &mut Command) -> anyhow::Result<()> {
        command
            .env("HOOKRAIL_ADMIN_TOKEN", ADMIN_TOKEN)
            // Scenarios share a token, and ask as fast as they can.
            .env("HOOKRAIL_API_RATE", "0")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path());
        let log = self.folder.path().join(format!("{name}.log"));
        self.processes
            .push((name.to_owned(), Child::start(command, &log)?));
        Ok(())
    }

    /// Asks a service to end, and starts it again from the present [`Stack::program`].
    ///
    /// # Errors
    /// When that can't be started.
    pub fn replace(&mut self, service: Service) -> anyhow::Result<()> {
        if let Some(process) = self.process(service.name()) {
            process.stop();
        }
        self.kill(service.name());
        self.start_service(service)
    }

    /// Kills all processes of the four services and their nats-server at once, and starts them anew on another
    /// nats-server and database.
    ///
    /// # Errors
    /// When they do not become ready.
    pub async fn start_on(&mut self, nats: NatsServer, database_url: String) -> anyhow::Result<()> {
        self.processes.clear();
        self.nats = Some(nats);
        self.database_url = Some(database_url);
        for service in Service::ALL {
            self.start_service(service)?;
        }
        self.wait_ready().await
    }

    /// Kills the process with this name at once (SIGKILL).
    pub fn kill(&mut self, name: &str) {
        self.processes.retain_mut(|(found, child)| {
            if found == name {
                child.kill();
            }
            found != name
        });
    }

    /// The process with this name.
    pub fn process(&mut self, name: &str) -> Option<&mut Child> {
        self.processes
            .iter_mut()
            .find(|(found, _)| found == name)
            .map(|(_, child)| child)
    }

    /// Waits until every process says that it is ready.
    ///
    /// # Errors
    /// When one ends, or is not ready in time; its last lines are in the error.
    pub async fn wait_ready(&mut self) -> anyhow::Result<()> {
        for port in self.ports.ops.into_iter().take(self.processes.len()) {
            let url = format!("{}/readyz", url(port));
            let ready = || async {
                reqwest::get(&url)
                    .await
                    .ok()
                    .filter(|answer| answer.status().is_success())
            };
            if let Err(error) =
                eventually(&format!("{} ready at {url}", self.kind), READY_SECONDS, ready).await
            {
                return Err(error.context(self.tails(15)));
            }
        }
        Ok(())
    }

    /// The URL of its PostgreSQL database, where it has one.
    pub fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref()
    }

    /// The last lines of each process's log.
    pub fn tails(&self, lines: usize) -> String {
        let tail = |(name, child): &(String, Child)| format!("--- {name}\n{}", child.tail(lines));
        self.processes.iter().map(tail).collect::<Vec<_>>().join("\n")
    }

    /// The text of all `/metrics`.
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        for port in self.ports.ops.into_iter().take(self.processes.len()) {
            text.push_str(
                &reqwest::get(format!("{}/metrics", url(port)))
                    .await?
                    .text()
                    .await?,
            );
        }
        Ok(text)
    }

    /// What `hookrail up` wrote about its listeners.
    ///
    /// # Errors
    /// When it wrote nothing.
    pub fn listen_file(&self) -> anyhow::Result<Value> {
        let path = self.folder.path().join("data/listen.json");
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }
}

/// `hookrail up` takes its nats-server with it when it is asked to end; killed, it leaves it to its successor.
impl Drop for Stack {
    fn drop(&mut self) {
        if self.nats.is_none() {
            self.processes.iter_mut().for_each(|(_, up)| up.stop());
        }
    }
}

impl Ports {
    fn free() -> anyhow::Result<Self> {
        // All are held until the last is chosen, so that no two are the same.
        let held = (0..6)
            .map(|_| std::net::TcpListener::bind(crate::ANY_PORT))
            .collect::<Result<Vec<_>, _>>()?;
        let ports = held
            .iter()
            .map(|l| Ok(l.local_addr()?.port()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            ingress: ports[0],
            api: ports[1],
            ops: [ports[2], ports[3], ports[4], ports[5]],
        })
    }

    fn ops_of(&self, service: Service) -> u16 {
        let place = Service::ALL
            .iter()
            .position(|s| *s == service)
            .unwrap_or_default();
        self.ops[place]
    }
}

/// A number that no other stack of this process has.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn listen(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
