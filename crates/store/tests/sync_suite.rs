//! Syncs' runs, rows and what is on its way, by the same tests on SQLite and PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests")]

mod databases;

use databases::{each_database, written};
use hookrail_domain::{
    ids::{RunId, SyncId},
    sync::decide::{KnownRow, Operation, RowHash, RowStatus},
};
use hookrail_store::{
    IdPage, Store, sync_leftovers,
    sync_rows::{self, KnownRecord},
    sync_runs::{self, NewRun, Outcomes, Progress, RunRow},
    sync_schedules::{self, ScheduleRow},
    sync_sends::{self, SendRow},
};

const SYNC: SyncId = SyncId::from_u128(5);
const RUN: RunId = RunId::from_u128(77);
const WORKSPACE: &str = "wsp_1";

fn new_run(id: RunId) -> NewRun<'static> {
    NewRun {
        id,
        workspace: WORKSPACE,
        sync: SYNC,
        started_by: "request",
        definition: "{}",
        revision: 9,
        shard: 2,
        at: 1_000,
    }
}

async fn row(store: &Store) -> RunRow {
    let found = sync_runs::find(store.reader(), WORKSPACE, RUN).await.unwrap();
    found.unwrap()
}

fn record(key: &str, status: RowStatus) -> KnownRecord {
    KnownRecord {
        row_key: key.to_owned(),
        key_json: format!("[\"{key}\"]"),
        known: KnownRow {
            status,
            hash: RowHash::of(key.as_bytes()),
        },
    }
}

#[tokio::test]
async fn a_sync_has_one_open_run_and_its_newest_owner_moves_it_on() {
    each_database(|store| async move {
        assert!(written!(store, tx => sync_runs::begin(&*tx, &new_run(RUN))));
        let second = new_run(RunId::from_u128(78));
        assert!(!written!(store, tx => sync_runs::begin(&*tx, &second)));
        assert_eq!(sync_runs::open(store.reader(), 2, 9).await.unwrap().len(), 1);
        assert!(written!(store, tx => sync_runs::take(&*tx, RUN, 5, 2_000)));
        let progress = Progress {
            last_key: Some("k".to_owned()),
            rows_read: 7,
            failed: 1,
            failure: Some("ä".repeat(2_000)),
            writes: 4,
            deletes: 2,
            ..Progress::default()
        };
        assert!(written!(store, tx => sync_runs::advance(&*tx, RUN, 5, &progress)));
        assert!(written!(store, tx => sync_runs::take(&*tx, RUN, 6, 3_000)));
        assert!(
            !written!(store, tx => sync_runs::advance(&*tx, RUN, 5, &progress)),
            "an older owner"
        );
        assert!(!written!(store, tx => sync_runs::take(&*tx, RUN, 5, 3_000)));
        let found = row(&store).await;
        assert_eq!(
            (found.last_key.as_deref(), found.stalls, found.pending),
            (Some("k"), 1, 6)
        );
        assert_eq!(found.failure.unwrap().len(), 1024);
        assert_eq!(sync_sends::count(store.reader(), SYNC).await.unwrap(), 6);

        assert!(written!(store, tx => sync_runs::read_all(&*tx, RUN, 6, 4_000)));
        assert_eq!(row(&store).await.status, sync_runs::DELIVERING);
        assert!(
            written!(store, tx => sync_runs::begin(&*tx, &second)),
            "the first reads no rows any more"
        );
        let writes = Outcomes {
            delivered: 3,
            dead: 1,
            cancelled: 0,
        };
        written!(store, tx => sync_runs::settle(&*tx, RUN, Operation::Write, writes));
        written!(store, tx => sync_runs::end_delivered(&*tx, RUN, 5_000));
        assert_eq!(row(&store).await.status, sync_runs::DELIVERING);
        let deletes = Outcomes {
            delivered: 1,
            dead: 0,
            cancelled: 1,
        };
        written!(store, tx => sync_runs::settle(&*tx, RUN, Operation::Delete, deletes));
        written!(store, tx => sync_runs::end_delivered(&*tx, RUN, 6_000));
        let found = row(&store).await;
        assert_eq!(
            (found.status.as_str(), found.finished_at),
            (sync_runs::DONE, Some(6_000))
        );
        assert_eq!(
            (found.writes_delivered, found.writes_dead, found.deletes_cancelled),
            (3, 1, 1)
        );

        assert!(written!(store, tx => sync_runs::cancel(&*tx, WORKSPACE, second.id, 7_000)));
        assert!(!written!(store, tx => sync_runs::take(&*tx, second.id, 7, 8_000)));
        written!(store, tx => sync_runs::forget_old(&*tx, SYNC, 0));
        let page = IdPage {
            limit: 10,
            after: None,
            newest_first: true,
        };
        let left = sync_runs::list(store.reader(), &SYNC.to_string(), &page)
            .await
            .unwrap();
        assert_eq!(left.len(), 1, "all but the newest");
    })
    .await;
}

#[tokio::test]
async fn two_transactions_can_not_both_open_a_run() {
    each_database(|store| async move {
        written!(store, tx => sync_runs::begin(&*tx, &new_run(RUN)));
        let transaction = store.write().await.unwrap();
        let sql = "INSERT INTO sync_runs SELECT 'run_x', workspace, sync, started_by, definition, revision, shard, \
                   status, epoch, stalls, last_key, rows_read, unchanged, learned, waiting, failed, failure, pending, \
                   writes, writes_delivered, writes_dead, writes_cancelled, deletes, deletes_delivered, deletes_dead, \
                   deletes_cancelled, waits_for, error, created_at, started_at, finished_at FROM sync_runs";
        use hookrail_store::sea_orm::ConnectionTrait;
        let refused = transaction.execute_unprepared(sql).await.unwrap_err();
        assert!(hookrail_store::StoreError::from(refused).is_unique_violation());
    })
    .await;
}

#[tokio::test]
async fn known_rows_come_in_the_order_of_their_bytes() {
    each_database(|store| async move {
        let keys = ["Z", "a", "ä", "10", "9", "b\u{1}c"];
        let records: Vec<_> = keys.iter().map(|key| record(key, RowStatus::Sent)).collect();
        written!(store, tx => sync_rows::put(&*tx, SYNC, &records));
        written!(store, tx => sync_rows::put(&*tx, SYNC, &[record("a", RowStatus::Writing)]));
        let page = async |after: Option<&str>, last: Option<&str>, most| {
            let found = sync_rows::page(store.reader(), SYNC, after, last, most)
                .await
                .unwrap();
            found
                .into_iter()
                .map(|found| found.row_key)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(page(None, None, 9).await, "10 9 Z a b\u{1}c ä");
        assert_eq!(page(Some("9"), Some("a"), 9).await, "Z a");
        assert_eq!(page(Some("Z"), None, 1).await, "a");
        let found = sync_rows::page(store.reader(), SYNC, Some("Z"), Some("a"), 1)
            .await
            .unwrap();
        assert_eq!(found, [record("a", RowStatus::Writing)]);
        written!(store, tx => sync_rows::settle(&*tx, SYNC, Some(RowStatus::Unsent), &["a", "9", "none"]));
        written!(store, tx => sync_rows::settle(&*tx, SYNC, None, &["ä", "Z", "10"]));
        let left = sync_rows::page(store.reader(), SYNC, None, None, 9)
            .await
            .unwrap();
        let left: Vec<_> = left
            .iter()
            .map(|found| (found.row_key.as_str(), found.known.status))
            .collect();
        assert_eq!(
            left,
            [
                ("9", RowStatus::Unsent),
                ("a", RowStatus::Unsent),
                ("b\u{1}c", RowStatus::Sent)
            ]
        );
        written!(store, tx => sync_leftovers::add(&*tx, SYNC, 2));
        assert_eq!(
            sync_leftovers::open(store.reader(), 2).await.unwrap(),
            [SYNC.to_string()]
        );
        let sync = SYNC.to_string();
        assert!(!written!(store, tx => sync_leftovers::sweep(&*tx, &sync, 2)));
        assert!(!written!(store, tx => sync_leftovers::sweep(&*tx, &sync, 2)));
        assert!(written!(store, tx => sync_leftovers::sweep(&*tx, &sync, 2)));
        assert!(sync_leftovers::open(store.reader(), 2).await.unwrap().is_empty());
    })
    .await;
}

fn send(number: i64) -> SendRow {
    SendRow {
        delivery: hookrail_domain::ids::DeliveryId::from_u128(number.unsigned_abs().into()).to_string(),
        sync: SYNC.to_string(),
        run: RUN.to_string(),
        number,
        row_key: format!("k{number}"),
        operation: sync_sends::number_of(Operation::Delete),
        lane_key: "a\0b".to_owned(),
        entity_version: None,
        body: Some(b"{}".to_vec()),
        published: 0,
    }
}

#[tokio::test]
async fn what_is_not_known_to_be_published_keeps_its_body() {
    each_database(|store| async move {
        let sends: Vec<_> = (1..=5).map(send).collect();
        written!(store, tx => sync_sends::insert(&*tx, &sends));
        let ids: Vec<_> = sends[..3]
            .iter()
            .map(|send| send.delivery.parse().unwrap())
            .collect();
        written!(store, tx => sync_sends::published(&*tx, &ids));
        let left = sync_sends::unpublished(store.reader(), RUN, 9).await.unwrap();
        assert_eq!(left.iter().map(|send| send.number).collect::<Vec<_>>(), [4, 5]);
        assert_eq!(
            (left[0].body.as_deref(), left[0].operation()),
            (Some(&b"{}"[..]), Operation::Delete)
        );
        assert!(
            sync_sends::ended(store.reader(), RUN, 9)
                .await
                .unwrap()
                .is_empty(),
            "no delivery has ended"
        );
    })
    .await;
}

#[tokio::test]
async fn a_schedule_is_fired_once() {
    each_database(|store| async move {
        let row = ScheduleRow {
            sync: SYNC.to_string(),
            workspace: WORKSPACE.to_owned(),
            shard: 2,
            schedule: "* * * * *".to_owned(),
            next_at: 1_000,
            skipped: 0,
        };
        written!(store, tx => sync_schedules::put(&*tx, &row));
        assert!(
            sync_schedules::due(store.reader(), 2, 999, 9)
                .await
                .unwrap()
                .is_empty()
        );
        let due = sync_schedules::due(store.reader(), 2, 5_000, 9).await.unwrap();
        assert_eq!(due, [row]);
        assert!(written!(store, tx => sync_schedules::fire(&*tx, &due[0], 60_000)));
        assert!(!written!(store, tx => sync_schedules::fire(&*tx, &due[0], 60_000)));
        written!(store, tx => sync_schedules::skip(&*tx, SYNC));
        let found = sync_schedules::find(store.reader(), &SYNC.to_string())
            .await
            .unwrap()
            .unwrap();
        assert_eq!((found.next_at, found.skipped), (60_000, 1));
    })
    .await;
}
