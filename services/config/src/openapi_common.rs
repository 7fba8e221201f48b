//! What the OpenAPI document says of every operation alike: added here, rather than written seventy times.
//!
//! Answers are exact JSON, made from rows; their schemas are in `openapi_answers.json`.

use anyhow::Context as _;
use serde_json::{Map, Value, json};

/// Schemas of answers, and which operation gives which.
const ANSWERS: &str = include_str!("openapi_answers.json");
/// How errors are told (RFC 9457).
const PROBLEM: &str = "application/problem+json";
/// The schema of errors.
const PROBLEM_SCHEMA: &str = "#/components/schemas/ProblemDocument";
/// Members that are secrets, by the schemas that have them.
const SECRETS: [(&str, &[&str]); 7] = [
    (
        "SourceAuth",
        &["password", "token", "secret", "secrets", "verify_token"],
    ),
    (
        "DestinationAuth",
        &["password", "token", "value", "client_secret"],
    ),
    ("Signing", &["secrets"]),
    ("DestinationSpec", &["api_key"]),
    ("TlsSpec", &["client_key"]),
    ("ProxySpec", &["password"]),
    ("ConnectionSpec", &["database_url"]),
];

/// What has a unique id: a path, or several for one of parts.
const WITH_UNIQUE_ID: [&str; 2] = ["FetcherSpec", "EntityRules"];

/// Completes the document.
///
/// # Errors
/// Where the schemas of answers can't be read.
pub(crate) fn complete(document: &mut Value) -> anyhow::Result<()> {
    let mut answers: Value = serde_json::from_str(ANSWERS).context("openapi_answers.json")?;
    let schemas = object(&mut document["components"]["schemas"]);
    schemas.append(object(&mut answers["schemas"]));
    for (schema, members) in SECRETS {
        name_secrets(&mut schemas[schema], members);
    }
    for schema in WITH_UNIQUE_ID {
        let property = schemas
            .get_mut(schema)
            .and_then(|schema| schema.pointer_mut("/properties/unique_id"));
        if let Some(property) = property {
            *property =
                json!({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]});
        }
    }
    let specs: Map<String, Value> = schemas
        .iter()
        .filter(|(name, _)| name.ends_with("Spec"))
        .map(|(name, schema)| (name.clone(), open(schema)))
        .collect();
    schemas.values_mut().for_each(|schema| inline(schema, &specs));
    let partial: Vec<(String, Value)> = schemas
        .iter()
        .filter(|(name, _)| name.ends_with("Spec"))
        .map(|(name, schema)| (format!("{name}Patch"), without_required(schema)))
        .collect();
    schemas.extend(partial);
    let schemas = schemas.clone();
    for (path, methods) in object(&mut document["paths"]) {
        for (method, operation) in object(methods) {
            let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            add_answers(operation, &answers["answers"][&id]);
            add_errors(operation, path, method);
            accept_both_media_types(operation, method);
            let needed = needs_body(operation, &schemas);
            if let Some(body) = operation.get_mut("requestBody") {
                body["required"] = json!(needed);
            }
        }
    }
    Ok(())
}

/// What is no object is none that could be completed: it becomes an empty one.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("it is one now")
}

/// A secret is written as its value, or as what a read shows of it.
fn name_secrets(schema: &mut Value, members: &[&str]) {
    let secret = json!({"$ref": "#/components/schemas/SecretInput"});
    if let Some(kinds) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        kinds.iter_mut().for_each(|kind| name_secrets(kind, members));
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, property) in properties {
        if !members.contains(&name.as_str()) {
            continue;
        }
        let is_list = property["type"] == "array";
        let is_optional = property["type"].as_array().is_some();
        *property = match (is_list, is_optional) {
            (true, _) => json!({"type": "array", "items": secret}),
            (false, true) => json!({"oneOf": [{"type": "null"}, secret]}),
            (false, false) => secret.clone(),
        };
    }
}

/// The same schema where other members may be there too.
fn open(schema: &Value) -> Value {
    let mut open = schema.clone();
    object(&mut open).remove("additionalProperties");
    open
}

/// What is read has more members than what was written, which takes no unknown ones.
fn inline(schema: &mut Value, specs: &Map<String, Value>) {
    for part in schema
        .get_mut("allOf")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let named = part["$ref"].as_str().and_then(|text| text.rsplit('/').next());
        if let Some(spec) = named.and_then(|name| specs.get(name)) {
            *part = spec.clone();
        }
    }
}

/// The same schema where nothing has to be there: what a merge patch may be.
fn without_required(schema: &Value) -> Value {
    let mut partial = schema.clone();
    object(&mut partial).remove("required");
    partial
}

fn add_answers(operation: &mut Value, answers: &Value) {
    for (status, schema) in answers.as_object().into_iter().flatten() {
        let schema = format!("#/components/schemas/{}", schema.as_str().unwrap_or_default());
        operation["responses"][status]["content"] = json!({"application/json": {"schema": {"$ref": schema}}});
    }
    for (status, response) in object(&mut operation["responses"]) {
        let said = response["description"].as_str().unwrap_or_default();
        if said.is_empty() {
            response["description"] = json!(meaning(status));
        }
        if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut)
            && content
                .values()
                .any(|media| media["schema"]["$ref"] == PROBLEM_SCHEMA)
            && let Some(media) = content.remove("application/json")
        {
            content.insert(PROBLEM.to_owned(), media);
        }
    }
}

fn add_errors(operation: &mut Value, path: &str, method: &str) {
    let mut statuses = vec!["401", "403", "404", "422", "429", "503", "default"];
    if operation.get("requestBody").is_some() {
        statuses.extend(["400", "413", "415"]);
    }
    if method != "get" && path.contains('{') {
        statuses.extend(["409", "412"]);
    }
    if method == "post" {
        statuses.push("409");
    }
    let responses = object(&mut operation["responses"]);
    for status in statuses {
        responses.entry(status).or_insert_with(|| problem(status));
    }
}

fn problem(status: &str) -> Value {
    let mut answer = json!({
        "description": meaning(status),
        "content": {PROBLEM: {"schema": {"$ref": PROBLEM_SCHEMA}}},
    });
    if status == "429" || status == "503" {
        answer["headers"] =
            json!({"Retry-After": {"description": "Seconds", "schema": {"type": "integer", "minimum": 1}}});
    }
    if status == "401" {
        answer["headers"] = json!({"WWW-Authenticate": {"schema": {"type": "string"}}});
    }
    answer
}

/// A merge patch may be sent as what it is, or as plain JSON.
fn accept_both_media_types(operation: &mut Value, method: &str) {
    if method != "patch" {
        return;
    }
    let content = object(&mut operation["requestBody"]["content"]);
    let Some(mut media) = content.values().next().cloned() else {
        return;
    };
    let named = media["schema"]["$ref"].as_str().unwrap_or_default().to_owned();
    if named.ends_with("Spec") {
        media["schema"]["$ref"] = json!(format!("{named}Patch"));
    }
    for media_type in ["application/merge-patch+json", "application/json"] {
        content.insert(media_type.to_owned(), media.clone());
    }
}

/// Where no member has to be there, neither has the body.
fn needs_body(operation: &Value, schemas: &Map<String, Value>) -> bool {
    let content = operation["requestBody"]["content"].as_object();
    let media = content.and_then(|content| content.values().next());
    let named = media.and_then(|media| media["schema"]["$ref"].as_str());
    match named
        .and_then(|text| text.rsplit('/').next())
        .and_then(|name| schemas.get(name))
    {
        Some(schema) => schema["required"].is_array(),
        None => true,
    }
}

fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "What was asked for",
        "201" => "It was created; `Location` is where it is",
        "202" => "It is on disk, and will be done",
        "204" => "It is done, and there is nothing to say",
        "400" => "The body is not JSON",
        "401" => "No token, or an unknown one",
        "403" => "The token's role or workspace may not do this",
        "404" => "There is no such thing",
        "409" => "It contradicts what is there",
        "412" => "It was changed since it was read",
        "413" => "The body is too large",
        "415" => "The body is not declared as what is taken",
        "422" => "Fields or parameters are not valid; `errors` says which",
        "429" => "More requests than the token may make",
        "503" => "A part that is needed does not answer: try again",
        _ => "Any other error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        let mut document = serde_json::to_value(crate::openapi::document()).unwrap();
        complete(&mut document).unwrap();
        document
    }

    fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
        let paths = document["paths"].as_object().unwrap().iter();
        let all = paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        });
        all.collect()
    }

    #[test]
    fn every_operation_says_what_it_is_and_what_it_answers() {
        let document = document();
        for (path, method, operation) in operations(&document) {
            let about = format!("{method} {path}");
            assert!(
                operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
                "{about}"
            );
            assert!(
                operation["tags"][0].is_string() && operation["operationId"].is_string(),
                "{about}"
            );
            for (status, answer) in operation["responses"].as_object().unwrap() {
                assert!(
                    answer["description"]
                        .as_str()
                        .is_some_and(|text| !text.is_empty()),
                    "{about} {status}"
                );
                let content = &answer["content"];
                let is_success = status.starts_with('2');
                assert!(
                    content.is_object() || status == "204" || (is_success && path.ends_with("/raw")),
                    "{about} {status}"
                );
                assert_eq!(content[PROBLEM].is_object(), !is_success, "{about} {status}");
            }
            for status in ["401", "403", "429", "default"] {
                assert!(operation["responses"][status].is_object(), "{about} {status}");
            }
        }
    }

    #[test]
    fn every_answer_belongs_to_an_operation_and_every_reference_to_a_schema() {
        let document = document();
        let ids: Vec<&str> = operations(&document)
            .into_iter()
            .filter_map(|(_, _, operation)| operation["operationId"].as_str())
            .collect();
        let answers: Value = serde_json::from_str(ANSWERS).unwrap();
        for id in answers["answers"].as_object().unwrap().keys() {
            assert!(ids.contains(&id.as_str()), "{id}");
        }
        for reference in document.to_string().split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn secrets_are_written_as_text_or_kept_by_their_id() {
        let document = document();
        let schemas = &document["components"]["schemas"];
        for (schema, members) in SECRETS {
            let text = schemas[schema].to_string();
            let named = text.matches("SecretInput").count();
            assert!(named >= members.len(), "{schema}: {named} of {members:?}");
        }
        assert_eq!(schemas["SourceSpecPatch"]["required"], Value::Null);
        assert_eq!(schemas["SourceSpec"]["additionalProperties"], false);
        assert_eq!(
            schemas["SourceRead"]["allOf"][0]["additionalProperties"],
            Value::Null
        );
    }
}
