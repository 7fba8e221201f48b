//! Where something is in a request, and conditions on it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::mismatch::Mismatch;
use super::request::{HeaderLookup, RequestFacts};
use crate::json::Json;
use crate::jsonpath::JsonPath;
use crate::validation::{self, Faults};

/// A place in a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A header's name.
    Header(String),
    /// A query parameter's name.
    Query(String),
    /// A plain path into the body.
    #[schema(value_type = String)]
    Path(JsonPath),
}

/// A condition on a request: on its method, or on what is at a place.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Condition {
    /// The method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The place that has to be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
    /// What is there, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
    /// A part of what is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Whether what is there has to be one of the source's secrets, or its verify token.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_secret: bool,
}

/// A URL in the body that is fetched over https, from hosts that are known beforehand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// Where the URL is in the body.
    #[schema(value_type = String)]
    pub path: JsonPath,
    /// The hosts; `*` stands for one label.
    pub hosts: Vec<String>,
}

impl Place {
    /// What is there. `item` is what paths begin at; without one it is the whole body.
    pub(crate) fn text<'a, H: HeaderLookup>(
        &self,
        request: &'a RequestFacts<'_, H>,
        item: Option<&'a Json>,
    ) -> Option<Cow<'a, str>> {
        match self {
            Self::Header(name) => request.headers.header(name).map(Cow::Borrowed),
            Self::Query(name) => request.query_value(name).map(Cow::Borrowed),
            Self::Path(path) => {
                let found = path.plain()?.find(item.or_else(|| request.document())?)?;
                json_text(found)
            }
        }
    }

    /// What is there, or that it is missing.
    pub(crate) fn needed<'a, H: HeaderLookup>(
        &self,
        request: &'a RequestFacts<'_, H>,
        item: Option<&'a Json>,
    ) -> Result<Cow<'a, str>, Mismatch> {
        self.text(request, item)
            .ok_or_else(|| Mismatch::Missing(self.to_string()))
    }

    pub(crate) fn check(&self, pointer: &str, faults: &mut Faults) {
        match self {
            Self::Header(name) => faults.require(
                validation::is_header_name(name),
                &format!("{pointer}/header"),
                "is not a header's name",
            ),
            Self::Query(name) => faults.require(
                (1..=128).contains(&name.len()),
                &format!("{pointer}/query"),
                "has 1 to 128 bytes",
            ),
            Self::Path(path) => faults.require(
                path.is_plain(),
                &format!("{pointer}/path"),
                "has to be a plain path, such as $.data.id",
            ),
        }
    }
}

/// A value as text; null is none.
pub(crate) fn json_text(value: &Json) -> Option<Cow<'_, str>> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.bare_text())),
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(name) => write!(f, "the header {name}"),
            Self::Query(name) => write!(f, "the query parameter {name}"),
            Self::Path(path) => write!(f, "{} in the body", path.as_str()),
        }
    }
}

impl Condition {
    /// Whether it holds; `is_secret` says whether a text is one that only the sender and the source know.
    pub(crate) fn holds<H: HeaderLookup>(
        &self,
        request: &RequestFacts<'_, H>,
        is_secret: &dyn Fn(&str) -> bool,
    ) -> bool {
        let method = self
            .method
            .as_deref()
            .is_none_or(|method| method == request.method);
        method
            && self.at.as_ref().is_none_or(|at| {
                at.text(request, None).is_some_and(|text| {
                    self.is.as_deref().is_none_or(|wanted| wanted == text)
                        && self.contains.as_deref().is_none_or(|part| text.contains(part))
                        && (!self.is_secret || is_secret(&text))
                })
            })
    }

    /// Whether it looks into the body.
    pub(crate) fn reads_body(&self) -> bool {
        matches!(self.at, Some(Place::Path(_)))
    }

    pub(crate) fn check(&self, pointer: &str, faults: &mut Faults) {
        let one = self.method.is_some() != self.at.is_some();
        faults.require(one, pointer, "needs either method or at");
        let bare = self.is.is_none() && self.contains.is_none() && !self.is_secret;
        faults.require(
            self.at.is_some() || bare,
            pointer,
            "is, contains and is_secret go with at",
        );
        if let Some(method) = &self.method {
            let is_method =
                ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&method.as_str());
            faults.require(
                is_method,
                &format!("{pointer}/method"),
                "is not a method that senders use",
            );
        }
        if let Some(at) = &self.at {
            at.check(&format!("{pointer}/at"), faults);
        }
    }
}

impl Remote {
    /// The URL in the body, where it is https on one of the hosts, at its usual port.
    ///
    /// # Errors
    /// There is none, or it leads elsewhere.
    pub fn url<H: HeaderLookup>(&self, request: &RequestFacts<'_, H>) -> Result<String, Mismatch> {
        let place = Place::Path(self.path.clone());
        let text = place.needed(request, None)?;
        let url = url::Url::parse(&text).map_err(|_| Mismatch::Elsewhere(place.to_string()))?;
        let plain = url.scheme() == "https"
            && url.port().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let host = url.host_str().unwrap_or_default();
        if plain && self.hosts.iter().any(|pattern| fits(pattern, host)) {
            Ok(url.into())
        } else {
            Err(Mismatch::Elsewhere(place.to_string()))
        }
    }

    pub(crate) fn check(&self, pointer: &str, faults: &mut Faults) {
        Place::Path(self.path.clone()).check(pointer, faults);
        let fits = |host: &String| {
            (1..=253).contains(&host.len())
                && host
                    .split('.')
                    .all(|label| label == "*" || (!label.is_empty() && label.bytes().all(is_label_byte)))
                && host.split('.').rev().take(2).all(|label| label != "*")
        };
        let known = (1..=16).contains(&self.hosts.len()) && self.hosts.iter().all(fits);
        faults.require(
            known,
            &format!("{pointer}/hosts"),
            "needs 1 to 16 host names in lower case; * stands for one label, but the last two are written out",
        );
    }
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

/// Whether a host is one that `pattern` names.
fn fits(pattern: &str, host: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('.'), host.split('.'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some("*"), Some(label)) if !label.is_empty() => {}
            (Some(wanted), Some(label)) if wanted == label => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label_only() {
        let pattern = "sns.*.amazonaws.com";
        assert!(fits(pattern, "sns.eu-west-1.amazonaws.com"));
        for other in [
            "sns.amazonaws.com",
            "sns.eu-west-1.amazonaws.com.evil.example",
            "sns.a.b.amazonaws.com",
            "evil-sns.eu-west-1.amazonaws.com",
            "sns..amazonaws.com",
        ] {
            assert!(!fits(pattern, other), "{other}");
        }
    }
}
