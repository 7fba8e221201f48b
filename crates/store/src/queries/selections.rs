//! Which deliveries or events a replay is about: counted, sampled, and read in steps.

use hookrail_domain::event::Origin;
use hookrail_domain::ids::{DeliveryId, EventId};
use hookrail_domain::replay::{ReplayOf, ReplayRequest};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::Span;
use super::conditions::Conditions;
use super::deliveries::DeliveryFilter;
use super::events::EventFilter;
use crate::deliveries::DeliveryRow;
use crate::events::EventRow;
use crate::replay_items::ReplayItem;
use crate::{IdPage, StoreError, rows, statement};

/// Most that are counted: a replay of more is not begun.
pub const COUNTED_AT_MOST: i64 = 1_000_001;

/// Deliveries to send again. Only what has ended is: the others are on their way.
#[derive(Debug, Clone, Default)]
pub struct DeliverySelection {
    /// What they have in common.
    pub filter: DeliveryFilter,
    /// Those that failed with this code.
    pub error_code: Option<String>,
    /// Whether they were sent again before; `None` = both.
    pub replayed: Option<bool>,
    /// Only these; empty = all.
    pub ids: Vec<String>,
}

/// Events to process again.
#[derive(Debug, Clone, Default)]
pub struct EventSelection {
    /// What they have in common.
    pub filter: EventFilter,
    /// Only these; empty = all.
    pub ids: Vec<String>,
}

/// Deliveries or events.
#[derive(Debug, Clone)]
pub enum Selection {
    /// Deliveries.
    Deliveries(DeliverySelection),
    /// Events.
    Events(EventSelection),
}

const DELIVERY_ITEM: &str =
    "id, origin_partition AS partition, origin_sequence AS sequence, origin_index AS place, accepted_at";
const EVENT_ITEM: &str = "id, partition, sequence, CAST(0 AS BIGINT) AS place, accepted_at";

impl Selection {
    /// What a replay of `workspace` asks for.
    pub fn of(workspace: &str, request: &ReplayRequest) -> Self {
        let filter = &request.filter;
        let text = |id: &dyn std::fmt::Display| id.to_string();
        let (since, until) = filter.span();
        let (workspace, span) = (workspace.to_owned(), Span { since, until });
        let source = filter.source.map(|id| text(&id));
        let status = request.status().map(str::to_owned);
        let ids = request.ids().to_vec();
        match request.what {
            ReplayOf::Deliveries => Self::Deliveries(DeliverySelection {
                filter: DeliveryFilter {
                    workspace,
                    destination: filter.destination.map(|id| text(&id)),
                    source,
                    event: filter.event.map(|id| text(&id)),
                    status,
                    lane: filter.lane.clone(),
                    span,
                },
                error_code: filter.error_code.clone(),
                replayed: request.replayed(),
                ids,
            }),
            ReplayOf::Events => Self::Events(EventSelection {
                filter: EventFilter {
                    workspace,
                    source,
                    status,
                    span,
                    ..EventFilter::default()
                },
                ids,
            }),
        }
    }

    fn table(&self) -> &'static str {
        match self {
            Self::Deliveries(_) => "deliveries",
            Self::Events(_) => "events",
        }
    }

    fn conditions(&self) -> Conditions {
        match self {
            Self::Deliveries(selection) => of_deliveries(selection),
            Self::Events(selection) => of_events(selection),
        }
    }

    /// How many there are, at most [`COUNTED_AT_MOST`].
    ///
    /// # Errors
    /// When the database cannot be used now.
    pub async fn count<C: ConnectionTrait>(&self, connection: &C) -> Result<i64, StoreError> {
        let conditions = self.conditions();
        let sql = format!(
            "SELECT COUNT(*) AS counted FROM (SELECT 1 AS one FROM {} WHERE {} LIMIT {COUNTED_AT_MOST}) AS chosen",
            self.table(),
            conditions.text()
        );
        let row = statement::first(connection, &sql, conditions.into_values()).await?;
        row.map_or(Ok(0), |row| statement::column(&row, "counted"))
    }

    /// The next items by id, at most `most`.
    ///
    /// # Errors
    /// When the database cannot be used now.
    pub async fn items<C: ConnectionTrait>(
        &self,
        connection: &C,
        after: Option<String>,
        most: u32,
    ) -> Result<Vec<ReplayItem>, StoreError> {
        let columns = match self {
            Self::Deliveries(_) => DELIVERY_ITEM,
            Self::Events(_) => EVENT_ITEM,
        };
        let (sql, values) = self.page(columns, after, most);
        let found = statement::all(connection, &sql, values).await?;
        found.iter().map(item).collect()
    }

    /// The query for a page of it, and its values.
    fn page(&self, columns: &str, after: Option<String>, most: u32) -> (String, Vec<Value>) {
        let page = IdPage {
            limit: u64::from(most),
            after,
            newest_first: false,
        };
        self.conditions().page(columns, self.table(), &page)
    }
}

/// The first of the deliveries selected, at most `most`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn sample_deliveries<C: ConnectionTrait>(
    connection: &C,
    selection: &DeliverySelection,
    most: u32,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let selection = Selection::Deliveries(selection.clone());
    let (sql, values) = selection.page(crate::deliveries::COLUMNS, None, most);
    statement::rows(connection, &sql, values).await
}

/// The first of the events selected, at most `most`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn sample_events<C: ConnectionTrait>(
    connection: &C,
    selection: &EventSelection,
    most: u32,
) -> Result<Vec<EventRow>, StoreError> {
    let selection = Selection::Events(selection.clone());
    let (sql, values) = selection.page(crate::events::COLUMNS, None, most);
    statement::rows(connection, &sql, values).await
}

/// Those of `ids` that are ids of the workspace's deliveries or events.
///
/// # Errors
/// When the database cannot be used now.
pub async fn known_ids<C: ConnectionTrait>(
    connection: &C,
    table: &'static str,
    workspace: &str,
    ids: &[String],
) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "SELECT id FROM {table} WHERE workspace = $1 AND id IN ({})",
        rows::places(2, ids.len())
    );
    let mut values = vec![rows::text(workspace)];
    values.extend(ids.iter().map(rows::text));
    let found = statement::all(connection, &sql, values).await?;
    found.iter().map(|row| statement::column(row, "id")).collect()
}

fn of_deliveries(selection: &DeliverySelection) -> Conditions {
    let (filter, mut conditions) = (&selection.filter, Conditions::default());
    conditions.equal("workspace", Some(&filter.workspace));
    conditions.equal("destination", filter.destination.as_deref());
    conditions.equal("source", filter.source.as_deref());
    conditions.equal("event", filter.event.as_deref());
    match filter.status.as_deref() {
        None => conditions.add("status IN ('delivered', 'dead', 'cancelled')", []),
        status => conditions.equal("status", status),
    }
    conditions.equal("lane", filter.lane.as_deref());
    conditions.equal("error_code", selection.error_code.as_deref());
    match selection.replayed {
        Some(true) => conditions.add("replayed_by IS NOT NULL", []),
        Some(false) => conditions.add("replayed_by IS NULL", []),
        None => {}
    }
    conditions.within(filter.span.ids::<DeliveryId>());
    only(&mut conditions, &selection.ids);
    conditions
}

fn of_events(selection: &EventSelection) -> Conditions {
    let (filter, mut conditions) = (&selection.filter, Conditions::default());
    conditions.equal("workspace", Some(&filter.workspace));
    conditions.equal("source", filter.source.as_deref());
    match filter.status.as_deref() {
        None => conditions.add("status IN ('processed', 'filtered', 'failed')", []),
        status => conditions.equal("status", status),
    }
    conditions.within(filter.span.ids::<EventId>());
    only(&mut conditions, &selection.ids);
    conditions
}

fn only(conditions: &mut Conditions, ids: &[String]) {
    if !ids.is_empty() {
        let places = vec!["?"; ids.len()].join(", ");
        conditions.add(&format!("id IN ({places})"), ids.iter().map(rows::text));
    }
}

fn item(row: &QueryResult) -> Result<ReplayItem, StoreError> {
    let partition: i64 = statement::column(row, "partition")?;
    let sequence: i64 = statement::column(row, "sequence")?;
    let index: i64 = statement::column(row, "place")?;
    Ok(ReplayItem {
        item: statement::column(row, "id")?,
        origin: Origin {
            partition: u32::try_from(partition).unwrap_or(u32::MAX),
            sequence: sequence.unsigned_abs(),
            index: u32::try_from(index).unwrap_or(u32::MAX),
        },
        accepted_at: statement::column(row, "accepted_at")?,
    })
}
