//! What is answered alike for each kind of definition that is shown as it is stored.

use actix_web::HttpResponse;
use hookrail_domain::json::Json;
use hookrail_store::{DefinitionRow, definition_rows};

use crate::answer::{self, Created};
use crate::authenticated::Authenticated;
use crate::definition::{Definable, Stored, show};
use crate::error::ApiError;
use crate::paging::{PageQuery, page};
use crate::state::ConfigState;

/// A page of the workspace's definitions.
pub(crate) async fn list<S: Definable>(
    state: &ConfigState,
    sender: &Authenticated,
    query: &PageQuery,
) -> Result<HttpResponse, ApiError> {
    let (reader, workspace) = (state.store.reader(), sender.workspace_id());
    let rows = definition_rows::list(reader, S::TABLE, &workspace, &query.by_id()).await?;
    Ok(page(
        query,
        rows,
        |row| row.id.clone(),
        |row| Json::Object(show(row, &sender.workspace)),
    ))
}

/// The definition with this id.
pub(crate) async fn read<S: Definable>(
    state: &ConfigState,
    sender: &Authenticated,
    id: &str,
) -> Result<HttpResponse, ApiError> {
    let stored = Stored::<S>::find(state.store.reader(), &sender.workspace_id(), id).await?;
    Ok(as_stored(&stored.row, sender))
}

/// The definition as it is now.
pub(crate) fn as_stored(row: &DefinitionRow, sender: &Authenticated) -> HttpResponse {
    answer::json(&Json::Object(show(row, &sender.workspace)))
}

/// The definition that a request made.
pub(crate) fn created<S: Definable>(stored: &Stored<S>, sender: &Authenticated) -> Created {
    let location = format!("{}/{}", S::PATH, stored.row.id);
    Created::plain(location, Json::Object(show(&stored.row, &sender.workspace)))
}
