//! What all requests share.

use std::sync::Arc;

use hookrail_broker::{Broker, SnapshotReader};
use hookrail_domain::Millis;
use hookrail_domain::api_key::hash_key;
use hookrail_domain::ids::Id;
use hookrail_keyring::KeyRing;
use hookrail_outbound::OutboundClient;
use hookrail_runtime::{clock, ids};
use hookrail_store::Store;
use ipnet::IpNet;
use tokio::sync::{Notify, Semaphore};

use crate::request_rate::RequestRates;
use crate::settings::ConfigSettings;

/// Tokens whose last use is written at a time: that of the others is written at a later request.
const TOKEN_USES_AT_ONCE: usize = 1;

/// A day, milliseconds.
const DAY_MS: Millis = 24 * 3600 * 1000;

/// What all requests share. A cheap clone.
#[derive(Clone)]
pub(crate) struct ConfigState {
    /// The database.
    pub(crate) store: Store,
    /// The broker.
    pub(crate) broker: Broker,
    /// What seals the secrets that are stored.
    pub(crate) key_ring: KeyRing,
    /// For probes and tests.
    pub(crate) outbound: OutboundClient,
    /// The ingress's base URL, without a slash at its end.
    pub(crate) ingress_url: String,
    /// The hash of the setting's token, which is root whatever the database holds.
    pub(crate) root_token_hash: Option<[u8; 32]>,
    /// How many requests are taken.
    pub(crate) rates: Arc<RequestRates>,
    /// Who is believed about a client's address.
    pub(crate) trusted_proxies: Arc<[IpNet]>,
    /// How long the audit log is kept, milliseconds.
    pub(crate) audit_kept_ms: Millis,
    /// Wakes the publisher of the outbox.
    pub(crate) outbox_changed: Arc<Notify>,
    /// Lets one token's last use be written at a time.
    pub(crate) token_uses: Arc<Semaphore>,
    /// Whether SQLite files may be read.
    pub(crate) reads_sqlite_files: bool,
    /// The definitions in force, as all services see them.
    pub(crate) snapshots: SnapshotReader,
}

impl ConfigState {
    pub(crate) fn new(
        settings: &ConfigSettings,
        broker: Broker,
        store: Store,
        outbound: OutboundClient,
        snapshots: SnapshotReader,
    ) -> Self {
        Self {
            store,
            key_ring: broker.settings().key_ring.clone(),
            broker: broker.with_own_memory(),
            outbound,
            ingress_url: settings.ingress_url(),
            root_token_hash: settings
                .admin_token
                .as_ref()
                .map(|token| hash_key(token.expose())),
            rates: Arc::new(RequestRates::new(settings.api_rate)),
            trusted_proxies: settings.api_trusted_proxies.clone().into(),
            audit_kept_ms: Millis::from(settings.audit_retention_days) * DAY_MS,
            outbox_changed: Arc::new(Notify::new()),
            token_uses: Arc::new(Semaphore::new(TOKEN_USES_AT_ONCE)),
            reads_sqlite_files: settings.sync_sqlite_dir.is_some(),
            snapshots,
        }
    }
}

/// A new id of any kind.
pub(crate) fn new_id<T: Id>() -> T {
    T::from_parts(clock::now_ms(), ids::random_bits())
}
