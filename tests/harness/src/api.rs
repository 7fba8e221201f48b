//! A client of the API and of the ingress, for tests.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::eventually;

/// Seconds that a change may take to be in force on a machine that has too much to do.
const IN_FORCE_S: u64 = 30;

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub text: String,
}

impl Answer {
    /// The body as JSON; null where it is not.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, value)| value)
    }

    /// The JSON body of an answer with `status`.
    ///
    /// # Errors
    /// When the status is another one; the answer is in the error.
    pub fn expect(self, status: u16) -> anyhow::Result<Value> {
        anyhow::ensure!(
            self.status == status,
            "expected {status}, got {}: {}",
            self.status,
            self.text
        );
        Ok(self.json())
    }
}

/// A client of one installation.
#[derive(Debug, Clone)]
pub struct Api {
    client: reqwest::Client,
    /// Base URL of the API's listener.
    pub api: String,
    /// Base URL of the ingress.
    pub ingress: String,
    /// The token that it shows.
    pub token: String,
    /// Base URLs of the listeners for operations.
    ops: Vec<String>,
    /// The newest revision that this client was told of: by what it changed, or read.
    newest: Arc<AtomicU64>,
}

impl Api {
    /// A client with this token.
    pub fn new(api: &str, ingress: &str, token: &str) -> Self {
        crate::install_tls_provider();
        Self {
            client: client(),
            api: api.to_owned(),
            ingress: ingress.to_owned(),
            token: token.to_owned(),
            ops: Vec::new(),
            newest: Arc::default(),
        }
    }

    /// Knows where the processes tell what is in force in them.
    #[must_use]
    pub fn with_ops(self, ops: Vec<String>) -> Self {
        Self { ops, ..self }
    }

    /// Waits until what was changed through this client is in force in every process.
    ///
    /// # Errors
    /// When that takes more than half a minute.
    pub async fn in_force(&self) -> anyhow::Result<()> {
        let newest = self.newest.load(Ordering::Relaxed);
        eventually("the changes are in force", IN_FORCE_S, || async {
            for ops in &self.ops {
                let text = read(self.client.get(format!("{ops}/metrics"))).await.ok()?.text;
                let mut revisions = text.lines().filter_map(revision_of).peekable();
                revisions.peek()?;
                if revisions.any(|revision| revision < newest) {
                    return None;
                }
            }
            Some(())
        })
        .await
    }

    /// Sends a request with a JSON body to the API.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let url = format!("{}/api/v1{path}", self.api);
        let mut request = self.client.request(method.parse()?, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = read(request).await?;
        if let Some(revision) = answer.header("etag").strip_prefix("\"r") {
            let revision = revision.trim_end_matches('"').parse().unwrap_or(0);
            self.newest.fetch_max(revision, Ordering::Relaxed);
        }
        Ok(answer)
    }

    /// Gets a JSON document that has to be there.
    ///
    /// # Errors
    /// When it isn't.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call("GET", path, None)
            .await?
            .expect(200)
            .with_context(|| format!("GET {path}"))
    }

    /// Creates something and gives its document.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn create(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.call("POST", path, Some(&body))
            .await?
            .expect(201)
            .with_context(|| format!("POST {path}"))
    }

    /// Sends a webhook to a source's ingest URL, given by its path.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> anyhow::Result<Answer> {
        self.send_as("POST", path, headers, body).await
    }

    /// Sends a webhook with another method than POST.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn send_as(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.ingress);
        let mut request = self.client.request(method.parse()?, url).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request).await
    }

    /// Posts a body of another kind than JSON to the API.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post_as(
        &self,
        path: &str,
        content_type: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> anyhow::Result<Answer> {
        let url = format!("{}/api/v1{path}", self.api);
        let request = self.client.post(url).bearer_auth(&self.token);
        let mut request = request.header("content-type", content_type).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request).await
    }

    /// Gets bytes that have to be there.
    ///
    /// # Errors
    /// When they aren't.
    pub async fn raw(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let url = format!("{}/api/v1{path}", self.api);
        let answer = exchange(self.client.get(url).bearer_auth(&self.token)).await?;
        anyhow::ensure!(answer.status() == 200, "GET {path}: {}", answer.status());
        Ok(answer.bytes().await?.to_vec())
    }

    /// Sends a request without a body to the ingress.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn ask(&self, method: &str, path: &str) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.ingress);
        read(self.client.request(method.parse()?, url)).await
    }

    /// Sends a JSON webhook.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn send_json(&self, path: &str, body: impl Into<Vec<u8>>) -> anyhow::Result<Answer> {
        self.send(path, &[("content-type", "application/json")], body)
            .await
    }
}

/// The revision that a line of a process's metrics tells of.
fn revision_of(line: &str) -> Option<u64> {
    let (_, revision) = line
        .strip_prefix("hookrail_definitions_revision{")?
        .rsplit_once(' ')?;
    revision.parse().ok()
}

/// Gives up idle connections before the servers do: a request on one that is just being closed is lost.
#[expect(
    clippy::disallowed_methods,
    reason = "tests talk to the product like any client, not through its own"
)]
fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().pool_idle_timeout(Duration::from_secs(2));
    builder.build().expect("it has no setting that could be refused")
}

/// Sends a request, and a GET once more where its connection was closed under it, as a client may (RFC 9110,
/// 9.2.2).
async fn exchange(request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
    let again = request.try_clone();
    match (request.send().await, again) {
        (Err(error), Some(again)) if error.is_request() && !error.is_timeout() => {
            let (client, again) = again.build_split();
            let again = again?;
            anyhow::ensure!(again.method() == reqwest::Method::GET, error);
            Ok(client.execute(again).await?)
        }
        (answer, _) => Ok(answer?),
    }
}

async fn read(request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
    let answer = exchange(request).await?;
    let headers = answer.headers().iter();
    Ok(Answer {
        status: answer.status().as_u16(),
        headers: headers
            .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
            .collect(),
        text: answer.text().await?,
    })
}
