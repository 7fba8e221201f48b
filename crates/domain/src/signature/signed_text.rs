//! The text that a sender signed, put together from the request again, piece by piece: bodies are
//! handed on as they are, never copied.

use std::borrow::Cow;

use super::mismatch::Mismatch;
use super::place::{Place, json_text};
use super::request::{HeaderLookup, RequestFacts, RequestUrl};
use super::template::{Field, Piece, Template};
use crate::json::Json;
use crate::jsonpath::JsonPath;
use crate::payload::Kind;

/// Most pairs of a form that is signed, and most headers that are.
const MAX_PARTS: usize = 1000;
/// Escapes that HubSpot undoes in a URL before it signs (its table of characters), and what they are.
const HUBSPOT_ESCAPES: [(&str, char); 12] = [
    ("3A", ':'),
    ("2F", '/'),
    ("3F", '?'),
    ("40", '@'),
    ("21", '!'),
    ("24", '$'),
    ("27", '\''),
    ("28", '('),
    ("29", ')'),
    ("2A", '*'),
    ("2C", ','),
    ("3B", ';'),
];

/// What a template is filled from.
pub(super) struct Signing<'s, 'r, H> {
    pub(super) template: &'s Template,
    pub(super) request: &'s RequestFacts<'r, H>,
    pub(super) item: Option<&'s Json>,
    pub(super) timestamp: &'s str,
    pub(super) id: &'s str,
    /// The host, and port, as the URL is written.
    pub(super) authority: &'s str,
}

impl<H: HeaderLookup> Signing<'_, '_, H> {
    /// Gives the text to `sink`, in order.
    pub(super) fn write(&self, secret: &str, sink: &mut dyn FnMut(&[u8])) -> Result<(), Mismatch> {
        for piece in &self.template.0 {
            match piece {
                Piece::Literal(text) => sink(text.as_bytes()),
                Piece::Placeholder(Field::Secret, _) => sink(secret.as_bytes()),
                Piece::Placeholder(Field::Body, _) => sink(self.request.body),
                Piece::Placeholder(field, _) => sink(self.text(field)?.as_bytes()),
            }
        }
        Ok(())
    }

    fn text<'t>(&'t self, field: &'t Field) -> Result<Cow<'t, str>, Mismatch> {
        let request = self.request;
        Ok(match field {
            Field::Method => request.method.into(),
            Field::Url => self.url().into(),
            Field::UrlDecoded => hubspot_decoded(&self.url()).into(),
            Field::Path => request.url.path.into(),
            Field::Target => target(&request.url).into(),
            Field::Timestamp => self.timestamp.into(),
            Field::Id => self.id.into(),
            Field::SortedForm => self.sorted_form()?.into(),
            Field::SignedHeaders(name) => self.signed_headers(name)?.into(),
            Field::Lines(names) => self.lines(names)?.into(),
            Field::Header(name) => Place::Header(name.clone())
                .needed(request, None)?
                .into_owned()
                .into(),
            Field::Query(name) => Place::Query(name.clone())
                .needed(request, None)?
                .into_owned()
                .into(),
            Field::Value(path) => self.value(path)?.unwrap_or_default(),
            // None of a signature's placeholders, or written by `write` already.
            Field::Body | Field::Secret | Field::EventId => "".into(),
        })
    }

    fn url(&self) -> String {
        format!(
            "{}://{}{}",
            self.request.url.scheme,
            self.authority,
            target(&self.request.url)
        )
    }

    fn root(&self) -> Result<&Json, Mismatch> {
        self.item
            .or_else(|| self.request.document())
            .ok_or(Mismatch::Unreadable)
    }

    /// A member that isn't there, or is null, is signed as nothing.
    fn value(&self, path: &JsonPath) -> Result<Option<Cow<'_, str>>, Mismatch> {
        let root = self.root()?;
        Ok(path.plain().and_then(|path| path.find(root)).and_then(json_text))
    }

    fn lines(&self, names: &[String]) -> Result<String, Mismatch> {
        let root = self.root()?;
        let mut lines = String::new();
        for name in names {
            if let Some(value) = root.get(name).and_then(json_text) {
                lines.push_str(name);
                lines.push('\n');
                lines.push_str(&value);
                lines.push('\n');
            }
        }
        Ok(lines)
    }

    /// A body that is no form would not be covered by the signature, so there mustn't be one.
    fn sorted_form(&self) -> Result<String, Mismatch> {
        let request = self.request;
        if request.body.is_empty() {
            return Ok(String::new());
        }
        if Kind::of(request.content_type, request.body_format) != Kind::Form {
            return Err(Mismatch::Unreadable);
        }
        let mut pairs: Vec<_> = url::form_urlencoded::parse(request.body)
            .take(MAX_PARTS + 1)
            .collect();
        if pairs.len() > MAX_PARTS {
            return Err(Mismatch::TooMany);
        }
        pairs.sort();
        pairs.dedup();
        Ok(pairs
            .iter()
            .flat_map(|(name, value)| [&**name, &**value])
            .collect())
    }

    /// `name:value`, names in lower case, in the order in which the header lists them.
    fn signed_headers(&self, list: &str) -> Result<String, Mismatch> {
        let names = Place::Header(list.to_owned()).needed(self.request, None)?;
        let mut lines = Vec::new();
        for name in names.split(',').take(MAX_PARTS) {
            let name = name.trim().to_ascii_lowercase();
            let value = self.request.headers.header(&name);
            let value = value.ok_or_else(|| Mismatch::Missing(format!("the header {name}")))?;
            lines.push(format!("{name}:{}", value.trim()));
        }
        Ok(lines.join(";"))
    }
}

fn target(url: &RequestUrl<'_>) -> String {
    match url.query {
        "" => url.path.to_owned(),
        query => format!("{}?{query}", url.path),
    }
}

/// The host without its port, and with it: the one that was named, else the scheme's own.
pub(super) fn authorities(url: &RequestUrl<'_>) -> Vec<String> {
    let port_at = url
        .authority
        .rfind(':')
        .filter(|at| !url.authority[*at..].contains(']'));
    let usual = if url.scheme == "https" { "443" } else { "80" };
    match port_at {
        Some(at) => vec![url.authority.to_owned(), url.authority[..at].to_owned()],
        None => vec![url.authority.to_owned(), format!("{}:{usual}", url.authority)],
    }
}

fn hubspot_decoded(url: &str) -> String {
    let mut decoded = String::with_capacity(url.len());
    let mut rest = url;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        let escape = after.get(..2).unwrap_or_default().to_ascii_uppercase();
        match HUBSPOT_ESCAPES.iter().find(|(code, _)| *code == escape) {
            Some((_, character)) => {
                decoded.push(*character);
                rest = &after[2..];
            }
            None => {
                decoded.push('%');
                rest = after;
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scheme: &str, authority: &str, expected: [&str; 2]) {
        let url = RequestUrl {
            scheme,
            authority,
            path: "/",
            query: "",
        };
        assert_eq!(authorities(&url), expected, "{scheme} {authority}");
    }

    #[test]
    fn a_url_is_written_with_its_port_and_without() {
        check("https", "a.example", ["a.example", "a.example:443"]);
        check("http", "a.example", ["a.example", "a.example:80"]);
        check("https", "a.example:8443", ["a.example:8443", "a.example"]);
        check("http", "[::1]", ["[::1]", "[::1]:80"]);
    }

    #[test]
    fn of_a_url_only_some_escapes_are_undone() {
        assert_eq!(hubspot_decoded("/a%3ab%20c%2C%zz%"), "/a:b%20c,%zz%");
    }
}
