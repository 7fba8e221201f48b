//! Who sends a request, in which workspace it acts, and whether that token's role may.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, Method, header};
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use hookrail_domain::Millis;
use hookrail_domain::api_key::hash_key;
use hookrail_domain::ids::WorkspaceId;
use hookrail_domain::workspace::{FIRST_CODE, Workspace, is_code};
use hookrail_runtime::clock;
use hookrail_runtime::forwarded::client_address;
use hookrail_store::{Store, StoreError, tokens, workspaces};
use subtle::ConstantTimeEq;

use crate::audit_trail::Actor;
use crate::bounded_body;
use crate::error::ApiError;
use crate::state::ConfigState;

/// How exact `last_used_at` of a token is, milliseconds: one write a minute, not one a request.
const LAST_USED_GRAIN_MS: Millis = 60_000;

/// What a token may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Reads.
    Viewer,
    /// Writes definitions.
    Editor,
    /// Tokens too.
    Admin,
}

impl Role {
    /// The role with this name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "viewer" => Some(Self::Viewer),
            "editor" => Some(Self::Editor),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }

    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }
}

/// The sender of a request. As an extractor it is there on every path below `/api/v1`; the role that
/// the method needs (a read: viewer, a write: editor) has been checked.
#[derive(Debug, Clone)]
pub(crate) struct Authenticated {
    /// The workspace in which the request acts.
    pub(crate) workspace: Workspace,
    /// What its token may do.
    pub(crate) role: Role,
    /// Whether it may act in any workspace, and make new ones.
    pub(crate) is_root: bool,
    /// Who that is, for the audit log.
    pub(crate) actor: Actor,
}

impl Authenticated {
    /// The workspace's id as text, as the tables have it.
    pub(crate) fn workspace_id(&self) -> String {
        self.workspace.id.to_string()
    }

    /// Refuses where the role is a lower one.
    pub(crate) fn require(&self, role: Role) -> Result<(), ApiError> {
        if self.role >= role {
            Ok(())
        } else {
            Err(ApiError::Forbidden(format!(
                "the role {} is needed",
                role.as_str()
            )))
        }
    }

    /// Refuses where the token belongs to a workspace.
    pub(crate) fn require_root(&self) -> Result<(), ApiError> {
        if self.is_root {
            Ok(())
        } else {
            Err(ApiError::Forbidden("a token of root is needed".to_owned()))
        }
    }
}

impl FromRequest for Authenticated {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(
            request
                .extensions()
                .get::<Self>()
                .cloned()
                .ok_or(ApiError::Unauthenticated),
        )
    }
}

/// The middleware of `/api/v1`: no request gets further without a valid token.
pub(crate) async fn authenticate(
    state: web::Data<ConfigState>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let address = client_address(request.request(), &state.trusted_proxies);
    let found = find_token(&state, request.request(), address).await;
    let shown = match &found {
        Ok(token) => state.rates.take_token(&token.actor.id, clock::now_ms()),
        Err(_) => Ok(None),
    };
    let admitted = match (found, shown) {
        (Ok(token), Ok(left)) => identify(&state, request.request(), token)
            .await
            .map(|sender| (sender, left)),
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    match admitted {
        Ok((sender, left)) => {
            request.extensions_mut().insert(sender);
            let mut response = next.call(request).await?.map_into_boxed_body();
            if let Some(left) = left {
                left.write(response.headers_mut());
            }
            Ok(response)
        }
        Err(error) => Ok(refuse(request, &error).await),
    }
}

/// Answers once the body is out of the way; what is left of it would be read as the next request.
async fn refuse(mut request: ServiceRequest, error: &ApiError) -> ServiceResponse<BoxBody> {
    let is_read = bounded_body::drain(request.take_payload()).await;
    let mut response = actix_web::ResponseError::error_response(error);
    if !is_read {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    request.into_response(response)
}

/// A token that was shown and is known.
struct KnownToken {
    /// Its workspace; `None` for root.
    workspace: Option<String>,
    role: Role,
    actor: Actor,
}

/// The token that a request shows. Guesses are counted against the client's address.
async fn find_token(
    state: &ConfigState,
    request: &HttpRequest,
    address: Option<IpAddr>,
) -> Result<KnownToken, ApiError> {
    let found = match bearer(request) {
        Some(shown) => look_up(state, shown).await,
        None => Err(ApiError::Unauthenticated),
    };
    match found {
        Ok(mut token) => {
            token.actor.address = address.map(|address| address.to_string());
            Ok(token)
        }
        Err(ApiError::Unauthenticated) => {
            state.rates.take_stranger(address, clock::now_ms())?;
            Err(ApiError::Unauthenticated)
        }
        Err(error) => Err(error),
    }
}

async fn identify(
    state: &ConfigState,
    request: &HttpRequest,
    token: KnownToken,
) -> Result<Authenticated, ApiError> {
    let wanted = wanted_workspace(request)?;
    let workspace = workspace_of(state, token.workspace.as_deref(), wanted.as_deref()).await?;
    let sender = Authenticated {
        workspace,
        role: token.role,
        is_root: token.workspace.is_none(),
        actor: token.actor,
    };
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    sender.require(if reads { Role::Viewer } else { Role::Editor })?;
    Ok(sender)
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The database finds a token by its hash, so the time that takes tells nothing of the tokens.
async fn look_up(state: &ConfigState, shown: &str) -> Result<KnownToken, ApiError> {
    let hash = hash_key(shown);
    if state.root_token_hash.is_some_and(|root| root.ct_eq(&hash).into()) {
        return Ok(KnownToken {
            workspace: None,
            role: Role::Admin,
            actor: Actor::setting(),
        });
    }
    let row = tokens::find_by_hash(state.store.reader(), &hex(&hash))
        .await?
        .ok_or(ApiError::Unauthenticated)?;
    let now = clock::now_ms();
    if row.expires_at.is_some_and(|at| at <= now) {
        return Err(ApiError::Unauthenticated);
    }
    if row.last_used_at.is_none_or(|at| now - at >= LAST_USED_GRAIN_MS) {
        note_use(state, row.id.clone(), now);
    }
    let role = Role::parse(&row.role).ok_or(ApiError::Unauthenticated)?;
    Ok(KnownToken {
        workspace: row.workspace_id,
        role,
        actor: Actor {
            id: row.id,
            label: row.label,
            address: None,
        },
    })
}

/// Remembers that a token was used, beside the request: that neither waits for the database's writer
/// nor fails with it.
fn note_use(state: &ConfigState, token_id: String, now: Millis) {
    let Ok(permit) = Arc::clone(&state.token_uses).try_acquire_owned() else {
        return;
    };
    let store = state.store.clone();
    tokio::spawn(async move {
        let _permit = permit;
        if let Err(error) = touch(&store, &token_id, now).await {
            tracing::warn!(%error, "a token's last use was not written");
        }
    });
}

async fn touch(store: &Store, token_id: &str, now: Millis) -> Result<(), StoreError> {
    let transaction = store.write().await?;
    tokens::touch(&*transaction, token_id, now).await?;
    transaction.commit().await
}

fn wanted_workspace(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map_err(|_| ApiError::InvalidParameter("the query can't be read".to_owned()))?;
    Ok(query
        .into_inner()
        .into_iter()
        .find(|(name, value)| name == "workspace" && !value.is_empty())
        .map(|(_, value)| value))
}

async fn workspace_of(
    state: &ConfigState,
    own: Option<&str>,
    wanted: Option<&str>,
) -> Result<Workspace, ApiError> {
    let reader = state.store.reader();
    if wanted.is_some_and(|code| !is_code(code)) {
        return Err(ApiError::NotFound("workspace"));
    }
    let row = match (own, wanted) {
        (Some(id), _) => workspaces::find(reader, id).await?,
        (None, code) => workspaces::find_by_code(reader, code.unwrap_or(FIRST_CODE)).await?,
    };
    let row = row.ok_or(ApiError::NotFound("workspace"))?;
    if own.is_some() && wanted.is_some_and(|code| code != row.code) {
        return Err(ApiError::Forbidden(
            "the token belongs to another workspace".to_owned(),
        ));
    }
    let id: WorkspaceId = row
        .id
        .parse()
        .map_err(|error| ApiError::Internal(anyhow::Error::new(error)))?;
    Ok(Workspace { id, code: row.code })
}

/// Bytes as lower-case hex, as the tables have hashes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
