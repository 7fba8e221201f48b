//! The request of a fetch: URL, headers and body of a definition with an id's values in their places.
//!
//! Whatever an id holds, it changes one path segment, one query value, one header's value or one JSON
//! string, and nothing else of the request; where that can't be, there is no request. Credentials are added
//! where requests are sent.

use url::Url;

use super::{FetchMethod, FetcherSpec, ids::FetchId, template::Template, template::TemplateError};
use crate::{entity::UniqueId, json::Json, validation};

/// A request without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// Its method.
    pub method: &'static str,
    /// Its URL.
    pub url: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body; empty with GET.
    pub body: Vec<u8>,
}

/// Why an id gives no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchRequestError {
    /// A template of the definition is none.
    #[error("the fetcher's {0}: {1}")]
    Template(&'static str, TemplateError),
    /// Nothing to ask for.
    #[error("the id, or a part of it, is empty")]
    Empty,
    /// It would be another URL than the template's.
    #[error("the id would change more of the URL than its own place")]
    Url,
    /// It can't be sent in a header.
    #[error("the id can't be the value of the header {0}: it is not visible ASCII")]
    Header(String),
}

impl FetcherSpec {
    /// The request that asks for `id`.
    ///
    /// # Errors
    /// When the id can't be asked for.
    pub fn request(&self, id: &FetchId) -> Result<FetchRequest, FetchRequestError> {
        let body = match (&self.body, self.method) {
            (Some(body), FetchMethod::Post) => self.template("body", body)?.render(id, in_json)?.into_bytes(),
            _ => Vec::new(),
        };
        let mut headers = Vec::with_capacity(self.headers.len() + 2);
        for (name, value) in &self.headers {
            let value = self
                .template("headers", value)?
                .render(id, |value| in_header(name, value))?;
            if !validation::is_header_value(&value) {
                return Err(FetchRequestError::Header(name.clone()));
            }
            headers.push((name.to_ascii_lowercase(), value));
        }
        let has = |wanted: &str, headers: &[(String, String)]| headers.iter().any(|(name, _)| name == wanted);
        if !has("accept", &headers) {
            headers.push(("accept".to_owned(), "application/json".to_owned()));
        }
        if !body.is_empty() && !has("content-type", &headers) {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        Ok(FetchRequest {
            method: self.method.as_str(),
            url: self.url_for(id)?,
            headers,
            body,
        })
    }

    pub(super) fn template(&self, field: &'static str, text: &str) -> Result<Template, FetchRequestError> {
        let parts = match &self.unique_id {
            UniqueId::One(_) => 1,
            UniqueId::Many(paths) => paths.len(),
        };
        Template::parse(text, parts).map_err(|error| FetchRequestError::Template(field, error))
    }

    fn url_for(&self, id: &FetchId) -> Result<String, FetchRequestError> {
        let template = self.template("url", &self.url)?;
        let url = template.render(id, in_url)?;
        let neutral = FetchId {
            text: "x".to_owned(),
            parts: vec!["x".to_owned(); id.parts.len()],
        };
        let shape = shape_of(&template.render(&neutral, in_url)?).ok_or(FetchRequestError::Url)?;
        if shape_of(&url) != Some(shape) {
            return Err(FetchRequestError::Url);
        }
        Ok(url)
    }
}

/// What an id must not change of a URL: where it leads, how many segments and query values it has.
#[derive(PartialEq, Eq)]
struct Shape {
    origin: String,
    credentials: bool,
    segments: usize,
    pairs: Option<usize>,
    fragment: bool,
}

/// `None`: not a URL, or one with a segment that leads elsewhere.
fn shape_of(text: &str) -> Option<Shape> {
    let url = Url::parse(text).ok()?;
    let path = text.split(['?', '#']).next().unwrap_or_default();
    if path.split(['/', '\\']).any(is_dots) {
        return None;
    }
    Some(Shape {
        origin: format!("{}://{}:{:?}", url.scheme(), url.host_str()?, url.port()),
        credentials: !url.username().is_empty() || url.password().is_some(),
        segments: url.path_segments().map_or(0, Iterator::count),
        pairs: url.query().map(|query| query.split('&').count()),
        fragment: url.fragment().is_some(),
    })
}

/// The segments `.` and `..`, encoded or not, which URLs are read without (WHATWG URL, section 4.1).
pub(super) fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

/// All but unreserved characters percent-encoded (RFC 3986, section 2.3).
pub(super) fn in_url(value: &str) -> Result<String, FetchRequestError> {
    if value.is_empty() {
        return Err(FetchRequestError::Empty);
    }
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(text)
}

fn in_header(name: &str, value: &str) -> Result<String, FetchRequestError> {
    if validation::is_header_value(value) {
        Ok(value.to_owned())
    } else {
        Err(FetchRequestError::Header(name.to_owned()))
    }
}

/// What stands between the quotes of a JSON string.
pub(super) fn in_json(value: &str) -> Result<String, FetchRequestError> {
    let quoted = Json::from(value).to_compact_string();
    Ok(quoted[1..quoted.len() - 1].to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(url: &str) -> FetcherSpec {
        let text = format!(r#"{{"name":"f","type":"t","unique_id":"$.id","url":"{url}"}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn id(text: &str) -> FetchId {
        FetchId {
            text: text.to_owned(),
            parts: vec![text.to_owned()],
        }
    }

    fn check(url: &str, value: &str, expected: Result<&str, FetchRequestError>) {
        let found = spec(url).request(&id(value)).map(|request| request.url);
        assert_eq!(found, expected.map(str::to_owned), "{url} with {value}");
    }

    #[test]
    fn an_id_is_one_segment_or_one_query_value() {
        let segment = "https://a.example/users/{{id}}";
        check(segment, "42", Ok("https://a.example/users/42"));
        check(
            segment,
            "a/../b?c#d e",
            Ok("https://a.example/users/a%2F..%2Fb%3Fc%23d%20e"),
        );
        check(segment, "ü%2e", Ok("https://a.example/users/%C3%BC%252e"));
        let query = "https://a.example/?id={{id}}&x=1";
        check(query, "1&admin=1", Ok("https://a.example/?id=1%26admin%3D1&x=1"));
        check(query, "..", Ok("https://a.example/?id=..&x=1"));
    }

    #[test]
    fn an_id_that_leads_elsewhere_gives_no_request() {
        for value in [".", ".."] {
            check(
                "https://a.example/users/{{id}}",
                value,
                Err(FetchRequestError::Url),
            );
            check(
                "https://a.example/users/{{id}}/x",
                value,
                Err(FetchRequestError::Url),
            );
        }
        check(
            "https://a.example/users/.{{id}}",
            ".",
            Err(FetchRequestError::Url),
        );
        check(
            "https://a.example/users/{{id}}",
            "",
            Err(FetchRequestError::Empty),
        );
    }

    #[test]
    fn a_header_takes_what_a_header_may_hold_and_a_body_takes_all() {
        let mut spec = spec("https://a.example/graphql");
        spec.method = FetchMethod::Post;
        spec.headers.insert("X-Id".to_owned(), "id {{id}}".to_owned());
        let body = r#"{"query":"q","variables":{"id":"{{id}}"}}"#;
        spec.body = Some(body.to_owned());
        let request = spec.request(&id("a\"b\\")).unwrap();
        assert_eq!(
            String::from_utf8(request.body).unwrap(),
            r#"{"query":"q","variables":{"id":"a\"b\\"}}"#
        );
        assert!(
            request
                .headers
                .contains(&("x-id".to_owned(), "id a\"b\\".to_owned()))
        );
        for hostile in ["a\r\nx: y", "ü", "\0"] {
            let refused = FetchRequestError::Header("X-Id".to_owned());
            assert_eq!(spec.request(&id(hostile)), Err(refused), "{hostile}");
        }
    }

    proptest! {
        #[test]
        fn no_id_changes_more_than_its_own_place(value in "\\PC{0,40}|[./?#&=%\\\\@:;\r\n\0]{1,8}") {
            let mut spec = spec("https://a.example/users/{{id}}/x?q={{id}}&z=1");
            spec.method = FetchMethod::Post;
            spec.body = Some(r#"{"a":"{{id}}","b":1}"#.to_owned());
            if let Ok(request) = spec.request(&id(&value)) {
                let url = Url::parse(&request.url).unwrap();
                prop_assert_eq!(url.host_str(), Some("a.example"));
                let segments: Vec<String> = url.path_segments().unwrap().map(str::to_owned).collect();
                prop_assert_eq!(segments.len(), 3);
                prop_assert_eq!((segments[0].as_str(), segments[2].as_str()), ("users", "x"));
                let segment = percent_encoding_of(&segments[1]);
                prop_assert_eq!(&segment, &value);
                let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
                prop_assert_eq!(pairs, vec![("q".to_owned(), value.clone()), ("z".to_owned(), "1".to_owned())]);
                let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
                prop_assert_eq!(body, serde_json::json!({"a": value, "b": 1}));
            } else {
                prop_assert!(value.is_empty() || value == "." || value == "..");
            }
        }
    }

    /// An independent decoder, so that the test doesn't ask what it tests.
    fn percent_encoding_of(text: &str) -> String {
        let mut pairs = url::form_urlencoded::parse(text.as_bytes());
        pairs.next().map_or(String::new(), |(name, _)| name.into_owned())
    }
}
