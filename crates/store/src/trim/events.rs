//! Trimming processed events, and what they say of entities with them. An event stays as long as a delivery
//! of it does; the entities themselves stay.

use hookrail_domain::{Millis, ids::SourceId};
use sea_orm::ConnectionTrait;

use super::{Owner, Page, Rule, Seen, look, next_source, remove, remove_of};
use crate::StoreError;
use crate::queries::conditions::Conditions;

const TABLE: &str = "events";
/// From this size on a body may lie apart, and whoever removes it goes by its event's row, bytes.
const APART_BYTES: i64 = 64 * 1024;
/// How much longer the row of such an event stays.
const APART_MS: Millis = 3_600_000;

/// Processed before the time, and nothing is owed of it. What is held is not processed.
const MAY_GO: &str = "status <> 'received' AND processed_at < CASE WHEN size < ? THEN ? ELSE ? END \
     AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.event = events.id)";

fn rule(before: Millis) -> Rule {
    let values = vec![
        APART_BYTES.into(),
        before.into(),
        before.saturating_sub(APART_MS).into(),
    ];
    (MAY_GO, values)
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Events.
    pub events: u64,
    /// What they said of entities.
    pub about: u64,
}

/// Looks at a page: of one status where the events are a source's, since they lie together by it.
///
/// # Errors
/// When the database cannot be used now.
pub async fn look_at<C: ConnectionTrait>(
    connection: &C,
    page: &Page,
    status: Option<&str>,
) -> Result<Seen, StoreError> {
    debug_assert!(
        page.owner == Owner::Any || status.is_some(),
        "a source's events lie by status"
    );
    let mut conditions = Conditions::default();
    conditions.equal("status", status);
    look(connection, TABLE, page, conditions, rule(page.settled_before)).await
}

/// Removes those of these events that may still go, with all that belongs to them.
///
/// # Errors
/// When the database cannot be used now.
pub async fn go<C: ConnectionTrait>(
    connection: &C,
    ids: &[String],
    processed_before: Millis,
) -> Result<Removed, StoreError> {
    let gone = remove(connection, TABLE, ids, rule(processed_before)).await?;
    Ok(Removed {
        about: remove_of(connection, "event_entities", "event", &gone).await?,
        events: gone.len() as u64,
    })
}

/// The first source after `after` that has events.
///
/// # Errors
/// When the database cannot be used now.
pub async fn source_after<C: ConnectionTrait>(
    connection: &C,
    after: Option<SourceId>,
) -> Result<Option<SourceId>, StoreError> {
    next_source(connection, TABLE, after).await
}
