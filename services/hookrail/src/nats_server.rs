//! The private nats-server of `hookrail up`: started on a free loopback port, started again on the same port when it
//! dies, and stopped by its own process id. Clients reconnect to it by themselves.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use hookrail_runtime::Secret;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::leftover_server;
use crate::nats_config::{NatsFiles, read_port};

/// How often the ports file is looked for while the server starts.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a start may take: the server reads its streams first.
const START_WITHIN: Duration = Duration::from_secs(120);
/// How long a stop may take before the server is killed.
const STOP_WITHIN: Duration = Duration::from_secs(15);
/// Pauses before a server that died is started again; the first after one that ran for [`STEADY_AFTER`].
const RESTART_FIRST: Duration = Duration::from_millis(100);
const RESTART_MAX: Duration = Duration::from_secs(5);
const STEADY_AFTER: Duration = Duration::from_secs(30);
/// How much of the log is shown when the first start fails.
const LOG_LINES_SHOWN: usize = 8;

/// A running private server.
pub(crate) struct NatsServer {
    url: Secret,
    stop: CancellationToken,
    supervisor: JoinHandle<()>,
}

/// What it takes to start one.
struct Launch {
    program: PathBuf,
    files: NatsFiles,
    password: Secret,
}

impl NatsServer {
    /// Starts the server and waits until it listens.
    ///
    /// # Errors
    /// When its first start fails, with the end of its log.
    pub(crate) async fn start(program: PathBuf, files: NatsFiles) -> anyhow::Result<Self> {
        leftover_server::end(&files.pid(), &files.config()).await;
        let password = files.password().context("can't keep nats-server's password")?;
        let launch = Launch {
            program,
            files,
            password,
        };
        let (child, port) = launch.start(None).await?;
        tracing::info!(port, pid = child.id(), program = %launch.program.display(), "nats-server is listening");
        let url = NatsFiles::url(&launch.password, port);
        let stop = CancellationToken::new();
        let supervisor = tokio::spawn(supervise(launch, child, port, stop.clone()));
        Ok(Self {
            url,
            stop,
            supervisor,
        })
    }

    /// The URL for clients, with the password in it.
    pub(crate) fn url(&self) -> &Secret {
        &self.url
    }

    /// Stops the server and waits for its end.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.supervisor.await {
            tracing::error!(%error, "nats-server's supervisor failed");
        }
    }
}

impl Launch {
    /// Starts the program and waits for its port; `port` is the one that it had before.
    async fn start(&self, port: Option<u16>) -> anyhow::Result<(Child, u16)> {
        self.files
            .write_config(&self.password, port)
            .context("can't write nats-server's configuration")?;
        self.files
            .forget_ports()
            .context("can't remove an old ports file of nats-server")?;
        let mut child = self
            .spawn()
            .with_context(|| format!("can't start {}", self.program.display()))?;
        match self.wait_for_port(&mut child).await {
            Ok(port) => Ok((child, port)),
            Err(error) => {
                stop_child(&mut child).await;
                Err(error)
            }
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.files.log())?;
        // Its own process group: Ctrl-C in a terminal is for us, and the server goes last.
        Command::new(&self.program)
            .arg("--config")
            .arg(self.files.config())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    async fn wait_for_port(&self, child: &mut Child) -> anyhow::Result<u16> {
        let ports = self.files.ports(&self.program, child.id().unwrap_or_default());
        let until = Instant::now() + START_WITHIN;
        loop {
            if let Some(port) = read_port(&ports) {
                return Ok(port);
            }
            if let Some(status) = child.try_wait()? {
                bail!(
                    "nats-server ended at its start ({status}): {}",
                    log_end(self.files.log())
                );
            }
            if Instant::now() >= until {
                bail!(
                    "nats-server did not listen within {} s: {}",
                    START_WITHIN.as_secs(),
                    log_end(self.files.log())
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Keeps a server running on `port` until `stop`.
async fn supervise(launch: Launch, mut child: Child, port: u16, stop: CancellationToken) {
    let mut pause = RESTART_FIRST;
    loop {
        let started = Instant::now();
        tokio::select! {
            () = stop.cancelled() => break,
            status = child.wait() => report_death(status),
        }
        if started.elapsed() >= STEADY_AFTER {
            pause = RESTART_FIRST;
        }
        match restart(&launch, port, &mut pause, &stop).await {
            Some(next) => child = next,
            None => return,
        }
    }
    stop_child(&mut child).await;
    // A file that stays is recognised as stale at the next start.
    let _ = std::fs::remove_file(launch.files.pid());
}

fn report_death(status: std::io::Result<std::process::ExitStatus>) {
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    tracing::error!(%status, "nats-server died; starting it again");
}

/// Tries until the server listens again; `None` when `stop` came first.
async fn restart(
    launch: &Launch,
    port: u16,
    pause: &mut Duration,
    stop: &CancellationToken,
) -> Option<Child> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(*pause) => {}
        }
        *pause = (*pause * 2).min(RESTART_MAX);
        match launch.start(Some(port)).await {
            Ok((child, _)) => {
                tracing::info!(port, pid = child.id(), "nats-server is listening again");
                return Some(child);
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "nats-server did not start")
            }
        }
    }
}

/// SIGTERM, and SIGKILL where that is not enough.
async fn stop_child(child: &mut Child) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = id.and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
        tracing::warn!("nats-server did not stop in time and is killed");
        let _ = child.kill().await;
    }
}

fn log_end(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join(" | ")
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpStream;

    use super::*;
    use crate::nats_program;

    /// How long a server may take to come up again on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn files(folder: &Path) -> NatsFiles {
        let sync = "2m".parse().unwrap();
        NatsFiles::new(folder.to_owned(), folder.join("nats.log"), sync)
    }

    fn program() -> PathBuf {
        let wanted = std::env::var_os("HOOKRAIL_NATS_SERVER").map(PathBuf::from);
        nats_program::find(wanted.as_deref()).unwrap()
    }

    async fn start(folder: &Path) -> NatsServer {
        NatsServer::start(program(), files(folder)).await.unwrap()
    }

    fn read_pid(folder: &Path) -> Option<Pid> {
        let text = std::fs::read_to_string(folder.join("server.pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }

    fn port_of(server: &NatsServer) -> u16 {
        server.url().expose().rsplit(':').next().unwrap().parse().unwrap()
    }

    /// What a server says first, `INFO {…}`; fails while none listens.
    async fn greeting(port: u16) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn wait_for_another(folder: &Path, earlier: Pid) -> Pid {
        let until = Instant::now() + PATIENCE;
        loop {
            match read_pid(folder).filter(|pid| *pid != earlier) {
                Some(pid) => return pid,
                None => assert!(Instant::now() < until, "no other server came"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    #[tokio::test]
    async fn a_server_that_dies_comes_back_on_the_same_port() {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).await;
        let port = port_of(&server);
        assert_eq!(greeting(port).await.unwrap(), "INFO");
        let first = read_pid(folder.path()).unwrap();
        kill_process(first, Signal::KILL).unwrap();
        wait_for_another(folder.path(), first).await;
        let until = Instant::now() + PATIENCE;
        while greeting(port).await.is_err() {
            assert!(Instant::now() < until, "the port stayed closed");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        server.stop().await;
        assert!(greeting(port).await.is_err());
    }

    #[tokio::test]
    async fn a_server_left_behind_by_an_earlier_run_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let password = files.password().unwrap();
        let launch = Launch {
            program: program(),
            files,
            password,
        };
        let (child, _) = launch.start(None).await.unwrap();
        // As after SIGKILL of the earlier run: nobody watches its server any more.
        std::mem::forget(child);
        let first = read_pid(folder.path()).unwrap();
        let server = start(folder.path()).await;
        assert_ne!(read_pid(folder.path()).unwrap(), first);
        assert_eq!(greeting(port_of(&server)).await.unwrap(), "INFO");
        server.stop().await;
    }

    #[tokio::test]
    async fn a_failing_start_shows_why() {
        let folder = tempfile::tempdir().unwrap();
        let program = PathBuf::from("/bin/false");
        let error = NatsServer::start(program, files(folder.path()))
            .await
            .err()
            .unwrap();
        assert!(error.to_string().contains("ended at its start"), "{error}");
    }
}
