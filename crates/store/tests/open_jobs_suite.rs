//! One look at all job shards finds what each shard's own queries do, on SQLite and PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests")]

mod databases;

use databases::{each_database, written};
use hookrail_domain::ids::{ImportId, ReplayId, RunId, SourceId, SyncId};
use hookrail_store::{
    Store,
    imports::{self, NewImport},
    open_jobs::{self, JobKind},
    replays::{self, NewReplay},
    sync_leftovers,
    sync_runs::{self, NewRun},
    sync_schedules::{self, ScheduleRow},
};

const IMPORT: ImportId = ImportId::from_u128(3);
const NOW: i64 = 5_000;
const WORKSPACE: &str = "wsp_1";

async fn open(store: &Store) -> Vec<(JobKind, u32)> {
    let found = open_jobs::open(store.reader(), NOW).await.unwrap();
    found.into_iter().collect()
}

fn schedule(sync: SyncId, next_at: i64) -> ScheduleRow {
    ScheduleRow {
        sync: sync.to_string(),
        workspace: WORKSPACE.to_owned(),
        shard: 0,
        schedule: "* * * * *".to_owned(),
        next_at,
        skipped: 0,
    }
}

#[tokio::test]
async fn each_kind_of_job_is_found_in_its_shard_while_it_is_open() {
    each_database(|store| async move {
        assert_eq!(open(&store).await, []);
        let replay = NewReplay {
            id: ReplayId::from_u128(2),
            workspace: WORKSPACE,
            what: "deliveries",
            selection: "{}",
            shard: 1,
            at: 10,
        };
        written!(store, tx => replays::insert(&*tx, &replay.row()));
        assert_eq!(open(&store).await, [(JobKind::Replays, 1)]);
        assert!(written!(store, tx => replays::cancel(&*tx, WORKSPACE, replay.id, NOW)));
        assert_eq!(open(&store).await, [(JobKind::Replays, 1)], "to be swept");
        written!(store, tx => replays::swept(&*tx, replay.id));
        assert_eq!(open(&store).await, []);

        let import = NewImport {
            id: IMPORT,
            workspace: WORKSPACE,
            source: SourceId::from_u128(5),
            revision: 9,
            shard: 2,
            at: 10,
        };
        written!(store, tx => imports::begin(&*tx, &import));
        assert_eq!(open(&store).await, [], "it is being uploaded");
        written!(store, tx => imports::queue(&*tx, IMPORT));
        assert_eq!(open(&store).await, [(JobKind::Imports, 2)]);
        assert!(written!(store, tx => imports::cancel(&*tx, WORKSPACE, IMPORT, NOW)));
        written!(store, tx => imports::swept(&*tx, IMPORT));

        let (first, second) = (SyncId::from_u128(5), SyncId::from_u128(6));
        written!(store, tx => sync_schedules::put(&*tx, &schedule(first, NOW + 1)));
        assert_eq!(open(&store).await, [], "its time has not come");
        written!(store, tx => sync_schedules::put(&*tx, &schedule(second, NOW)));
        assert_eq!(open(&store).await, [(JobKind::Syncs, 0)]);
        written!(store, tx => sync_schedules::remove(&*tx, &second.to_string()));

        let run = NewRun {
            id: RunId::from_u128(7),
            workspace: WORKSPACE,
            sync: first,
            started_by: "request",
            definition: "{}",
            revision: 9,
            shard: 3,
            at: 10,
        };
        assert!(written!(store, tx => sync_runs::begin(&*tx, &run)));
        assert_eq!(open(&store).await, [(JobKind::Syncs, 3)]);
        written!(store, tx => sync_leftovers::add(&*tx, first, 2));
        assert_eq!(
            open(&store).await,
            [(JobKind::Syncs, 2)],
            "its runs are cancelled"
        );
    })
    .await;
}
