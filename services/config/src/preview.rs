//! `POST /sources/{id}/preview`: what a filter and entity rules make of an event, before they are saved.

use actix_web::{HttpResponse, web};
use hookrail_domain::entity::{EntityRules, Extracted, Extraction, Warning, extract_from};
use hookrail_domain::filter::{ConditionResult, Filter, FilterInput};
use hookrail_domain::json::Json;
use hookrail_domain::source::SourceSpec;
use serde::{Deserialize, Deserializer};

use crate::answer;
use crate::authenticated::Authenticated;
use crate::definition::Stored;
use crate::error::ApiError;
use crate::found_event::{FoundEvent, decoded};
use crate::json_body::JsonBody;
use crate::shown::optional;
use crate::state::ConfigState;
use crate::suggestions::suggest;

/// Entities shown of a payload that has more.
const SHOWN_ENTITIES: usize = 100;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.service(web::resource("/sources/{id}/preview").route(web::post().to(preview)));
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(preview))]
pub(crate) struct Docs;

/// What is to be looked at, and by which rules. What is left out is the source's newest event and its
/// saved rules.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PreviewRequest {
    /// An event of the source.
    event_id: Option<String>,
    /// A payload of one's own.
    #[schema(value_type = Option<Object>)]
    payload: Option<Json>,
    /// A filter; null = none.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    filter: Option<Option<Filter>>,
    /// Entity rules; null = none.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    entity: Option<Option<EntityRules>>,
}

/// Tells null from what is left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What is looked at.
#[derive(Debug, Default)]
struct Subject {
    event_id: Option<String>,
    payload: Option<Json>,
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
    method: String,
}

impl Subject {
    fn input(&self) -> FilterInput<'_> {
        FilterInput {
            payload: self.payload.as_ref(),
            headers: &self.headers,
            query: &self.query,
            method: &self.method,
        }
    }
}

/// Try a filter and entity rules on an event or a payload; stores nothing
#[utoipa::path(post, path = "/api/v1/sources/{id}/preview", tag = "sources", operation_id = "previewSource",
    params(crate::openapi::IdParam), request_body = PreviewRequest,
    responses((status = 200, description = "`accepted`, `conditions`, `entities`, `warnings`, `suggestions`"),
        (status = 404, body = crate::openapi::ProblemDocument), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn preview(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let source = Stored::<SourceSpec>::find(state.store.reader(), &sender.workspace_id(), &id).await?;
    let mut request: PreviewRequest = body.read()?;
    let filter = request
        .filter
        .take()
        .unwrap_or_else(|| source.spec.filter.clone());
    let rules = request
        .entity
        .take()
        .unwrap_or_else(|| source.spec.entity.clone());
    check(rules.as_ref())?;
    let subject = subject(&state, &sender, &source, request).await?;
    // Paths may cost up to their budget, which is more than a worker should be held up for.
    let shown = web::block(move || evaluate(&subject, filter.as_ref(), rules.as_ref())).await;
    Ok(answer::json(
        &shown.map_err(|error| ApiError::Internal(error.into()))?,
    ))
}

fn check(rules: Option<&EntityRules>) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    if let Some(rules) = rules {
        rules.validate("/entity", &mut errors);
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.into())
    }
}

async fn subject(
    state: &ConfigState,
    sender: &Authenticated,
    source: &Stored<SourceSpec>,
    request: PreviewRequest,
) -> Result<Subject, ApiError> {
    if let Some(payload) = request.payload {
        return Ok(Subject {
            payload: Some(payload),
            method: "POST".to_owned(),
            ..Subject::default()
        });
    }
    let id = source.id()?;
    let found = match &request.event_id {
        Some(event_id) => Some(FoundEvent::find(state, sender.workspace.id, event_id).await?),
        None => FoundEvent::newest_of(state, sender.workspace.id, id).await?,
    };
    let event = found.and_then(|found| found.event);
    let Some(event) = event.filter(|event| event.source == Some(id)) else {
        let (pointer, detail) = match request.event_id {
            Some(_) => (
                "/event_id",
                "is no event of this source whose payload is still kept",
            ),
            None => (
                "/payload",
                "is needed: the source has no event whose payload is kept",
            ),
        };
        return Err(ApiError::field(pointer, detail));
    };
    Ok(Subject {
        event_id: Some(event.id.to_string()),
        payload: decoded(&event, Some(&source.spec)).filter(|payload| !payload.is_null()),
        headers: event.headers,
        query: event.query,
        method: event.method,
    })
}

fn evaluate(subject: &Subject, filter: Option<&Filter>, rules: Option<&EntityRules>) -> Json {
    let input = subject.input();
    let verdict = filter.map(|filter| filter.evaluate(&input));
    let mut warnings = Vec::new();
    if verdict.as_ref().is_some_and(|verdict| verdict.over_budget) {
        warnings.push(Json::from([
            ("code", Json::from("filter.over_budget")),
            ("field", "filter".into()),
        ]));
    }
    let Extraction {
        entities,
        warnings: found,
    } = rules.map_or_else(Extraction::default, |rules| extract_from(rules, &input));
    warnings.extend(found.iter().map(warning));
    let conditions = verdict
        .as_ref()
        .map_or([].as_slice(), |verdict| &verdict.conditions);
    let suggestions = subject
        .payload
        .as_ref()
        .map(|payload| suggest(payload, rules.map(|rules| &rules.path)));
    Json::from([
        ("event_id", optional(subject.event_id.as_deref())),
        (
            "accepted",
            verdict.as_ref().is_none_or(|verdict| verdict.accepted).into(),
        ),
        ("conditions", conditions.iter().map(condition).collect()),
        (
            "entities",
            entities.iter().take(SHOWN_ENTITIES).map(entity).collect(),
        ),
        ("entities_total", Json::from(entities.len() as u64)),
        ("warnings", Json::Array(warnings)),
        ("suggestions", suggestions.unwrap_or_default()),
    ])
}

fn condition(result: &ConditionResult) -> Json {
    serde_json::to_string(result)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

fn entity(entity: &Extracted) -> Json {
    Json::from([
        ("unique_id", Json::from(entity.unique_id.as_str())),
        ("title", optional(entity.title.as_deref())),
        ("fields", Json::Object(entity.fields.clone())),
        ("data", entity.data.clone()),
    ])
}

fn warning(warning: &Warning) -> Json {
    Json::from([
        ("code", Json::from(warning.code)),
        ("field", warning.field.as_str().into()),
        ("path", warning.path.as_str().into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluated(payload: &str, request: &str) -> Json {
        let request: PreviewRequest = serde_json::from_str(request).unwrap();
        let subject = Subject {
            payload: Some(payload.parse().unwrap()),
            ..Subject::default()
        };
        evaluate(
            &subject,
            request.filter.flatten().as_ref(),
            request.entity.flatten().as_ref(),
        )
    }

    #[test]
    fn numbers_come_out_as_they_went_in() {
        let payload = r#"{"id":12345678901234567890,"price":1.10}"#;
        let rules = r#"{"entity":{"type":"order","unique_id":"$.id","fields":{"price":"$.price"}},
            "filter":{"path":"$.price","op":"exists","value":true}}"#;
        let shown = evaluated(payload, rules).to_compact_string();
        assert!(shown.contains(r#""unique_id":"12345678901234567890""#), "{shown}");
        assert!(
            shown.contains(r#""fields":{"price":1.10}"#) && shown.contains(r#""actual":1.10"#),
            "{shown}"
        );
        assert!(shown.contains(&format!(r#""data":{payload}"#)), "{shown}");
    }

    #[test]
    fn a_path_that_finds_nothing_is_a_warning_that_names_its_field() {
        let shown = evaluated("{}", r#"{"entity":{"type":"order","unique_id":"$.id"}}"#);
        let warning = shown.get("warnings").and_then(|all| all.item(0)).unwrap();
        assert_eq!(warning.get("field"), Some(&Json::from("unique_id")));
        assert_eq!(shown.get("accepted"), Some(&Json::from(true)));
    }

    #[test]
    fn null_rules_are_not_the_saved_ones() {
        let request: PreviewRequest = serde_json::from_str(r#"{"filter":null}"#).unwrap();
        assert!(request.filter == Some(None) && request.entity.is_none());
    }
}
