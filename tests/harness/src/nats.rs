//! A nats-server with JetStream of the test's own.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use crate::{child::Child, wait::eventually};

/// A running nats-server; its port stays the same when it is started again.
#[derive(Debug)]
pub struct NatsServer {
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl NatsServer {
    /// Starts one with its store under `folder`.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        Self::start_configured(folder, "").await
    }

    /// Starts one that takes messages of up to `max_payload_bytes`.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_allowing(folder: &Path, max_payload_bytes: u32) -> anyhow::Result<Self> {
        Self::start_configured(folder, &format!("max_payload: {max_payload_bytes}\n")).await
    }

    /// Starts one whose configuration file holds `configuration`.
    pub(crate) async fn start_configured(folder: &Path, configuration: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("nats.conf"), configuration)?;
        let mut server = Self {
            folder: folder.to_owned(),
            port: free_port()?,
            child: None,
        };
        server.start_again().await?;
        Ok(server)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::pid)
    }

    /// Whether it was started and not killed since.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        self.child = None;
    }

    /// Starts it again on the same port, with the same store.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(program()?);
        command
            .arg("--addr")
            .arg("127.0.0.1")
            .arg("--port")
            .arg(self.port.to_string());
        command.arg("--config").arg(self.folder.join("nats.conf"));
        command
            .arg("--jetstream")
            .arg("--store_dir")
            .arg(self.folder.join("store"));
        self.child = Some(Child::start(&mut command, &self.folder.join("nats.log"))?);
        let url = self.url();
        let connects = || async { async_nats::connect(&url).await.ok() };
        eventually("nats-server takes connections", 20, connects)
            .await
            .map(drop)
    }
}

/// The nats-server program: `HOOKRAIL_NATS_SERVER`, else where `make tools` puts it, else from PATH.
fn program() -> anyhow::Result<PathBuf> {
    if let Some(given) = std::env::var_os("HOOKRAIL_NATS_SERVER") {
        return Ok(given.into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("the checkout's root")?;
    let fetched = root.join(".tools/bin/nats-server");
    Ok(if fetched.exists() {
        fetched
    } else {
        "nats-server".into()
    })
}

pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(crate::ANY_PORT)?.local_addr()?.port())
}
