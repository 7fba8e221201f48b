//! Text with `{{…}}` in it: paths, or the name of a member for short. `\{{` is two braces.

use super::place::Place;
use crate::json::Json;

/// A part of a template.
#[derive(Debug)]
pub(super) enum Part {
    /// Text as it is.
    Text(String),
    /// What is at a place, as text.
    Found(Place),
}

/// Whether a text has places in it.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Takes a template apart.
pub(super) fn parse(text: &str) -> Result<Vec<Part>, String> {
    let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find("{{") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('\\') {
            plain.push_str(before);
            plain.push_str("{{");
            rest = after;
            continue;
        }
        plain.push_str(before);
        let end = after.find("}}").ok_or("has a {{ without its }}")?;
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(Part::Found(place(after[..end].trim())?));
        rest = &after[end + 2..];
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// `{{ $.company.name }}`, or `{{ company.name }}` for short.
fn place(text: &str) -> Result<Place, String> {
    let wrong = |detail: &str| format!("{{{{{text}}}}} {detail}");
    if text.is_empty() {
        return Err(wrong("needs a path"));
    }
    let path = match text.starts_with('$') {
        true => text.to_owned(),
        false => format!("$.{text}"),
    };
    Place::parse(&path).map_err(|error| wrong(&format!("is not a path: {error}")))
}

/// A value in a text: strings bare, null as nothing, numbers as they came, lists and objects as JSON.
pub(super) fn text_of(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        value => value.bare_text(),
    }
}
