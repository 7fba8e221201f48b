//! `/audit`: who changed what, when, from where, and what it was before and after.

use actix_web::{HttpResponse, web};
use hookrail_domain::json::Json;
use hookrail_store::audit::{self, AuditFilter, AuditRow};
use serde_json::Value;

use crate::authenticated::{Authenticated, Role};
use crate::definition::time;
use crate::error::ApiError;
use crate::paging::{PageQuery, page};
use crate::parameters::Parameters;
use crate::shown::optional;
use crate::state::ConfigState;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/audit")
            .route(web::get().to(list))
            .route(web::head().to(list)),
    );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list), components(schemas(AuditEntry, Actor, Subject)))]
pub(crate) struct Docs;

/// A page of the audit log.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "read by the derive of its schema")]
pub(crate) struct AuditList {
    items: Vec<AuditEntry>,
    next_cursor: Option<String>,
}

/// One change.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "read by the derive of its schema")]
pub(crate) struct AuditEntry {
    /// Its id.
    id: String,
    /// The workspace's id; null for what is the installation's.
    workspace_id: Option<String>,
    /// RFC 3339, UTC.
    at: String,
    actor: Actor,
    /// `created`, `updated`, `deleted`, or a command, as `retried`.
    action: String,
    subject: Subject,
    /// What it was, without secrets; null where there was nothing, or nothing is kept.
    #[schema(value_type = Option<Value>)]
    before: Option<Value>,
    /// What it is since, without secrets.
    #[schema(value_type = Option<Value>)]
    after: Option<Value>,
}

/// Who.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "read by the derive of its schema")]
pub(crate) struct Actor {
    /// The token's id; `root` = the settings' token, `hookrail` = the product by itself.
    id: String,
    /// What the token is called.
    label: String,
    /// The client's address.
    address: Option<String>,
}

/// What.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "read by the derive of its schema")]
pub(crate) struct Subject {
    /// `source`, `destination`, `token`, `delivery`, …
    kind: String,
    /// Its id.
    id: String,
    /// Its name, where it has one.
    name: Option<String>,
}

/// List changes of a workspace (admin); root without `workspace` sees those of all
#[utoipa::path(get, path = "/api/v1/audit", tag = "administration", operation_id = "listAudit",
    params(crate::openapi::ListParams,
        ("actor" = Option<String>, Query, description = "A token's id, `root` or `hookrail`"),
        ("what" = Option<String>, Query, description = "A kind, as `source`, or the id of one thing"),
        ("since" = Option<String>, Query, description = "RFC 3339; not before"),
        ("until" = Option<String>, Query, description = "RFC 3339; before")),
    responses((status = 200, body = AuditList)))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
    parameters: Parameters,
) -> Result<HttpResponse, ApiError> {
    sender.require(Role::Admin)?;
    let of_all = sender.is_root && parameters.text("workspace").is_none();
    let span = parameters.span()?;
    let filter = AuditFilter {
        workspace_id: (!of_all).then(|| sender.workspace_id()),
        actor_id: parameters.plain_text("actor")?,
        what: parameters.plain_text("what")?,
        since: span.since,
        until: span.until,
    };
    let rows = audit::list(state.store.reader(), &filter, &query.by_id()).await?;
    Ok(page(&query, rows, |row| row.id.clone(), show))
}

fn show(row: &AuditRow) -> Json {
    let document = |text: &Option<String>| {
        text.as_deref()
            .and_then(|text| text.parse().ok())
            .unwrap_or_default()
    };
    Json::from([
        ("id", row.id.as_str().into()),
        ("workspace_id", optional(row.workspace_id.as_deref())),
        ("at", time(row.at)),
        (
            "actor",
            Json::from([
                ("id", row.actor_id.as_str().into()),
                ("label", row.actor_label.as_str().into()),
                ("address", optional(row.address.as_deref())),
            ]),
        ),
        ("action", row.action.as_str().into()),
        (
            "subject",
            Json::from([
                ("kind", row.kind.as_str().into()),
                ("id", row.subject_id.as_str().into()),
                ("name", optional(row.subject_name.as_deref())),
            ]),
        ),
        ("before", document(&row.before)),
        ("after", document(&row.after)),
    ])
}
