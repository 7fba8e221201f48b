//! Secrets inside definitions: giving new ones an id, filling kept ones in, finding their fields.

use hookrail_domain::Millis;
use hookrail_domain::json::Json;
use hookrail_domain::validation::FieldError;
use hookrail_store::secrets::SecretRow;

use crate::definition::Definable;
use crate::error::ApiError;
use crate::json_body::escaped;
use crate::state::new_id;

/// Puts the values of known secrets where they are kept.
pub(crate) fn fill_in<S: Definable>(spec: &mut S, known: &[SecretRow]) {
    for secret in spec.secrets() {
        let Some(id) = secret.id.map(|id| id.to_string()) else {
            continue;
        };
        if let Some(row) = known.iter().find(|row| row.id == id) {
            secret.value = Some(row.value.clone());
        }
    }
}

/// Readies what was written for being stored: kept secrets get their values, new ones their ids.
/// A kept one that the definition doesn't have is refused at its field.
pub(crate) fn settle<S: Definable>(spec: &mut S, known: &[SecretRow]) -> Result<(), ApiError> {
    fill_in(spec, known);
    for secret in spec.secrets() {
        secret.id.get_or_insert_with(new_id);
    }
    let json = json_of(spec);
    let mut errors = Vec::new();
    for secret in spec.secrets() {
        let id = secret.id.map(|id| id.to_string()).unwrap_or_default();
        let fault = match secret.value.as_deref() {
            None => format!("there is no secret {id} to keep"),
            // PostgreSQL's text can't hold it, nor can a header.
            Some(value) if value.contains('\0') => "must not hold NUL".to_owned(),
            Some(_) => continue,
        };
        errors.push(FieldError::new(pointer_to(&json, &id).unwrap_or_default(), fault));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(ApiError::Invalid(errors))
    }
}

/// The rows of a definition's secrets.
pub(crate) fn rows<S: Definable>(spec: &mut S, owner_id: &str) -> Vec<SecretRow> {
    let json = json_of(spec);
    let row = |secret: &hookrail_domain::secret::Secret| {
        let id = secret.id?.to_string();
        let field = pointer_to(&json, &id).unwrap_or_default();
        let owner_id = owner_id.to_owned();
        Some(SecretRow {
            id,
            owner_id,
            field,
            value: secret.value.clone()?,
            expires_at: secret.expires_at,
        })
    };
    spec.secrets()
        .into_iter()
        .filter_map(|secret| row(secret))
        .collect()
}

fn json_of<S: Definable>(spec: &S) -> Json {
    serde_json::to_string(spec)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// Whether a secret is still used at `now`.
pub(crate) fn is_in_use(expires_at: Option<Millis>, now: Millis) -> bool {
    expires_at.is_none_or(|at| at > now)
}

/// The JSON Pointer of the object whose `id` is this one.
fn pointer_to(json: &Json, id: &str) -> Option<String> {
    match json {
        Json::Object(members) if members.get("id").and_then(Json::as_str) == Some(id) => Some(String::new()),
        Json::Object(members) => members.iter().find_map(|(name, value)| {
            pointer_to(value, id).map(|below| format!("/{}{below}", escaped(name)))
        }),
        Json::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(i, item)| pointer_to(item, id).map(|below| format!("/{i}{below}"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hookrail_domain::destination::DestinationSpec;

    use super::*;

    fn spec(text: &str) -> DestinationSpec {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_new_secret_gets_an_id_and_its_field() {
        let mut spec =
            spec(r#"{"auth": {"type": "bearer", "token": "abc"}, "api_key": "key-of-the-receiver"}"#);
        settle(&mut spec, &[]).unwrap();
        let rows = rows(&mut spec, "dst_1");
        let fields: Vec<_> = rows.iter().map(|row| row.field.as_str()).collect();
        assert_eq!(fields, ["/auth/token", "/api_key"]);
        assert_eq!(rows[0].value, "abc");
    }

    #[test]
    fn a_kept_secret_that_is_not_there_is_refused_at_its_field() {
        let mut spec = spec(r#"{"api_key": {"id": "sec_01ARZ3NDEKTSV4RRFFQ69G5FAV"}}"#);
        match settle(&mut spec, &[]) {
            Err(ApiError::Invalid(errors)) => assert_eq!(errors[0].pointer, "/api_key"),
            other => panic!("{other:?}"),
        }
    }
}
