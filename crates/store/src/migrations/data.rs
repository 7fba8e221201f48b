//! The tables of the data: what was processed, what came of it, and what the journal was told.
//!
//! No foreign keys between them: the journal's records may come before the rows that they are about.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// The steps, in order.
pub(super) fn steps() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(CreateData),
        Box::new(KeepBodyHashes),
        Box::new(CreateReplays),
        Box::new(ExpireKeys),
        Box::new(super::fetchers::NameFetchers),
    ]
}

struct CreateData;

impl MigrationName for CreateData {
    fn name(&self) -> &'static str {
        "0001_data"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateData {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &PROCESSING).await?;
        super::execute(manager, &DELIVERING).await?;
        super::execute(manager, &SOURCES).await
    }
}

/// Adds the hash of the first event's body to a key.
struct KeepBodyHashes;

impl MigrationName for KeepBodyHashes {
    fn name(&self) -> &'static str {
        "0002_event_key_body_hashes"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for KeepBodyHashes {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &["ALTER TABLE event_keys ADD COLUMN body_hash TEXT"]).await
    }
}

/// Adds replays, the trimming of dead letters by age, and the events that Hookrail makes itself.
struct CreateReplays;

impl MigrationName for CreateReplays {
    fn name(&self) -> &'static str {
        "0003_replays"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateReplays {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &REPLAYING).await
    }
}

/// Adds to a key when it may be forgotten: each source says how long its senders' ids are good.
struct ExpireKeys;

impl MigrationName for ExpireKeys {
    fn name(&self) -> &'static str {
        "0004_event_key_expiry"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ExpireKeys {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &EXPIRING).await
    }
}

/// What was remembered before was so for a day. A key of an older version is never forgotten: they are
/// few, and as small.
const EXPIRING: [&str; 3] = [
    "ALTER TABLE event_keys ADD COLUMN expires_at BIGINT",
    "UPDATE event_keys SET expires_at = seen_at + 86400000",
    "CREATE INDEX event_keys_by_expiry ON event_keys (expires_at)",
];

/// What processing an event writes.
const PROCESSING: [&str; 9] = [
    "CREATE TABLE partition_progress (
        partition BIGINT PRIMARY KEY, epoch BIGINT NOT NULL, sequence BIGINT NOT NULL)",
    "CREATE TABLE entities (
        workspace {key} NOT NULL, entity_type {key} NOT NULL, unique_id {key} NOT NULL,
        source {key}, title TEXT, fields TEXT NOT NULL, data TEXT NOT NULL,
        version_partition BIGINT NOT NULL, version_sequence BIGINT NOT NULL, version_at BIGINT NOT NULL,
        first_seen_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, last_event_id {key} NOT NULL,
        PRIMARY KEY (workspace, entity_type, unique_id))",
    "CREATE TABLE events (
        id {key} PRIMARY KEY, workspace {key} NOT NULL, source {key}, event_type TEXT NOT NULL,
        status {key} NOT NULL, error_code TEXT, error_detail TEXT, duplicate_of {key},
        accepted_at BIGINT NOT NULL, processed_at BIGINT NOT NULL,
        partition BIGINT NOT NULL, sequence BIGINT NOT NULL, revision BIGINT NOT NULL,
        content_type TEXT, size BIGINT NOT NULL, method TEXT NOT NULL, trace_id TEXT NOT NULL)",
    "CREATE INDEX events_by_workspace ON events (workspace, id)",
    "CREATE INDEX events_by_source ON events (source, status, id)",
    "CREATE INDEX events_by_status ON events (workspace, status, id)",
    "CREATE TABLE event_entities (
        event {key} NOT NULL, workspace {key} NOT NULL, entity_type {key} NOT NULL, unique_id {key} NOT NULL,
        change TEXT NOT NULL, PRIMARY KEY (event, entity_type, unique_id))",
    "CREATE INDEX event_entities_by_entity ON event_entities (workspace, entity_type, unique_id, event)",
    "CREATE TABLE event_keys (message_id {key} PRIMARY KEY, event {key} NOT NULL, seen_at BIGINT NOT NULL)",
];

/// What delivering writes.
const DELIVERING: [&str; 9] = [
    "CREATE TABLE deliveries (
        id {key} PRIMARY KEY, workspace {key} NOT NULL, event {key} NOT NULL, event_type TEXT NOT NULL,
        source {key}, destination {key} NOT NULL, route {key},
        entity_type {key}, unique_id {key}, entity_version TEXT,
        lane_key TEXT, lane {key} NOT NULL,
        origin_partition BIGINT NOT NULL, origin_sequence BIGINT NOT NULL, origin_index BIGINT NOT NULL,
        accepted_at BIGINT NOT NULL, replay {key},
        status {key} NOT NULL, generation BIGINT NOT NULL, rank BIGINT NOT NULL, epoch BIGINT NOT NULL,
        attempts BIGINT NOT NULL, next_at BIGINT, settled_at BIGINT, error_code TEXT, error_detail TEXT)",
    "CREATE INDEX deliveries_by_workspace ON deliveries (workspace, id)",
    "CREATE INDEX deliveries_by_event ON deliveries (event, id)",
    "CREATE INDEX deliveries_by_destination ON deliveries (destination, status, id)",
    "CREATE INDEX deliveries_by_source ON deliveries (source, id)",
    "CREATE INDEX deliveries_by_lane ON deliveries (destination, lane, id)",
    "CREATE INDEX deliveries_by_status ON deliveries (workspace, status, id)",
    "CREATE TABLE attempts (
        delivery {key} NOT NULL, epoch BIGINT NOT NULL, number BIGINT NOT NULL,
        started_at BIGINT NOT NULL, duration_ms BIGINT NOT NULL, method TEXT NOT NULL, url TEXT NOT NULL,
        request_headers TEXT NOT NULL, status BIGINT, response_headers TEXT NOT NULL,
        response_body {bytes} NOT NULL, error_code TEXT, error_detail TEXT,
        PRIMARY KEY (delivery, epoch, number))",
    "CREATE TABLE dead_letters (
        delivery {key} PRIMARY KEY, workspace {key} NOT NULL, destination {key} NOT NULL,
        died_at BIGINT NOT NULL, content_type TEXT, body {bytes}, body_object TEXT, size BIGINT NOT NULL,
        revision BIGINT NOT NULL, traceparent TEXT NOT NULL)",
];

/// What replaying writes, and what dying and disabling tell others.
const REPLAYING: [&str; 8] = [
    "CREATE TABLE replays (
        id {key} PRIMARY KEY, workspace {key} NOT NULL, what TEXT NOT NULL, selection TEXT NOT NULL,
        status {key} NOT NULL, shard BIGINT NOT NULL, epoch BIGINT NOT NULL, stalls BIGINT NOT NULL,
        selected BIGINT NOT NULL, selected_to {key}, total BIGINT,
        replayed BIGINT NOT NULL, skipped BIGINT NOT NULL, reasons TEXT NOT NULL, error TEXT,
        created_at BIGINT NOT NULL, started_at BIGINT, finished_at BIGINT, swept BIGINT NOT NULL)",
    "CREATE INDEX replays_by_workspace ON replays (workspace, id)",
    "CREATE INDEX replays_by_shard ON replays (shard, swept, id)",
    "CREATE TABLE replay_items (
        replay {key} NOT NULL, partition BIGINT NOT NULL, sequence BIGINT NOT NULL, place BIGINT NOT NULL,
        item {key} NOT NULL, accepted_at BIGINT NOT NULL, PRIMARY KEY (replay, partition, sequence, place, item))",
    "ALTER TABLE deliveries ADD COLUMN replayed_by {key}",
    "ALTER TABLE deliveries ADD COLUMN replayed_as {key}",
    "CREATE INDEX dead_letters_by_age ON dead_letters (destination, died_at)",
    "CREATE TABLE internal_events (
        id {key} PRIMARY KEY, workspace {key} NOT NULL, event_type TEXT NOT NULL, ordering_key TEXT NOT NULL,
        data TEXT NOT NULL, at BIGINT NOT NULL)",
];

/// What is known of a source besides its definition.
const SOURCES: [&str; 6] = [
    "CREATE TABLE source_counters (
        source {key} PRIMARY KEY, processed BIGINT NOT NULL, filtered BIGINT NOT NULL,
        failed BIGINT NOT NULL, duplicate BIGINT NOT NULL, last_event_at BIGINT NOT NULL)",
    "CREATE TABLE source_refusals (
        source {key} NOT NULL, code {key} NOT NULL, refused BIGINT NOT NULL, PRIMARY KEY (source, code))",
    "CREATE TABLE refusal_records (
        instance {key} NOT NULL, number BIGINT NOT NULL, counted_at BIGINT NOT NULL,
        PRIMARY KEY (instance, number))",
    "CREATE TABLE rejections (
        source {key} NOT NULL, journal_sequence BIGINT NOT NULL, workspace {key} NOT NULL, at BIGINT NOT NULL,
        code TEXT NOT NULL, detail TEXT NOT NULL, remote_addr TEXT, method TEXT NOT NULL,
        headers TEXT NOT NULL, PRIMARY KEY (source, journal_sequence))",
    "CREATE INDEX rejections_by_time ON rejections (source, at, journal_sequence)",
    "CREATE TABLE source_warnings (
        source {key} NOT NULL, code {key} NOT NULL, field {key} NOT NULL, path TEXT NOT NULL,
        event {key} NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (source, code, field))",
];
