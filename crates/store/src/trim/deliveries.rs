//! Trimming settled deliveries, and their attempts with them. A delivery that is not settled stays, and so
//! does a dead one that can be sent again.

use hookrail_domain::{Millis, ids::SourceId};
use sea_orm::ConnectionTrait;

use super::{Page, Rule, Seen, look, next_source, remove, remove_of};
use crate::StoreError;
use crate::queries::conditions::Conditions;

const TABLE: &str = "deliveries";

/// Settled before the time; with no dead letter left where it is dead; and told of by nobody any more: a
/// processor or a replay that has published a delivery and not committed that yet would store it again, as
/// pending. Nor of what a sync has not counted yet.
const MAY_GO: &str = "COALESCE(settled_at, accepted_at) < ? \
     AND (status IN ('delivered', 'cancelled') OR (status = 'dead' AND NOT EXISTS \
         (SELECT 1 FROM dead_letters WHERE dead_letters.delivery = deliveries.id))) \
     AND EXISTS (SELECT 1 FROM partition_progress WHERE partition_progress.partition = deliveries.origin_partition \
         AND partition_progress.sequence >= deliveries.origin_sequence) \
     AND NOT EXISTS (SELECT 1 FROM held_events WHERE held_events.partition = deliveries.origin_partition \
         AND held_events.source = deliveries.source AND held_events.sequence = deliveries.origin_sequence) \
     AND NOT EXISTS (SELECT 1 FROM replays WHERE replays.id = deliveries.replay AND replays.swept = 0) \
     AND NOT EXISTS (SELECT 1 FROM sync_sends WHERE sync_sends.delivery = deliveries.id)";

fn rule(settled_before: Millis) -> Rule {
    (MAY_GO, vec![settled_before.into()])
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Deliveries.
    pub deliveries: u64,
    /// Attempts of theirs.
    pub attempts: u64,
}

/// Looks at a page.
///
/// # Errors
/// When the database cannot be used now.
pub async fn look_at<C: ConnectionTrait>(connection: &C, page: &Page) -> Result<Seen, StoreError> {
    look(
        connection,
        TABLE,
        page,
        Conditions::default(),
        rule(page.settled_before),
    )
    .await
}

/// Removes those of these deliveries that may still go, with all that belongs to them.
///
/// # Errors
/// When the database cannot be used now.
pub async fn go<C: ConnectionTrait>(
    connection: &C,
    ids: &[String],
    settled_before: Millis,
) -> Result<Removed, StoreError> {
    let gone = remove(connection, TABLE, ids, rule(settled_before)).await?;
    // One that was delivered when it was sent again has a dead letter that nobody needs.
    remove_of(connection, "dead_letters", "delivery", &gone).await?;
    Ok(Removed {
        attempts: remove_of(connection, "attempts", "delivery", &gone).await?,
        deliveries: gone.len() as u64,
    })
}

/// The first source after `after` that has deliveries.
///
/// # Errors
/// When the database cannot be used now.
pub async fn source_after<C: ConnectionTrait>(
    connection: &C,
    after: Option<SourceId>,
) -> Result<Option<SourceId>, StoreError> {
    next_source(connection, TABLE, after).await
}
