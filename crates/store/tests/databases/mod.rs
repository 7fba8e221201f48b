//! The same test on both databases: a new SQLite file, and a new PostgreSQL database on the server
//! that `HOOKRAIL_TEST_POSTGRES_URL` names. Without it PostgreSQL is left out, loudly.

use std::future::Future;

use hookrail_store::{
    Store,
    sea_orm::{ConnectionTrait, Database},
};

/// Does `write` in a transaction of its own.
#[allow(unused_macros, reason = "not every suite writes by itself")]
macro_rules! written {
    ($store:expr, $tx:ident => $write:expr) => {{
        let $tx = $store.write().await.unwrap();
        let result = $write.await.unwrap();
        $tx.commit().await.unwrap();
        result
    }};
}
#[allow(unused_imports, reason = "not every suite writes by itself")]
pub(crate) use written;

/// Runs `test` with a migrated store of each kind.
pub(crate) async fn each_database<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite(&directory).await;
    test(store.clone()).await;
    store.close().await.unwrap();
    match std::env::var("HOOKRAIL_TEST_POSTGRES_URL") {
        Ok(server) => on_postgres(&server, test).await,
        Err(_) => eprintln!("NOT TESTED ON POSTGRESQL: HOOKRAIL_TEST_POSTGRES_URL is not set"),
    }
}

/// A migrated store in a file in `directory`.
pub(crate) async fn sqlite(directory: &tempfile::TempDir) -> Store {
    let url = format!("sqlite://{}?mode=rwc", directory.path().join("test.db").display());
    let store = Store::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn on_postgres<F: Future<Output = ()>>(server: &str, test: impl Fn(Store) -> F) {
    let name = format!("hookrail_test_{}_{}", std::process::id(), unique());
    let admin = Database::connect(server)
        .await
        .expect("HOOKRAIL_TEST_POSTGRES_URL can be reached");
    admin
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let store = Store::connect(&url_of(server, &name)).await.unwrap();
    store.migrate().await.unwrap();
    test(store.clone()).await;
    store.close().await.unwrap();
    admin
        .execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await
        .unwrap();
}

/// The server's URL with another database's name.
fn url_of(server: &str, name: &str) -> String {
    let (address, query) = server
        .split_once('?')
        .map_or((server, None), |(a, q)| (a, Some(q)));
    let after_scheme = address.find("://").expect("a URL has a scheme") + 3;
    let end = address[after_scheme..]
        .find('/')
        .map_or(address.len(), |at| after_scheme + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &address[..end])
}

fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
