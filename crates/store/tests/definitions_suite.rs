//! The definitions' tables, on both databases.
#![allow(clippy::unwrap_used, reason = "tests")]

mod databases;

use databases::each_database;
use hookrail_store::idempotency::{self, RememberedAnswer, RequestKey};
use hookrail_store::install::{self, InstallRow};
use hookrail_store::outbox::{self, OutboxRow};
use hookrail_store::secrets::{self, SecretRow};
use hookrail_store::tokens::{self, TokenRow};
use hookrail_store::workspaces::{self, WorkspaceRow};
use hookrail_store::{
    DefinitionRow, DefinitionTable, IdPage, Store, api_keys, definition_rows, definition_uses, revision,
};

const WORKSPACE: &str = "wsp_1";

async fn add_workspace(store: &Store) {
    let row = WorkspaceRow {
        id: WORKSPACE.to_owned(),
        code: "default".to_owned(),
        created_at: 1,
    };
    let transaction = store.write().await.unwrap();
    workspaces::insert(&*transaction, &row).await.unwrap();
    transaction.commit().await.unwrap();
}

fn definition(id: &str, name: &str) -> DefinitionRow {
    DefinitionRow {
        id: id.to_owned(),
        workspace_id: WORKSPACE.to_owned(),
        name: name.to_owned(),
        spec: r#"{"n":820982911946154508123,"p":1.10}"#.to_owned(),
        token: "t".to_owned(),
        old_names: "[]".to_owned(),
        revision: 1,
        created_at: 1,
        updated_at: 1,
    }
}

async fn add(
    store: &Store,
    table: DefinitionTable,
    row: &DefinitionRow,
) -> Result<(), hookrail_store::StoreError> {
    let transaction = store.write().await.unwrap();
    definition_rows::insert(&*transaction, table, row).await?;
    transaction.commit().await
}

fn ids(rows: &[DefinitionRow]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}

#[tokio::test]
async fn definitions_are_kept_as_written_and_paged_by_id() {
    each_database(async |store| {
        add_workspace(&store).await;
        for (id, name) in [("src_1", "b"), ("src_2", "a"), ("src_3", "B")] {
            add(&store, DefinitionTable::Sources, &definition(id, name))
                .await
                .unwrap();
        }
        let taken = add(&store, DefinitionTable::Sources, &definition("src_4", "a"))
            .await
            .unwrap_err();
        assert!(taken.is_unique_violation());
        let found = definition_rows::find(store.reader(), DefinitionTable::Sources, WORKSPACE, "src_2")
            .await
            .unwrap();
        assert_eq!(found, Some(definition("src_2", "a")));
        let page = |after: Option<&str>, newest_first| IdPage {
            limit: 2,
            after: after.map(str::to_owned),
            newest_first,
        };
        for (wanted, expected) in [
            (page(None, true), vec!["src_3", "src_2"]),
            (page(Some("src_2"), true), vec!["src_1"]),
            (page(None, false), vec!["src_1", "src_2"]),
            (page(Some("src_2"), false), vec!["src_3"]),
        ] {
            let rows = definition_rows::list(store.reader(), DefinitionTable::Sources, WORKSPACE, &wanted)
                .await
                .unwrap();
            assert_eq!(ids(&rows), expected, "{wanted:?}");
        }
        assert_eq!(
            definition_rows::count(store.reader(), DefinitionTable::Sources, WORKSPACE)
                .await
                .unwrap(),
            3
        );
    })
    .await;
}

#[tokio::test]
async fn what_belongs_to_a_definition_is_replaced_and_goes_with_it() {
    each_database(async |store| {
        add_workspace(&store).await;
        add(&store, DefinitionTable::Sources, &definition("src_1", "a"))
            .await
            .unwrap();
        let secret = |id: &str| SecretRow {
            id: id.to_owned(),
            owner_id: "src_1".to_owned(),
            field: "/auth/token".to_owned(),
            value: "v".to_owned(),
            expires_at: None,
        };
        let key = api_keys::ApiKeyRow {
            id: "key_1".to_owned(),
            source_id: "src_1".to_owned(),
            label: "erp".to_owned(),
            hash: "00".to_owned(),
            hint: "…".to_owned(),
            created_at: 1,
        };
        let transaction = store.write().await.unwrap();
        secrets::replace(&*transaction, "src_1", &[secret("sec_1")])
            .await
            .unwrap();
        secrets::replace(&*transaction, "src_1", &[secret("sec_1"), secret("sec_2")])
            .await
            .unwrap();
        api_keys::insert(&*transaction, &key).await.unwrap();
        definition_uses::replace(&*transaction, "rte_1", &["src_1".to_owned(), "dst_1".to_owned()])
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(secrets::of_owner(store.reader(), "src_1").await.unwrap().len(), 2);
        assert_eq!(
            definition_uses::users_of(store.reader(), "src_1").await.unwrap(),
            ["rte_1"]
        );
        let transaction = store.write().await.unwrap();
        definition_rows::delete(&*transaction, DefinitionTable::Sources, "src_1")
            .await
            .unwrap();
        definition_uses::replace(&*transaction, "rte_1", &[])
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert!(
            api_keys::of_source(store.reader(), "src_1")
                .await
                .unwrap()
                .is_empty()
        );
        assert!(
            definition_uses::users_of(store.reader(), "src_1")
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn a_change_that_is_rolled_back_leaves_no_gap_in_the_revisions() {
    each_database(async |store| {
        let transaction = store.write().await.unwrap();
        assert_eq!(revision::raise(&transaction).await.unwrap(), 1);
        transaction.rollback().await.unwrap();
        for expected in 1..=3 {
            let transaction = store.write().await.unwrap();
            let revision = revision::raise(&transaction).await.unwrap();
            assert_eq!(revision, expected);
            let row = OutboxRow {
                revision,
                entry_key: "src_1".to_owned(),
                payload: vec![0, 255, 7],
            };
            outbox::insert(&*transaction, row).await.unwrap();
            transaction.commit().await.unwrap();
        }
        let oldest = outbox::oldest(store.reader(), 2).await.unwrap();
        assert_eq!(oldest.iter().map(|row| row.revision).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(oldest[0].payload, [0, 255, 7]);
        let transaction = store.write().await.unwrap();
        revision::lock_publishing(&transaction).await.unwrap();
        outbox::delete_through(&*transaction, 2).await.unwrap();
        outbox::bury(&*transaction, "src_1", 5).await.unwrap();
        outbox::bury(&*transaction, "src_1", 9).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(outbox::oldest(store.reader(), 9).await.unwrap().len(), 1);
        assert_eq!(
            outbox::buried_before(store.reader(), 6, 9).await.unwrap(),
            ["src_1"]
        );
    })
    .await;
}

#[tokio::test]
async fn a_request_is_claimed_once_and_its_answer_kept() {
    each_database(async |store| {
        let key = RequestKey {
            workspace_id: WORKSPACE.to_owned(),
            idempotency_key: "k".to_owned(),
            method: "POST".to_owned(),
            path: "/sources".to_owned(),
        };
        let transaction = store.write().await.unwrap();
        assert!(idempotency::begin(&*transaction, &key, "h", 1).await.unwrap());
        assert!(!idempotency::begin(&*transaction, &key, "h", 2).await.unwrap());
        let answer = RememberedAnswer {
            status: 201,
            location: None,
            body: "{}".to_owned(),
        };
        idempotency::finish(&*transaction, &key, answer.clone())
            .await
            .unwrap();
        idempotency::forget(&*transaction, &key).await.unwrap();
        transaction.commit().await.unwrap();
        let found = idempotency::find(store.reader(), &key).await.unwrap().unwrap();
        assert_eq!((found.answer, found.created_at), (Some(answer), 1));
        let transaction = store.write().await.unwrap();
        assert_eq!(idempotency::forget_before(&*transaction, 2).await.unwrap(), 1);
        transaction.commit().await.unwrap();
        assert_eq!(idempotency::find(store.reader(), &key).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn the_installation_is_written_once_and_tokens_are_found_by_their_hash() {
    each_database(async |store| {
        let row = |id: &str| InstallRow {
            id: id.to_owned(),
            prefix: "P".to_owned(),
            partitions: 4,
            format_version: 1,
        };
        let token = TokenRow {
            id: "key_1".to_owned(),
            workspace_id: None,
            role: "admin".to_owned(),
            label: "first".to_owned(),
            hash: "ab".to_owned(),
            hint: "…".to_owned(),
            created_at: 1,
            last_used_at: None,
            expires_at: None,
        };
        let transaction = store.write().await.unwrap();
        install::insert_if_missing(&*transaction, &row("a"))
            .await
            .unwrap();
        install::insert_if_missing(&*transaction, &row("b"))
            .await
            .unwrap();
        tokens::insert(&*transaction, &token).await.unwrap();
        tokens::touch(&*transaction, "key_1", 7).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(install::find(store.reader()).await.unwrap(), Some(row("a")));
        let found = tokens::find_by_hash(store.reader(), "ab").await.unwrap();
        assert_eq!(
            found,
            Some(TokenRow {
                last_used_at: Some(7),
                ..token
            })
        );
        assert!(tokens::has_root(store.reader()).await.unwrap());
        assert!(!install::has_definitions(store.reader()).await.unwrap());
    })
    .await;
}
