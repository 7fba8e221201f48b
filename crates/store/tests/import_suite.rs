//! Imports and their lines, by the same tests on SQLite and PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests")]

mod databases;

use databases::{each_database, written};
use hookrail_domain::ids::{ImportId, SourceId};
use hookrail_store::{
    IdPage, Store,
    import_lines::{self, ChunkRow, FailureRow, KEPT_FAILURES},
    imports::{self, ImportRow, NewImport, Progress, TakenIn},
};

const IMPORT: ImportId = ImportId::from_u128(77);
const WORKSPACE: &str = "wsp_1";

async fn row(store: &Store) -> ImportRow {
    imports::find(store.reader(), WORKSPACE, IMPORT)
        .await
        .unwrap()
        .unwrap()
}

/// An import of two chunks: lines 1 to 3, and 4.
async fn uploaded(store: &Store) {
    let new = NewImport {
        id: IMPORT,
        workspace: WORKSPACE,
        source: SourceId::from_u128(5),
        revision: 9,
        shard: 2,
        at: 1_000,
    };
    written!(store, tx => imports::begin(&*tx, &new));
    for (first_line, lines, body) in [(1, 3, &b"{}\n\0\n\n"[..]), (4, 1, b"\xff\n")] {
        let taken = TakenIn {
            bytes: body.len() as u64,
            lines: lines as u64,
            failed: 0,
        };
        assert!(written!(store, tx => imports::take_in(&*tx, IMPORT, taken, 2_000)));
        let chunk = ChunkRow {
            first_line,
            lines,
            body: body.to_vec(),
        };
        written!(store, tx => import_lines::insert(&*tx, IMPORT, chunk));
    }
}

#[tokio::test]
async fn an_import_is_worked_off_chunk_by_chunk_by_its_newest_owner() {
    each_database(|store| async move {
        uploaded(&store).await;
        assert_eq!(
            imports::open(store.reader(), 2, 9).await.unwrap(),
            [],
            "it is not asked for yet"
        );
        assert!(imports::is_uploading(store.reader(), IMPORT).await.unwrap());
        assert!(written!(store, tx => imports::queue(&*tx, IMPORT)));
        assert!(!written!(store, tx => imports::queue(&*tx, IMPORT)));
        assert_eq!(imports::count_open(store.reader(), WORKSPACE).await.unwrap(), 1);
        let open = imports::open(store.reader(), 2, 9).await.unwrap();
        assert_eq!(
            (open[0].lines, open[0].bytes, open[0].status.as_str()),
            (4, 8, "queued")
        );
        assert!(written!(store, tx => imports::take(&*tx, IMPORT, 5, 3_000)));
        written!(store, tx => imports::waits(&*tx, IMPORT, 5, "room"));
        assert_eq!(row(&store).await.waits_for.as_deref(), Some("room"));

        let first = import_lines::first(store.reader(), IMPORT)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((first.first_line, first.body.as_slice()), (1, &b"{}\n\0\n\n"[..]));
        let progress = Progress {
            lines: 3,
            accepted: 1,
            failed: 1,
        };
        assert!(
            !written!(store, tx => imports::advance(&*tx, IMPORT, 4, progress)),
            "an older owner"
        );
        assert!(written!(store, tx => imports::advance(&*tx, IMPORT, 5, progress)));
        written!(store, tx => import_lines::delete(&*tx, IMPORT, 1));
        assert!(written!(store, tx => imports::take(&*tx, IMPORT, 7, 4_000)));
        assert!(!written!(store, tx => imports::take(&*tx, IMPORT, 6, 4_000)));
        let taken = row(&store).await;
        assert_eq!(
            (taken.lines_read, taken.accepted, taken.failed, taken.stalls),
            (3, 1, 1, 1)
        );
        assert_eq!((taken.waits_for, taken.started_at), (None, Some(3_000)));

        assert!(!written!(store, tx => imports::finish(&*tx, IMPORT, 5, None, 5_000)));
        assert!(written!(store, tx => imports::finish(&*tx, IMPORT, 7, None, 5_000)));
        assert!(!written!(store, tx => imports::cancel(&*tx, WORKSPACE, IMPORT, 6_000)));
        assert_eq!(written!(store, tx => import_lines::sweep(&*tx, IMPORT, 9)), 1);
        written!(store, tx => imports::swept(&*tx, IMPORT));
        assert_eq!(imports::open(store.reader(), 2, 9).await.unwrap(), []);
        let page = IdPage {
            limit: 5,
            after: None,
            newest_first: true,
        };
        let listed = imports::list(store.reader(), WORKSPACE, &page).await.unwrap();
        assert_eq!((listed.len(), listed[0].status.as_str()), (1, "done"));
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_broke_off_is_given_up_and_one_that_was_cancelled_takes_no_more() {
    each_database(|store| async move {
        uploaded(&store).await;
        let give_up = async |before| written!(store, tx => imports::give_up_uploads(&*tx, 2, before, 9_000));
        assert_eq!(give_up(2_000).await, 0, "lines came meanwhile");
        assert_eq!(give_up(2_001).await, 1);
        let given_up = row(&store).await;
        assert_eq!(
            (given_up.status.as_str(), given_up.error.is_some()),
            ("failed", true)
        );
        assert!(!written!(store, tx => imports::take_in(&*tx, IMPORT, TakenIn::default(), 9_000)));
        assert!(!written!(store, tx => imports::queue(&*tx, IMPORT)));
        assert_eq!(
            imports::open(store.reader(), 2, 9).await.unwrap().len(),
            1,
            "its lines are swept"
        );
    })
    .await;
}

#[tokio::test]
async fn the_first_failed_lines_are_kept() {
    each_database(|store| async move {
        let failure = |line: i64| FailureRow {
            line,
            reason: "malformed".into(),
            detail: "NUL \0".into(),
        };
        let most = i64::try_from(KEPT_FAILURES).unwrap();
        for range in [1..=most - 1, most..=most + 50, most + 51..=most + 60] {
            let failures: Vec<FailureRow> = range.map(failure).collect();
            written!(store, tx => import_lines::keep_failures(&*tx, IMPORT, &failures));
        }
        // Those of a chunk that is loaded again are kept already.
        written!(store, tx => import_lines::keep_failures(&*tx, IMPORT, &[failure(1)]));
        let kept = import_lines::failures(store.reader(), IMPORT).await.unwrap();
        let numbers: Vec<i64> = kept.iter().map(|failure| failure.line).collect();
        assert_eq!(numbers, (1..=most).collect::<Vec<i64>>());
        assert_eq!(kept[0].detail, "NUL \\u0000");
        written!(store, tx => import_lines::forget_failures(&*tx, IMPORT));
        assert_eq!(import_lines::failures(store.reader(), IMPORT).await.unwrap(), []);
    })
    .await;
}
