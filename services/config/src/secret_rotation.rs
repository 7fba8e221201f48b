//! `/sources/{id}/secrets` and `/destinations/{id}/secrets`: a new secret beside those in use, which
//! stop being used some time later.

use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::Millis;
use hookrail_domain::destination::DestinationSpec;
use hookrail_domain::ids::SecretId;
use hookrail_domain::json::Json;
use hookrail_domain::render::parse_rfc3339;
use hookrail_domain::secret::{MAX_SECRET_BYTES, Secret};
use hookrail_domain::source::{SourceAuth, SourceSpec};
use hookrail_domain::validation::FieldError;
use serde::Deserialize;

use crate::answer::Created;
use crate::authenticated::Authenticated;
use crate::change::Change;
use crate::definition::{Definable, Stored, time};
use crate::error::ApiError;
use crate::idempotency::once;
use crate::json_body::JsonBody;
use crate::secret_fields::is_in_use;
use crate::signing_secret::{self, SecretForm};
use crate::state::{ConfigState, new_id};
use crate::{destinations, preconditions, sources};

/// How long the secrets before stay in use where the request doesn't say, milliseconds.
const OVERLAP_MS: Millis = 24 * 3600 * 1000;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/sources/{id}/secrets").route(web::post().to(add_to_source)))
        .service(
            web::resource("/sources/{id}/secrets/{secret_id}").route(web::delete().to(remove_from_source)),
        )
        .service(web::resource("/destinations/{id}/secrets").route(web::post().to(add_to_destination)))
        .service(
            web::resource("/destinations/{id}/secrets/{secret_id}")
                .route(web::delete().to(remove_from_destination)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(
    add_to_source,
    remove_from_source,
    add_to_destination,
    remove_from_destination
))]
pub(crate) struct Docs;

/// A new secret.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NewSecret {
    /// Its value; absent = one is made. A source's has to be given: its sender has it.
    secret: Option<String>,
    /// When the secrets before stop being used, RFC 3339; absent = in 24 hours.
    expires_at: Option<String>,
}

/// A definition whose secrets may be several at a time.
trait Rotating: Definable {
    /// The secrets in use, and what they are.
    fn list(&mut self) -> Option<(&mut Vec<Secret>, SecretForm)>;
    /// Puts it in force.
    async fn put_in_force(
        change: &Change,
        sender: &Authenticated,
        stored: &Stored<Self>,
    ) -> Result<(), ApiError>;
}

impl Rotating for SourceSpec {
    fn list(&mut self) -> Option<(&mut Vec<Secret>, SecretForm)> {
        match &mut self.auth {
            SourceAuth::Signature { secrets, .. } => Some((secrets, SecretForm::Given)),
            _ => None,
        }
    }

    async fn put_in_force(
        change: &Change,
        sender: &Authenticated,
        stored: &Stored<Self>,
    ) -> Result<(), ApiError> {
        sources::publish(change, &sender.workspace, stored).await
    }
}

impl Rotating for DestinationSpec {
    fn list(&mut self) -> Option<(&mut Vec<Secret>, SecretForm)> {
        signing_secret::list(&mut self.signing)
    }

    async fn put_in_force(
        change: &Change,
        sender: &Authenticated,
        stored: &Stored<Self>,
    ) -> Result<(), ApiError> {
        destinations::publish(change, &sender.workspace, stored).await
    }
}

/// Add a secret to a source's signature check; those before stay in use until `expires_at`
#[utoipa::path(post, path = "/api/v1/sources/{id}/secrets", tag = "sources", operation_id = "addSourceSecret",
    params(crate::openapi::IdParam, crate::openapi::WriteParams), request_body = NewSecret, responses((status = 201, description = "The secret, in clear in `secret`")))]
async fn add_to_source(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    add::<SourceSpec>(&state, &sender, &request, &id, &body).await
}

/// Add a secret to a destination's signatures; those before stay in use until `expires_at`
#[utoipa::path(post, path = "/api/v1/destinations/{id}/secrets", tag = "destinations", operation_id = "addDestinationSecret",
    params(crate::openapi::IdParam, crate::openapi::WriteParams), request_body = NewSecret, responses((status = 201, description = "The secret, in clear in `secret`")))]
async fn add_to_destination(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    add::<DestinationSpec>(&state, &sender, &request, &id, &body).await
}

/// Remove a secret of a source at once
#[utoipa::path(delete, path = "/api/v1/sources/{id}/secrets/{secret_id}", tag = "sources", operation_id = "removeSourceSecret",
    params(crate::openapi::IdParam, ("secret_id" = String, Path, description = "The secret's id")), responses((status = 204)))]
async fn remove_from_source(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    remove::<SourceSpec>(&state, &sender, &request, &path).await
}

/// Remove a secret of a destination at once
#[utoipa::path(delete, path = "/api/v1/destinations/{id}/secrets/{secret_id}", tag = "destinations", operation_id = "removeDestinationSecret",
    params(crate::openapi::IdParam, ("secret_id" = String, Path, description = "The secret's id")), responses((status = 204), (status = 409, body = crate::openapi::ProblemDocument)))]
async fn remove_from_destination(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    remove::<DestinationSpec>(&state, &sender, &request, &path).await
}

async fn add<S: Rotating>(
    state: &ConfigState,
    sender: &Authenticated,
    request: &HttpRequest,
    id: &str,
    body: &JsonBody,
) -> Result<HttpResponse, ApiError> {
    let wanted: NewSecret = body.read()?;
    once(state, sender, request, body, async |claim| {
        let change = Change::begin(state, &sender.actor).await?;
        let mut stored = change.find::<S>(&sender.workspace_id(), id).await?;
        preconditions::check(request, &stored.row)?;
        let secret = rotate(&mut stored.spec, &wanted, change.now)?;
        stored.spec.check().map_err(at_secret)?;
        let stored = change.update(stored).await?;
        S::put_in_force(&change, sender, &stored).await?;
        let created = shown_once(&format!("{}/{}/secrets", S::PATH, stored.row.id), &secret);
        claim.keep(change.transaction(), &created).await?;
        change.commit(state).await?;
        Ok(created)
    })
    .await
}

async fn remove<S: Rotating>(
    state: &ConfigState,
    sender: &Authenticated,
    request: &HttpRequest,
    path: &(String, String),
) -> Result<HttpResponse, ApiError> {
    let change = Change::begin(state, &sender.actor).await?;
    let mut stored = change.find::<S>(&sender.workspace_id(), &path.0).await?;
    preconditions::check(request, &stored.row)?;
    let id: SecretId = path.1.parse().map_err(|_| ApiError::NotFound("secret"))?;
    let (secrets, _) = stored.spec.list().ok_or(ApiError::NotFound("secret"))?;
    let place = secrets
        .iter()
        .position(|secret| secret.id == Some(id))
        .ok_or(ApiError::NotFound("secret"))?;
    secrets.remove(place);
    if !secrets
        .iter()
        .any(|secret| is_in_use(secret.expires_at, change.now))
    {
        return Err(ApiError::conflict(
            "last-secret",
            "it is the only one in use: add another first",
        ));
    }
    let stored = change.update(stored).await?;
    S::put_in_force(&change, sender, &stored).await?;
    change.commit(state).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The new secret is first in its list; what is wrong with it is told of the field that brought it.
fn at_secret(mut errors: Vec<FieldError>) -> ApiError {
    for error in &mut errors {
        if matches!(error.pointer.as_str(), "/auth/secrets/0" | "/signing/secrets/0") {
            error.pointer = "/secret".to_owned();
        }
    }
    ApiError::Invalid(errors)
}

/// Puts a new secret first; those before get an end, those past theirs go.
fn rotate<S: Rotating>(spec: &mut S, wanted: &NewSecret, now: Millis) -> Result<Secret, ApiError> {
    let end = match wanted.expires_at.as_deref() {
        None => now + OVERLAP_MS,
        Some(text) => {
            parse_rfc3339(text).ok_or_else(|| ApiError::field("/expires_at", "is not an RFC 3339 time"))?
        }
    };
    let Some((secrets, form)) = spec.list() else {
        return Err(ApiError::conflict(
            "no-rotation",
            "its authentication has no list of secrets to add to",
        ));
    };
    let value = match &wanted.secret {
        Some(value) if (1..=MAX_SECRET_BYTES).contains(&value.len()) => value.clone(),
        Some(_) => return Err(ApiError::field("/secret", "a secret has 1 to 16384 bytes")),
        None => form
            .make()
            .ok_or_else(|| ApiError::field("/secret", "is needed with this scheme"))?,
    };
    form.check(&value)
        .map_err(|detail| ApiError::field("/secret", detail))?;
    secrets.retain(|secret| is_in_use(secret.expires_at, now));
    for secret in secrets.iter_mut() {
        secret.expires_at = Some(secret.expires_at.map_or(end, |at| at.min(end)));
    }
    let secret = Secret {
        id: Some(new_id()),
        ..Secret::new(value)
    };
    secrets.insert(0, secret.clone());
    Ok(secret)
}

fn shown_once(path: &str, secret: &Secret) -> Created {
    let id = secret.id.map(|id| id.to_string()).unwrap_or_default();
    let shown = Json::from([
        ("id", Json::from(id.as_str())),
        ("hint", secret.hint().into()),
        ("expires_at", secret.expires_at.map_or(Json::Null, time)),
    ]);
    let mut created = Created::plain(format!("{path}/{id}"), shown);
    if let (Json::Object(members), Some(value)) = (&mut created.body, &secret.value) {
        members.insert("secret".to_owned(), value.as_str().into());
    }
    created
}
