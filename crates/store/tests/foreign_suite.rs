//! Reading rows of other databases: SQLite always, PostgreSQL and MySQL (or MariaDB) where `HOOKRAIL_TEST_POSTGRES_URL`
//! and `HOOKRAIL_TEST_MYSQL_URL` name servers. Without them they are left out, loudly.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use hookrail_domain::{connection::database_url::DatabaseUrl, sync::SyncOrigin};
use hookrail_store::{
    Store,
    foreign::{ForeignError, ForeignRows, ForeignTarget},
    sea_orm::{ConnectionTrait, Database},
};

/// Hookrail's own database, in a file in `directory`.
async fn sqlite(directory: &tempfile::TempDir) -> Store {
    let url = format!("sqlite://{}?mode=rwc", directory.path().join("test.db").display());
    let store = Store::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    store
}

/// A database of the test's own, and how it is reached.
struct Other {
    url: String,
    target: ForeignTarget,
}

impl Other {
    fn server(url: String) -> Self {
        let target = match DatabaseUrl::parse(&url).unwrap() {
            DatabaseUrl::Postgres(server) => {
                ForeignTarget::Postgres(server, vec!["127.0.0.1".parse().unwrap()])
            }
            DatabaseUrl::Mysql(server) => ForeignTarget::Mysql(server, vec!["127.0.0.1".parse().unwrap()]),
            DatabaseUrl::Sqlite(path) => ForeignTarget::Sqlite(PathBuf::from(path)),
        };
        Self { url, target }
    }

    fn file(path: &Path) -> Self {
        Self {
            url: format!("sqlite://{}?mode=rwc", path.display()),
            target: ForeignTarget::Sqlite(path.to_owned()),
        }
    }

    async fn execute(&self, statements: &str) {
        let connection = Database::connect(&self.url).await.unwrap();
        for statement in statements.split(';').filter(|text| !text.trim().is_empty()) {
            connection.execute_unprepared(statement).await.unwrap();
        }
        connection.close().await.unwrap();
    }

    /// The rows, each as `key=json`; or why they can't be read.
    async fn read(
        &self,
        own: &Store,
        origin: &SyncOrigin,
        after: Option<&str>,
    ) -> Result<Vec<String>, ForeignError> {
        let after = after.map(str::to_owned);
        let mut rows = ForeignRows::read(own, self.target.clone(), origin.clone(), after);
        let mut found = Vec::new();
        while let Some(piece) = rows.next().await? {
            found.extend(
                piece
                    .into_iter()
                    .map(|row| format!("{}={}", row.key, row.row.unwrap())),
            );
        }
        Ok(found)
    }
}

fn table(table: &str, key: &[&str]) -> SyncOrigin {
    SyncOrigin {
        table: Some(table.to_owned()),
        primary_key: key.iter().map(|column| (*column).to_owned()).collect(),
        ..SyncOrigin::default()
    }
}

fn query(query: &str, key: &[&str]) -> SyncOrigin {
    SyncOrigin {
        table: None,
        query: Some(query.to_owned()),
        ..table("", key)
    }
}

/// The databases that are there: SQLite in `directory`, and those that the environment names.
async fn others(directory: &Path) -> Vec<Other> {
    let mut others = vec![Other::file(&directory.join("other.db"))];
    let number = std::process::id();
    for (variable, what) in [
        ("HOOKRAIL_TEST_POSTGRES_URL", "POSTGRESQL"),
        ("HOOKRAIL_TEST_MYSQL_URL", "MYSQL"),
    ] {
        let Ok(server) = std::env::var(variable) else {
            eprintln!("NOT TESTED ON {what}: {variable} is not set");
            continue;
        };
        let name = format!(
            "foreign_{number}_{}",
            directory
                .file_name()
                .unwrap()
                .to_string_lossy()
                .replace('.', "")
                .to_lowercase()
        );
        let admin = Database::connect(&server).await.unwrap();
        admin
            .execute_unprepared(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        admin.close().await.unwrap();
        let server = server
            .trim_end_matches('/')
            .trim_end_matches("/mysql")
            .trim_end_matches("/postgres");
        others.push(Other::server(format!("{server}/{name}")));
    }
    others
}

#[tokio::test]
async fn rows_come_in_the_order_of_their_keys_with_every_digit() {
    let directory = tempfile::tempdir().unwrap();
    let own = sqlite(&directory).await;
    for other in others(directory.path()).await {
        let quote = if other.url.starts_with("mysql") { '`' } else { '"' };
        let sql = "CREATE TABLE people (id BIGINT PRIMARY KEY, ~Full Name~ VARCHAR(50), price DECIMAL(20,2), note VARCHAR(50));
             INSERT INTO people VALUES (9, 'it''s', 1.50, NULL), (10, 'ä', 9007199254740993.25, 'x'), (9007199254740993, 'Z', 2, '{}')";
        other.execute(&sql.replace('~', &quote.to_string())).await;
        let found = other.read(&own, &table("people", &["id"]), None).await.unwrap();
        let keys: Vec<_> = found.iter().map(|row| row.split('=').next().unwrap()).collect();
        assert_eq!(keys, ["10", "9", "9007199254740993"], "{}", other.url);
        assert!(
            found[2].contains(r#""id":9007199254740993,"Full Name":"Z""#),
            "{found:?}"
        );
        assert!(
            found[1].contains(r#""Full Name":"it's""#) && found[1].ends_with(r#""note":null}"#),
            "{found:?}"
        );
        // SQLite has no decimals.
        if !other.url.starts_with("sqlite") {
            assert!(found[0].contains(r#""price":9007199254740993.25"#), "{found:?}");
            assert!(found[1].contains(r#""price":1.50"#), "{found:?}");
        }
        let behind = other
            .read(&own, &table("people", &["id"]), Some("10"))
            .await
            .unwrap();
        assert_eq!(behind, found[1..], "{}", other.url);
        let of_two = query(
            "SELECT id, note FROM people WHERE note IS NOT NULL",
            &["note", "id"],
        );
        let found = other.read(&own, &of_two, None).await.unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0], "x\u{1}10={\"id\":10,\"note\":\"x\"}", "{}", other.url);
    }
}

#[tokio::test]
async fn keys_that_identify_nothing_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let own = sqlite(&directory).await;
    for other in others(directory.path()).await {
        other.execute("CREATE TABLE t (a VARCHAR(2000), b BIGINT); INSERT INTO t VALUES (NULL, 1), ('x', 2), ('x', 3)").await;
        let error = async |origin: SyncOrigin| other.read(&own, &origin, None).await.unwrap_err();
        assert!(
            matches!(error(table("t", &["a"])).await, ForeignError::NullKey),
            "{}",
            other.url
        );
        assert!(
            matches!(error(table("t", &["b", "a"])).await, ForeignError::NullKey),
            "{}",
            other.url
        );
        assert!(
            matches!(error(table("t", &["c"])).await, ForeignError::NoColumn(_)),
            "{}",
            other.url
        );
        assert!(
            matches!(error(table("none", &["c"])).await, ForeignError::Refused(_)),
            "{}",
            other.url
        );
        let twice = query("SELECT a, b AS a FROM t", &["a"]);
        assert!(other.read(&own, &twice, None).await.is_err(), "{}", other.url);
        // Twice the same key comes twice, in a row: who reads sees it.
        let found = other
            .read(&own, &query("SELECT a, b FROM t WHERE a = 'x'", &["a"]), None)
            .await
            .unwrap();
        assert_eq!(found.len(), 2);
    }
}

#[tokio::test]
async fn nothing_can_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let own = sqlite(&directory).await;
    for other in others(directory.path()).await {
        other
            .execute("CREATE TABLE t (a BIGINT PRIMARY KEY); INSERT INTO t VALUES (1)")
            .await;
        if other.url.starts_with("postgres") {
            let write = query(
                "WITH gone AS (DELETE FROM t RETURNING a) SELECT a FROM gone",
                &["a"],
            );
            let error = other.read(&own, &write, None).await.unwrap_err();
            assert!(matches!(error, ForeignError::Refused(_)), "{error}");
        }
        let found = other.read(&own, &table("t", &["a"]), None).await.unwrap();
        assert_eq!(found, ["1={\"a\":1}"]);
    }
}

#[tokio::test]
async fn the_own_database_is_never_read() {
    let directory = tempfile::tempdir().unwrap();
    let own = sqlite(&directory).await;
    let link = directory.path().join("same.db");
    std::fs::hard_link(directory.path().join("test.db"), &link).unwrap();
    for path in [directory.path().join("test.db"), link] {
        let other = Other::file(&path);
        let error = other
            .read(&own, &table("secrets", &["id"]), None)
            .await
            .unwrap_err();
        assert!(matches!(error, ForeignError::Own(_)), "{error}");
    }
    for other in others(directory.path())
        .await
        .iter()
        .filter(|other| other.url.starts_with("postgres"))
    {
        let own = Store::connect(&other.url).await.unwrap();
        own.migrate().await.unwrap();
        let error = other
            .read(&own, &table("secrets", &["id"]), None)
            .await
            .unwrap_err();
        assert!(matches!(error, ForeignError::Own(_)), "{error}");
        own.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_may_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let own = sqlite(&directory).await;
    for url in ["postgres://u:p@127.0.0.1:1/d", "mysql://u:p@127.0.0.1:1/d"] {
        let error = Other::server(url.to_owned())
            .read(&own, &table("t", &["a"]), None)
            .await
            .unwrap_err();
        assert!(error.may_pass() && !error.to_string().contains("p@"), "{error}");
    }
}
