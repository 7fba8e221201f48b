//! `POST /sources/{id}/preview`: what a filter and entity rules make of an event, before they are saved. They
//! decide and extract by the code of the processing.

use actix_web::{HttpResponse, web};
use hookrail_domain::entity::{Build, EntityRules, Extracted, Extraction, Warning, extract_from};
use hookrail_domain::filter::{ConditionResult, Filter, Verdict};
use hookrail_domain::json::Json;
use hookrail_domain::payload::Payload;
use hookrail_domain::source::SourceSpec;
use hookrail_domain::suggestions::{Suggestions, suggest};

use crate::answer;
use crate::authenticated::Authenticated;
use crate::definition::Stored;
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::preview_change::changes;
use crate::preview_request::PreviewRequest;
use crate::preview_subject::{Subject, other_payloads, subject};
use crate::shown::optional;
use crate::state::ConfigState;

/// Entities shown of a payload that has more.
const SHOWN_ENTITIES: usize = 100;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.service(web::resource("/sources/{id}/preview").route(web::post().to(preview)));
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(preview))]
pub(crate) struct Docs;

/// Try a filter and entity rules on an event or a payload; stores nothing
///
/// `payload` is what was decoded; null for bytes. Each entity has the `change` that it would be now: `created`,
/// `updated`, `unchanged`, `deleted`, `superseded` where a later one of the payload has its id, or `fetched` where
/// a fetcher gets it.
#[utoipa::path(post, path = "/api/v1/sources/{id}/preview", tag = "sources", operation_id = "previewSource",
    params(crate::openapi::IdParam), request_body = PreviewRequest,
    responses((status = 200, description = "`payload`, `accepted`, `conditions`, `entities`, `entities_total`, `warnings`, `suggestions`"),
        (status = 404, body = crate::openapi::ProblemDocument), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn preview(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let reader = state.store.reader();
    let source = Stored::<SourceSpec>::find(reader, &sender.workspace_id(), &id).await?;
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
    let others = other_payloads(&state, &sender, &source, subject.event_id.as_deref()).await?;
    let entity_type = rules.as_ref().map(|rules| rules.entity_type.clone());
    let is_fetched = rules.as_ref().is_some_and(|rules| rules.build == Build::Fetcher);
    // Paths may cost up to their budget, which is more than a worker should be held up for.
    let evaluated = web::block(move || evaluate(subject, &others, filter.as_ref(), rules.as_ref())).await;
    let mut evaluated = evaluated.map_err(|error| ApiError::Internal(error.into()))?;
    evaluated.extraction.entities.truncate(SHOWN_ENTITIES);
    let changes = match &entity_type {
        // What the fetcher gives decides, and nobody asks it here.
        Some(_) if is_fetched => vec!["fetched"; SHOWN_ENTITIES],
        Some(entity_type) => {
            let entities = &evaluated.extraction.entities;
            changes(reader, sender.workspace.id, entity_type, entities).await?
        }
        None => Vec::new(),
    };
    Ok(answer::json(&evaluated.show(&changes)))
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

/// What rules made of what was looked at.
struct Evaluated {
    event_id: Option<String>,
    payload: Json,
    verdict: Option<Verdict>,
    extraction: Extraction,
    entities_total: usize,
    suggestions: Suggestions,
}

fn evaluate(
    subject: Subject,
    others: &[Json],
    filter: Option<&Filter>,
    rules: Option<&EntityRules>,
) -> Evaluated {
    let input = subject.input();
    let verdict = filter.map(|filter| filter.evaluate(&input));
    let extraction = rules.map_or_else(Extraction::default, |rules| extract_from(rules, &input));
    let path = rules.map(|rules| &rules.path);
    let suggestions = input.payload.map(|payload| suggest(payload, others, path));
    Evaluated {
        verdict,
        entities_total: extraction.entities.len(),
        extraction,
        suggestions: suggestions.unwrap_or_default(),
        event_id: subject.event_id,
        payload: Payload::into_json(subject.payload),
    }
}

impl Evaluated {
    /// The answer; `changes` are those of the entities shown.
    fn show(&self, changes: &[&str]) -> Json {
        let verdict = self.verdict.as_ref();
        let conditions = verdict.map_or([].as_slice(), |verdict| &verdict.conditions);
        let entities = self.extraction.entities.iter().zip(changes);
        Json::from([
            ("event_id", optional(self.event_id.as_deref())),
            ("payload", self.payload.clone()),
            ("accepted", verdict.is_none_or(|verdict| verdict.accepted).into()),
            ("conditions", conditions.iter().map(condition).collect()),
            (
                "entities",
                entities.map(|(shown, change)| entity(shown, change)).collect(),
            ),
            ("entities_total", Json::from(self.entities_total as u64)),
            ("warnings", self.warnings()),
            ("suggestions", self.suggestions.to_json()),
        ])
    }

    fn warnings(&self) -> Json {
        let over_budget = self.verdict.as_ref().is_some_and(|verdict| verdict.over_budget);
        let of_filter = over_budget.then(|| {
            Json::from([
                ("code", Json::from("filter.over_budget")),
                ("field", "filter".into()),
            ])
        });
        of_filter
            .into_iter()
            .chain(self.extraction.warnings.iter().map(warning))
            .collect()
    }
}

fn condition(result: &ConditionResult) -> Json {
    serde_json::to_string(result)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

fn entity(entity: &Extracted, change: &str) -> Json {
    Json::from([
        ("unique_id", Json::from(entity.unique_id.as_str())),
        ("title", optional(entity.title.as_deref())),
        ("fields", Json::Object(entity.fields.clone())),
        ("data", entity.data.clone()),
        ("change", change.into()),
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
            event_id: None,
            payload: Payload::Json(payload.parse().unwrap()),
            headers: Vec::new(),
            query: Vec::new(),
            method: "POST".to_owned(),
        };
        let (filter, rules) = (request.filter.flatten(), request.entity.flatten());
        evaluate(subject, &[], filter.as_ref(), rules.as_ref()).show(&["created"])
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
        assert!(shown.contains(&format!(r#""payload":{payload}"#)), "{shown}");
    }

    #[test]
    fn a_path_that_finds_nothing_is_a_warning_that_names_its_field() {
        let shown = evaluated("{}", r#"{"entity":{"type":"order","unique_id":"$.id"}}"#);
        let warning = shown.get("warnings").and_then(|all| all.item(0)).unwrap();
        assert_eq!(warning.get("field"), Some(&Json::from("unique_id")));
        assert_eq!(shown.get("accepted"), Some(&Json::from(true)));
    }
}
