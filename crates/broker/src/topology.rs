//! Creates the streams, buckets and shared consumers, and checks those that exist.
//!
//! Safe to run by many services at once and at every start. Nothing is ever deleted, and nothing
//! is changed but limits.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::Config;
use futures::{StreamExt, TryStreamExt};

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::stream_plan::{StreamCheck, StreamPlan, all_streams, check_stream};

/// How many streams are created or checked at once.
const STREAMS_AT_ONCE: usize = 8;

/// How long a writer of the journal has for a batch before another gets it. Less than a partition takes to
/// be taken over from an owner that died: its successor waits for what that had not written yet. Writing a
/// record twice changes nothing.
const JOURNAL_ACK_WAIT: Duration = Duration::from_secs(8);

/// How much the writers of the journal together may hold unacknowledged.
const JOURNAL_ACK_PENDING_MAX: i64 = 4_000;

impl Broker {
    /// Creates what is missing, updates limits that changed, and refuses what contradicts the
    /// settings ([`BrokerError::Topology`] names the stream and the setting).
    pub async fn ensure_topology(&self) -> Result<(), BrokerError> {
        if let Some(found) = self.install_if_there().await? {
            self.check_install(&found)?;
        }
        let plans = all_streams(self.names(), self.settings());
        futures::stream::iter(plans)
            .map(|plan| self.ensure_stream(plan))
            .buffer_unordered(STREAMS_AT_ONCE)
            .try_collect::<()>()
            .await
    }

    /// The installation's record, also before its bucket exists.
    async fn install_if_there(&self) -> Result<Option<crate::Install>, BrokerError> {
        let stream = crate::Names::bucket_stream(&self.names().config_bucket());
        match self.found_config(&stream).await? {
            Some(_) => self.install().await,
            None => Ok(None),
        }
    }

    async fn ensure_stream(&self, plan: StreamPlan) -> Result<(), BrokerError> {
        let name = &plan.config.name;
        let found = match self.found_config(name).await? {
            Some(found) => found,
            None => self.create_or_find(&plan.config).await?,
        };
        match check_stream(&found, &plan.config) {
            StreamCheck::Good => {}
            StreamCheck::Update => self.update_limits(&plan.config).await?,
            StreamCheck::Refuse((setting, found, wanted)) => {
                return Err(BrokerError::Topology {
                    stream: name.clone(),
                    setting,
                    found,
                    wanted,
                });
            }
        }
        match plan.consumer {
            Some(consumer) => self.ensure_shared_consumer(name, consumer).await,
            None => Ok(()),
        }
    }

    async fn found_config(&self, name: &str) -> Result<Option<Config>, BrokerError> {
        match self.jetstream().get_stream(name).await {
            Ok(stream) => Ok(Some(stream.cached_info().config.clone())),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(reason)
                    if reason.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    Ok(None)
                }
                _ => Err(BrokerError::request(format!("looking for stream {name}"), error)),
            },
        }
    }

    /// Creates a stream. Another start may be faster, with other settings even.
    async fn create_or_find(&self, config: &Config) -> Result<Config, BrokerError> {
        let name = &config.name;
        match self.jetstream().create_stream(config.clone()).await {
            Ok(stream) => Ok(stream.cached_info().config.clone()),
            Err(error) => {
                if let CreateStreamErrorKind::JetStream(reason) = error.kind()
                    && reason.error_code() == ErrorCode::STREAM_NAME_EXIST
                    && let Some(found) = self.found_config(name).await?
                {
                    return Ok(found);
                }
                let size = config.max_bytes;
                Err(BrokerError::request(
                    format!("creating stream {name} of at most {size} bytes (--stream-…-max-bytes)"),
                    error,
                ))
            }
        }
    }

    async fn update_limits(&self, config: &Config) -> Result<(), BrokerError> {
        tracing::info!(stream = config.name, "the stream's limits changed");
        self.jetstream()
            .update_stream(config)
            .await
            .map(|_| ())
            .map_err(|error| BrokerError::request(format!("updating stream {}", config.name), error))
    }

    async fn ensure_shared_consumer(&self, stream: &str, name: &str) -> Result<(), BrokerError> {
        let config = pull::Config {
            durable_name: Some(name.to_owned()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: JOURNAL_ACK_WAIT,
            max_ack_pending: JOURNAL_ACK_PENDING_MAX,
            max_deliver: -1,
            ..pull::Config::default()
        };
        self.jetstream()
            .create_consumer_on_stream(config, stream)
            .await
            .map(|_| ())
            .map_err(|error| BrokerError::request(format!("creating consumer {name} of {stream}"), error))
    }
}
