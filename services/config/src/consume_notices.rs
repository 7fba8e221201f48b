//! Takes notices in: a destination whose receiver wants no more is disabled, and who subscribes to that,
//! or to a destination's having too much parked, is told.
//!
//! A notice is acknowledged once what it asks for is committed, so a crash at any point loses none; one
//! that comes twice changes nothing.

use std::time::Duration;

use hookrail_broker::{BrokerError, Notice, NoticeKind, NoticeReader};
use hookrail_domain::Millis;
use hookrail_domain::destination::DestinationSpec;
use hookrail_domain::ids::{DeliveryId, DestinationId};
use hookrail_domain::internal_event::{
    InternalEvent, NamedDestination, destination_disabled, destination_over_quota,
};
use hookrail_domain::plan;
use hookrail_domain::workspace::Workspace;
use hookrail_runtime::{Readiness, ServiceContext};
use hookrail_store::{DefinitionTable, definition_rows, internal_events, workspaces};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::audit_trail::Actor;
use crate::change::Change;
use crate::definition::Stored;
use crate::destinations;
use crate::error::ApiError;
use crate::state::ConfigState;

/// The pause before what failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A receiver answered 410.
#[derive(Debug, Deserialize)]
struct DestinationGone {
    destination: DestinationId,
    /// The delivery that was answered so.
    delivery: DeliveryId,
    /// When it was answered.
    at: Millis,
}

/// A destination used up its share of a stream of parked deliveries.
#[derive(Debug, Deserialize)]
struct DestinationOverQuota {
    destination: DestinationId,
    /// The first delivery that found no room.
    delivery: DeliveryId,
    /// What it has parked.
    parked_bytes: u64,
    /// When that was.
    at: Millis,
}

/// Takes notices in until shutdown.
pub(crate) async fn run(state: ConfigState, context: ServiceContext, ready: Readiness) {
    tokio::select! {
        () = context.shutdown.cancelled() => {}
        () = follow(&state, &ready) => {}
    }
}

async fn follow(state: &ConfigState, ready: &Readiness) {
    loop {
        let failed = match NoticeReader::open(&state.broker).await {
            Ok(reader) => {
                ready.ready();
                take_all(state, reader).await
            }
            Err(error) => error,
        };
        tracing::warn!(error = %failed, "notices can't be read");
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn take_all(state: &ConfigState, mut reader: NoticeReader) -> BrokerError {
    loop {
        let notice = match reader.next().await {
            Ok(notice) => notice,
            Err(error) => return error,
        };
        while let Err(error) = take(state, &notice).await {
            tracing::warn!(%error, "a notice waits to be taken in");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        if let Err(error) = reader.ack(&notice).await {
            return error;
        }
    }
}

async fn take(state: &ConfigState, notice: &Notice) -> Result<(), ApiError> {
    match notice.kind {
        Some(NoticeKind::DestinationGone) => match read(notice) {
            Some(gone) => disable(state, &gone).await,
            None => Ok(()),
        },
        Some(NoticeKind::DestinationOverQuota) => match read(notice) {
            Some(over) => tell_over_quota(state, &over).await,
            None => Ok(()),
        },
        None => {
            tracing::error!("a notice of an unknown kind");
            Ok(())
        }
    }
}

/// What a notice tells; one that can't be read is let go, or it would come for ever.
fn read<T: DeserializeOwned>(notice: &Notice) -> Option<T> {
    let read = serde_json::from_slice(&notice.payload);
    read.inspect_err(|error| tracing::error!(%error, "a notice can't be read"))
        .ok()
}

/// Disables the destination, unless somebody changed it since: then the answer says nothing of what it
/// is now.
async fn disable(state: &ConfigState, gone: &DestinationGone) -> Result<(), ApiError> {
    let change = Change::begin(state, &Actor::hookrail()).await?;
    let Some(mut stored) = find(&change, gone.destination).await? else {
        return Ok(());
    };
    if !stored.spec.enabled || stored.row.updated_at > gone.at {
        return Ok(());
    }
    let Some(workspace) = workspace_of(&change, &stored).await? else {
        return Ok(());
    };
    stored.spec.enabled = false;
    let partitions = state.broker.settings().partitions;
    let told = destination_disabled(&named(&stored, &workspace)?, gone.delivery, gone.at, partitions);
    tell(state, &change, told).await?;
    let stored = change.update(stored).await?;
    destinations::publish(&change, &workspace, &stored).await?;
    change.commit(state).await?;
    tracing::warn!(destination = %gone.destination, delivery = %gone.delivery, "disabled: the receiver is gone (410)");
    Ok(())
}

async fn tell_over_quota(state: &ConfigState, over: &DestinationOverQuota) -> Result<(), ApiError> {
    let change = Change::begin(state, &Actor::hookrail()).await?;
    let Some(stored) = find(&change, over.destination).await? else {
        return Ok(());
    };
    let Some(workspace) = workspace_of(&change, &stored).await? else {
        return Ok(());
    };
    let (named, partitions) = (named(&stored, &workspace)?, state.broker.settings().partitions);
    let told = destination_over_quota(&named, over.delivery, over.parked_bytes, over.at, partitions);
    tell(state, &change, told).await?;
    change.commit(state).await
}

fn named<'a>(
    stored: &'a Stored<DestinationSpec>,
    workspace: &Workspace,
) -> Result<NamedDestination<'a>, ApiError> {
    Ok(NamedDestination {
        id: stored.id()?,
        workspace: workspace.id,
        name: Some(&stored.spec.name),
    })
}

/// Stores an event for who takes it, with the change that it tells of.
async fn tell(state: &ConfigState, change: &Change, event: InternalEvent) -> Result<(), ApiError> {
    if plan::is_taken(&state.snapshots.current(), event.workspace, event.event_type) {
        internal_events::insert(&**change.transaction(), &[event]).await?;
    }
    Ok(())
}

async fn find(change: &Change, id: DestinationId) -> Result<Option<Stored<DestinationSpec>>, ApiError> {
    let (transaction, id) = (&**change.transaction(), id.to_string());
    match definition_rows::workspace_of(transaction, DefinitionTable::Destinations, &id).await? {
        Some(workspace_id) => change.find(&workspace_id, &id).await.map(Some),
        None => Ok(None),
    }
}

async fn workspace_of(
    change: &Change,
    stored: &Stored<DestinationSpec>,
) -> Result<Option<Workspace>, ApiError> {
    let row = workspaces::find(&**change.transaction(), &stored.row.workspace_id).await?;
    let read = |row: workspaces::WorkspaceRow| {
        let id = row
            .id
            .parse()
            .map_err(|error| ApiError::Internal(anyhow::Error::new(error)))?;
        Ok(Workspace { id, code: row.code })
    };
    row.map(read).transpose()
}
