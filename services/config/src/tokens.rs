//! `/tokens`: access tokens of a workspace. A token is shown once, when it is made.

use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::Millis;
use hookrail_domain::ids::KeyId;
use hookrail_domain::json::Json;
use hookrail_domain::render::parse_rfc3339;
use hookrail_runtime::clock;
use hookrail_store::tokens::{self, TokenRow, TokenScope};
use serde::Deserialize;

use crate::answer::{self, Created};
use crate::audit_trail::{self, Deed};
use crate::authenticated::{Authenticated, Role};
use crate::definition::time;
use crate::error::ApiError;
use crate::first_start::{token_row, token_text};
use crate::idempotency::once;
use crate::json_body::JsonBody;
use crate::paging::{PageQuery, page};
use crate::shown::optional;
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
    /// `admin`, `editor` or `viewer`; by root also `root`, which may act in any workspace.
    role: String,
    /// When it stops being taken, RFC 3339; absent = never.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// The role that is asked for when a token of root is.
const ROOT: &str = "root";

/// What a new token is to be.
struct Wanted {
    role: Role,
    is_root: bool,
    expires_at: Option<Millis>,
}

impl NewToken {
    fn check(&self, sender: &Authenticated, now: Millis) -> Result<Wanted, ApiError> {
        check_label(&self.label)?;
        let is_root = self.role == ROOT;
        if is_root {
            sender.require_root()?;
        }
        let role = if is_root {
            Some(Role::Admin)
        } else {
            Role::parse(&self.role)
        };
        let role = role.ok_or_else(|| ApiError::field("/role", "is admin, editor or viewer"))?;
        let wrong = || ApiError::field("/expires_at", "has to be a time to come, RFC 3339");
        let read = |text: &String| parse_rfc3339(text).filter(|at| *at > now).ok_or_else(wrong);
        Ok(Wanted {
            role,
            is_root,
            expires_at: self.expires_at.as_ref().map(read).transpose()?,
        })
    }
}

/// A token as it is read.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "read by the derive of its schema")]
pub(crate) struct TokenRead {
    /// Its id.
    id: String,
    /// Its workspace's code; null for one of root.
    workspace: Option<String>,
    /// What it is called.
    label: String,
    /// `admin`, `editor`, `viewer` or `root`.
    role: String,
    /// The end of its text.
    hint: String,
    /// RFC 3339, UTC.
    created_at: String,
    /// To the minute.
    last_used_at: Option<String>,
    /// When it stops being taken.
    expires_at: Option<String>,
    /// Its text, in the answer that made it only.
    #[schema(required = false)]
    token: Option<String>,
}

/// A page of tokens.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "read by the derive of its schema")]
pub(crate) struct TokenList {
    items: Vec<TokenRead>,
    next_cursor: Option<String>,
}

/// List the tokens of a workspace (admin)
#[utoipa::path(get, path = "/api/v1/tokens", tag = "administration", operation_id = "listTokens",
    params(crate::openapi::ListParams), responses((status = 200, description = "Without their text", body = TokenList)))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    sender.require(Role::Admin)?;
    let workspace = sender.workspace_id();
    let rows = tokens::list(state.store.reader(), scope(&sender, &workspace), &query.by_id()).await?;
    Ok(page(&query, rows, |row| row.id.clone(), |row| show(row, &sender)))
}

/// Create a token (admin); it is shown in this answer only
#[utoipa::path(post, path = "/api/v1/tokens", tag = "administration", operation_id = "createToken",
    params(crate::openapi::WriteParams), request_body = NewToken,
    responses((status = 201, description = "The token, in clear in `token`", body = TokenRead), (status = 403, body = crate::openapi::ProblemDocument)))]
async fn create(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    sender.require(Role::Admin)?;
    let wanted: NewToken = body.read()?;
    let now = clock::now_ms();
    let checked = wanted.check(&sender, now)?;
    once(&state, &sender, &request, &body, async |claim| {
        let text = token_text();
        let owner = (!checked.is_root).then(|| sender.workspace_id());
        let row = TokenRow {
            expires_at: checked.expires_at,
            ..token_row(&text, owner.clone(), checked.role, &wanted.label, now)
        };
        let mut created = Created::plain(format!("/api/v1/tokens/{}", row.id), show(&row, &sender));
        if let Json::Object(members) = &mut created.body {
            members.insert("token".to_owned(), text.into());
        }
        let transaction = state.store.write().await?;
        tokens::insert(&*transaction, &row).await?;
        let deed = Deed {
            name: Some(&row.label),
            ..Deed::command("created", "token", &row.id).with_after(&created.repeated)
        };
        audit_trail::record(&*transaction, &sender.actor, owner, deed, now).await?;
        claim.keep(&transaction, &created).await?;
        transaction.commit().await?;
        Ok(created)
    })
    .await
}

/// Read a token (admin), without its text
#[utoipa::path(get, path = "/api/v1/tokens/{id}", tag = "administration", operation_id = "readToken",
    params(crate::openapi::IdParam), responses((status = 200, description = "The token", body = TokenRead), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    sender.require(Role::Admin)?;
    Ok(answer::json(&show(&find(&state, &sender, &id).await?, &sender)))
}

/// Delete a token (admin): it is refused from now on. Nobody can delete the last token of an admin with itself
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "administration", operation_id = "deleteToken",
    params(crate::openapi::IdParam), responses((status = 204, description = "It is gone"), (status = 404, body = crate::openapi::ProblemDocument),
        (status = 409, description = "`last-admin-token`", body = crate::openapi::ProblemDocument)))]
async fn delete(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    sender.require(Role::Admin)?;
    let row = find(&state, &sender, &id).await?;
    let (transaction, now) = (state.store.write().await?, clock::now_ms());
    let is_own = sender.actor.id == row.id && row.role == Role::Admin.as_str();
    if is_own && tokens::other_admins(&*transaction, &row, now).await? == 0 {
        return Err(ApiError::conflict(
            "last-admin-token",
            "it is your own, and no other token of an admin is left: make one first",
        ));
    }
    tokens::delete(&*transaction, &row.id).await?;
    let deed = Deed {
        name: Some(&row.label),
        ..Deed::command("deleted", "token", &row.id).with_before(&show(&row, &sender))
    };
    audit_trail::record(&*transaction, &sender.actor, row.workspace_id.clone(), deed, now).await?;
    transaction.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn find(state: &ConfigState, sender: &Authenticated, id: &str) -> Result<TokenRow, ApiError> {
    let id: KeyId = id.parse().map_err(|_| ApiError::NotFound("token"))?;
    let workspace = sender.workspace_id();
    let row = tokens::find(state.store.reader(), scope(sender, &workspace), &id.to_string()).await?;
    row.ok_or(ApiError::NotFound("token"))
}

/// The tokens that a sender sees: its workspace's, and to root those of root.
fn scope<'a>(sender: &Authenticated, workspace_id: &'a str) -> TokenScope<'a> {
    TokenScope {
        workspace_id,
        with_root: sender.is_root,
    }
}

fn show(row: &TokenRow, sender: &Authenticated) -> Json {
    let workspace = row.workspace_id.as_ref().map(|_| sender.workspace.code.as_str());
    let role = if workspace.is_some() { &row.role } else { ROOT };
    Json::from([
        ("id", row.id.as_str().into()),
        ("workspace", optional(workspace)),
        ("label", row.label.as_str().into()),
        ("role", role.into()),
        ("hint", row.hint.as_str().into()),
        ("created_at", time(row.created_at)),
        ("last_used_at", row.last_used_at.map_or(Json::Null, time)),
        ("expires_at", row.expires_at.map_or(Json::Null, time)),
    ])
}
