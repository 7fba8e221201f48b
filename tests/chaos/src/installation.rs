//! A broker with the definitions of a proof in force, as the config service would put them there.

use std::path::Path;

use anyhow::Context as _;
use hookrail_broker::{Broker, BrokerSettings, StreamLimits};
use hookrail_domain::{
    destination::{Destination, DestinationSpec, RetryPolicy, Signing},
    ids::{DestinationId, WorkspaceId},
    snapshot::{Definition, Entry, Key},
};
use hookrail_harness::{NatsServer, start_nats_servers};

const MIB: i64 = 1024 * 1024;

/// How large a proof's installation is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) partitions: u32,
    /// Copies of each stream, and nats-servers.
    pub(crate) replicas: usize,
    /// Largest size of a delivery partition, of a parked stream, and of the journal, MiB.
    pub(crate) stream_mib: i64,
}

/// A broker, and where it keeps its files.
pub(crate) struct Installation {
    pub(crate) nats: Vec<NatsServer>,
    pub(crate) broker: Broker,
    settings: BrokerSettings,
    /// The revision of the last definition.
    pub(crate) revision: u64,
    folder: tempfile::TempDir,
}

impl Installation {
    /// Starts the broker and makes its streams.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn start(size: Size) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let nats = start_nats_servers(folder.path(), size.replicas).await?;
        let settings = BrokerSettings {
            urls: nats.iter().map(NatsServer::url).collect(),
            partitions: size.partitions,
            replicas: size.replicas,
            limits: limits(size.stream_mib),
            key_ring: hookrail_harness::key_ring(),
            ..BrokerSettings::default()
        };
        let broker = Broker::connect(&settings, "proof").await?;
        broker.ensure_topology().await.context("the streams")?;
        broker.create_install("proof").await?;
        Ok(Self {
            nats,
            broker,
            settings,
            revision: 0,
            folder,
        })
    }

    /// Puts a destination in force.
    ///
    /// # Errors
    /// When the broker does not take it.
    pub(crate) async fn define(
        &mut self,
        number: u32,
        url: &str,
        spec: DestinationSpec,
    ) -> anyhow::Result<DestinationId> {
        let id = DestinationId::from_u128(u128::from(number) + 1);
        let spec = DestinationSpec {
            name: format!("to {number}"),
            url: format!("{url}/{number}"),
            ..spec
        };
        let destination = Destination {
            id,
            workspace: workspace(),
            spec,
        };
        self.revision += 1;
        let entry = Entry {
            revision: self.revision,
            key: Key::Destination(id),
            definition: Some(Definition::Destination(Box::new(destination))),
        };
        self.broker.publish_entry(&entry).await?;
        Ok(id)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What a service needs to work with this broker.
    pub(crate) fn flags(&self) -> Vec<String> {
        let limits = &self.settings.limits;
        let flags: [(&str, String); 8] = [
            ("--nats-url", self.settings.urls.join(",")),
            ("--partitions", self.settings.partitions.to_string()),
            ("--replicas", self.settings.replicas.to_string()),
            ("--stream-raw-max-bytes", limits.raw_max_bytes.to_string()),
            (
                "--stream-delivery-max-bytes",
                limits.delivery_max_bytes.to_string(),
            ),
            ("--stream-parked-max-bytes", limits.parked_max_bytes.to_string()),
            ("--stream-dead-max-bytes", limits.dead_max_bytes.to_string()),
            ("--stream-journal-max-bytes", limits.journal_max_bytes.to_string()),
        ];
        flags
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect()
    }
}

/// The server reserves what streams may hold, so nothing is larger than its proof needs.
fn limits(stream_mib: i64) -> StreamLimits {
    let most = stream_mib * MIB;
    StreamLimits {
        raw_max_bytes: 2 * MIB,
        delivery_max_bytes: most,
        parked_max_bytes: most,
        dead_max_bytes: 64 * MIB,
        journal_max_bytes: most,
        ..StreamLimits::default()
    }
}

/// The workspace of all definitions.
pub(crate) fn workspace() -> WorkspaceId {
    WorkspaceId::from_u128(1)
}

/// A destination whose requests aren't signed, and that retries soon and for ever: the first wait and the
/// longest, milliseconds.
pub(crate) fn unsigned(initial_ms: u64, max_ms: u64) -> DestinationSpec {
    DestinationSpec {
        signing: Signing::None,
        retry: retry(initial_ms, max_ms),
        ..DestinationSpec::default()
    }
}

fn retry(initial_ms: u64, max_ms: u64) -> RetryPolicy {
    RetryPolicy {
        initial_ms,
        multiplier: 2.0,
        max_ms,
        jitter: 0.2,
        give_up_after_ms: None,
        max_attempts: None,
        permanent_statuses: Vec::new(),
    }
}
