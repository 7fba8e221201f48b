//! Asks the API as a client would.

use bytes::Bytes;
use hookrail_outbound::{AddressPolicy, OutboundClient, OutboundLimits, OutboundRequest};
use serde_json::Value;

/// The setting's token.
pub(crate) const ROOT: &str = "root-token-of-the-tests";
/// Most of an answer that is read, bytes.
const ANSWER_BYTES: usize = 1 << 20;

pub(crate) fn loopback_client() -> OutboundClient {
    let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
    OutboundClient::new(policy, OutboundLimits::default()).unwrap()
}

#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    http: OutboundClient,
    pub(crate) token: String,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {:?}", self.text))
    }

    /// The id in it, where it is the wanted status.
    #[track_caller]
    pub(crate) fn id(&self) -> String {
        assert_eq!(self.status, 201, "{}", self.text);
        self.json()["id"].as_str().unwrap().to_owned()
    }

    /// That it is a problem of this status and code.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        problem
    }

    /// That it is a problem of this code with a fault at this pointer.
    #[track_caller]
    pub(crate) fn is_invalid_at(&self, code: &str, pointer: &str) {
        let problem = self.is_problem(422, code);
        let errors = problem["errors"].as_array().unwrap();
        assert!(
            errors.iter().any(|error| error["pointer"] == pointer),
            "{pointer} is not in {problem}"
        );
    }
}

impl Client {
    pub(crate) fn new(base: String) -> Self {
        Self {
            base,
            http: loopback_client(),
            token: ROOT.to_owned(),
        }
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// Below `/api/v1` where the path isn't a full one.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let path = if path.starts_with("/api/v1") || path == "/" || path.starts_with("/api/open") {
            path.to_owned()
        } else {
            format!("/api/v1{path}")
        };
        let body = Bytes::from(body.to_owned());
        let mut request = OutboundRequest::new(method, &format!("{}{path}", self.base), body, 30_000);
        request.keep_body_bytes = ANSWER_BYTES;
        if !self.token.is_empty() {
            request
                .headers
                .push(("authorization".to_owned(), format!("Bearer {}", self.token)));
        }
        request.headers.extend(
            headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let result = self.http.send(&request).await;
        let response = result
            .response
            .unwrap_or_else(|| panic!("{method} {path}: {:?}", result.error));
        Answer {
            status: response.status,
            headers: response.headers.clone(),
            text: String::from_utf8_lossy(&response.body).into_owned(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[("content-type", "application/json")], body)
            .await
    }

    pub(crate) async fn patch(&self, path: &str, body: &str) -> Answer {
        self.ask(
            "PATCH",
            path,
            &[("content-type", "application/merge-patch+json")],
            body,
        )
        .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, &[], "").await
    }

    /// A source of this name and these other members.
    pub(crate) async fn source(&self, name: &str, members: &str) -> String {
        let body = format!(r#"{{"name": "{name}"{members}}}"#);
        self.post("/sources", &body).await.id()
    }

    /// A destination that isn't probed.
    pub(crate) async fn destination(&self, name: &str, members: &str) -> String {
        let body = format!(r#"{{"name": "{name}", "url": "http://127.0.0.1:9/hook"{members}}}"#);
        self.post("/destinations?probe=false", &body).await.id()
    }
}
