//! A JSON Schema (2020-12) of an event type's data: compiled when it is saved, asked when an event is posted.
//!
//! Nothing is fetched: a schema is whole in itself. What it may cost to check is bounded before it is
//! compiled: references stay inside of it and never lead back to where they came from, so that it unfolds
//! into a number of parts that has a limit; patterns are matched in linear time.

use hookrail_domain::json::Json;
use hookrail_domain::validation::{FieldError, pointer_token};
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

/// Parts that a schema may unfold into once its references are followed.
const MAX_PARTS: usize = 1_000;
/// How deep it may be nested, references followed.
const MAX_DEPTH: usize = 64;
/// Largest compiled pattern, bytes.
const MAX_PATTERN_BYTES: usize = 256 * 1024;
/// Faults that are told of one event.
const MAX_FAULTS: usize = 20;
/// Members that hold data and no schemas.
const DATA: [&str; 4] = ["const", "enum", "default", "examples"];
/// Members that would make what a reference means depend on more than the schema's own structure.
const REFUSED: [&str; 6] = [
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$vocabulary",
];

/// A compiled schema.
pub(crate) struct DataSchema(Validator);

impl DataSchema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// The first fault, with its pointer inside of the schema.
    pub(crate) fn compile(schema: &Json) -> Result<Self, FieldError> {
        if schema.as_object().is_none() {
            return Err(FieldError::new("", "has to be an object"));
        }
        let mut unfolding = Unfolding {
            root: schema,
            path: Vec::new(),
            parts: 0,
        };
        unfolding.follow(schema, "")?;
        let patterns = PatternOptions::regex().size_limit(MAX_PATTERN_BYTES);
        let compiled = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(patterns)
            .build(&plain(schema));
        compiled.map(Self).map_err(|error| {
            let pointer = error.instance_path().as_str().to_owned();
            FieldError::new(pointer, format!("is no JSON Schema: {}", error.masked()))
        })
    }

    /// What of `data` doesn't fit, with pointers inside of it. Values aren't repeated.
    pub(crate) fn faults(&self, data: &Json) -> Vec<FieldError> {
        let data = plain(data);
        let fault = |error: jsonschema::ValidationError<'_>| {
            FieldError::new(error.instance_path().as_str(), error.masked().to_string())
        };
        self.0.iter_errors(&data).take(MAX_FAULTS).map(fault).collect()
    }
}

/// A walk through a schema as its references unfold it.
struct Unfolding<'s> {
    root: &'s Json,
    /// The references that led here.
    path: Vec<&'s str>,
    parts: usize,
}

impl<'s> Unfolding<'s> {
    fn follow(&mut self, part: &'s Json, pointer: &str) -> Result<(), FieldError> {
        let fault = |detail: String| FieldError::new(pointer, detail);
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(fault(format!("unfolds into more than {MAX_PARTS} parts")));
        }
        if pointer.matches('/').count() > MAX_DEPTH * 2 || self.path.len() > MAX_DEPTH {
            return Err(fault(format!("is nested deeper than {MAX_DEPTH}")));
        }
        match part {
            Json::Array(items) => {
                let mut items = items.iter().enumerate();
                items.try_for_each(|(i, item)| self.follow(item, &format!("{pointer}/{i}")))
            }
            Json::Object(members) => {
                for (name, value) in members {
                    let pointer = format!("{pointer}/{}", pointer_token(name));
                    self.follow_member(name, value, &pointer)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn follow_member(&mut self, name: &str, value: &'s Json, pointer: &str) -> Result<(), FieldError> {
        let fault = |detail: &str| FieldError::new(pointer, detail);
        if REFUSED.contains(&name) && value.as_str().is_some() {
            return Err(fault(
                "is not supported: refer with $ref to a pointer as #/$defs/name",
            ));
        }
        if DATA.contains(&name) && !pointer.contains("/properties/") {
            return Ok(());
        }
        let Some(reference) = value.as_str().filter(|_| name == "$ref") else {
            return self.follow(value, pointer);
        };
        let target = reference
            .strip_prefix('#')
            .filter(|below| below.is_empty() || below.starts_with('/'));
        let target = target.ok_or_else(|| fault("has to point into the schema itself, as #/$defs/name"))?;
        if target.is_empty() || self.path.contains(&reference) || pointer.starts_with(&format!("{target}/")) {
            return Err(fault("leads back to where it came from"));
        }
        let found = find(self.root, target).ok_or_else(|| fault("points to nothing"))?;
        self.path.push(reference);
        let followed = self.follow(found, pointer);
        self.path.pop();
        followed
    }
}

/// What a JSON Pointer (RFC 6901) points to.
fn find<'s>(root: &'s Json, pointer: &str) -> Option<&'s Json> {
    let mut found = root;
    for token in pointer.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
        found = match found {
            Json::Array(items) => items.get(name.parse::<usize>().ok()?)?,
            other => other.get(&name)?,
        };
    }
    Some(found)
}

/// The value as the library has it. Made member by member: read from text, a member's name could make it
/// something else there. Numbers that a double can't hold are compared as the nearest that it can.
fn plain(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number
            .to_string()
            .parse::<serde_json::Number>()
            .map_or(Value::Null, Value::Number),
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => items.iter().map(plain).collect(),
        Json::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), plain(value)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(schema: &str) -> Result<DataSchema, FieldError> {
        DataSchema::compile(&schema.parse().unwrap())
    }

    fn check_refused(schema: &str, pointer: &str, detail: &str) {
        let fault = compile(schema).map(|_| ()).unwrap_err();
        assert_eq!(fault.pointer, pointer, "{schema}: {fault:?}");
        assert!(fault.detail.contains(detail), "{schema}: {fault:?}");
    }

    fn check(schema: &str, data: &str, expected: &[&str]) {
        let faults = compile(schema).unwrap().faults(&data.parse().unwrap());
        let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, expected, "{data}: {faults:?}");
    }

    const ORDER: &str = r##"{"type":"object","required":["id"],"properties":{"id":{"type":"integer"},
        "lines":{"type":"array","items":{"$ref":"#/$defs/line"}}},
        "$defs":{"line":{"type":"object","properties":{"sku":{"type":"string","pattern":"^[A-Z]+$"}}}}}"##;

    #[test]
    fn data_is_checked_with_the_pointer_of_every_fault() {
        check(ORDER, r#"{"id":12345678901234567890,"lines":[{"sku":"A"}]}"#, &[]);
        check(ORDER, "{}", &[""]);
        check(
            ORDER,
            r#"{"id":"x","lines":[{"sku":"A"},{"sku":"b"},{"sku":1}]}"#,
            &["/id", "/lines/1/sku", "/lines/2/sku"],
        );
        // A member that a library might read as something else is an object as any other.
        check(
            ORDER,
            r#"{"id":{"$serde_json::private::RawValue":"1"}}"#,
            &["/id"],
        );
    }

    #[test]
    fn faults_don_t_repeat_values() {
        let faults = compile(ORDER)
            .unwrap()
            .faults(&r#"{"id":"hunter2"}"#.parse().unwrap());
        assert!(!faults[0].detail.contains("hunter2"), "{faults:?}");
    }

    #[test]
    fn what_is_no_schema_is_refused_at_its_place() {
        check_refused("5", "", "has to be an object");
        check_refused(r#"{"type":"strin"}"#, "/type", "is no JSON Schema");
        check_refused(r#"{"pattern":"("}"#, "/pattern", "");
    }

    #[test]
    fn nothing_is_fetched_and_nothing_goes_round() {
        for far in ["https://example.com/schema", "other.json", "file:///etc/passwd"] {
            check_refused(
                &format!(r#"{{"items":{{"$ref":"{far}"}}}}"#),
                "/items/$ref",
                "into the schema itself",
            );
        }
        check_refused(r##"{"$ref":"#"}"##, "/$ref", "leads back");
        check_refused(
            r##"{"properties":{"a":{"$ref":"#/properties"}}}"##,
            "/properties/a/$ref",
            "leads back",
        );
        let two = r##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}"##;
        check_refused(two, "/$ref/$ref/$ref", "leads back");
        check_refused(r##"{"$ref":"#/$defs/a"}"##, "/$ref", "points to nothing");
        check_refused(r#"{"$dynamicRef":"a"}"#, "/$dynamicRef", "is not supported");
    }

    #[test]
    fn a_schema_that_unfolds_too_far_is_refused() {
        let mut text = String::from(r#"{"$ref":"\#/$defs/a0","$defs":{"#).replace('\\', "");
        for level in 0..20 {
            let next = level + 1;
            text += &format!(
                r##""a{level}":{{"allOf":[{{"$ref":"#/$defs/a{next}"}},{{"$ref":"#/$defs/a{next}"}}]}},"##
            );
        }
        text += r#""a20":{}}}"#;
        let fault = compile(&text).map(|_| ()).unwrap_err();
        assert!(fault.detail.contains("1000 parts"), "{fault:?}");
    }
}
