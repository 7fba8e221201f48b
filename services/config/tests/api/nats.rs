//! A nats-server of its own for one test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hookrail_broker::{Broker, BrokerSettings, StreamLimits};

const START_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Nats {
    process: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Nats {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (process, port) = spawn(directory.path(), None);
        Self {
            process,
            port,
            directory,
        }
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.process = spawn(self.directory.path(), Some(self.port)).0;
    }

    pub(crate) async fn broker(&self) -> Broker {
        let broker = Broker::connect(&self.settings(), "test").await.unwrap();
        broker.ensure_topology().await.unwrap();
        broker
    }

    fn settings(&self) -> BrokerSettings {
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
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(directory: &Path, port: Option<u16>) -> (Child, u16) {
    let ports = directory.join("ports");
    let _ = std::fs::remove_dir_all(&ports);
    std::fs::create_dir_all(&ports).unwrap();
    let mut command = Command::new(nats_server());
    command
        .args([
            "-a",
            "127.0.0.1",
            "-js",
            "-p",
            &port.map_or("-1".to_owned(), |p| p.to_string()),
        ])
        .arg("-sd")
        .arg(directory.join("store"))
        .arg("--ports_file_dir")
        .arg(&ports)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let process = command.spawn().expect("nats-server starts");
    let port = read_port(&ports);
    (process, port)
}

fn read_port(ports: &Path) -> u16 {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < START_TIMEOUT, "nats-server did not start");
        let file = std::fs::read_dir(ports).unwrap().flatten().next();
        let text = file.and_then(|file| std::fs::read_to_string(file.path()).ok());
        let json = text.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
        if let Some(url) = json.as_ref().and_then(|json| json["nats"][0].as_str()) {
            return url.rsplit(':').next().unwrap().parse().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn nats_server() -> PathBuf {
    if let Some(path) = std::env::var_os("HOOKRAIL_NATS_SERVER") {
        return path.into();
    }
    let on_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .map(|folder| folder.join("nats-server"))
            .find(|file| file.is_file())
    });
    on_path.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/nats-server"))
}
