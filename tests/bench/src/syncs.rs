//! A table that is mirrored by a sync: all rows, then 1 % changed and 0.5 % deleted, with the process killed in the
//! middle of the first run and started again. `hookrail up` with SQLite, the table in another SQLite file or, where
//! `--postgres` is given and `HOOKRAIL_TEST_POSTGRES_URL` names a server, in PostgreSQL.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hookrail_harness::{Stack, create_database, write_postgres, write_sqlite};
use serde_json::{Value, json};

use crate::{cpu, print, sink, sink::Arrivals};

/// Rows written by one statement.
const ROWS_AT_ONCE: u64 = 500;
/// How often a run is looked at.
const POLL: Duration = Duration::from_millis(200);
/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(7_200);

/// The table's database, written to by its own tools.
enum Table<'a> {
    File(&'a Path),
    Postgres(String),
}

impl Table<'_> {
    fn write(&self, statements: &str) -> anyhow::Result<()> {
        match self {
            Self::File(path) => write_sqlite(path, statements),
            Self::Postgres(url) => write_postgres(url, statements),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::File(_) => "sqlite://shop.db".to_owned(),
            Self::Postgres(url) if url.contains('@') => url.clone(),
            Self::Postgres(url) => url.replacen("://", "://postgres@", 1),
        }
    }
}

/// Measures and prints.
pub(crate) async fn measure(rows: u64, on_postgres: bool, kill: bool) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("shop.db");
    let table = match on_postgres {
        true => {
            Table::Postgres(create_database("hookrail_bench_shop")?.context("HOOKRAIL_TEST_POSTGRES_URL")?)
        }
        false => Table::File(&file),
    };
    print(&format!(
        "{rows} rows, in {}",
        if on_postgres { "PostgreSQL" } else { "SQLite" }
    ));
    table.write(&all_rows(rows)?)?;
    let directory = folder.path().display().to_string();
    let mut stack = Stack::up_with(&[("HOOKRAIL_SYNC_SQLITE_DIR", &directory)]).await?;
    let arrivals = Arc::new(Arrivals::default());
    let address = sink::start(Arc::clone(&arrivals)).await?;
    let sync = define(&stack, &table, &address).await?;
    print("run                 read   upserts   deletes   callbacks   seconds  rows/s  peak RSS MiB  CPU s");
    let first = begin(&stack, &sync).await?;
    let started = Instant::now();
    if kill {
        while arrivals.count() < rows / 2 && started.elapsed() < PATIENCE {
            tokio::time::sleep(POLL).await;
        }
        stack.kill("up");
        stack.start_up().await?;
    }
    report(&stack, &first, "all", started, &arrivals).await?;
    table.write(
        "UPDATE items SET price = price + 1 WHERE id % 100 = 7; DELETE FROM items WHERE id % 200 = 3;",
    )?;
    let second = begin(&stack, &sync).await?;
    report(&stack, &second, "1 % + 0.5 %", Instant::now(), &arrivals).await?;
    let third = begin(&stack, &sync).await?;
    report(&stack, &third, "nothing changed", Instant::now(), &arrivals).await
}

fn all_rows(rows: u64) -> anyhow::Result<String> {
    let mut sql = String::from(
        "CREATE TABLE items (id BIGINT PRIMARY KEY, price BIGINT, name VARCHAR(40), note VARCHAR(80));BEGIN;",
    );
    for id in 0..rows {
        let separator = match id % ROWS_AT_ONCE {
            0 if id == 0 => "INSERT INTO items VALUES ",
            0 => ";INSERT INTO items VALUES ",
            _ => ",",
        };
        let note = "n".repeat(60);
        write!(sql, "{separator}({id},{},'item {id}','{note}')", id * 7)?;
    }
    sql.push_str(";COMMIT;");
    Ok(sql)
}

async fn define(stack: &Stack, table: &Table<'_>, address: &str) -> anyhow::Result<String> {
    let destination = json!({"name": "bench", "url": format!("http://{address}/"), "ordering": "key", "spread": 4,
        "max_in_flight": 256, "signing": {"type": "none"}});
    let destination = stack.api.create("/destinations?probe=false", destination).await?;
    let connection = json!({"name": "shop", "database_url": table.url()});
    let connection = stack.api.create("/connections", connection).await?;
    let spec = json!({"name": "items", "destination": destination["id"], "mode": "mirror",
        "from": {"connection": connection["id"], "table": "items", "primary_key": ["id"]}});
    let sync = stack.api.create("/syncs", spec).await?;
    Ok(sync["id"].as_str().context("an id")?.to_owned())
}

async fn begin(stack: &Stack, sync: &str) -> anyhow::Result<String> {
    let run = stack
        .api
        .call("POST", &format!("/syncs/{sync}/runs"), None)
        .await?
        .expect(202)?;
    Ok(run["id"].as_str().context("an id")?.to_owned())
}

async fn report(
    stack: &Stack,
    run: &str,
    name: &str,
    started: Instant,
    arrivals: &Arrivals,
) -> anyhow::Result<()> {
    let ended = loop {
        anyhow::ensure!(started.elapsed() < PATIENCE, "{}", stack.tails(5));
        let found: Value = stack.api.get(&format!("/runs/{run}")).await.unwrap_or_default();
        if ["done", "failed", "cancelled"]
            .iter()
            .any(|status| found["status"] == *status)
        {
            break found;
        }
        tokio::time::sleep(POLL).await;
    };
    let seconds = started.elapsed().as_secs_f64();
    let pid = stack.processes.first().context("a process")?.1.pid();
    let count = |operation: &str| {
        ended["operations"][operation]["delivered"]
            .as_u64()
            .unwrap_or_default()
    };
    let read = ended["rows"]["read"].as_u64().unwrap_or_default();
    print(&format!(
        "{name:16} {read:>8} {:>9} {:>9} {:>11} {seconds:>9.1} {:>7.0} {:>13} {:>6.1}",
        count("upsert"),
        count("delete"),
        arrivals.count(),
        read as f64 / seconds,
        peak_mib(pid),
        cpu::seconds(pid),
    ));
    anyhow::ensure!(ended["status"] == "done" && ended["pending"] == 0, "{ended}");
    Ok(())
}

/// The most memory that the process had so far, MiB.
fn peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
