//! `/replays`: sending deliveries, or processing events, again. What is asked for is checked and stored
//! here; the work is the processor's.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::destination::DestinationSpec;
use hookrail_domain::ids::ReplayId;
use hookrail_domain::json::Json;
use hookrail_domain::replay::{ReplayFilter, ReplayOf, ReplayRequest, shard_of};
use hookrail_domain::source::SourceSpec;
use hookrail_domain::validation::Faults;
use hookrail_runtime::clock;
use hookrail_store::queries::selections::{self, Selection};
use hookrail_store::replays::{self, NewReplay, ReplayRow};

use crate::answer::{self, Created};
use crate::audit_trail::{self, Deed};
use crate::authenticated::Authenticated;
use crate::definition::{Stored, time};
use crate::deliveries;
use crate::error::ApiError;
use crate::events;
use crate::idempotency::once;
use crate::json_body::JsonBody;
use crate::paging::{PageQuery, page};
use crate::shown::optional;
use crate::state::{ConfigState, new_id};

/// How many are shown of what a dry run has counted.
const SAMPLE: u32 = 10;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/replays")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/replays/{id}")
                .route(web::get().to(read))
                .route(web::head().to(read)),
        )
        .service(web::resource("/replays/{id}/cancel").route(web::post().to(cancel)));
}

#[derive(utoipa::OpenApi)]
#[openapi(
    paths(list, create, read, cancel),
    components(schemas(ReplayRequest, ReplayFilter, ReplayOf))
)]
pub(crate) struct Docs;

/// List replays, those that have ended too
#[utoipa::path(get, path = "/api/v1/replays", tag = "replays", operation_id = "listReplays",
    params(crate::openapi::ListParams), responses((status = 200, description = "A page of replays with their progress")))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    let rows = replays::list(state.store.reader(), &sender.workspace_id(), &query.by_id()).await?;
    Ok(page(&query, rows, |row| row.id.clone(), |row| show(row, &sender)))
}

/// Send deliveries, or process events, again
///
/// Dead deliveries that were not sent again yet, unless another status is asked for or ids are given. Each
/// is a new delivery with the same body, with the header `hookrail-replay`, at its lane's tail, in the
/// order of acceptance. Events are processed under today's definitions, so failed ones are mended; no
/// entity gets older.
#[utoipa::path(post, path = "/api/v1/replays", tag = "replays", operation_id = "createReplay",
    params(crate::openapi::WriteParams), request_body = ReplayRequest,
    responses((status = 202, description = "The replay, which waits for its turn"),
        (status = 200, description = "Of a dry run: `count`, `more_than_counted`, and a `sample` of at most 10; nothing is stored"),
        (status = 422, body = crate::openapi::ProblemDocument)))]
async fn create(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let wanted: ReplayRequest = body.read()?;
    wanted.validate()?;
    check_names(&state, &sender.workspace_id(), &wanted).await?;
    if wanted.dry_run {
        let counted = dry_run(&state, &sender.workspace_id(), &wanted).await?;
        return Ok(answer::json(&counted));
    }
    once(&state, &sender, &request, &body, async |claim| {
        let (id, workspace) = (new_id::<ReplayId>(), sender.workspace_id());
        let selection = serde_json::to_string(&wanted).map_err(|error| ApiError::Internal(error.into()))?;
        let new = NewReplay {
            id,
            workspace: &workspace,
            what: wanted.what.as_str(),
            selection: &selection,
            shard: shard_of(id),
            at: clock::now_ms(),
        };
        let row = new.row();
        let created = Created {
            location: Some(format!("/api/v1/replays/{id}")),
            ..Created::accepted(StatusCode::ACCEPTED, show(&row, &sender))
        };
        let transaction = state.store.write().await?;
        replays::insert(&*transaction, &row).await?;
        let deed = Deed::command("created", "replay", &row.id).with_after(&created.body);
        audit_trail::record(
            &*transaction,
            &sender.actor,
            Some(workspace.clone()),
            deed,
            row.created_at,
        )
        .await?;
        claim.keep(&transaction, &created).await?;
        transaction.commit().await?;
        Ok(created)
    })
    .await
}

/// Read a replay with its progress
#[utoipa::path(get, path = "/api/v1/replays/{id}", tag = "replays", operation_id = "readReplay",
    params(crate::openapi::IdParam),
    responses((status = 200, description = "The replay"), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let row = find(&state, &sender, replay_id(&id)?).await?;
    Ok(answer::json(&show(&row, &sender)))
}

/// Stop a replay; what it has sent stays sent
#[utoipa::path(post, path = "/api/v1/replays/{id}/cancel", tag = "replays", operation_id = "cancelReplay",
    params(crate::openapi::IdParam),
    responses((status = 200, description = "The replay; it stops within a second"),
        (status = 404, body = crate::openapi::ProblemDocument),
        (status = 409, description = "`replay-ended`", body = crate::openapi::ProblemDocument)))]
async fn cancel(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = replay_id(&id)?;
    let transaction = state.store.write().await?;
    let cancelled = replays::cancel(&*transaction, &sender.workspace_id(), id, clock::now_ms()).await?;
    if cancelled {
        let text = id.to_string();
        let (workspace, deed) = (sender.workspace_id(), Deed::command("cancelled", "replay", &text));
        audit_trail::record(
            &*transaction,
            &sender.actor,
            Some(workspace),
            deed,
            clock::now_ms(),
        )
        .await?;
    }
    transaction.commit().await?;
    let row = find(&state, &sender, id).await?;
    // A repeated request finds what it asked for.
    if !cancelled && row.status != replays::CANCELLED {
        let detail = format!("it has ended already: {}", row.status);
        return Err(ApiError::conflict("replay-ended", detail));
    }
    Ok(answer::json(&show(&row, &sender)))
}

fn replay_id(text: &str) -> Result<ReplayId, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound("replay"))
}

async fn find(state: &ConfigState, sender: &Authenticated, id: ReplayId) -> Result<ReplayRow, ApiError> {
    let row = replays::find(state.store.reader(), &sender.workspace_id(), id).await?;
    row.ok_or(ApiError::NotFound("replay"))
}

/// Refuses what names a definition, a delivery or an event that the workspace doesn't have.
async fn check_names(state: &ConfigState, workspace: &str, wanted: &ReplayRequest) -> Result<(), ApiError> {
    let (reader, mut faults) = (state.store.reader(), Faults::default());
    if let Some(id) = wanted.filter.destination {
        let found = Stored::<DestinationSpec>::look_up(reader, workspace, &id.to_string()).await?;
        faults.require(
            found.is_some(),
            "/filter/destination",
            "there is no such destination",
        );
    }
    if let Some(id) = wanted.filter.source {
        let found = Stored::<SourceSpec>::look_up(reader, workspace, &id.to_string()).await?;
        faults.require(found.is_some(), "/filter/source", "there is no such source");
    }
    let ids = wanted.ids();
    if !ids.is_empty() {
        let known = selections::known_ids(reader, wanted.what.as_str(), workspace, ids).await?;
        let known: std::collections::HashSet<String> = known.into_iter().collect();
        for (place, id) in ids.iter().enumerate() {
            let detail = format!("there is none of the {} with this id", wanted.what.as_str());
            faults.require(known.contains(id), &format!("/ids/{place}"), &detail);
        }
    }
    Ok(faults.finish()?)
}

async fn dry_run(state: &ConfigState, workspace: &str, wanted: &ReplayRequest) -> Result<Json, ApiError> {
    let reader = state.store.reader();
    let selection = Selection::of(workspace, wanted);
    let most = selections::COUNTED_AT_MOST - 1;
    let count = selection.count(reader).await?;
    let sample: Json = match &selection {
        Selection::Deliveries(selection) => {
            let rows = selections::sample_deliveries(reader, selection, SAMPLE).await?;
            rows.iter().map(deliveries::show).collect()
        }
        Selection::Events(selection) => {
            let rows = selections::sample_events(reader, selection, SAMPLE).await?;
            rows.iter()
                .map(|row| Json::Object(events::summary(row)))
                .collect()
        }
    };
    Ok(Json::from([
        ("dry_run", true.into()),
        ("what", wanted.what.as_str().into()),
        ("count", count.min(most).into()),
        ("more_than_counted", (count > most).into()),
        ("sample", sample),
    ]))
}

fn show(row: &ReplayRow, sender: &Authenticated) -> Json {
    let asked: Json = row.selection.parse().unwrap_or_default();
    let progress = Json::from([
        ("total", row.total.map_or(Json::Null, Json::from)),
        ("done", (row.replayed + row.skipped).into()),
        ("replayed", row.replayed.into()),
        ("skipped", row.skipped.into()),
        ("reasons", row.reasons.parse().unwrap_or_default()),
    ]);
    Json::from([
        ("id", row.id.as_str().into()),
        ("workspace", sender.workspace.code.as_str().into()),
        ("what", row.what.as_str().into()),
        ("filter", asked.get("filter").cloned().unwrap_or_default()),
        ("ids", asked.get("ids").cloned().unwrap_or_default()),
        ("status", row.status.as_str().into()),
        ("progress", progress),
        ("error", optional(row.error.as_deref())),
        ("created_at", time(row.created_at)),
        ("started_at", row.started_at.map_or(Json::Null, time)),
        ("finished_at", row.finished_at.map_or(Json::Null, time)),
    ])
}
