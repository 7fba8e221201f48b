//! What has to be there before anyone can ask for anything: the first workspace and a token of root.

use hookrail_domain::ids::{KeyId, WorkspaceId};
use hookrail_domain::secret;
use hookrail_domain::snapshot::{Definition, Key};
use hookrail_domain::workspace::{FIRST_CODE, Workspace};
use hookrail_domain::{Millis, api_key::hash_key};
use hookrail_runtime::{Secret, random};
use hookrail_store::tokens::{self, TokenRow};
use hookrail_store::workspaces::{self, WorkspaceRow};
use hookrail_store::{Store, revision};

use crate::audit_trail::{Actor, Deed};
use crate::authenticated::{Role, hex};
use crate::change::Change;
use crate::error::ApiError;
use crate::state::{ConfigState, new_id};

/// Makes a token of root where there is none and the setting gives none. What is returned is the new
/// token, in clear: the caller shows it, it can't be had again.
///
/// # Errors
/// When the database can't be used.
pub async fn ensure_admin_token(
    store: &Store,
    given: Option<&Secret>,
    now_ms: Millis,
) -> anyhow::Result<Option<String>> {
    if given.is_some() || tokens::has_root(store.reader()).await? {
        return Ok(None);
    }
    let transaction = store.write().await?;
    // Of several that start at once, one makes the token: they take turns at the revision's row.
    revision::lock_publishing(&transaction).await?;
    if tokens::has_root(&*transaction).await? {
        return Ok(None);
    }
    let text = token_text();
    let row = token_row(&text, None, Role::Admin, "first admin", now_ms);
    tokens::insert(&*transaction, &row).await?;
    transaction.commit().await?;
    Ok(Some(text))
}

/// Makes the workspace `default` where it is missing.
pub(crate) async fn ensure_first_workspace(state: &ConfigState) -> Result<(), ApiError> {
    if workspaces::find_by_code(state.store.reader(), FIRST_CODE)
        .await?
        .is_some()
    {
        return Ok(());
    }
    let change = Change::begin(state, &Actor::hookrail()).await?;
    if workspaces::find_by_code(&**change.transaction(), FIRST_CODE)
        .await?
        .is_none()
    {
        add_workspace(&change, FIRST_CODE).await?;
        change.commit(state).await?;
    }
    Ok(())
}

/// Adds a workspace as part of a change.
pub(crate) async fn add_workspace(change: &Change, code: &str) -> Result<WorkspaceRow, ApiError> {
    let id = new_id::<WorkspaceId>();
    let row = WorkspaceRow {
        id: id.to_string(),
        code: code.to_owned(),
        created_at: change.now,
    };
    workspaces::insert(&**change.transaction(), &row)
        .await
        .map_err(|error| {
            if error.is_unique_violation() {
                ApiError::conflict("code-taken", "there is a workspace of that code")
            } else {
                error.into()
            }
        })?;
    let workspace = Workspace {
        id,
        code: code.to_owned(),
    };
    change
        .publish(Key::Workspace(id), Some(Definition::Workspace(workspace)))
        .await?;
    let deed = Deed {
        name: Some(code),
        ..Deed::command("created", "workspace", &row.id)
    };
    change.record(&row.id, deed).await?;
    Ok(row)
}

/// The text of a new token.
pub(crate) fn token_text() -> String {
    format!("hrt_{}", random::hex_token::<24>())
}

/// A token's row.
pub(crate) fn token_row(
    text: &str,
    workspace_id: Option<String>,
    role: Role,
    label: &str,
    now: Millis,
) -> TokenRow {
    TokenRow {
        id: new_id::<KeyId>().to_string(),
        workspace_id,
        role: role.as_str().to_owned(),
        label: label.to_owned(),
        hash: hex(&hash_key(text)),
        hint: secret::Secret::new(text).hint(),
        created_at: now,
        last_used_at: None,
        expires_at: None,
    }
}
