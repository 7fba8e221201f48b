//! Events as people look for them. What is not processed yet is in the log only, not here.

use hookrail_domain::{
    event_type::{ENTITY_DELETED, FETCH_ANSWERED},
    ids::{EventId, SourceId},
};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use super::Span;
use super::conditions::Conditions;
use crate::events::{COLUMNS, EventRow};
use crate::{IdPage, StoreError, rows, statement};

/// Entities shown of one event.
pub const MAX_ENTITIES: i64 = 1_000;

/// Which events are wanted; all that is given has to hold.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of this workspace.
    pub workspace: String,
    /// Of this source.
    pub source: Option<String>,
    /// With this status.
    pub status: Option<String>,
    /// Accepted in this span.
    pub span: Span,
    /// About this entity: type and unique id.
    pub entity: Option<(String, String)>,
}

/// An entity that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct AboutRow {
    /// The entity's type.
    pub entity_type: String,
    /// Its unique id.
    pub unique_id: String,
    /// `created`, `updated`, `deleted` or `unchanged`.
    pub change: String,
}

/// One page of the events wanted.
///
/// # Errors
/// When the database cannot be used now.
pub async fn list<C: ConnectionTrait>(
    connection: &C,
    filter: &EventFilter,
    page: &IdPage,
) -> Result<Vec<EventRow>, StoreError> {
    let (sql, values) = match &filter.entity {
        Some((entity_type, unique_id)) => of_entity(filter, (entity_type, unique_id), page),
        None => conditions_of(filter).page(COLUMNS, "events", page),
    };
    statement::rows(connection, &sql, values).await
}

/// What a filter says of the events themselves.
pub(super) fn conditions_of(filter: &EventFilter) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.equal("workspace", Some(&filter.workspace));
    conditions.equal("source", filter.source.as_deref());
    conditions.equal("status", filter.status.as_deref());
    conditions.within(filter.span.ids::<EventId>());
    conditions
}

/// The page of the events about an entity, walked by the index that has them in order.
fn of_entity(
    filter: &EventFilter,
    (entity_type, unique_id): (&str, &str),
    page: &IdPage,
) -> (String, Vec<Value>) {
    let (comparison, direction) = page.direction();
    let mut conditions = conditions_of(filter);
    let about = [
        rows::text(&filter.workspace),
        rows::text(entity_type),
        rows::text(unique_id),
        page.bound().into(),
    ];
    let [workspace, entity_type, unique_id, bound] = about.map(|value| conditions.place(value));
    let limit = conditions.place(page.limit().into());
    let sql = format!(
        "SELECT {COLUMNS} FROM (SELECT event FROM event_entities WHERE workspace = {workspace} \
         AND entity_type = {entity_type} AND unique_id = {unique_id} AND event {comparison} {bound}) AS about \
         CROSS JOIN events WHERE events.id = about.event AND {} ORDER BY about.event {direction} LIMIT {limit}",
        conditions.text()
    );
    (sql, conditions.into_values())
}

/// One event of a workspace.
///
/// # Errors
/// When the database cannot be used now.
pub async fn find<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    id: EventId,
) -> Result<Option<EventRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM events WHERE id = $1 AND workspace = $2");
    statement::row(connection, &sql, vec![rows::id(id), rows::text(workspace)]).await
}

/// The newest event that a source took, whatever became of it. What its fetcher was answered is none, and
/// what a person deleted.
///
/// # Errors
/// When the database cannot be used now.
pub async fn newest_of_source<C: ConnectionTrait>(
    connection: &C,
    source: SourceId,
) -> Result<Option<EventRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM events WHERE source = $1 AND event_type NOT IN ($2, $3) \
         ORDER BY id DESC LIMIT 1"
    );
    statement::row(
        connection,
        &sql,
        vec![
            rows::id(source),
            rows::text(FETCH_ANSWERED),
            rows::text(ENTITY_DELETED),
        ],
    )
    .await
}

/// The entities that an event is about, at most [`MAX_ENTITIES`].
///
/// # Errors
/// When the database cannot be used now.
pub async fn entities_of<C: ConnectionTrait>(
    connection: &C,
    event: EventId,
) -> Result<Vec<AboutRow>, StoreError> {
    let sql = format!(
        "SELECT entity_type, unique_id, change FROM event_entities WHERE event = $1 \
         ORDER BY entity_type, unique_id LIMIT {MAX_ENTITIES}"
    );
    statement::rows(connection, &sql, vec![rows::id(event)]).await
}
