//! Gives each service what it needs: a connected broker, store and HTTP client. Starting one alone is
//! [`crate::single`]'s work, all of them [`crate::up`]'s.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use hookrail_broker::{Broker, BrokerError, BrokerSettings};
use hookrail_outbound::{AddressPolicy, OutboundClient, OutboundLimits, OutboundProxy};
use hookrail_runtime::{Readiness, Secret, SettingsError};
use hookrail_store::{Store, StoreError};
use ipnet::IpNet;

use crate::install;

/// Pause between two tries to reach NATS or the database.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Connects to NATS, checks that it is this installation's, and makes sure that all streams are there.
///
/// # Errors
/// Wrong settings, or streams that contradict them. While no server answers it is tried again.
pub(crate) async fn connect_broker(
    settings: &BrokerSettings,
    service: &str,
    readiness: &Readiness,
) -> anyhow::Result<Broker> {
    let name = format!("hookrail {service}");
    let broker = until_reached(
        "NATS",
        readiness,
        || Broker::connect(settings, &name),
        |error| matches!(error, BrokerError::Connect(_)),
    );
    let broker = broker.await.map_err(wrong_settings)?;
    broker.ensure_topology().await.map_err(wrong_settings)?;
    Ok(broker)
}

/// Connects to the database, brings its tables up to date, and checks that it and the broker belong together.
///
/// # Errors
/// Wrong settings, or a broker and a database of different installations. While the database doesn't answer it is
/// tried again.
pub(crate) async fn connect_store(
    url: &Secret,
    broker: &Broker,
    readiness: &Readiness,
) -> anyhow::Result<Store> {
    let store = until_reached(
        "the database",
        readiness,
        || Box::pin(Store::connect(url.expose())),
        |error: &StoreError| !error.is_wrong_setting(),
    );
    let store = store
        .await
        .map_err(|error| SettingsError::invalid("database-url", error.to_string()))?;
    store.migrate().await?;
    install::match_up(broker, &store).await?;
    Ok(store)
}

/// The one HTTP client, which connects to public addresses and to `allowed` networks only, through the
/// installation's proxy where there is one.
///
/// # Errors
/// When TLS can't be set up.
pub(crate) fn outbound_client(
    allowed: Vec<IpNet>,
    proxy: Option<OutboundProxy>,
) -> anyhow::Result<OutboundClient> {
    let (policy, limits) = (AddressPolicy::new(allowed), OutboundLimits::default());
    Ok(OutboundClient::with_proxy(policy, limits, proxy)?)
}

/// What the broker says of settings ends the process as wrong settings do.
pub(crate) fn wrong_settings(error: BrokerError) -> anyhow::Error {
    match &error {
        BrokerError::Settings(_) => SettingsError::invalid("nats-url", error.to_string()).into(),
        BrokerError::Install { setting, .. } => {
            let flag = match *setting {
                "prefix" => "nats-prefix",
                other => other,
            };
            SettingsError::invalid(flag, error.to_string()).into()
        }
        _ => error.into(),
    }
}

/// Tries until it works, or fails in a way that trying again won't mend.
async fn until_reached<T, E: Display, R: Future<Output = Result<T, E>>>(
    what: &str,
    readiness: &Readiness,
    attempt: impl Fn() -> R,
    is_worth_retrying: impl Fn(&E) -> bool,
) -> Result<T, E> {
    loop {
        match attempt().await {
            Err(error) if is_worth_retrying(&error) => {
                tracing::warn!(%error, "can't reach {what} yet");
                readiness.not_ready(format!("can't reach {what}"));
            }
            ended => return ended,
        }
        tokio::time::sleep(RETRY_EVERY).await;
    }
}
