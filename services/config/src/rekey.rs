//! `POST /rekey`: seals all secrets with the newest key of the ring, so that older keys can go.
//!
//! Each definition is one change of its own, made as any other: beside requests, published when it is
//! committed. What died half-way is done by asking again.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use hookrail_domain::connection::ConnectionSpec;
use hookrail_domain::destination::DestinationSpec;
use hookrail_domain::fetcher::FetcherSpec;
use hookrail_domain::ids::{ConnectionId, DestinationId, FetcherId, SourceId};
use hookrail_domain::json::Json;
use hookrail_domain::snapshot::Key;
use hookrail_domain::source::SourceSpec;
use hookrail_domain::workspace::Workspace;
use hookrail_keyring::sealed_by;
use hookrail_runtime::random;
use hookrail_store::sea_orm::ConnectionTrait;
use hookrail_store::{definition_rows, secrets, workspaces};
use tokio::sync::Mutex;

use crate::answer;
use crate::audit_trail::{self, Deed};
use crate::authenticated::Authenticated;
use crate::change::Change;
use crate::definition::{Definable, Stored};
use crate::error::ApiError;
use crate::state::ConfigState;
use crate::{connections, destinations, fetchers, sources};

/// Secrets that are looked at in one query.
const PAGE: i64 = 500;
/// Definitions that are sealed anew in one request, so that its answer comes in time.
const DEFINITIONS_AT_ONCE: usize = 500;

/// One at a time in this process: a second one would find nothing to do.
static RUNNING: Mutex<()> = Mutex::const_new(());

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.service(web::resource("/rekey").route(web::post().to(rekey)));
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(rekey))]
pub(crate) struct Docs;

/// What a re-key did.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "read by the derive of its schema")]
pub(crate) struct Rekeyed {
    /// The key that seals everything now.
    sealed_by: String,
    /// Definitions whose secrets another key had sealed, or none.
    definitions: u64,
    /// Their secrets, with those of the installation itself.
    secrets: u64,
    /// Whether nothing is left; else ask again.
    complete: bool,
}

/// Seal secrets with the newest key of the ring (root); when `complete`, older keys can be removed
#[utoipa::path(post, path = "/api/v1/rekey", tag = "administration", operation_id = "rekey",
    responses((status = 200, description = "What was done", body = Rekeyed),
        (status = 409, description = "`no-key-ring`", body = crate::openapi::ProblemDocument)))]
async fn rekey(state: web::Data<ConfigState>, sender: Authenticated) -> Result<HttpResponse, ApiError> {
    sender.require_root()?;
    let _alone = RUNNING.lock().await;
    let newest = state.key_ring.sealing_key().map(str::to_owned);
    let newest = newest.ok_or_else(|| ApiError::conflict("no-key-ring", "the service has no key ring"))?;
    let owners = owners_to_reseal(&state, &newest).await?;
    let definitions = owners.len().min(DEFINITIONS_AT_ONCE);
    let mut resealed = 0;
    for owner in owners.iter().take(DEFINITIONS_AT_ONCE) {
        resealed += reseal(&state, &sender, owner).await?;
    }
    // What others wrote meanwhile, and what isn't published yet, is found here.
    let complete = definitions == 0 || owners_to_reseal(&state, &newest).await?.is_empty();
    if complete {
        resealed += usize::from(state.broker.reseal_late_key(random::bytes()).await?);
    }
    let done = Json::from([
        ("sealed_by", newest.as_str().into()),
        ("definitions", (definitions as u64).into()),
        ("secrets", (resealed as u64).into()),
        ("complete", complete.into()),
    ]);
    let deed = Deed::command("rekeyed", "installation", "installation").with_after(&done);
    audit_trail::note(&state, &sender, deed).await?;
    Ok(answer::json(&done))
}

/// The definitions with a secret that the newest key hasn't sealed, in the database or on the broker.
async fn owners_to_reseal(state: &ConfigState, newest: &str) -> Result<BTreeSet<String>, ApiError> {
    let mut owners = BTreeSet::new();
    let mut after = String::new();
    loop {
        let rows = secrets::page_after(state.store.reader(), &after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after.clone_from(&last.id);
        let others = rows
            .into_iter()
            .filter(|row| sealed_by(&row.value) != Some(newest));
        owners.extend(others.map(|row| row.owner_id));
    }
    for entry in state.broker.sealed_entries().await? {
        if entry.sealed_by.iter().any(|key| key.as_deref() != Some(newest)) {
            owners.extend(id_text(entry.key));
        }
    }
    Ok(owners)
}

fn id_text(key: Key) -> Option<String> {
    match key {
        Key::Source(id) => Some(id.to_string()),
        Key::Destination(id) => Some(id.to_string()),
        Key::Fetcher(id) => Some(id.to_string()),
        Key::Connection(id) => Some(id.to_string()),
        // They hold no secrets.
        Key::Workspace(_) | Key::Route(_) => None,
    }
}

/// Seals one definition's secrets anew and publishes it; gives how many secrets it has.
async fn reseal(state: &ConfigState, sender: &Authenticated, owner: &str) -> Result<usize, ApiError> {
    let change = Change::begin(state, &sender.actor).await?;
    let count = if owner.parse::<SourceId>().is_ok() {
        let Some((stored, workspace)) = load::<SourceSpec>(&change, owner).await? else {
            return Ok(0);
        };
        sources::publish(&change, &workspace, &stored).await?;
        change.reseal(stored).await?
    } else if owner.parse::<DestinationId>().is_ok() {
        let Some((stored, workspace)) = load::<DestinationSpec>(&change, owner).await? else {
            return Ok(0);
        };
        destinations::publish(&change, &workspace, &stored).await?;
        change.reseal(stored).await?
    } else if owner.parse::<FetcherId>().is_ok() {
        let Some((stored, workspace)) = load::<FetcherSpec>(&change, owner).await? else {
            return Ok(0);
        };
        fetchers::publish(&change, &workspace, &stored).await?;
        change.reseal(stored).await?
    } else if owner.parse::<ConnectionId>().is_ok() {
        let Some((stored, workspace)) = load::<ConnectionSpec>(&change, owner).await? else {
            return Ok(0);
        };
        connections::publish(&change, &workspace, &stored).await?;
        change.reseal(stored).await?
    } else {
        return Err(ApiError::Internal(anyhow::anyhow!(
            "{owner} owns secrets of no known kind"
        )));
    };
    change.commit(state).await?;
    Ok(count)
}

/// The definition with its secrets, and its workspace; none where it was deleted meanwhile.
async fn load<S: Definable>(change: &Change, id: &str) -> Result<Option<(Stored<S>, Workspace)>, ApiError> {
    let transaction = &**change.transaction();
    let Some(workspace_id) = definition_rows::workspace_of(transaction, S::TABLE, id).await? else {
        return Ok(None);
    };
    let workspace = workspace(transaction, &workspace_id).await?;
    Ok(Some((change.find(&workspace_id, id).await?, workspace)))
}

async fn workspace<C: ConnectionTrait>(connection: &C, id: &str) -> Result<Workspace, ApiError> {
    let row = workspaces::find(connection, id).await?;
    let row = row.ok_or(ApiError::NotFound("workspace"))?;
    let unreadable = |error| ApiError::Internal(anyhow::Error::new(error));
    Ok(Workspace {
        id: row.id.parse().map_err(unreadable)?,
        code: row.code,
    })
}
