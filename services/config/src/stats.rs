//! `/stats`: how much there is.

use actix_web::{HttpResponse, web};
use hookrail_domain::json::Json;
use hookrail_store::{DefinitionTable, definition_rows, revision};

use crate::answer;
use crate::authenticated::Authenticated;
use crate::error::ApiError;
use crate::state::ConfigState;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/stats")
            .route(web::get().to(read))
            .route(web::head().to(read)),
    );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(read))]
pub(crate) struct Docs;

/// How many definitions a workspace has, and the newest revision of all
#[utoipa::path(get, path = "/api/v1/stats", tag = "administration", operation_id = "readStats",
    responses((status = 200, description = "`workspace`, `sources`, `destinations`, `routes`, `fetchers`, `revision`")))]
async fn read(state: web::Data<ConfigState>, sender: Authenticated) -> Result<HttpResponse, ApiError> {
    let (reader, workspace) = (state.store.reader(), sender.workspace_id());
    let count = async |table| definition_rows::count(reader, table, &workspace).await;
    Ok(answer::json(&Json::from([
        ("workspace", sender.workspace.code.as_str().into()),
        ("sources", count(DefinitionTable::Sources).await?.into()),
        ("destinations", count(DefinitionTable::Destinations).await?.into()),
        ("routes", count(DefinitionTable::Routes).await?.into()),
        ("fetchers", count(DefinitionTable::Fetchers).await?.into()),
        ("revision", revision::current(reader).await?.into()),
    ])))
}
