//! Storing entities and finding them again: through the store's own functions, on SQLite or PostgreSQL, without
//! any other part of the product.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use hookrail_domain::{
    entity::EntityRules,
    ids::{EventId, SourceId, WorkspaceId},
};
use hookrail_harness::create_database;
use hookrail_store::{
    Store,
    entities::{self, EntityKey, EntityVersion, EntityWrite},
    queries::{
        self,
        entities::{EntityFilter, EntityPage, EntityPlace, LOOKED_AT},
    },
    sea_orm::{ConnectionTrait, DbBackend, Statement},
};

use crate::{cpu, print};

const WORKSPACE: WorkspaceId = WorkspaceId::from_u128(0x0192_0000_0000_0000_0000_0000_0000_0001);
const SOURCE: SourceId = SourceId::from_u128(7);
/// When the first one was seen, milliseconds; the others follow a millisecond after one another.
const FIRST_SEEN: i64 = 1_764_000_000_000;
/// Ids over 2^53, as many senders have them.
const FIRST_ID: u64 = 820_982_911_946_154_508;
/// Entities stored in one transaction.
const BATCH: u64 = 1_000;
/// Entities that are stored once more with other data, in a hundred.
const UPDATED_PERCENT: u64 = 10;
/// How often each search is made, each time for something else.
const SEARCHES: u64 = 200;
/// Entities of a page.
const PAGE: usize = 50;
const FIRST_NAMES: u64 = 200;
const LAST_NAMES: u64 = 5_000;
const CITIES: u64 = 300;
const PLANS: [&str; 3] = ["free", "team", "enterprise"];
/// Entities that share a rare word.
const RARE: u64 = 20;

/// Measures and prints.
pub(crate) async fn measure(count: u64, database: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let url = match database {
        "postgres" => create_database("hookrail_bench")?.context(
            "HOOKRAIL_TEST_POSTGRES_URL names no PostgreSQL server: tools/with-postgres.sh starts one",
        )?,
        _ => format!("sqlite://{}?mode=rwc", folder.path().join("bench.db").display()),
    };
    let store = Store::connect(&url).await?;
    store.migrate().await?;
    print(&format!(
        "{count} entities on {database}, {BATCH} in a transaction"
    ));
    timed("stored", count, insert(&store, count)).await?;
    let updated = count * UPDATED_PERCENT / 100;
    timed("updated", updated, update(&store, count, updated)).await?;
    tidy(&store).await?;
    sizes(&store, count).await?;
    searches(&store, count).await?;
    Ok(store.close().await?)
}

async fn timed(what: &str, count: u64, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let (started, cpu) = (Instant::now(), cpu::seconds(std::process::id()));
    work.await?;
    let (took, cpu) = (started.elapsed(), cpu::seconds(std::process::id()) - cpu);
    print(&format!(
        "{what}: {count} in {:.1} s, {:.0} a second, {:.0} µs of this process's CPU each",
        took.as_secs_f64(),
        count as f64 / took.as_secs_f64(),
        cpu * 1e6 / count.max(1) as f64
    ));
    Ok(())
}

/// Numbers spread over `0..below`, the same ones each time.
fn spread(n: u64, below: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) % below.max(1)
}

fn entity_type(n: u64) -> &'static str {
    match n % 100 {
        0 => "ticket",
        1..10 => "order",
        _ => "customer",
    }
}

fn unique_id(n: u64) -> String {
    (FIRST_ID + n).to_string()
}

fn title(n: u64) -> String {
    let (first, last) = (spread(n, FIRST_NAMES), spread(n + 1, LAST_NAMES));
    let half = if n.is_multiple_of(2) { "even" } else { "odd" };
    format!("Customer First{first} Last{last} rare{} {half}", n / RARE)
}

fn entity(n: u64, version: u64, before: Option<entities::EntityBefore>) -> EntityWrite {
    let at = FIRST_SEEN + n as i64;
    let (city, plan) = (spread(n + 2, CITIES), PLANS[(n % 3) as usize]);
    let id = unique_id(n);
    let data = format!(
        r#"{{"id":{id},"version":{version},"email":"first{n}@example.com","plan":"{plan}","price":"1.10","tags":["a","b"],"address":{{"street":"{n} Long Street Name","city":"City{city}","zip":"{n:05}","country":"CH"}},"note":"{}"}}"#,
        "x".repeat(300)
    );
    EntityWrite {
        key: EntityKey::new(WORKSPACE, entity_type(n), &id),
        source: Some(SOURCE),
        title: Some(title(n)),
        fields: format!(r#"{{"city":"City{city}","plan":"{plan}","n":{n}}}"#),
        data,
        version: EntityVersion {
            partition: (n % 4) as u32,
            sequence: version * 1_000_000_000 + n + 1,
            at,
        },
        first_seen_at: at,
        at,
        event: EventId::from_u128(u128::from(n)),
        deleted_at: None,
        versions: 0,
        before,
    }
}

async fn insert(store: &Store, count: u64) -> anyhow::Result<()> {
    for first in (0..count).step_by(BATCH as usize) {
        let batch = (first..count.min(first + BATCH)).map(|n| entity(n, 1, None));
        let transaction = store.write().await?;
        entities::upsert(&*transaction, batch.collect()).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// As the processor does: what is stored is loaded first.
async fn update(store: &Store, count: u64, updated: u64) -> anyhow::Result<()> {
    for first in (0..updated).step_by(BATCH as usize) {
        let numbers: Vec<u64> = (first..updated.min(first + BATCH))
            .map(|n| spread(n, count))
            .collect();
        let keys: Vec<EntityKey> = numbers.iter().map(|n| entity(*n, 2, None).key).collect();
        let stored = entities::load(store.reader(), &keys).await?;
        let writes = numbers
            .iter()
            .zip(&keys)
            .map(|(n, key)| entity(*n, 2 + first, stored.get(key).map(entities::EntityRow::before)));
        let transaction = store.write().await?;
        entities::upsert(&*transaction, writes.collect()).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// What the database does by itself from time to time, so that what is measured is its usual state.
async fn tidy(store: &Store) -> anyhow::Result<()> {
    let sql = match store.backend() {
        DbBackend::Postgres => "VACUUM ANALYZE",
        _ => "SELECT 1",
    };
    store.reader().execute_unprepared(sql).await?;
    Ok(())
}

async fn number(store: &Store, sql: &str) -> anyhow::Result<i64> {
    let statement = Statement::from_string(store.backend(), sql);
    let row = store.reader().query_one_raw(statement).await?.context("a row")?;
    Ok(row.try_get("", "n")?)
}

async fn sizes(store: &Store, count: u64) -> anyhow::Result<()> {
    let queries: &[(&str, &str)] = match store.backend() {
        DbBackend::Postgres => &[
            ("in all", "SELECT pg_database_size(current_database()) AS n"),
            ("entities", "SELECT pg_table_size('entities') AS n"),
            ("their indexes", "SELECT pg_indexes_size('entities') AS n"),
            ("terms", "SELECT pg_total_relation_size('entity_terms') AS n"),
        ],
        _ => &[(
            "in all",
            "SELECT page_count * page_size AS n FROM pragma_page_count(), pragma_page_size()",
        )],
    };
    for (what, sql) in queries {
        let bytes = number(store, sql).await? as f64;
        print(&format!(
            "bytes of one entity, {what}: {:.0}",
            bytes / count as f64
        ));
    }
    let terms = number(store, "SELECT COUNT(*) AS n FROM entity_terms").await? as f64;
    print(&format!("terms of one entity: {:.1}", terms / count as f64));
    let data = entity(0, 1, None);
    let own = data.data.len() + data.fields.len() + title(0).len();
    print(&format!(
        "of which its own data, fields and title: {own}; versions kept by default: {}",
        EntityRules::DEFAULT_HISTORY
    ));
    Ok(())
}

struct Search {
    name: &'static str,
    filter: fn(u64) -> EntityFilter,
    is_deep: bool,
}

fn wanted() -> EntityFilter {
    EntityFilter {
        workspace: WORKSPACE.to_string(),
        ..EntityFilter::default()
    }
}

fn text(text: String) -> EntityFilter {
    EntityFilter {
        text: Some(text),
        ..wanted()
    }
}

fn field(name: &str, value: String) -> EntityFilter {
    EntityFilter {
        fields: vec![(name.to_owned(), value)],
        ..wanted()
    }
}

fn of_type(name: &str, filter: EntityFilter) -> EntityFilter {
    EntityFilter {
        entity_type: Some(name.to_owned()),
        ..filter
    }
}

/// Each is given a number below that of the entities.
fn all_searches() -> Vec<Search> {
    let search = |name, filter| Search {
        name,
        filter,
        is_deep: false,
    };
    let deep = |name, filter| Search {
        name,
        filter,
        is_deep: true,
    };
    vec![
        search("unique id", |n| text(unique_id(n))),
        search("unique id and type", |n| {
            of_type(entity_type(n), text(unique_id(n)))
        }),
        search("nothing has it", |n| text(format!("nobody{n}"))),
        search("rare word of titles (20 have it)", |n| {
            text(format!("rare{}", n / RARE))
        }),
        search("word that one in 200 has", |n| {
            text(format!("first{}", n % FIRST_NAMES))
        }),
        search("word that all have", |_| text("customer".to_owned())),
        search("word that all have, rare type", |_| {
            of_type("ticket", text("customer".to_owned()))
        }),
        search("two words, few have both", |n| {
            text(format!(
                "first{} last{}",
                spread(n, FIRST_NAMES),
                spread(n + 1, LAST_NAMES)
            ))
        }),
        search("two words that half have, none both", |_| {
            text("even odd".to_owned())
        }),
        search("field that one has", |n| field("n", n.to_string())),
        search("field that one in 300 has", |n| {
            field("city", format!("City{}", n % CITIES))
        }),
        search("field that a third has", |n| {
            field("plan", PLANS[(n % 3) as usize].to_owned())
        }),
        search("field and word, both common", |_| EntityFilter {
            text: Some("even".to_owned()),
            ..field("plan", PLANS[0].to_owned())
        }),
        search("newest", |_| wanted()),
        search("newest of a rare type", |_| of_type("ticket", wanted())),
        deep("a page far down the list", |_| wanted()),
        deep("a page far down a type's", |_| of_type("customer", wanted())),
        deep("a page far down a common word's", |_| text("customer".to_owned())),
    ]
}

async fn searches(store: &Store, count: u64) -> anyhow::Result<()> {
    print("search                                   p50 ms   p99 ms   max ms   found");
    for search in all_searches() {
        let (mut times, mut found) = (Vec::new(), 0);
        for n in 0..SEARCHES {
            let n = spread(n + 77, count);
            let after = search.is_deep.then(|| EntityPlace {
                first_seen_at: FIRST_SEEN + n as i64,
                entity_type: entity_type(n).to_owned(),
                unique_id: unique_id(n),
            });
            let page = EntityPage {
                limit: PAGE,
                after,
                newest_first: true,
                looked_at: LOOKED_AT,
            };
            let filter = (search.filter)(n);
            let started = Instant::now();
            let list = queries::entities::list(store.reader(), &filter, &page).await?;
            times.push(started.elapsed());
            found = list.rows.len();
        }
        times.sort();
        let at = |percent: usize| millis(times[(times.len() - 1) * percent / 100]);
        print(&format!(
            "{:<38} {:>8.2} {:>8.2} {:>8.2} {found:>7}",
            search.name,
            at(50),
            at(99),
            at(100)
        ));
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
