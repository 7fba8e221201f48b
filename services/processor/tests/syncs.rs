//! The schedule of syncs with a real nats-server and SQLite: missed times come to one run, and a time at which a run
//! still reads is skipped and counted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod nats;

use std::time::Duration;

use hookrail_domain::{
    destination::{Destination, DestinationSpec},
    ids::{DestinationId, RunId, SyncId, WorkspaceId},
    snapshot::{Definition, Entry, Key},
    sync::shard_of,
};
use hookrail_processor::{ProcessorSettings, run};
use hookrail_runtime::{ServiceContext, clock};
use hookrail_store::{
    DefinitionRow, DefinitionTable, IdPage, Store, definition_rows,
    sync_runs::{self, NewRun, RunRow},
    sync_schedules::{self, ScheduleRow},
    workspaces::{self, WorkspaceRow},
};
use nats::Nats;

const WORKSPACE: WorkspaceId = WorkspaceId::from_u128(1);
const DESTINATION: DestinationId = DestinationId::from_u128(2);
/// Its time has come, many times over.
const MISSED: SyncId = SyncId::from_u128(10);
/// Its time has come too, while a run of it waits.
const BUSY: SyncId = SyncId::from_u128(11);

async fn define(store: &Store, sync: SyncId) -> String {
    let spec = format!(
        r#"{{"name": "{sync}", "from": {{"entities": "customer"}}, "destination": "{DESTINATION}"}}"#
    );
    let row = DefinitionRow {
        id: sync.to_string(),
        workspace_id: WORKSPACE.to_string(),
        name: sync.to_string(),
        spec: spec.clone(),
        token: String::new(),
        old_names: "[]".to_owned(),
        revision: 1,
        created_at: 1,
        updated_at: 1,
    };
    let schedule = ScheduleRow {
        sync: sync.to_string(),
        workspace: WORKSPACE.to_string(),
        shard: i64::from(shard_of(sync)),
        schedule: "* * * * *".to_owned(),
        next_at: 1_000,
        skipped: 0,
    };
    let transaction = store.write().await.unwrap();
    definition_rows::insert(&*transaction, DefinitionTable::Syncs, &row)
        .await
        .unwrap();
    sync_schedules::put(&*transaction, &schedule).await.unwrap();
    transaction.commit().await.unwrap();
    spec
}

async fn runs(store: &Store, sync: SyncId) -> Vec<RunRow> {
    let page = IdPage {
        limit: 10,
        after: None,
        newest_first: true,
    };
    sync_runs::list(store.reader(), &sync.to_string(), &page)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_times_come_to_one_run_and_a_busy_sync_skips_its_time() {
    let (nats, folder) = (Nats::start().await, tempfile::tempdir().unwrap());
    let broker = nats.broker().await;
    let spec = r#"{"name": "d", "url": "http://127.0.0.1/"}"#;
    let spec: DestinationSpec = serde_json::from_str(spec).unwrap();
    let destination = Destination {
        id: DESTINATION,
        workspace: WORKSPACE,
        spec,
    };
    let entry = Entry {
        revision: 1,
        key: Key::Destination(DESTINATION),
        definition: Some(Definition::Destination(Box::new(destination))),
    };
    broker.publish_entry(&entry).await.unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("test.db").display());
    let store = Store::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    let transaction = store.write().await.unwrap();
    let workspace = WorkspaceRow {
        id: WORKSPACE.to_string(),
        code: "default".to_owned(),
        created_at: 1,
    };
    workspaces::insert(&*transaction, &workspace).await.unwrap();
    transaction.commit().await.unwrap();
    define(&store, MISSED).await;
    let definition = define(&store, BUSY).await;
    let waiting = NewRun {
        id: RunId::from_u128(7),
        workspace: &WORKSPACE.to_string(),
        sync: BUSY,
        started_by: "request",
        definition: &definition,
        // It waits for definitions that do not come.
        revision: 1_000_000,
        shard: shard_of(BUSY),
        at: 1,
    };
    let transaction = store.write().await.unwrap();
    assert!(sync_runs::begin(&*transaction, &waiting).await.unwrap());
    transaction.commit().await.unwrap();

    let ctx = ServiceContext::new(Duration::from_secs(10));
    let running = tokio::spawn(run(
        ProcessorSettings::default(),
        broker,
        store.clone(),
        ctx.clone(),
    ));
    let is_over = || async {
        let missed = runs(&store, MISSED).await;
        let busy = sync_schedules::find(store.reader(), &BUSY.to_string())
            .await
            .unwrap()
            .unwrap();
        let waits = runs(&store, BUSY).await[0].waits_for.is_some();
        missed.first().is_some_and(|run| run.status == "done") && busy.skipped == 1 && waits
    };
    for _ in 0..600 {
        if is_over().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(is_over().await);
    let missed = runs(&store, MISSED).await;
    assert_eq!((missed.len(), missed[0].started_by.as_str()), (1, "schedule"));
    let next = sync_schedules::find(store.reader(), &MISSED.to_string())
        .await
        .unwrap()
        .unwrap();
    assert!(next.next_at > clock::now_ms() - 60_000 && next.skipped == 0);
    let busy = runs(&store, BUSY).await;
    assert_eq!(
        (busy.len(), busy[0].waits_for.as_deref()),
        (1, Some("definitions"))
    );
    ctx.shutdown.cancel();
    running.await.unwrap().unwrap();
}
