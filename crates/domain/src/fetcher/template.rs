//! Templates with `{{id}}`: read once, rendered with an id's values, each written as its place needs it.
//!
//! A template knows nothing else: no conditions, no functions, so that what is asked can be seen in the
//! definition.

use super::ids::FetchId;

/// Longest template, bytes.
pub const MAX_TEMPLATE_BYTES: usize = 16 * 1024;

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Something else than an id between the braces.
    #[error("{{{{{0}}}}} is not known: only {{{{id}}}} and {{{{id.0}}}}, {{{{id.1}}}}, … are")]
    Unknown(String),
    /// No end of the braces.
    #[error("has {{{{ without }}}}")]
    Open,
    /// A part that the unique id doesn't have.
    #[error("{{{{id.{part}}}}} is not there: the unique id has {parts} parts, counted from 0")]
    NoPart {
        /// The part.
        part: usize,
        /// How many there are.
        parts: usize,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The whole id, or a part of it.
    Id(Option<usize>),
}

/// A text with places for an id's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

impl Template {
    /// Reads a template for ids of `parts` parts.
    ///
    /// # Errors
    /// When there is anything else than ids between double braces.
    pub fn parse(text: &str, parts: usize) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, behind) = after.split_once("}}").ok_or(TemplateError::Open)?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Id(part(name.trim(), parts)?));
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// Whether it has a place for a value.
    pub fn has_id(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Id(_)))
    }

    /// The text with the id's values, each as `write` writes it.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn render<E>(&self, id: &FetchId, write: impl Fn(&str) -> Result<String, E>) -> Result<String, E> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Id(part) => {
                    let value = part.and_then(|part| id.parts.get(part)).unwrap_or(&id.text);
                    text.push_str(&write(value)?);
                }
            }
        }
        Ok(text)
    }
}

fn part(name: &str, parts: usize) -> Result<Option<usize>, TemplateError> {
    if name == "id" {
        return Ok(None);
    }
    let number = name.strip_prefix("id.").filter(|digits| {
        let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        is_number && digits.len() <= 2
    });
    let unknown = || TemplateError::Unknown(name.to_owned());
    let part: usize = number
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(unknown)?;
    if part < parts {
        Ok(Some(part))
    } else {
        Err(TemplateError::NoPart { part, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(parts: &[&str]) -> FetchId {
        FetchId {
            text: parts.join("+"),
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
        }
    }

    fn check(template: &str, parts: &[&str], expected: Result<&str, &str>) {
        let rendered = Template::parse(template, parts.len())
            .map_err(|error| error.to_string())
            .map(|template| {
                template
                    .render(&id(parts), |value| Ok::<_, ()>(format!("<{value}>")))
                    .unwrap()
            });
        match (rendered, expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected),
            (Err(error), Err(word)) => assert!(error.contains(word), "{error}"),
            (other, expected) => panic!("{template}: {other:?}, not {expected:?}"),
        }
    }

    #[test]
    fn values_take_the_places_of_their_names() {
        check("/users/{{id}}?a={{ id }}", &["42"], Ok("/users/<42>?a=<42>"));
        check("/{{id.1}}/{{id.0}}/{{id}}", &["a", "b"], Ok("/<b>/<a>/<a+b>"));
        check("{ no }} id", &["42"], Ok("{ no }} id"));
        check("{{id}}{{id}}", &["{{id}}"], Ok("<{{id}}><{{id}}>"));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        check("{{name}}", &["42"], Err("{{name}} is not known"));
        check("{{id.x}}", &["42"], Err("not known"));
        check("{{id.+1}}", &["a", "b"], Err("not known"));
        check("{{id.2}}", &["a", "b"], Err("has 2 parts"));
        check("{{id", &["42"], Err("without"));
    }
}
