//! A nats-server of its own for one test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hookrail_broker::{
    Broker, BrokerSettings, Lease, Ownership, OwnershipChange, OwnershipSettings, StreamLimits,
};
use hookrail_domain::ownership::{Role, WorkerId};
use hookrail_keyring::{KeyRing, key_line};
use tokio::sync::mpsc;

const START_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Nats {
    process: Child,
    /// The others of its cluster.
    peers: Vec<Child>,
    port: u16,
    directory: tempfile::TempDir,
}

impl Nats {
    pub(crate) fn start() -> Nats {
        let directory = tempfile::tempdir().unwrap();
        let (process, port) = spawn(directory.path(), None, &[]);
        Nats {
            process,
            peers: Vec::new(),
            port,
            directory,
        }
    }

    /// Three servers that are one cluster; clients get the first one's address.
    pub(crate) fn start_three() -> Nats {
        let directory = tempfile::tempdir().unwrap();
        let held: Vec<_> = (0..3)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let address = |listener: &TcpListener| format!("nats://{}", listener.local_addr().unwrap());
        let addresses: Vec<String> = held.iter().map(address).collect();
        drop(held);
        let routes = addresses.join(",");
        let start = |number: usize| {
            let (name, own) = (format!("n{number}"), &addresses[number]);
            let flags = [
                "-n",
                &name,
                "--cluster_name",
                "test",
                "--cluster",
                own,
                "--routes",
                &routes,
            ];
            let below = directory.path().join(&name);
            std::fs::create_dir(&below).unwrap();
            spawn(&below, None, &flags)
        };
        let (process, port) = start(0);
        let peers = (1..3).map(|number| start(number).0).collect();
        Nats {
            process,
            peers,
            port,
            directory,
        }
    }

    pub(crate) fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let (process, _) = spawn(self.directory.path(), Some(self.port), &[]);
        self.process = process;
    }

    pub(crate) fn settings(&self) -> BrokerSettings {
        const MIB: i64 = 1024 * 1024;
        BrokerSettings {
            urls: vec![format!("nats://127.0.0.1:{}", self.port)],
            partitions: 4,
            replicas: self.peers.len() + 1,
            limits: StreamLimits::all(16 * MIB),
            key_ring: key_ring(),
            ..BrokerSettings::default()
        }
    }

    pub(crate) async fn broker(&self) -> Broker {
        self.broker_with(&self.settings()).await
    }

    pub(crate) async fn broker_with(&self, settings: &BrokerSettings) -> Broker {
        let broker = Broker::connect(settings, "test").await.unwrap();
        let began = Instant::now();
        // A cluster takes a moment to find its leader.
        while let Err(error) = broker.ensure_topology().await {
            let waits = !self.peers.is_empty() && began.elapsed() < START_TIMEOUT;
            assert!(waits, "{error}");
        }
        broker
    }

    pub(crate) async fn worker(&self, name: &str, role: Role, partitions: u32) -> Worker {
        let mut settings = ownership_settings(name, role, partitions);
        settings.exclusive_worker_id = true;
        Worker::start(&self.settings(), settings).await
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        for process in self.peers.iter_mut().chain([&mut self.process]) {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

pub(crate) fn ownership_settings(name: &str, role: Role, partitions: u32) -> OwnershipSettings {
    let mut settings = OwnershipSettings::new(WorkerId::new(name).unwrap(), role, partitions);
    settings.ttl_ms = 2_000;
    settings.margin_ms = 300;
    settings.hand_over_after_ms = 500;
    settings
}

/// A worker's ownership and what it is told.
pub(crate) struct Worker {
    pub(crate) ownership: Ownership,
    pub(crate) changes: mpsc::Receiver<OwnershipChange>,
}

impl Worker {
    pub(crate) async fn start(broker: &BrokerSettings, settings: OwnershipSettings) -> Worker {
        let (ownership, changes) = Ownership::start(broker, settings).await.unwrap();
        Worker { ownership, changes }
    }

    pub(crate) async fn change(&mut self) -> OwnershipChange {
        let change = tokio::time::timeout(START_TIMEOUT, self.changes.recv()).await;
        change
            .expect("a change of ownership in time")
            .expect("the ownership lasts")
    }

    pub(crate) async fn gained(&mut self) -> Lease {
        match self.change().await {
            OwnershipChange::Gained(lease) => lease,
            other => panic!("expected a gain, got {other:?}"),
        }
    }
}

fn spawn(directory: &Path, port: Option<u16>, flags: &[&str]) -> (Child, u16) {
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
        .args(flags)
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

/// A ring of one key.
pub(crate) fn key_ring() -> KeyRing {
    KeyRing::parse(&key_line("test", &[1; 32])).unwrap()
}
