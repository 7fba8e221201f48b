//! Trimming the journal, by the same tests on SQLite and PostgreSQL: what is owed never goes, and what is
//! old goes in small steps.
#![allow(clippy::unwrap_used, reason = "tests")]

mod databases;

use std::collections::BTreeSet;

use databases::each_database;
use hookrail_domain::{
    delivery::DeliveryStatus,
    event::{Body, Event, EventStatus, Origin},
    ids::{DeliveryId, DestinationId, EventId, Id, ReplayId, SourceId, WorkspaceId},
    journal::{DeliveryFacts, StateRecord},
};
use hookrail_store::{
    Store, deliveries,
    events::{self, EventWrite},
    replays,
    sea_orm::{ConnectionTrait, Statement},
    size, source_refusals,
    trim::{self, Owner, Page, leftovers, workspaces},
};

const SOURCE: SourceId = SourceId::from_u128(7);
const OTHER: SourceId = SourceId::from_u128(8);
const DONE: ReplayId = ReplayId::from_u128(21);
const OPEN: ReplayId = ReplayId::from_u128(22);
/// What is settled before this is old.
const OLD: i64 = 1_000_000;
/// The sequence up to which partition 0 is committed; nobody took partition 1.
const COMMITTED: u64 = 50;

async fn execute(store: &Store, sql: &str) {
    let transaction = store.write().await.unwrap();
    transaction.execute_unprepared(sql).await.unwrap();
    if !size::is_exact(store) {
        // The server's statistics of these rows at once, not within seconds.
        let now = "SELECT pg_stat_force_next_flush()";
        transaction.execute_unprepared(now).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

async fn ids(store: &Store, sql: &str) -> BTreeSet<String> {
    let statement = Statement::from_string(store.backend(), sql);
    let rows = store.reader().query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get("", "id").unwrap()).collect()
}

async fn count(store: &Store, table: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) AS n FROM {table}");
    let statement = Statement::from_string(store.backend(), sql);
    let row = store.reader().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get("", "n").unwrap()
}

/// A delivery, and what decides whether it may go.
#[derive(Debug, Clone)]
struct Case {
    status: DeliveryStatus,
    settled_at: Option<i64>,
    has_letter: bool,
    origin: (u32, u64),
    replay: Option<ReplayId>,
}

impl Case {
    /// Every combination.
    fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for status in [
            DeliveryStatus::Pending,
            DeliveryStatus::Parked,
            DeliveryStatus::Delivered,
            DeliveryStatus::Dead,
            DeliveryStatus::Cancelled,
        ] {
            for settled_at in [None, Some(OLD - 1), Some(OLD)] {
                for has_letter in [false, true] {
                    for origin in [(0, COMMITTED), (0, COMMITTED + 1), (1, 0)] {
                        for replay in [None, Some(DONE), Some(OPEN)] {
                            cases.push(Self {
                                status,
                                settled_at,
                                has_letter,
                                origin,
                                replay,
                            });
                        }
                    }
                }
            }
        }
        cases
    }

    /// The rule, said once more and plainly.
    fn may_go(&self) -> bool {
        let is_owed = match self.status {
            DeliveryStatus::Pending | DeliveryStatus::Parked => true,
            DeliveryStatus::Dead => self.has_letter,
            DeliveryStatus::Delivered | DeliveryStatus::Cancelled => false,
        };
        !is_owed && self.settled_at != Some(OLD) && self.origin == (0, COMMITTED) && self.replay != Some(OPEN)
    }

    fn record(&self, number: u128, source: Option<SourceId>) -> StateRecord {
        StateRecord {
            delivery: DeliveryFacts {
                id: delivery_id(number),
                event: event_id(number),
                event_type: "webhook.received".into(),
                workspace: WorkspaceId::from_u128(1),
                source,
                destination: DestinationId::from_u128(5),
                fetcher: None,
                route: None,
                entity: None,
                lane_key: None,
                origin: Origin {
                    partition: self.origin.0,
                    sequence: self.origin.1,
                    index: 0,
                },
                accepted_at: 1_000,
                replay: self.replay,
            },
            status: self.status,
            epoch: 1,
            attempts: 1,
            next_at: None,
            settled_at: self.settled_at,
            failure: None,
            generation: 0,
            attempt: None,
        }
    }
}

const DELIVERED: Case = Case {
    status: DeliveryStatus::Delivered,
    settled_at: Some(1),
    has_letter: false,
    origin: (0, 1),
    replay: None,
};

fn delivery_id(number: u128) -> DeliveryId {
    DeliveryId::from_parts(1_000, number)
}

fn event_id(number: u128) -> EventId {
    EventId::from_parts(1_000, number)
}

/// What is committed, and which replays there are.
async fn prepare(store: &Store) {
    let progress = format!("INSERT INTO partition_progress VALUES (0, 1, {COMMITTED})");
    execute(store, &progress).await;
    for (replay, swept) in [(DONE, 1), (OPEN, 0)] {
        let mut row = replays::NewReplay {
            id: replay,
            workspace: "w",
            what: "deliveries",
            selection: "{}",
            shard: 0,
            at: 1,
        }
        .row();
        (row.swept, row.finished_at) = (swept, Some(OLD - 1));
        let transaction = store.write().await.unwrap();
        replays::insert(&*transaction, &row).await.unwrap();
        transaction.commit().await.unwrap();
    }
}

async fn insert_delivery(store: &Store, number: u128, case: &Case, source: Option<SourceId>) {
    let transaction = store.write().await.unwrap();
    deliveries::raise(&*transaction, &[case.record(number, source)])
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let id = delivery_id(number);
    let attempt = format!(
        "INSERT INTO attempts VALUES ('{id}', 1, 1, 1, 1, 'POST', 'u', '[]', 200, '[]', {}, NULL, NULL)",
        empty_bytes(store)
    );
    execute(store, &attempt).await;
    if case.has_letter {
        let letter = format!(
            "INSERT INTO dead_letters (delivery, workspace, destination, died_at, size, revision, traceparent) \
                 VALUES ('{id}', 'w', 'd', 1, 1, 1, '')"
        );
        execute(store, &letter).await;
    }
}

fn empty_bytes(store: &Store) -> &'static str {
    match size::is_exact(store) {
        true => "x''",
        false => "''::bytea",
    }
}

async fn insert_event(store: &Store, number: u128, source: Option<SourceId>, size: usize, processed_at: i64) {
    let event = Event {
        id: event_id(number),
        workspace: WorkspaceId::from_u128(1),
        source,
        event_type: "webhook.received".into(),
        revision: 4,
        accepted_at: 1_000,
        method: "POST".into(),
        query: vec![],
        headers: vec![],
        content_type: Some("application/json".into()),
        body: Body::inline(vec![b'x'; size]),
        remote_addr: None,
        credential: None,
        ordering_key: None,
        dedupe_key: None,
        idempotency_key: None,
        current_context: None,
        traceparent: "00-aaaa-bb-01".into(),
        reply: None,
        internal: false,
    };
    let write = EventWrite {
        event: &event,
        partition: 0,
        sequence: 1,
        status: EventStatus::Processed,
        error: None,
        duplicate_of: None,
        processed_at,
    };
    let transaction = store.write().await.unwrap();
    events::insert(&*transaction, &[write]).await.unwrap();
    transaction.commit().await.unwrap();
    let about = format!(
        "INSERT INTO event_entities VALUES ('{}', 'w', 'customer', '42', 'created')",
        event.id
    );
    execute(store, &about).await;
}

fn page(owner: Owner, end: String) -> Page {
    Page {
        owner,
        after: None,
        end,
        settled_before: OLD,
        most: 7,
    }
}

/// Goes through all pages of deliveries; gives how many went in the largest step.
async fn trim_deliveries(store: &Store, owner: Owner) -> u64 {
    let mut page = page(owner, DeliveryId::from_parts(OLD, 0).to_string());
    let mut largest = 0;
    loop {
        let seen = trim::deliveries::look_at(store.reader(), &page).await.unwrap();
        let transaction = store.write().await.unwrap();
        let gone = trim::deliveries::go(&*transaction, &seen.may_go, page.settled_before).await;
        let gone = gone.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(gone.deliveries, gone.attempts, "one attempt each");
        largest = largest.max(gone.deliveries);
        if seen.last.is_none() {
            return largest;
        }
        page.after = seen.last;
    }
}

async fn trim_events(store: &Store, owner: Owner, status: Option<&str>) {
    let mut page = page(owner, EventId::from_parts(OLD, 0).to_string());
    loop {
        let seen = trim::events::look_at(store.reader(), &page, status)
            .await
            .unwrap();
        let transaction = store.write().await.unwrap();
        let gone = trim::events::go(&*transaction, &seen.may_go, page.settled_before)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(gone.events, gone.about, "one entity each");
        if seen.last.is_none() {
            return;
        }
        page.after = seen.last;
    }
}

#[tokio::test]
async fn only_settled_deliveries_go_that_nobody_may_still_ask_or_tell_of() {
    each_database(async |store| {
        prepare(&store).await;
        let cases = Case::all();
        for (number, case) in (0..).zip(&cases) {
            insert_delivery(&store, number, case, None).await;
        }
        let largest = trim_deliveries(&store, Owner::Any).await;
        let left = ids(&store, "SELECT id FROM deliveries").await;
        for (number, case) in (0..).zip(&cases) {
            let is_left = left.contains(&delivery_id(number).to_string());
            assert_eq!(is_left, !case.may_go(), "{case:?}");
        }
        assert!(
            (1..=7).contains(&largest),
            "at most a page in one transaction: {largest}"
        );
        assert_eq!(ids(&store, "SELECT delivery AS id FROM attempts").await, left);
        let letters = ids(&store, "SELECT delivery AS id FROM dead_letters").await;
        assert!(letters.is_subset(&left), "a letter of what is gone is gone");
    })
    .await;
}

#[tokio::test]
async fn what_changed_since_it_was_seen_stays() {
    each_database(async |store| {
        prepare(&store).await;
        let dead = Case {
            status: DeliveryStatus::Dead,
            ..DELIVERED
        };
        for (number, case) in (0..).zip([&DELIVERED, &dead]) {
            insert_delivery(&store, number, case, None).await;
        }
        let end = DeliveryId::from_parts(OLD, 0).to_string();
        let seen = trim::deliveries::look_at(store.reader(), &page(Owner::Any, end))
            .await
            .unwrap();
        assert_eq!(seen.may_go.len(), 2);
        // A person sends the dead one again.
        let mut again = dead.record(1, None);
        (again.status, again.generation, again.settled_at) = (DeliveryStatus::Pending, 1, None);
        let transaction = store.write().await.unwrap();
        deliveries::raise(&*transaction, &[again]).await.unwrap();
        let gone = trim::deliveries::go(&*transaction, &seen.may_go, OLD)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!((gone.deliveries, count(&store, "deliveries").await), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn an_event_stays_as_long_as_a_delivery_of_it_and_a_large_one_a_little_longer() {
    each_database(async |store| {
        prepare(&store).await;
        let large = 70_000;
        let cases = [
            (1, None, OLD - 1, false),
            (1, None, OLD, true),
            (1, Some(&DELIVERED), OLD - 1, true),
            (large, None, OLD - 1, true),
            (large, None, OLD - 3_600_001, false),
        ];
        for (number, (size, delivery, processed_at, _)) in (0..).zip(cases) {
            insert_event(&store, number, None, size, processed_at).await;
            if let Some(case) = delivery {
                insert_delivery(&store, number, case, None).await;
            }
        }
        trim_events(&store, Owner::Any, None).await;
        let left = ids(&store, "SELECT id FROM events").await;
        for (number, (size, delivery, processed_at, expected)) in (0..).zip(cases) {
            let is_left = left.contains(&event_id(number).to_string());
            assert_eq!(is_left, expected, "{size} {delivery:?} {processed_at}");
        }
        assert_eq!(ids(&store, "SELECT event AS id FROM event_entities").await, left);
        trim_deliveries(&store, Owner::Any).await;
        trim_events(&store, Owner::Any, None).await;
        assert_eq!(count(&store, "events").await, 2, "its delivery is gone, so it is");
    })
    .await;
}

#[tokio::test]
async fn a_source_is_trimmed_alone() {
    each_database(async |store| {
        prepare(&store).await;
        let owners = [Some(SOURCE), Some(OTHER), None];
        for number in 0..30 {
            let source = owners[usize::try_from(number % 3).unwrap()];
            insert_delivery(&store, number, &DELIVERED, source).await;
            insert_event(&store, 100 + number, source, 1, 1).await;
        }
        let next = trim::deliveries::source_after(store.reader(), None)
            .await
            .unwrap();
        assert_eq!(next, Some(SOURCE));
        let next = trim::events::source_after(store.reader(), next).await.unwrap();
        assert_eq!(next, Some(OTHER));
        let next = trim::events::source_after(store.reader(), next).await.unwrap();
        assert_eq!(next, None);
        for (owner, left) in [(Some(OTHER), 20), (None, 10), (Some(SOURCE), 0)] {
            trim_deliveries(&store, Owner::Source(owner)).await;
            trim_events(&store, Owner::Source(owner), Some("filtered")).await;
            trim_events(&store, Owner::Source(owner), Some("processed")).await;
            let rows = (count(&store, "deliveries").await, count(&store, "events").await);
            assert_eq!(rows, (left, left), "{owner:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_known_of_a_deleted_source_goes_once_its_events_are_gone() {
    each_database(async |store| {
        prepare(&store).await;
        execute(&store, "INSERT INTO workspaces VALUES ('w', 'w', 1)").await;
        let defined =
            format!("INSERT INTO sources VALUES ('{SOURCE}', 'w', 'n', '{{}}', 't', '[]', 1, 1, 1)");
        execute(&store, &defined).await;
        for source in [SOURCE, OTHER] {
            for sql in [
                format!("INSERT INTO source_counters VALUES ('{source}', 1, 1, 1, 1, 1)"),
                format!("INSERT INTO source_refusals VALUES ('{source}', 'c', 1)"),
                format!("INSERT INTO source_warnings VALUES ('{source}', 'c', 'f', 'p', 'e', 1)"),
                format!(
                    "INSERT INTO rejections VALUES ('{source}', 1, 'w', {OLD}, 'c', 'd', NULL, 'POST', '[]')"
                ),
            ] {
                execute(&store, &sql).await;
            }
        }
        insert_event(&store, 1, Some(OTHER), 1, 1).await;
        let gone = async || {
            let transaction = store.write().await.unwrap();
            let gone = leftovers::of_deleted_sources(&*transaction, 10).await.unwrap();
            transaction.commit().await.unwrap();
            gone
        };
        assert_eq!(gone().await, 0, "an event of it is still kept");
        trim_events(&store, Owner::Any, None).await;
        assert_eq!(gone().await, 4);
        let known = "SELECT source AS id FROM source_counters UNION SELECT source FROM rejections";
        assert_eq!(ids(&store, known).await, BTreeSet::from([SOURCE.to_string()]));
    })
    .await;
}

#[tokio::test]
async fn entities_of_a_deleted_workspace_go_with_all_that_finds_them() {
    each_database(async |store| {
        let (kept, gone) = (WorkspaceId::from_u128(7), WorkspaceId::from_u128(8));
        for workspace in [kept, gone] {
            for number in 0..3 {
                for sql in [
                    format!(
                        "INSERT INTO entities (workspace, entity_type, unique_id, version_partition, \
                         version_sequence, version_at, fields, data, first_seen_at, updated_at, last_event_id) \
                         VALUES ('{workspace}', 't', '{number}', 0, 1, 1, '{{}}', '{{}}', 1, 1, 'e')"
                    ),
                    format!(
                        "INSERT INTO entity_versions VALUES ('{workspace}', 't', '{number}', 1, 0, 1, 'created', \
                         'e', 1, NULL, '{{}}', '{{}}')"
                    ),
                    format!(
                        "INSERT INTO entity_terms VALUES ({}, 'w', 1, 't', '{number}')",
                        workspace.as_u128()
                    ),
                ] {
                    execute(&store, &sql).await;
                }
            }
        }
        assert_eq!(workspaces::gone_after(store.reader(), None).await.unwrap(), None, "none is defined yet");
        execute(&store, &format!("INSERT INTO workspaces VALUES ('{kept}', 'kept', 1)")).await;
        assert_eq!(workspaces::gone_after(store.reader(), None).await.unwrap(), Some(gone));
        assert_eq!(workspaces::gone_after(store.reader(), Some(gone)).await.unwrap(), None);
        let mut steps = Vec::new();
        while steps.last() != Some(&0) {
            let transaction = store.write().await.unwrap();
            steps.push(workspaces::go(&*transaction, gone, 2).await.unwrap());
            transaction.commit().await.unwrap();
        }
        assert_eq!(steps, [2, 1, 2, 1, 2, 1, 0]);
        assert_eq!(workspaces::gone_after(store.reader(), None).await.unwrap(), None);
        for table in ["entities", "entity_versions"] {
            let left = ids(&store, &format!("SELECT DISTINCT workspace AS id FROM {table}")).await;
            assert_eq!(left, [kept.to_string()].into(), "{table}");
        }
        let terms = "SELECT unique_id AS id FROM entity_terms";
        assert_eq!(ids(&store, terms).await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn old_rejections_refusals_and_replays_go_in_steps() {
    each_database(async |store| {
        prepare(&store).await;
        for number in 0..5 {
            let at = OLD - 2 + number;
            let rejection = format!(
                "INSERT INTO rejections VALUES ('{SOURCE}', {number}, 'w', {at}, 'c', 'd', NULL, 'POST', '[]')"
            );
            execute(&store, &rejection).await;
            let refusal = format!("INSERT INTO refusal_records VALUES ('i', {number}, {at})");
            execute(&store, &refusal).await;
        }
        assert_eq!(leftovers::source_after(store.reader(), None).await.unwrap(), Some(SOURCE));
        let transaction = store.write().await.unwrap();
        assert_eq!(leftovers::rejections(&*transaction, SOURCE, OLD).await.unwrap(), 2);
        assert_eq!(source_refusals::forget(&*transaction, OLD, 1).await.unwrap(), 1);
        assert_eq!(source_refusals::forget(&*transaction, OLD, 9).await.unwrap(), 1);
        assert_eq!(leftovers::replays(&*transaction, OLD, 9).await.unwrap(), 1);
        transaction.commit().await.unwrap();
        assert_eq!(ids(&store, "SELECT id FROM replays").await, [OPEN.to_string()].into());
    })
    .await;
}

/// Rows of events, as many as given, in one statement.
async fn fill(store: &Store, from: u32, rows: u32) {
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
         INSERT INTO events (id, workspace, source, event_type, status, accepted_at, processed_at, partition, \
         sequence, revision, content_type, size, method, trace_id) SELECT 'evt_' || (1000000 + i), \
         'wsp_01ARZ3NDEKTSV4RRFFQ69G5FAV', 'src_01ARZ3NDEKTSV4RRFFQ69G5FAV', 'webhook.received', 'processed', \
         1764000000000, 1764000000000, 1, i, 4, 'application/json', 1000, 'POST', \
         '0123456789abcdef0123456789abcdef' FROM n",
        from + rows - 1
    );
    execute(store, &sql).await;
}

#[tokio::test]
async fn the_size_follows_what_is_stored_and_freed_room_is_used_again() {
    const ROWS: u32 = 20_000;
    each_database(async |store| {
        let size = async || size::bytes_in_use(&store).await.unwrap();
        let empty = size().await;
        fill(&store, 0, ROWS).await;
        let full = size().await;
        let each = full.saturating_sub(empty) / u64::from(ROWS);
        assert!(
            (200..2_000).contains(&each),
            "{each} bytes for a row with its indexes"
        );
        let file = on_disk(&store).await;
        eprintln!(
            "{}: {each} bytes an event of {ROWS} by bytes_in_use, {} on disk",
            if size::is_exact(&store) {
                "sqlite"
            } else {
                "postgresql, estimated"
            },
            file / u64::from(ROWS)
        );
        // The server's own statistics, from which the other database is estimated, may be late.
        let largest = if size::is_exact(&store) {
            full * 11 / 10
        } else {
            full * 2
        };
        for round in 1..4 {
            let from = (round - 1) * ROWS;
            execute(
                &store,
                &format!("DELETE FROM events WHERE sequence < {}", from + ROWS),
            )
            .await;
            assert!(size().await < full / 4 + empty, "round {round}");
            fill(&store, round * ROWS, ROWS).await;
            assert!(size().await < largest, "round {round}");
        }
        if size::is_exact(&store) {
            let grown = on_disk(&store).await as f64 / file as f64;
            assert!(grown < 1.05, "the file is {grown} times as large as it was");
        }
    })
    .await;
}

/// What the tables and their indexes take, bytes, freed room included.
async fn on_disk(store: &Store) -> u64 {
    let sql = match size::is_exact(store) {
        true => "SELECT page_count * page_size AS n FROM pragma_page_count(), pragma_page_size()",
        false => "SELECT pg_total_relation_size('events') AS n",
    };
    let statement = Statement::from_string(store.backend(), sql);
    let row = store.reader().query_one_raw(statement).await.unwrap().unwrap();
    let bytes: i64 = row.try_get("", "n").unwrap();
    bytes.unsigned_abs()
}
