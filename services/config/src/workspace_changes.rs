//! Renaming and deleting workspaces.

use actix_web::{HttpResponse, web};
use hookrail_domain::ids::WorkspaceId;
use hookrail_domain::snapshot::{Definition, Key};
use hookrail_domain::source::SourceSpec;
use hookrail_domain::workspace::{FIRST_CODE, Workspace};
use hookrail_store::sea_orm::ConnectionTrait;
use hookrail_store::workspaces::{self, WorkspaceRow};
use hookrail_store::{DefinitionTable, IdPage, StoreError, definition_rows, tokens};

use crate::answer;
use crate::audit_trail::Deed;
use crate::authenticated::Authenticated;
use crate::change::Change;
use crate::error::{ApiError, Conflict};
use crate::json_body::JsonBody;
use crate::sources;
use crate::state::ConfigState;
use crate::workspaces::{NewWorkspace, show};

/// Sources that are read in one query.
const PAGE: u64 = 200;
/// What a workspace has to be without before it can go.
const TABLES: [(DefinitionTable, &str); 7] = [
    (DefinitionTable::EventTypes, "event types"),
    (DefinitionTable::Sources, "sources"),
    (DefinitionTable::Destinations, "destinations"),
    (DefinitionTable::Routes, "routes"),
    (DefinitionTable::Fetchers, "fetchers"),
    (DefinitionTable::Connections, "connections"),
    (DefinitionTable::Syncs, "syncs"),
];

/// Rename a workspace (root): its sources' URLs have the new code within a second, and the old ones end
#[utoipa::path(patch, path = "/api/v1/workspaces/{id}", tag = "administration", operation_id = "renameWorkspace",
    params(crate::openapi::IdParam), request_body = NewWorkspace,
    responses((status = 200, body = crate::workspaces::WorkspaceRead),
        (status = 409, description = "`code-taken`, `first-workspace`", body = crate::openapi::ProblemDocument)))]
pub(crate) async fn rename(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    sender.require_root()?;
    let wanted: NewWorkspace = body.read()?;
    wanted.check()?;
    let mut change = Change::begin(&state, &sender.actor).await?;
    let before = find(&**change.transaction(), &id).await?;
    if before.code == wanted.code {
        return Ok(answer::json(&show(&before)));
    }
    refuse_if_first(&before)?;
    let renamed = workspaces::rename(&**change.transaction(), &before.id, &wanted.code).await;
    renamed.map_err(code_taken)?;
    let after = WorkspaceRow {
        code: wanted.code,
        ..before.clone()
    };
    let workspace = in_force(&after)?;
    let definition = Definition::Workspace(workspace.clone());
    change
        .publish(Key::Workspace(workspace.id), Some(definition))
        .await?;
    publish_sources(&mut change, &workspace).await?;
    let deed = Deed {
        name: Some(&after.code),
        ..Deed::command("updated", "workspace", &after.id)
    };
    let deed = deed.with_before(&show(&before)).with_after(&show(&after));
    change.record(&after.id, deed).await?;
    change.commit(&state).await?;
    Ok(answer::json(&show(&after)))
}

/// Delete a workspace without definitions (root), and its tokens; what is left of its events goes with their time
#[utoipa::path(delete, path = "/api/v1/workspaces/{id}", tag = "administration", operation_id = "deleteWorkspace",
    params(crate::openapi::IdParam),
    responses((status = 204, description = "It is gone"), (status = 404, body = crate::openapi::ProblemDocument),
        (status = 409, description = "`in-use`, `first-workspace`", body = crate::openapi::ProblemDocument)))]
pub(crate) async fn delete(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    sender.require_root()?;
    let change = Change::begin(&state, &sender.actor).await?;
    let transaction = &**change.transaction();
    let row = find(transaction, &id).await?;
    refuse_if_first(&row)?;
    refuse_if_used(transaction, &row).await?;
    tokens::delete_of(transaction, &row.id).await?;
    workspaces::delete(transaction, &row.id).await?;
    change.publish(Key::Workspace(in_force(&row)?.id), None).await?;
    let deed = Deed {
        name: Some(&row.code),
        ..Deed::command("deleted", "workspace", &row.id).with_before(&show(&row))
    };
    change.record(&row.id, deed).await?;
    change.commit(&state).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn find<C: ConnectionTrait>(connection: &C, id: &str) -> Result<WorkspaceRow, ApiError> {
    let id: WorkspaceId = id.parse().map_err(|_| ApiError::NotFound("workspace"))?;
    let row = workspaces::find(connection, &id.to_string()).await?;
    row.ok_or(ApiError::NotFound("workspace"))
}

fn in_force(row: &WorkspaceRow) -> Result<Workspace, ApiError> {
    let unreadable = |error| ApiError::Internal(anyhow::Error::new(error));
    Ok(Workspace {
        id: row.id.parse().map_err(unreadable)?,
        code: row.code.clone(),
    })
}

/// Sources carry their workspace's code, so each is published again, under a revision of its own.
async fn publish_sources(change: &mut Change, workspace: &Workspace) -> Result<(), ApiError> {
    let (id, mut after) = (workspace.id.to_string(), None);
    loop {
        let page = IdPage {
            limit: PAGE,
            after: after.take(),
            newest_first: false,
        };
        let transaction = &**change.transaction();
        let rows = definition_rows::list(transaction, DefinitionTable::Sources, &id, &page).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some(last.id.clone());
        for row in rows {
            change.raise().await?;
            let stored = change.find::<SourceSpec>(&id, &row.id).await?;
            sources::publish(change, workspace, &stored).await?;
        }
    }
}

/// The first workspace keeps its code, and stays.
fn refuse_if_first(row: &WorkspaceRow) -> Result<(), ApiError> {
    if row.code == FIRST_CODE {
        let detail = "it is where requests act that name none";
        return Err(ApiError::conflict("first-workspace", detail));
    }
    Ok(())
}

async fn refuse_if_used<C: ConnectionTrait>(connection: &C, row: &WorkspaceRow) -> Result<(), ApiError> {
    let mut users = Vec::new();
    for (table, what) in TABLES {
        let count = definition_rows::count(connection, table, &row.id).await?;
        if count > 0 {
            users.push(serde_json::json!({"kind": what, "count": count}));
        }
    }
    if users.is_empty() {
        return Ok(());
    }
    Err(ApiError::Conflict(Conflict {
        code: "in-use",
        detail: "it has definitions: delete them first".to_owned(),
        users,
    }))
}

fn code_taken(error: StoreError) -> ApiError {
    if error.is_unique_violation() {
        ApiError::conflict("code-taken", "there is a workspace of that code")
    } else {
        error.into()
    }
}
