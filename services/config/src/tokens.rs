//! `/tokens`: access tokens of a workspace. A token is shown once, when it is made.

use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::ids::KeyId;
use hookrail_domain::json::Json;
use hookrail_runtime::clock;
use hookrail_store::tokens::{self, TokenRow};
use serde::Deserialize;

use crate::answer::{self, Created};
use crate::authenticated::{Authenticated, Role};
use crate::definition::time;
use crate::error::ApiError;
use crate::first_start::{token_row, token_text};
use crate::idempotency::once;
use crate::json_body::JsonBody;
use crate::paging::{PageQuery, page};
use crate::source_keys::check_label;
use crate::state::ConfigState;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/tokens")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/tokens/{id}")
                .route(web::get().to(read))
                .route(web::head().to(read))
                .route(web::delete().to(delete)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, read, delete))]
pub(crate) struct Docs;

/// A new token.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What it is called.
    label: String,
    /// `admin`, `editor` or `viewer`.
    role: String,
}

/// List the tokens of a workspace (admin)
#[utoipa::path(get, path = "/api/v1/tokens", tag = "administration", operation_id = "listTokens",
    params(crate::openapi::ListParams), responses((status = 200, description = "A page of tokens, without their text")))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    sender.require(Role::Admin)?;
    let rows = tokens::list(state.store.reader(), &sender.workspace_id(), &query.by_id()).await?;
    Ok(page(&query, rows, |row| row.id.clone(), |row| show(row, &sender)))
}

/// Create a token (admin); it is shown in this answer only
#[utoipa::path(post, path = "/api/v1/tokens", tag = "administration", operation_id = "createToken",
    params(crate::openapi::WriteParams), request_body = NewToken,
    responses((status = 201, description = "The token, in clear in `token`"), (status = 403, body = crate::openapi::ProblemDocument)))]
async fn create(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    sender.require(Role::Admin)?;
    let wanted: NewToken = body.read()?;
    check_label(&wanted.label)?;
    let role =
        Role::parse(&wanted.role).ok_or_else(|| ApiError::field("/role", "is admin, editor or viewer"))?;
    once(&state, &sender, &request, &body, async |claim| {
        let text = token_text();
        let row = token_row(
            &text,
            Some(sender.workspace_id()),
            role,
            &wanted.label,
            clock::now_ms(),
        );
        let mut created = Created::plain(format!("/api/v1/tokens/{}", row.id), show(&row, &sender));
        if let Json::Object(members) = &mut created.body {
            members.insert("token".to_owned(), text.into());
        }
        let transaction = state.store.write().await?;
        tokens::insert(&*transaction, &row).await?;
        claim.keep(&transaction, &created).await?;
        transaction.commit().await?;
        Ok(created)
    })
    .await
}

/// Read a token (admin), without its text
#[utoipa::path(get, path = "/api/v1/tokens/{id}", tag = "administration", operation_id = "readToken",
    params(crate::openapi::IdParam), responses((status = 200, description = "The token"), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    sender.require(Role::Admin)?;
    Ok(answer::json(&show(&find(&state, &sender, &id).await?, &sender)))
}

/// Delete a token (admin): it is refused from now on
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "administration", operation_id = "deleteToken",
    params(crate::openapi::IdParam), responses((status = 204), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn delete(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    sender.require(Role::Admin)?;
    let row = find(&state, &sender, &id).await?;
    let transaction = state.store.write().await?;
    tokens::delete(&*transaction, &row.id).await?;
    transaction.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn find(state: &ConfigState, sender: &Authenticated, id: &str) -> Result<TokenRow, ApiError> {
    let id: KeyId = id.parse().map_err(|_| ApiError::NotFound("token"))?;
    let row = tokens::find(state.store.reader(), &sender.workspace_id(), &id.to_string()).await?;
    row.ok_or(ApiError::NotFound("token"))
}

fn show(row: &TokenRow, sender: &Authenticated) -> Json {
    Json::from([
        ("id", row.id.as_str().into()),
        ("workspace", sender.workspace.code.as_str().into()),
        ("label", row.label.as_str().into()),
        ("role", row.role.as_str().into()),
        ("hint", row.hint.as_str().into()),
        ("created_at", time(row.created_at)),
        ("last_used_at", row.last_used_at.map_or(Json::Null, time)),
    ])
}
