//! A nats-server of the test's own.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use hookrail_broker::{Broker, BrokerSettings, StreamLimits};

/// How long the server may take to start, tries of 100 ms.
const START_TRIES: usize = 200;

pub(crate) struct Nats {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Nats {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new(program())
            .args([
                "--addr",
                "127.0.0.1",
                "--port",
                &port.to_string(),
                "--jetstream",
                "--store_dir",
            ])
            .arg(directory.path())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server starts");
        Self {
            process,
            port,
            _directory: directory,
        }
    }

    pub(crate) fn settings(&self) -> BrokerSettings {
        const MIB: i64 = 1024 * 1024;
        BrokerSettings {
            urls: vec![format!("nats://127.0.0.1:{}", self.port)],
            partitions: 2,
            limits: StreamLimits {
                raw_max_bytes: 16 * MIB,
                delivery_max_bytes: 16 * MIB,
                parked_max_bytes: 16 * MIB,
                dead_max_bytes: 16 * MIB,
                journal_max_bytes: 16 * MIB,
                response_max_bytes: 16 * MIB,
                notice_max_bytes: 16 * MIB,
                config_max_bytes: 16 * MIB,
                owner_max_bytes: 16 * MIB,
            },
            ..BrokerSettings::default()
        }
    }

    pub(crate) async fn broker(&self) -> Broker {
        for _ in 0..START_TRIES {
            if let Ok(broker) = Broker::connect(&self.settings(), "test").await {
                broker.ensure_topology().await.unwrap();
                return broker;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("nats-server can't be reached");
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `HOOKRAIL_NATS_SERVER`, else where `make tools` puts it, else from PATH.
fn program() -> PathBuf {
    if let Some(given) = std::env::var_os("HOOKRAIL_NATS_SERVER") {
        return given.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let fetched = root.join(".tools/bin/nats-server");
    if fetched.exists() {
        fetched
    } else {
        "nats-server".into()
    }
}
