//! Query parameters that filter lists. What is not known is ignored; what is wrong is refused by name.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use hookrail_domain::Millis;
use hookrail_domain::render::parse_rfc3339;
use hookrail_store::queries::Span;

use crate::error::ApiError;

/// Longest value of a filter, bytes.
const MAX_VALUE_BYTES: usize = 1024;

/// The query's parameters, in order.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl FromRequest for Parameters {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Self::read(request.query_string()))
    }
}

impl Parameters {
    fn read(query: &str) -> Result<Self, ApiError> {
        let read = web::Query::<Vec<(String, String)>>::from_query(query);
        let pairs = read.map_err(|_| wrong("the query can't be read"))?.into_inner();
        match pairs.iter().find(|(_, value)| value.len() > MAX_VALUE_BYTES) {
            Some((name, _)) => Err(wrong(format!("{name} has more than {MAX_VALUE_BYTES} bytes"))),
            None => Ok(Self(pairs)),
        }
    }

    /// A parameter's value; an empty one counts as not given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self
            .0
            .iter()
            .find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// A parameter's value that is compared with stored text, which never holds NUL.
    pub(crate) fn plain_text(&self, name: &str) -> Result<Option<String>, ApiError> {
        match self.text(name) {
            Some(value) if value.contains('\0') => Err(wrong(format!("{name} must not hold NUL"))),
            value => Ok(value.map(str::to_owned)),
        }
    }

    /// A parameter that is one of `words`.
    pub(crate) fn word(&self, name: &str, words: &[&str]) -> Result<Option<String>, ApiError> {
        match self.text(name) {
            Some(value) if !words.contains(&value) => {
                Err(wrong(format!("{name} has to be one of {}", words.join(", "))))
            }
            value => Ok(value.map(str::to_owned)),
        }
    }

    /// The parameters `since` and `until`.
    pub(crate) fn span(&self) -> Result<Span, ApiError> {
        Ok(Span {
            since: self.time("since")?,
            until: self.time("until")?,
        })
    }

    /// The parameters whose names begin with `prefix`, without it.
    pub(crate) fn below(&self, prefix: &str) -> Vec<(String, String)> {
        let named =
            |(name, value): &(String, String)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone()));
        self.0.iter().filter_map(named).collect()
    }

    fn time(&self, name: &str) -> Result<Option<Millis>, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        // A plus sign that wasn't encoded has become a space.
        let time = parse_rfc3339(&text.replace(' ', "+"));
        time.map(Some)
            .ok_or_else(|| wrong(format!("{name} has to be a time such as 2026-11-22T00:00:00Z")))
    }
}

/// Refuses a parameter.
pub(crate) fn wrong(detail: impl Into<String>) -> ApiError {
    ApiError::InvalidParameter(detail.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_any_offset() {
        let read = Parameters::read("since=2026-11-22T01:00:00+01:00&until=").unwrap();
        let span = read.span().unwrap();
        assert_eq!(span.since, parse_rfc3339("2026-11-22T00:00:00Z"));
        assert_eq!(span.until, None);
        assert!(Parameters::read("since=yesterday").unwrap().span().is_err());
    }

    #[test]
    fn a_word_that_is_not_known_is_refused() {
        let read = Parameters::read("status=lost&field.name=Ann").unwrap();
        assert!(read.word("status", &["parked"]).is_err());
        assert_eq!(read.word("other", &[]).unwrap(), None);
        assert_eq!(read.below("field."), [("name".to_owned(), "Ann".to_owned())]);
    }
}
