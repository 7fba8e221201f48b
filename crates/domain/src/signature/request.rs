//! The facts of a request that a signature may be about.

use std::cell::OnceCell;

use crate::json::Json;
use crate::payload::{self, BodyFormat, Payload};

/// Looking up a request's headers, whatever holds them.
pub trait HeaderLookup {
    /// The first value of a header, by its name in any case, where it is text.
    fn header(&self, name: &str) -> Option<&str>;
}

/// A request's URL as its sender knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestUrl<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host, and port where the sender named one.
    pub authority: &'a str,
    /// The path, as it was sent.
    pub path: &'a str,
    /// The query as it was sent, without its question mark.
    pub query: &'a str,
}

/// A request, as far as it may be signed.
pub struct RequestFacts<'a, H> {
    pub method: &'a str,
    pub url: RequestUrl<'a>,
    pub headers: &'a H,
    /// The query's parameters, decoded.
    pub query: &'a [(String, String)],
    /// The body, its content encoding undone.
    pub body: &'a [u8],
    pub content_type: Option<&'a str>,
    pub body_format: BodyFormat,
    /// The body as JSON, once it was looked into.
    document: OnceCell<Option<Json>>,
}

impl<'a, H: HeaderLookup> RequestFacts<'a, H> {
    /// The facts of a request whose body was not looked into yet.
    pub fn new(method: &'a str, url: RequestUrl<'a>, headers: &'a H, query: &'a [(String, String)]) -> Self {
        Self {
            method,
            url,
            headers,
            query,
            body: &[],
            content_type: None,
            body_format: BodyFormat::Auto,
            document: OnceCell::new(),
        }
    }

    /// The same request with its body.
    #[must_use]
    pub fn with_body(
        mut self,
        body: &'a [u8],
        content_type: Option<&'a str>,
        body_format: BodyFormat,
    ) -> Self {
        self.body = body;
        self.content_type = content_type;
        self.body_format = body_format;
        self
    }

    /// The body as paths see it; read once, and only when one asks.
    pub(crate) fn document(&self) -> Option<&Json> {
        let read = || match payload::decode(self.content_type, self.body_format, self.body, &[]) {
            Ok(Payload::Json(json)) => Some(json),
            // Senders that declare text or nothing and send JSON all the same; SNS is one.
            _ if payload::looks_like_json(self.body) => Json::parse(self.body).ok(),
            _ => None,
        };
        self.document.get_or_init(read).as_ref()
    }

    /// The first value of a query parameter.
    pub(crate) fn query_value(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}
