//! The connection to NATS that everything else of this crate works through.
//!
//! It reconnects by itself for ever; whoever depends on what was in flight compares
//! [`Broker::connects`] before and after.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use tokio::sync::watch;

use crate::error::BrokerError;
use crate::names::Names;
use crate::objects::MemoryForBodies;
use crate::publish::Publisher;
use crate::settings::BrokerSettings;

/// How many publishes may wait for their acknowledgement at once on one connection; further ones
/// wait for a place.
const PUBLISHES_IN_FLIGHT_MAX: usize = 8_192;

/// How often the connection is checked; a dead one is noticed after two.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// The longest pause between two tries to reconnect.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// What is kept of a message besides its body when the largest inline body is worked out: headers,
/// subject and envelope. A message one header over the server's limit resets the connection.
const MESSAGE_OVERHEAD_BYTES: usize = 64 * 1024;

/// The largest message that is sent, whatever the server allows. No body makes one that large; what an
/// older version put into the queues may be.
const MESSAGE_MAX_BYTES: usize = 2 * 1024 * 1024;

/// The largest message that is made for a body: a larger one would hold up those behind it.
const INLINE_MESSAGE_MAX_BYTES: usize = 1024 * 1024;

/// One connection to NATS, with the names and settings of the installation. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
    memory_for_bodies: MemoryForBodies,
}

struct Inner {
    client: Client,
    jetstream: jetstream::Context,
    names: Names,
    settings: BrokerSettings,
    connects: watch::Receiver<u64>,
}

impl Broker {
    /// Connects; `connection_name` is what the server shows for it.
    ///
    /// Must be called on the runtime that will use it. Fails if no server answers now.
    pub async fn connect(settings: &BrokerSettings, connection_name: &str) -> Result<Broker, BrokerError> {
        let problems = settings.problems();
        if !problems.is_empty() {
            return Err(BrokerError::Settings(problems.join("; ")));
        }
        let (connects_sender, connects) = watch::channel(0);
        let options = connect_options(settings, connection_name, connects_sender).await?;
        let client = options
            .connect(settings.urls.as_slice())
            .await
            .map_err(|error| BrokerError::Connect(error.to_string()))?;
        let jetstream = jetstream_context(&client, settings);
        Ok(Broker {
            inner: Arc::new(Inner {
                client,
                jetstream,
                names: Names::new(&settings.prefix),
                settings: settings.clone(),
                connects,
            }),
            memory_for_bodies: MemoryForBodies::new(settings.large_memory_bytes),
        })
    }

    /// The same connection for another service, with memory for large bodies of its own: services that
    /// shared it could wait for each other.
    pub fn with_own_memory(&self) -> Broker {
        Broker {
            inner: Arc::clone(&self.inner),
            memory_for_bodies: MemoryForBodies::new(self.settings().large_memory_bytes),
        }
    }

    /// Whether there is a connection at this moment.
    pub fn is_connected(&self) -> bool {
        self.inner.client.connection_state() == async_nats::connection::State::Connected
    }

    /// The installation's names.
    pub fn names(&self) -> &Names {
        &self.inner.names
    }

    /// The settings that it was connected with.
    pub fn settings(&self) -> &BrokerSettings {
        &self.inner.settings
    }

    /// The largest envelope and body together that travel inside a message; larger bodies belong
    /// in the object store.
    pub fn max_inline_bytes(&self) -> usize {
        let message = self.message_max_bytes().min(INLINE_MESSAGE_MAX_BYTES);
        message - MESSAGE_OVERHEAD_BYTES.min(message / 2)
    }

    /// A publisher on this connection.
    pub fn publisher(&self) -> Publisher {
        Publisher::new(self.clone())
    }

    /// The largest payload with headers that is sent.
    pub(crate) fn message_max_bytes(&self) -> usize {
        self.inner.client.max_payload().min(MESSAGE_MAX_BYTES)
    }

    /// How often this connection was made. A change means that messages may have been lost on the
    /// way between server and client.
    pub(crate) fn connects(&self) -> watch::Receiver<u64> {
        self.inner.connects.clone()
    }

    pub(crate) fn memory_for_bodies(&self) -> &MemoryForBodies {
        &self.memory_for_bodies
    }

    pub(crate) fn client(&self) -> &Client {
        &self.inner.client
    }

    pub(crate) fn jetstream(&self) -> &jetstream::Context {
        &self.inner.jetstream
    }

    /// The subject of a JetStream management request.
    pub(crate) fn api_subject(&self, request: &str) -> String {
        match &self.inner.settings.domain {
            Some(domain) => format!("$JS.{domain}.API.{request}"),
            None => format!("$JS.API.{request}"),
        }
    }

    /// Sends what is buffered and closes the connection.
    pub async fn close(&self) {
        if let Err(error) = self.inner.client.drain().await {
            tracing::debug!(%error, "the NATS connection was closed already");
        }
    }
}

fn jetstream_context(client: &Client, settings: &BrokerSettings) -> jetstream::Context {
    let builder = jetstream::context::ContextBuilder::new()
        .timeout(settings.request_timeout())
        .max_ack_inflight(PUBLISHES_IN_FLIGHT_MAX)
        .ack_timeout(Duration::from_millis(settings.publish_attempt_timeout_ms));
    match &settings.domain {
        Some(domain) => builder.domain(domain).build(client.clone()),
        None => builder.build(client.clone()),
    }
}

async fn connect_options(
    settings: &BrokerSettings,
    connection_name: &str,
    connects: watch::Sender<u64>,
) -> Result<ConnectOptions, BrokerError> {
    let name = connection_name.to_owned();
    let mut options = ConnectOptions::new()
        .name(connection_name)
        .ping_interval(PING_INTERVAL)
        .request_timeout(Some(settings.request_timeout()))
        .require_tls(settings.tls_required)
        .reconnect_delay_callback(reconnect_pause)
        .event_callback(move |event| {
            note_event(&name, &event, &connects);
            std::future::ready(())
        });
    options = with_url_credentials(options, settings)?;
    if let Some(path) = &settings.tls_ca_file {
        options = options.add_root_certificates(path.clone());
    }
    if let (Some(certificate), Some(key)) = (&settings.tls_certificate_file, &settings.tls_key_file) {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    if let Some(path) = &settings.credentials_file {
        let credentials = read_secret("credentials_file", path).await?;
        options = options
            .credentials(&credentials)
            .map_err(|error| BrokerError::Settings(format!("credentials_file: {error}")))?;
    }
    if let Some(path) = &settings.nkey_seed_file {
        let seed = read_secret("nkey_seed_file", path).await?;
        options = options.nkey(seed.trim().to_owned());
    }
    Ok(options)
}

/// A URL's `user:password@` or `token@`, which the client library reads and leaves unused.
fn with_url_credentials(
    options: ConnectOptions,
    settings: &BrokerSettings,
) -> Result<ConnectOptions, BrokerError> {
    for url in &settings.urls {
        let address: ServerAddr = url
            .parse()
            .map_err(|_| BrokerError::Settings("urls: not a NATS URL".to_owned()))?;
        match (address.username(), address.password()) {
            (Some(user), Some(password)) => {
                return Ok(options.user_and_password(user.to_owned(), password.to_owned()));
            }
            (Some(token), None) => return Ok(options.token(token.to_owned())),
            (None, _) => {}
        }
    }
    Ok(options)
}

async fn read_secret(setting: &str, path: &Path) -> Result<String, BrokerError> {
    tokio::fs::read_to_string(path)
        .await
        .map_err(|error| BrokerError::Settings(format!("{setting}: {}: {error}", path.display())))
}

fn reconnect_pause(attempts: usize) -> Duration {
    let pause = Duration::from_millis(50).saturating_mul(u32::try_from(attempts).unwrap_or(u32::MAX));
    pause.min(RECONNECT_PAUSE_MAX)
}

fn note_event(connection_name: &str, event: &Event, connects: &watch::Sender<u64>) {
    match event {
        Event::Connected => {
            connects.send_modify(|count| *count += 1);
            tracing::info!(connection = connection_name, "connected to NATS");
        }
        Event::Disconnected | Event::Closed | Event::LameDuckMode => {
            tracing::warn!(connection = connection_name, %event, "NATS connection");
        }
        other => tracing::debug!(connection = connection_name, event = %other, "NATS connection"),
    }
}
