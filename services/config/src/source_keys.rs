//! `/sources/{id}/api-keys`: what senders show to be let in. A key is shown once, when it is made.

use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::api_key::{ApiKey, MAX_KEYS_PER_SOURCE, hash_key};
use hookrail_domain::ids::KeyId;
use hookrail_domain::json::Json;
use hookrail_domain::secret::Secret;
use hookrail_domain::source::SourceSpec;
use hookrail_runtime::random;
use hookrail_store::api_keys::{self, ApiKeyRow};
use hookrail_store::sea_orm::ConnectionTrait;
use serde::Deserialize;

use crate::answer::{self, Created};
use crate::audit_trail::Deed;
use crate::authenticated::{Authenticated, hex};
use crate::change::Change;
use crate::definition::{Stored, time};
use crate::error::ApiError;
use crate::idempotency::once;
use crate::json_body::JsonBody;
use crate::paging::{PageQuery, page};
use crate::sources;
use crate::state::{ConfigState, new_id};

/// Bytes of a pasted key.
const PASTED_BYTES: std::ops::RangeInclusive<usize> = 8..=512;
/// Longest label, bytes.
pub(crate) const MAX_LABEL_BYTES: usize = 128;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/sources/{id}/api-keys")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/sources/{id}/api-keys/{key_id}")
                .route(web::get().to(read))
                .route(web::head().to(read))
                .route(web::patch().to(relabel))
                .route(web::delete().to(delete)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, read, relabel, delete))]
pub(crate) struct Docs;

/// A new API key.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiKey {
    /// What it is called.
    label: String,
    /// A key that the sender has already; absent = one is made.
    #[serde(default)]
    key: Option<String>,
}

/// What can change of an API key.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeyLabel {
    /// What it is called.
    label: String,
}

/// List the API keys of a source
#[utoipa::path(get, path = "/api/v1/sources/{id}/api-keys", tag = "sources", operation_id = "listApiKeys",
    params(crate::openapi::IdParam, crate::openapi::ListParams), responses((status = 200, description = "A page of keys, without their text")))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    let reader = state.store.reader();
    let stored = Stored::<SourceSpec>::find(reader, &sender.workspace_id(), &id).await?;
    let mut rows = api_keys::of_source(reader, &stored.row.id).await?;
    if query.newest_first {
        rows.reverse();
    }
    let after = query.after.as_deref();
    let rest = rows.into_iter().filter(|row| match after {
        Some(after) if query.newest_first => row.id.as_str() < after,
        Some(after) => row.id.as_str() > after,
        None => true,
    });
    Ok(page(&query, rest.collect(), |row| row.id.clone(), show))
}

/// Create an API key; it is shown in this answer only
#[utoipa::path(post, path = "/api/v1/sources/{id}/api-keys", tag = "sources", operation_id = "createApiKey",
    params(crate::openapi::IdParam, crate::openapi::WriteParams), request_body = NewApiKey,
    responses((status = 201, description = "The key, in clear in `key`"), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn create(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let wanted: NewApiKey = body.read()?;
    check_label(&wanted.label)?;
    let text = key_text(wanted.key)?;
    once(&state, &sender, &request, &body, async |claim| {
        let change = Change::begin(&state, &sender.actor).await?;
        let stored = change.find::<SourceSpec>(&sender.workspace_id(), &id).await?;
        let row = ApiKeyRow {
            id: new_id::<KeyId>().to_string(),
            source_id: stored.row.id.clone(),
            label: wanted.label,
            hash: hex(&hash_key(&text)),
            hint: Secret::new(text.as_str()).hint(),
            created_at: change.now,
        };
        add(&change, &row).await?;
        let deed = Deed::command("created", "api key", &row.id).with_after(&show(&row));
        change.record(&sender.workspace_id(), deed).await?;
        put_in_force(&change, &sender, stored).await?;
        let created = shown_once(&row, text);
        claim.keep(change.transaction(), &created).await?;
        change.commit(&state).await?;
        Ok(created)
    })
    .await
}

/// Read an API key, without its text
#[utoipa::path(get, path = "/api/v1/sources/{id}/api-keys/{key_id}", tag = "sources", operation_id = "readApiKey",
    params(crate::openapi::IdParam, ("key_id" = String, Path, description = "The key's id")), responses((status = 200, description = "The key")))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let reader = state.store.reader();
    let stored = Stored::<SourceSpec>::find(reader, &sender.workspace_id(), &path.0).await?;
    Ok(answer::json(&show(&find_key(reader, &stored, &path.1).await?)))
}

/// Give an API key another label
#[utoipa::path(patch, path = "/api/v1/sources/{id}/api-keys/{key_id}", tag = "sources", operation_id = "relabelApiKey",
    params(crate::openapi::IdParam, ("key_id" = String, Path, description = "The key's id")), request_body = ApiKeyLabel, responses((status = 200, description = "The key")))]
async fn relabel(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    path: web::Path<(String, String)>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let wanted: ApiKeyLabel = body.read()?;
    check_label(&wanted.label)?;
    let change = Change::begin(&state, &sender.actor).await?;
    let transaction = &**change.transaction();
    let stored = change.find::<SourceSpec>(&sender.workspace_id(), &path.0).await?;
    let found = find_key(transaction, &stored, &path.1).await?;
    let before = show(&found);
    let row = ApiKeyRow {
        label: wanted.label,
        ..found
    };
    api_keys::relabel(transaction, &row.id, &row.label).await?;
    let deed = Deed::command("updated", "api key", &row.id)
        .with_before(&before)
        .with_after(&show(&row));
    change.record(&sender.workspace_id(), deed).await?;
    put_in_force(&change, &sender, stored).await?;
    change.commit(&state).await?;
    Ok(answer::json(&show(&row)))
}

/// Delete an API key: who shows it is refused within a second
#[utoipa::path(delete, path = "/api/v1/sources/{id}/api-keys/{key_id}", tag = "sources", operation_id = "deleteApiKey",
    params(crate::openapi::IdParam, ("key_id" = String, Path, description = "The key's id")), responses((status = 204)))]
async fn delete(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::begin(&state, &sender.actor).await?;
    let transaction = &**change.transaction();
    let stored = change.find::<SourceSpec>(&sender.workspace_id(), &path.0).await?;
    let row = find_key(transaction, &stored, &path.1).await?;
    api_keys::delete(transaction, &row.id).await?;
    let deed = Deed::command("deleted", "api key", &row.id).with_before(&show(&row));
    change.record(&sender.workspace_id(), deed).await?;
    put_in_force(&change, &sender, stored).await?;
    change.commit(&state).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A key as the domain has it.
pub(crate) fn read_key(row: &ApiKeyRow) -> Result<ApiKey, ApiError> {
    let unreadable = || ApiError::Internal(anyhow::anyhow!("the API key {} can't be read", row.id));
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(row.hash.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| unreadable())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| unreadable())?;
    }
    Ok(ApiKey {
        id: row.id.parse().map_err(|_| unreadable())?,
        label: row.label.clone(),
        hash,
        hint: row.hint.clone(),
        created_at: row.created_at,
    })
}

/// Refuses labels that are empty or too long.
pub(crate) fn check_label(label: &str) -> Result<(), ApiError> {
    let fits = (1..=MAX_LABEL_BYTES).contains(&label.len()) && !label.contains('\0');
    if fits {
        Ok(())
    } else {
        Err(ApiError::field("/label", "has 1 to 128 bytes"))
    }
}

async fn find_key<C: ConnectionTrait>(
    connection: &C,
    stored: &Stored<SourceSpec>,
    id: &str,
) -> Result<ApiKeyRow, ApiError> {
    let id: KeyId = id.parse().map_err(|_| ApiError::NotFound("API key"))?;
    let row = api_keys::find(connection, &stored.row.id, &id.to_string()).await?;
    row.ok_or(ApiError::NotFound("API key"))
}

fn key_text(pasted: Option<String>) -> Result<String, ApiError> {
    let Some(text) = pasted else {
        return Ok(format!("hrk_{}", random::hex_token::<24>()));
    };
    let visible = text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if PASTED_BYTES.contains(&text.len()) && visible {
        Ok(text)
    } else {
        Err(ApiError::field("/key", "has 8 to 512 visible ASCII characters"))
    }
}

async fn add(change: &Change, row: &ApiKeyRow) -> Result<(), ApiError> {
    let transaction = &**change.transaction();
    if api_keys::of_source(transaction, &row.source_id).await?.len() >= MAX_KEYS_PER_SOURCE {
        return Err(ApiError::conflict(
            "too-many-keys",
            format!("a source has at most {MAX_KEYS_PER_SOURCE} keys"),
        ));
    }
    api_keys::insert(transaction, row).await.map_err(|error| {
        if error.is_unique_violation() {
            ApiError::conflict("key-exists", "the source has this key already")
        } else {
            error.into()
        }
    })
}

/// The source has a new revision, since its keys are part of what is in force.
async fn put_in_force(
    change: &Change,
    sender: &Authenticated,
    stored: Stored<SourceSpec>,
) -> Result<(), ApiError> {
    let stored = change.update(stored).await?;
    sources::publish(change, &sender.workspace, &stored).await
}

fn shown_once(row: &ApiKeyRow, text: String) -> Created {
    let location = format!("/api/v1/sources/{}/api-keys/{}", row.source_id, row.id);
    let mut created = Created::plain(location, show(row));
    if let Json::Object(members) = &mut created.body {
        members.insert("key".to_owned(), text.into());
    }
    created
}

fn show(row: &ApiKeyRow) -> Json {
    Json::from([
        ("id", row.id.as_str().into()),
        ("label", row.label.as_str().into()),
        ("hint", row.hint.as_str().into()),
        ("created_at", time(row.created_at)),
    ])
}
