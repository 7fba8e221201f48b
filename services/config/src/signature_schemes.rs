//! `/signature-schemes`: the senders whose signatures Hookrail knows, each with what a source needs
//! and with its dimensions, in the form in which an operator writes a scheme of his own.

use actix_web::{HttpResponse, web};
use hookrail_domain::json::Json;
use hookrail_domain::signature::{PRESETS, Preset, find_preset};

use crate::answer;
use crate::authenticated::Authenticated;
use crate::error::ApiError;
use crate::paging::{PageQuery, page};

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/signature-schemes")
                .route(web::get().to(list))
                .route(web::head().to(list)),
        )
        .service(
            web::resource("/signature-schemes/{name}")
                .route(web::get().to(read))
                .route(web::head().to(read)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, read), components(schemas(SignatureScheme, SchemeField)))]
pub(crate) struct Docs;

/// A known sender's scheme.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the type exists for the document only")]
pub(crate) struct SignatureScheme {
    /// What `auth.scheme` of a source calls it.
    name: String,
    /// What it may be called besides.
    aliases: Vec<String>,
    /// Who sends.
    sender: String,
    /// What a source's `auth` needs.
    fields: Vec<SchemeField>,
    /// What is answered to requests that are no events; null where there are none.
    handshake: Option<String>,
    /// The sender's documentation.
    documentation: String,
    /// How far the signed time may be off where the source doesn't say, seconds; 0 = not checked.
    tolerance_s: u32,
    /// Whether Hookrail has to know the URL as the sender does.
    signs_url: bool,
    /// The scheme itself: copied into `auth.dimensions`, and changed, it is a scheme `custom`.
    dimensions: hookrail_domain::signature::Scheme,
}

/// A member of a source's `auth`.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the type exists for the document only")]
pub(crate) struct SchemeField {
    /// Its name.
    name: String,
    /// Whether it has to be there.
    needed: bool,
    /// What it is, and where it is found at the sender.
    description: String,
}

/// List the signature schemes that are known
#[utoipa::path(get, path = "/api/v1/signature-schemes", tag = "sources", operation_id = "listSignatureSchemes",
    params(crate::openapi::ListParams), responses((status = 200, description = "A page of schemes, each a `SignatureScheme`")))]
async fn list(_: Authenticated, query: PageQuery) -> Result<HttpResponse, ApiError> {
    let mut presets: Vec<&Preset> = PRESETS.iter().collect();
    // They have no age: they are listed in the order of their names.
    if query.newest_first {
        presets.reverse();
    }
    let after = query.after.as_deref();
    presets.retain(|preset| match after {
        Some(after) if query.newest_first => preset.name.as_str() < after,
        Some(after) => preset.name.as_str() > after,
        None => true,
    });
    Ok(page(
        &query,
        presets,
        |preset| preset.name.clone(),
        |preset| show(preset),
    ))
}

/// Read a signature scheme
#[utoipa::path(get, path = "/api/v1/signature-schemes/{name}", tag = "sources", operation_id = "readSignatureScheme",
    params(("name" = String, Path, description = "The scheme's name")),
    responses((status = 200, body = SignatureScheme), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(_: Authenticated, name: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let preset = find_preset(&name).ok_or(ApiError::NotFound("signature scheme"))?;
    Ok(answer::json(&show(preset)))
}

fn show(preset: &Preset) -> Json {
    let text = |text: &String| Json::from(text.as_str());
    Json::from([
        ("name", text(&preset.name)),
        ("aliases", preset.aliases.iter().map(text).collect()),
        ("sender", text(&preset.sender)),
        ("fields", fields(preset).into_iter().collect()),
        ("handshake", preset.handshake.as_ref().map_or(Json::Null, text)),
        ("documentation", text(&preset.documentation)),
        ("tolerance_s", u64::from(preset.dimensions.tolerance_s).into()),
        ("signs_url", preset.signs_url.into()),
        ("dimensions", dimensions(preset)),
    ])
}

fn fields(preset: &Preset) -> Vec<Json> {
    let field = |name: &str, needed: bool, description: &str| {
        Json::from([
            ("name", name.into()),
            ("needed", needed.into()),
            ("description", description.into()),
        ])
    };
    let mut fields = vec![field("secrets", preset.dimensions.needs_secret, &preset.secret)];
    if let Some(description) = &preset.verify_token {
        fields.push(field("verify_token", false, description));
    }
    if preset.signs_url {
        let description = "The source's URL as it is typed in at the sender, without a query; needed where a proxy \
                           before Hookrail ends TLS or changes host or path";
        fields.push(field("public_url", false, description));
    }
    if preset.dimensions.tolerance_s > 0 {
        fields.push(field(
            "tolerance_s",
            false,
            "How far the signed time may be off, seconds; 0 = not checked",
        ));
    }
    fields
}

fn dimensions(preset: &Preset) -> Json {
    let text = serde_json::to_string(&preset.dimensions).unwrap_or_default();
    text.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_shows_what_it_needs_and_itself() {
        for preset in PRESETS.iter() {
            let shown = show(preset);
            let fields = shown
                .get("fields")
                .and_then(Json::as_array)
                .map_or(0, <[Json]>::len);
            assert!(fields > 0, "{}", preset.name);
            let checks = shown
                .get("dimensions")
                .and_then(|dimensions| dimensions.get("checks"));
            assert!(
                checks
                    .and_then(Json::as_array)
                    .is_some_and(|checks| !checks.is_empty())
            );
        }
    }
}
