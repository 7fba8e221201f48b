//! The payload of a source's event: its decoded body, or, without one, its declared parameters.

use super::{SourceSpec, query_params::declared_members};
use crate::{
    json::Json,
    payload::{self, Payload, PayloadError},
};

/// A request as far as its payload follows from it.
#[derive(Clone, Copy, Debug)]
pub struct PayloadInput<'a> {
    /// The method.
    pub method: &'a str,
    /// The query, in order, decoded.
    pub query: &'a [(String, String)],
    /// The content type as declared.
    pub content_type: Option<&'a str>,
    /// The body, its content encodings undone.
    pub body: &'a [u8],
}

impl SourceSpec {
    /// The payload of a request.
    ///
    /// # Errors
    /// The body is not well-formed for its declared type.
    pub fn payload(&self, input: PayloadInput<'_>) -> Result<Payload, PayloadError> {
        if payload::is_bodyless(input.method, input.body) {
            return Ok(Payload::Json(self.bodyless_payload(input.query)));
        }
        payload::decode(input.content_type, self.body_format, input.body, &self.force_list)
    }

    /// The payload of a request without a body: the object of the declared parameters; null where none
    /// are declared.
    pub fn bodyless_payload(&self, query: &[(String, String)]) -> Json {
        match self.query_params.is_empty() {
            true => Json::Null,
            false => Json::Object(declared_members(&self.query_params, query)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::QueryParam;

    #[test]
    fn a_request_without_a_body_has_its_declared_parameters_as_payload() {
        let item = QueryParam {
            name: "item".to_owned(),
            default: Some("0".to_owned()),
        };
        let check = |params: &[QueryParam], method: &str, body: &str, expected: &str| {
            let spec = SourceSpec {
                query_params: params.to_vec(),
                ..SourceSpec::default()
            };
            let payload = spec.payload(PayloadInput {
                method,
                query: &[("item".to_owned(), "7".to_owned())],
                content_type: Some("application/json"),
                body: body.as_bytes(),
            });
            let found = payload.map(|payload| payload.into_json().to_compact_string());
            assert_eq!(
                found.unwrap_or_else(|_| "refused".to_owned()),
                expected,
                "{method}"
            );
        };
        let params = [item];
        check(&params, "GET", "", r#"{"item":"7"}"#);
        check(&params, "DELETE", "", r#"{"item":"7"}"#);
        check(&params, "GET", "{}", "{}");
        check(&params, "POST", "", "refused");
        check(&[], "GET", "", "null");
    }
}
