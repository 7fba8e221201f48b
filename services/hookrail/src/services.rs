//! Gives each service what it needs and starts it. The only file that knows all four.

use std::net::TcpListener;

use anyhow::Context as _;
use hookrail_broker::{Broker, BrokerSettings};
use hookrail_config::ConfigSettings;
use hookrail_outbound::{AddressPolicy, OutboundClient, OutboundLimits};
use hookrail_runtime::{Secret, ServiceContext, clock};
use hookrail_store::Store;
use ipnet::IpNet;

use crate::install;

/// Connects to NATS and makes sure that all streams are there as the settings say.
///
/// # Errors
/// When NATS can't be reached, or holds streams that contradict the settings.
pub(crate) async fn connect_broker(
    settings: &BrokerSettings,
    service: &str,
) -> anyhow::Result<Broker> {
    let broker = Broker::connect(settings, &format!("hookrail {service}")).await?;
    broker.ensure_topology().await?;
    Ok(broker)
}

/// Connects to the database, brings its tables up to date, and checks that it and the broker belong together.
///
/// # Errors
/// When the database can't be used, or it and the broker are not of one installation.
pub(crate) async fn connect_store(url: &Secret, broker: &Broker) -> anyhow::Result<Store> {
    let store = Store::connect(url.expose())
        .await
        .context("can't use the database (setting --database-url)")?;
    install::match_up(broker, &store).await?;
    Ok(store)
}

/// The one HTTP client, which connects to public addresses and to `allowed` networks only.
///
/// # Errors
/// When TLS can't be set up.
pub(crate) fn outbound_client(allowed: Vec<IpNet>) -> anyhow::Result<OutboundClient> {
    Ok(OutboundClient::new(
        AddressPolicy::new(allowed),
        OutboundLimits::default(),
    )?)
}
