//! `POST /sources/{id}/import`: existing objects, a JSON value a line, as events of a source. Here the lines
//! are taken in and stored, chunk by chunk; to load them is the processor's work.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures::StreamExt;
use hookrail_domain::ids::ImportId;
use hookrail_domain::import::shard_of;
use hookrail_domain::json::Json;
use hookrail_domain::payload::BodyFormat;
use hookrail_domain::source::SourceSpec;
use hookrail_runtime::clock;
use hookrail_store::import_lines::{self, ChunkRow, FailureRow};
use hookrail_store::imports::{self, NewImport, TakenIn};
use sha2::{Digest, Sha256};

use crate::answer::Created;
use crate::audit_trail::{self, Deed};
use crate::authenticated::{Authenticated, hex};
use crate::bounded_body::drain;
use crate::definition::Stored;
use crate::error::ApiError;
use crate::idempotency::once;
use crate::imports::{find, show};
use crate::json_body::JsonBody;
use crate::line_chunks::{Chunk, LineChunks, MAX_LINE_BYTES};
use crate::state::{ConfigState, new_id};

/// Largest import, bytes: they wait in the database until they are loaded.
const MAX_IMPORT_BYTES: u64 = 256 * 1024 * 1024;
/// Imports of a workspace that have not ended.
const MAX_OPEN_IMPORTS: u64 = 4;
/// What lines of JSON are called.
const MEDIA_TYPES: [&str; 4] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
];
/// Chunks removed in one transaction.
const SWEEP_STEP: u32 = 20;

/// Load existing objects into a source: one JSON value a line, each an event
#[utoipa::path(post, path = "/api/v1/sources/{id}/import", tag = "imports", operation_id = "createImport",
    params(crate::openapi::IdParam, crate::openapi::WriteParams),
    request_body(content = String, content_type = "application/x-ndjson", description = "At most 256 MiB, a line at most 512 KiB"),
    responses((status = 202, description = "The import, with its `Location`, once all lines are on disk"),
        (status = 404, body = crate::openapi::ProblemDocument), (status = 409, body = crate::openapi::ProblemDocument),
        (status = 413, body = crate::openapi::ProblemDocument), (status = 415, body = crate::openapi::ProblemDocument),
        (status = 422, body = crate::openapi::ProblemDocument)))]
pub(crate) async fn create(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let (id, payload) = (id.into_inner(), payload.into_inner());
    let source = match check(&state, &sender, &request, &id).await {
        Ok(source) => source,
        Err(error) => {
            // An answer that is sent while the client still writes may be lost with the connection.
            drain(payload).await;
            return Err(error);
        }
    };
    let upload = Upload::begin(&state, &sender, &source).await?;
    let import = upload.import;
    let finished = match upload.take_in(payload).await {
        Ok(hash) => finish(&state, &sender, &request, import, hash).await,
        Err(error) => Err(error),
    };
    // What was not asked for to its end, or only repeated what was asked for before, is not kept.
    forget(&state, import).await?;
    finished
}

async fn check(
    state: &ConfigState,
    sender: &Authenticated,
    request: &HttpRequest,
    id: &str,
) -> Result<Stored<SourceSpec>, ApiError> {
    let media_type = request.content_type().to_ascii_lowercase();
    let encoded = request.headers().contains_key(header::CONTENT_ENCODING);
    if encoded || !MEDIA_TYPES.contains(&media_type.as_str()) {
        return Err(ApiError::UnsupportedMediaType);
    }
    let reader = state.store.reader();
    let source = Stored::<SourceSpec>::find(reader, &sender.workspace_id(), id).await?;
    if !source.spec.enabled {
        let detail = "the source is disabled, so it takes no events";
        return Err(ApiError::conflict("disabled", detail));
    }
    if !matches!(source.spec.body_format, BodyFormat::Auto | BodyFormat::Json) {
        let detail = "the source's body_format has to be auto or json: an import is lines of JSON";
        return Err(ApiError::field("", detail));
    }
    if imports::count_open(reader, &sender.workspace_id()).await? >= MAX_OPEN_IMPORTS {
        let detail = format!("{MAX_OPEN_IMPORTS} imports of the workspace have not ended yet");
        return Err(ApiError::conflict("too-many-imports", detail));
    }
    Ok(source)
}

/// Asks for the import, now that all its lines are there.
async fn finish(
    state: &web::Data<ConfigState>,
    sender: &Authenticated,
    request: &HttpRequest,
    import: ImportId,
    hash: String,
) -> Result<HttpResponse, ApiError> {
    // Its hash stands for the body: two requests are the same where their lines are.
    let body = JsonBody {
        bytes: Bytes::from(hash),
        json: Json::object(),
    };
    once(state, sender, request, &body, async |claim| {
        let transaction = state.store.write().await?;
        if !imports::queue(&*transaction, import).await? {
            return Err(ApiError::Unavailable(
                "its lines came too slowly; nothing was loaded".to_owned(),
            ));
        }
        let row = find(&*transaction, sender, import).await?;
        let created = Created {
            location: Some(format!("/api/v1/imports/{import}")),
            ..Created::accepted(StatusCode::ACCEPTED, show(&row, &[], sender))
        };
        let deed = Deed::command("created", "import", &row.id).with_after(&created.body);
        audit_trail::record(
            &*transaction,
            &sender.actor,
            Some(sender.workspace_id()),
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

/// Removes what is left of an import that was not asked for to its end.
async fn forget(state: &ConfigState, import: ImportId) -> Result<(), ApiError> {
    if !imports::is_uploading(state.store.reader(), import).await? {
        return Ok(());
    }
    loop {
        let transaction = state.store.write().await?;
        let swept = import_lines::sweep(&*transaction, import, SWEEP_STEP).await?;
        if swept == 0 {
            import_lines::forget_failures(&*transaction, import).await?;
            imports::forget(&*transaction, import).await?;
        }
        transaction.commit().await?;
        if swept == 0 {
            return Ok(());
        }
    }
}

/// Lines that are being taken in.
struct Upload<'a> {
    state: &'a ConfigState,
    import: ImportId,
}

impl<'a> Upload<'a> {
    async fn begin(
        state: &'a ConfigState,
        sender: &Authenticated,
        source: &Stored<SourceSpec>,
    ) -> Result<Self, ApiError> {
        let import = new_id::<ImportId>();
        let new = NewImport {
            id: import,
            workspace: &sender.workspace_id(),
            source: source.id()?,
            revision: source.row.revision,
            shard: shard_of(import),
            at: clock::now_ms(),
        };
        let transaction = state.store.write().await?;
        imports::begin(&*transaction, &new).await?;
        transaction.commit().await?;
        Ok(Self { state, import })
    }

    /// Stores the lines as they come; gives the hash of all.
    async fn take_in(&self, mut payload: actix_web::dev::Payload) -> Result<String, ApiError> {
        let (mut lines, mut hash, mut bytes) = (LineChunks::default(), Sha256::new(), 0_u64);
        let mut any = false;
        while let Some(piece) = payload.next().await {
            let piece = piece.map_err(|error| ApiError::MalformedJson(error.to_string()))?;
            bytes += piece.len() as u64;
            if bytes > MAX_IMPORT_BYTES {
                drain(payload).await;
                return Err(ApiError::TooLarge(MAX_IMPORT_BYTES as usize));
            }
            hash.update(&piece);
            for chunk in lines.push(&piece) {
                any = true;
                self.store(chunk).await?;
            }
        }
        if let Some(chunk) = lines.finish() {
            any = true;
            self.store(chunk).await?;
        }
        if !any {
            return Err(ApiError::field("", "has no lines"));
        }
        Ok(hex(&hash.finalize()))
    }

    async fn store(&self, chunk: Chunk) -> Result<(), ApiError> {
        let taken = TakenIn {
            bytes: chunk.body.len() as u64,
            lines: chunk.lines,
            failed: chunk.too_long.len() as u64,
        };
        let too_long: Vec<FailureRow> = chunk.too_long.iter().map(|line| too_long(*line)).collect();
        let row = ChunkRow {
            first_line: i64::try_from(chunk.first_line).unwrap_or(i64::MAX),
            lines: i64::try_from(chunk.lines).unwrap_or(i64::MAX),
            body: chunk.body,
        };
        let transaction = self.state.store.write().await?;
        let now = clock::now_ms();
        if !imports::take_in(&*transaction, self.import, taken, now).await? {
            return Err(ApiError::conflict("import-ended", "it was cancelled meanwhile"));
        }
        import_lines::insert(&*transaction, self.import, row).await?;
        import_lines::keep_failures(&*transaction, self.import, &too_long).await?;
        Ok(transaction.commit().await?)
    }
}

fn too_long(line: u64) -> FailureRow {
    FailureRow {
        line: i64::try_from(line).unwrap_or(i64::MAX),
        reason: "too_large".to_owned(),
        detail: format!("it has more than {MAX_LINE_BYTES} bytes"),
    }
}
