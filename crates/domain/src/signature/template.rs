//! Texts with `{{placeholders}}`: what a sender signs, and what it is answered.
//!
//! A placeholder is a name, for some with an argument after a colon, and with filters after bars:
//! `{{timestamp}}.{{body}}`, `{{header:X-Id}}`, `{{value:$.challenge|json}}`. Nothing is escaped
//! unless a filter does it.

use crate::jsonpath::JsonPath;
use crate::validation;

/// Longest text of a template, bytes.
const MAX_TEMPLATE_BYTES: usize = 4096;
/// Most placeholders of a template.
const MAX_PLACEHOLDERS: usize = 32;

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(pub(crate) Vec<Piece>);

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    Literal(String),
    Placeholder(Field, Vec<Filter>),
}

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field {
    Method,
    /// The whole URL.
    Url,
    /// The whole URL with the escapes undone that HubSpot undoes.
    UrlDecoded,
    Path,
    /// The path and, after a question mark, the query.
    Target,
    Body,
    Timestamp,
    Id,
    Secret,
    /// A form's names and values, sorted, with nothing between them.
    SortedForm,
    /// The headers that this header lists, as `name:value`, joined with semicolons.
    SignedHeaders(String),
    /// Members of the body that are there, as lines of name and lines of value.
    Lines(Vec<String>),
    Header(String),
    Query(String),
    Value(JsonPath),
    EventId,
}

/// What is done to a placeholder's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// A JSON string with its quotes.
    Json,
    HmacSha256Hex,
    HmacSha256Base64,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("has more than {MAX_TEMPLATE_BYTES} bytes")]
    TooLong,
    #[error("has more than {MAX_PLACEHOLDERS} placeholders")]
    TooMany,
    #[error("has a {{{{ without its }}}}")]
    Unclosed,
    #[error("has an unknown placeholder {{{{{0}}}}}")]
    Unknown(String),
    #[error("has a placeholder {{{{{0}}}}} that can't be used here")]
    Misplaced(String),
    #[error("has a placeholder {{{{{0}}}}} whose path is not a plain path, such as $.data.id")]
    Path(String),
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// An unknown placeholder or filter, a path that isn't plain, or a text over the limits.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(TemplateError::TooLong);
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inner, after) = after.split_once("}}").ok_or(TemplateError::Unclosed)?;
            if !before.is_empty() {
                pieces.push(Piece::Literal(before.to_owned()));
            }
            pieces.push(placeholder(inner)?);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        let placeholders = pieces
            .iter()
            .filter(|piece| matches!(piece, Piece::Placeholder(..)));
        if placeholders.count() > MAX_PLACEHOLDERS {
            return Err(TemplateError::TooMany);
        }
        Ok(Self(pieces))
    }

    /// What its placeholders stand for.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Placeholder(field, _) => Some(field),
            Piece::Literal(_) => None,
        })
    }

    /// The first placeholder that `allowed` refuses.
    pub(crate) fn check(&self, allowed: impl Fn(&Field, &[Filter]) -> bool) -> Result<(), TemplateError> {
        for piece in &self.0 {
            if let Piece::Placeholder(field, filters) = piece
                && !allowed(field, filters)
            {
                return Err(TemplateError::Misplaced(field.name().to_owned()));
            }
        }
        Ok(())
    }
}

fn placeholder(inner: &str) -> Result<Piece, TemplateError> {
    let unknown = || TemplateError::Unknown(inner.to_owned());
    let mut parts = inner.split('|');
    let field = field(parts.next().unwrap_or_default().trim()).ok_or_else(unknown)?;
    if let Field::Value(path) = &field
        && !path.is_plain()
    {
        return Err(TemplateError::Path(inner.to_owned()));
    }
    let filters = parts.map(|name| filter(name.trim()).ok_or_else(unknown));
    Ok(Piece::Placeholder(field, filters.collect::<Result<_, _>>()?))
}

fn field(text: &str) -> Option<Field> {
    let header = |name: &str| validation::is_header_name(name).then(|| name.to_owned());
    Some(match text.split_once(':') {
        None => match text {
            "method" => Field::Method,
            "url" => Field::Url,
            "url_decoded" => Field::UrlDecoded,
            "path" => Field::Path,
            "target" => Field::Target,
            "body" => Field::Body,
            "timestamp" => Field::Timestamp,
            "id" => Field::Id,
            "secret" => Field::Secret,
            "sorted_form" => Field::SortedForm,
            "event_id" => Field::EventId,
            _ => return None,
        },
        Some(("header", name)) => Field::Header(header(name)?),
        Some(("signed_headers", name)) => Field::SignedHeaders(header(name)?),
        Some(("query", name)) if !name.is_empty() => Field::Query(name.to_owned()),
        Some(("value", path)) => Field::Value(JsonPath::parse(path).ok()?),
        Some(("lines", names)) => Field::Lines(names.split(',').map(|name| name.trim().to_owned()).collect()),
        Some(_) => return None,
    })
}

fn filter(name: &str) -> Option<Filter> {
    match name {
        "json" => Some(Filter::Json),
        "hmac_sha256_hex" => Some(Filter::HmacSha256Hex),
        "hmac_sha256_base64" => Some(Filter::HmacSha256Base64),
        _ => None,
    }
}

impl Field {
    /// Its name in a placeholder.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Url => "url",
            Self::UrlDecoded => "url_decoded",
            Self::Path => "path",
            Self::Target => "target",
            Self::Body => "body",
            Self::Timestamp => "timestamp",
            Self::Id => "id",
            Self::Secret => "secret",
            Self::SortedForm => "sorted_form",
            Self::SignedHeaders(_) => "signed_headers",
            Self::Lines(_) => "lines",
            Self::Header(_) => "header",
            Self::Query(_) => "query",
            Self::Value(_) => "value",
            Self::EventId => "event_id",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<usize, TemplateError>) {
        let parsed = Template::parse(text).map(|template| template.0.len());
        assert_eq!(parsed, expected, "{text}");
    }

    #[test]
    fn placeholders_and_what_is_between_them_are_told_apart() {
        check("v0:{{timestamp}}:{{body}}", Ok(4));
        check("{\"a\":{{value:$.a|json}}}", Ok(3));
        check("", Ok(0));
    }

    #[test]
    fn what_is_no_placeholder_is_refused_by_its_name() {
        check("{{bdy}}", Err(TemplateError::Unknown("bdy".into())));
        check("{{body|upper}}", Err(TemplateError::Unknown("body|upper".into())));
        check("{{header:a b}}", Err(TemplateError::Unknown("header:a b".into())));
        check(
            "{{value:$.a[*]}}",
            Err(TemplateError::Path("value:$.a[*]".into())),
        );
        check("{{body", Err(TemplateError::Unclosed));
        check(&"x".repeat(4097), Err(TemplateError::TooLong));
        check(&"{{body}}".repeat(33), Err(TemplateError::TooMany));
    }
}
