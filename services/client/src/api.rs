//! The API of a running Hookrail: where it is, with which token, and its requests.

use std::time::Duration;

use bytes::Bytes;
use hookrail_domain::json::Json;
use hookrail_outbound::{AddressPolicy, AttemptResponse, OutboundClient, OutboundLimits, OutboundRequest};
use hookrail_runtime::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::ClientError;

/// How long an answer may take: saving a destination waits for its receiver.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer that is read, bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;
/// Items of a page of a list that is read to its end.
const PAGE: usize = 200;
/// What stands for itself in a path segment or a query value.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Where the API is, and how answers are shown.
#[derive(Clone, Debug, clap::Args)]
pub struct ApiArgs {
    /// Where the API is
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8081",
        help_heading = "API"
    )]
    pub(crate) api_url: String,

    /// The access token; better in HOOKRAIL_TOKEN or HOOKRAIL_TOKEN_FILE than on the command line
    #[arg(long, value_name = "TOKEN", help_heading = "API")]
    pub(crate) token: Option<Secret>,

    /// With a token of root: the workspace to act in
    #[arg(long, value_name = "CODE", help_heading = "API")]
    pub(crate) workspace: Option<String>,

    /// Print JSON instead of tables
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

impl ApiArgs {
    /// The API that these name.
    ///
    /// # Errors
    /// Where there is no token, or the client can't be made.
    pub(crate) fn connect(&self) -> Result<Api, ClientError> {
        let given = self.token.clone().filter(|token| !token.expose().is_empty());
        // The variable by which `hookrail up` was given its token serves beside it.
        let token = given.or_else(|| std::env::var("HOOKRAIL_ADMIN_TOKEN").ok().map(Secret::from));
        let token = token.ok_or_else(|| {
            ClientError::Usage("an access token is needed: set HOOKRAIL_TOKEN, or --token".to_owned())
        })?;
        Ok(Api {
            client: client()?,
            base: self.api_url.trim_end_matches('/').to_owned(),
            token,
            workspace: self.workspace.clone(),
        })
    }
}

/// A client that goes wherever the person at the terminal says.
pub(crate) fn client() -> Result<OutboundClient, ClientError> {
    let everywhere = ["0.0.0.0/0", "::/0"]
        .iter()
        .flat_map(|network| network.parse())
        .collect();
    let limits = OutboundLimits {
        timeout_max_ms: u64::try_from(TIMEOUT.as_millis()).unwrap_or(u64::MAX),
        ..OutboundLimits::default()
    };
    OutboundClient::new(AddressPolicy::new(everywhere), limits)
        .map_err(|error| ClientError::Failed(format!("can't make an HTTP client: {error}")))
}

/// A segment of a path, or a query's value, as it has to be written.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// A query of the parameters that have a value.
pub(crate) fn query(parameters: &[(&str, Option<&str>)]) -> String {
    let given = parameters
        .iter()
        .filter_map(|(name, value)| Some((name, (*value)?)));
    let parts: Vec<String> = given
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!("?{}", parts.join("&")),
    }
}

/// The API of one Hookrail, with one token.
#[derive(Clone)]
pub(crate) struct Api {
    client: OutboundClient,
    base: String,
    token: Secret,
    workspace: Option<String>,
}

impl Api {
    pub(crate) async fn get(&self, path: &str) -> Result<Json, ClientError> {
        self.json("GET", path, None, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Json) -> Result<Json, ClientError> {
        self.json("POST", path, Some(body), None).await
    }

    /// A merge patch; with an ETag only where the definition still has that one.
    pub(crate) async fn patch(
        &self,
        path: &str,
        body: &Json,
        etag: Option<&str>,
    ) -> Result<Json, ClientError> {
        self.json("PATCH", path, Some(body), etag).await
    }

    pub(crate) async fn delete(&self, path: &str, etag: Option<&str>) -> Result<(), ClientError> {
        self.json("DELETE", path, None, etag).await.map(drop)
    }

    /// The answer's bytes as they came, with its content type.
    pub(crate) async fn bytes(&self, path: &str) -> Result<Bytes, ClientError> {
        Ok(self.call("GET", path, None, None).await?.body)
    }

    /// The OpenAPI document.
    pub(crate) async fn openapi(&self) -> Result<Json, ClientError> {
        let answer = self
            .send("GET", &format!("{}/api/openapi.json", self.base), None, None)
            .await?;
        self.read(&answer)
    }

    /// The items of a list, in its order, at most `most`.
    pub(crate) async fn list(&self, path: &str, most: usize) -> Result<Vec<Json>, ClientError> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let limit = PAGE.min(most - items.len()).to_string();
            let parameters = query(&[("limit", Some(&limit)), ("cursor", cursor.as_deref())]);
            let page = self.get(&joined(path, &parameters)).await?;
            items.extend(
                page.get("items")
                    .and_then(Json::as_array)
                    .unwrap_or_default()
                    .iter()
                    .cloned(),
            );
            cursor = page.get("next_cursor").and_then(Json::as_str).map(str::to_owned);
            if cursor.is_none() || items.len() >= most {
                items.truncate(most);
                return Ok(items);
            }
        }
    }

    async fn json(
        &self,
        method: &str,
        path: &str,
        body: Option<&Json>,
        etag: Option<&str>,
    ) -> Result<Json, ClientError> {
        let answer = self.call(method, path, body, etag).await?;
        match answer.body.is_empty() {
            true => Ok(Json::Null),
            false => self.read(&answer),
        }
    }

    fn read(&self, answer: &AttemptResponse) -> Result<Json, ClientError> {
        std::str::from_utf8(&answer.body)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.not_the_api(answer.status))
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Json>,
        etag: Option<&str>,
    ) -> Result<AttemptResponse, ClientError> {
        let workspace = query(&[("workspace", self.workspace.as_deref())]);
        let url = format!("{}/api/v1{}", self.base, joined(path, &workspace));
        self.send(method, &url, body, etag).await
    }

    async fn send(
        &self,
        method: &str,
        url: &str,
        body: Option<&Json>,
        etag: Option<&str>,
    ) -> Result<AttemptResponse, ClientError> {
        let bytes = body.map(Json::to_compact_vec).unwrap_or_default();
        let timeout_ms = u64::try_from(TIMEOUT.as_millis()).unwrap_or(u64::MAX);
        let mut request = OutboundRequest::new(method, url, Bytes::from(bytes), timeout_ms);
        request.keep_body_bytes = MAX_ANSWER_BYTES;
        let authorization = format!("Bearer {}", self.token.expose());
        request.headers.push(("authorization".to_owned(), authorization));
        if body.is_some() {
            request
                .headers
                .push(("content-type".to_owned(), "application/json".to_owned()));
        }
        if let Some(etag) = etag {
            request
                .headers
                .push(("if-match".to_owned(), format!("\"{etag}\"")));
        }
        let result = self.client.send(&request).await;
        match (result.response, result.error) {
            (Some(answer), None) if (200..300).contains(&answer.status) => Ok(answer),
            (Some(answer), None) => Err(self.refusal(&answer)),
            (_, error) => Err(ClientError::Unreachable {
                url: self.base.clone(),
                detail: error.map_or_else(|| "no answer".to_owned(), |error| error.detail),
            }),
        }
    }

    fn refusal(&self, answer: &AttemptResponse) -> ClientError {
        let status = answer.status;
        let text = std::str::from_utf8(&answer.body).ok();
        match text.and_then(|text| text.parse::<Json>().ok()) {
            Some(problem) if problem.get("title").is_some() => ClientError::Refused { status, problem },
            _ => self.not_the_api(status),
        }
    }

    fn not_the_api(&self, status: u16) -> ClientError {
        ClientError::NotTheApi {
            url: self.base.clone(),
            status,
        }
    }
}

/// A path with a query behind whatever it has already.
fn joined(path: &str, query: &str) -> String {
    match (path.contains('?'), query.strip_prefix('?')) {
        (true, Some(more)) => format!("{path}&{more}"),
        _ => format!("{path}{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_without_a_value_are_left_out_and_values_are_encoded() {
        let text = query(&[
            ("q", Some("a b&c")),
            ("source", None),
            ("until", Some("2026-11-22T00:00:00Z")),
        ]);
        assert_eq!(text, "?q=a%20b%26c&until=2026-11-22T00%3A00%3A00Z");
        assert_eq!(joined("/events?q=1", "?limit=2"), "/events?q=1&limit=2");
        assert_eq!(joined("/events", ""), "/events");
    }
}
