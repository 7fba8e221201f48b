//! `hookrail listen`: sends a source's events to a server on the developer's machine, as they come.
//!
//! Each request has the method, query, headers and bytes of the webhook. It is told what was answered, and nothing
//! is retried: the events stay in Hookrail, and `events replay` sends them again to where they belong.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hookrail_domain::Millis;
use hookrail_domain::json::Json;
use hookrail_domain::render::format_millis;
use hookrail_outbound::{OutboundClient, OutboundRequest};
use hookrail_runtime::clock;

use crate::api::{Api, ApiArgs, client, encoded, query};
use crate::error::ClientError;
use crate::output;
use crate::sources::id_of;

/// How often it is looked for new events.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How far back it is looked for events whose processing took longer than that of later ones.
const BEHIND_MS: Millis = 60_000;
/// Events that are known to have been given.
const KNOWN: usize = 100_000;
/// Events of one look.
const MOST: usize = 10_000;
/// How long the server may take.
const TIMEOUT_MS: u64 = 30_000;
/// Headers that belong to the connection that the webhook came on.
const OF_THE_CONNECTION: [&str; 8] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// What `listen` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct ListenArgs {
    /// The source: its name or id
    #[arg(long, value_name = "SOURCE")]
    source: String,

    /// Where the events go, as http://localhost:3000/webhooks
    #[arg(long, value_name = "URL")]
    to: String,

    /// Also those accepted since this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// End after so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    #[command(flatten)]
    api: ApiArgs,
}

impl ListenArgs {
    pub(crate) async fn run(self) -> Result<(), ClientError> {
        let api = self.api.connect()?;
        let source = id_of(&api, "sources", "source", &self.source).await?;
        let mut follower = Follower::new(api.clone(), Some(source));
        if let Some(since) = &self.since {
            follower.since = Since::Time(since.clone());
        }
        let forward = Forward {
            client: client()?,
            to: self.to.clone(),
            json: self.api.json,
        };
        output::note(&format!("{} -> {}, until Ctrl-C", self.source, self.to));
        let mut left = self.count.unwrap_or(u64::MAX);
        while left > 0 {
            for event in follower.next().await? {
                let id = event.get("id").and_then(Json::as_str).unwrap_or_default();
                let event = api.get(&format!("/events/{}", encoded(id))).await?;
                forward.send(&event).await;
                left -= 1;
                if left == 0 {
                    return Ok(());
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

struct Forward {
    client: OutboundClient,
    to: String,
    json: bool,
}

impl Forward {
    async fn send(&self, event: &Json) {
        let id = event.get("id").and_then(Json::as_str).unwrap_or_default();
        let outcome = match request(event, &self.to) {
            None => "its bytes are gone".to_owned(),
            Some(request) => {
                let result = self.client.send(&request).await;
                match (result.response, result.error) {
                    (Some(answer), None) => format!("{} in {} ms", answer.status, result.duration_ms),
                    (_, error) => error.map(|error| error.detail).unwrap_or_default(),
                }
            }
        };
        let method = event.get("method").and_then(Json::as_str).unwrap_or_default();
        match self.json {
            true => {
                let told = Json::from([("id", Json::from(id)), ("outcome", outcome.into())]);
                output::line(&told.to_string());
            }
            false => output::line(&format!("{id}  {method}  {outcome}")),
        }
    }
}

/// The webhook again, for another server; none where its bytes are gone.
fn request(event: &Json, to: &str) -> Option<OutboundRequest> {
    let body = event.get("raw_base64")?.as_str()?;
    let body = Bytes::from(STANDARD.decode(body).ok()?);
    let method = event.get("method")?.as_str()?;
    let pairs = |name: &str| -> Vec<(String, String)> {
        let pairs = event.get(name).and_then(Json::as_array).unwrap_or_default();
        let text = |pair: &Json, part| pair.get(part).and_then(Json::as_str).map(str::to_owned);
        pairs
            .iter()
            .filter_map(|pair| Some((text(pair, "name")?, text(pair, "value")?)))
            .collect()
    };
    let parameters: Vec<String> = pairs("query")
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    let url = match (parameters.is_empty(), to.contains('?')) {
        (true, _) => to.to_owned(),
        (false, true) => format!("{to}&{}", parameters.join("&")),
        (false, false) => format!("{to}?{}", parameters.join("&")),
    };
    let mut request = OutboundRequest::new(method, &url, body, TIMEOUT_MS);
    request.headers = pairs("headers");
    request
        .headers
        .retain(|(name, _)| !OF_THE_CONNECTION.contains(&name.to_ascii_lowercase().as_str()));
    let id = event.get("id").and_then(Json::as_str).unwrap_or_default();
    request
        .headers
        .push(("hookrail-event-id".to_owned(), id.to_owned()));
    Some(request)
}

/// From when on events are followed.
enum Since {
    /// From a time that was named.
    Time(String),
    /// Since this follower was made, milliseconds.
    Start(Millis),
}

/// Gives events as they are processed, each once, those of one look in the order of acceptance.
///
/// An event may be processed later than one that was accepted after it: so it is looked again at the last minute,
/// and what was given before is left out.
pub(crate) struct Follower {
    api: Api,
    source: Option<String>,
    since: Since,
    known: HashSet<String>,
    in_order: VecDeque<String>,
}

impl Follower {
    pub(crate) fn new(api: Api, source: Option<String>) -> Self {
        Self {
            api,
            source,
            since: Since::Start(clock::now_ms()),
            known: HashSet::new(),
            in_order: VecDeque::new(),
        }
    }

    /// Those that came since the last call.
    pub(crate) async fn next(&mut self) -> Result<Vec<Json>, ClientError> {
        let looked_at = clock::now_ms();
        let since = match &self.since {
            Since::Time(time) => time.clone(),
            Since::Start(at) => format_millis(*at),
        };
        let parameters = query(&[
            ("source", self.source.as_deref()),
            ("since", Some(&since)),
            ("order", Some("asc")),
        ]);
        let events = self.api.list(&format!("/events{parameters}"), MOST).await?;
        let is_all = events.len() < MOST;
        let new: Vec<Json> = events.into_iter().filter(|event| self.is_new(event)).collect();
        match (
            is_all,
            new.last().and_then(|event| event.get("accepted_at")?.as_str()),
        ) {
            (false, Some(last)) => self.since = Since::Time(last.to_owned()),
            (true, _) => self.advance(looked_at),
            (false, None) => {}
        }
        Ok(new)
    }

    /// Everything that was accepted a while ago has been given.
    fn advance(&mut self, looked_at: Millis) {
        let at = looked_at - BEHIND_MS;
        match self.since {
            Since::Start(before) if before >= at => {}
            _ => self.since = Since::Start(at),
        }
    }

    fn is_new(&mut self, event: &Json) -> bool {
        let id = event
            .get("id")
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned();
        if !self.known.insert(id.clone()) {
            return false;
        }
        self.in_order.push_back(id);
        if self.in_order.len() > KNOWN {
            let oldest = self.in_order.pop_front().unwrap_or_default();
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_sent_on_as_it_came() {
        let event: Json =
            r#"{"id":"evt_1","method":"PUT","query":[{"name":"a","value":"1 2"},{"name":"a","value":"3"}],
            "headers":[{"name":"Host","value":"hooks.example"},{"name":"X-Signature","value":"abc"},
            {"name":"Content-Length","value":"2"}],"raw_base64":"e30="}"#
                .parse()
                .unwrap();
        let request = request(&event, "http://localhost:3000/x?k=v").unwrap();
        assert_eq!(request.url, "http://localhost:3000/x?k=v&a=1%202&a=3");
        assert_eq!((request.method.as_str(), &request.body[..]), ("PUT", &b"{}"[..]));
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["X-Signature", "hookrail-event-id"]);
    }
}
