//! A destination: the definition of one outbound webhook.

mod auth;
mod proxy;
mod retry_policy;
mod signing;
mod tls;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ids::{DestinationId, WorkspaceId},
    rate_limit::RateLimit,
    secret::Secret,
    validation::{self, Faults, FieldError},
};

pub use auth::{ClientAuth, DestinationAuth};
pub use proxy::ProxySpec;
pub use retry_policy::RetryPolicy;
pub use signing::{HmacEncoding, HmacHash, Signed, Signing, SigningAlgorithm, check_standard};
pub use tls::TlsSpec;

/// Longest time that dead deliveries are kept, seconds: ten years.
const MAX_DEAD_RETENTION_S: u64 = 315_360_000;

/// Longest URL, bytes.
pub const MAX_URL_BYTES: usize = 2048;
/// Longest time-out of one attempt, milliseconds.
pub const MAX_TIMEOUT_MS: u32 = 60_000;
/// Headers that belong to the gateway or to HTTP itself, so that a definition can't set them.
const OWN_HEADERS: [&str; 17] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "hookrail-sequence",
    "hookrail-attempt",
    "hookrail-replay",
];

/// A destination as it is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// Its id.
    pub id: DestinationId,
    /// The workspace that it belongs to.
    pub workspace: WorkspaceId,
    /// What its owner wrote.
    pub spec: DestinationSpec,
}

/// How deliveries reach the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotificationType {
    /// An HTTP request.
    #[default]
    Rest,
}

/// The method of a destination's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum DestinationMethod {
    /// The usual one.
    #[default]
    Post,
    /// As POST.
    Put,
    /// As POST.
    Patch,
    /// As POST.
    Delete,
    /// The body's members as query parameters, without a body.
    Get,
}

impl DestinationMethod {
    /// The method's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Get => "GET",
        }
    }
}

/// What a delivery's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `event_time`, `event_type`, `current_context`, `data`.
    #[default]
    Event,
    /// The bytes as received; not with the method GET.
    Raw,
    /// What a route's mapping makes.
    Mapped,
    /// A CloudEvent, structured mode; not with the method GET.
    Cloudevents,
    /// A CloudEvent, binary mode; not with the method GET.
    CloudeventsBinary,
}

/// Which deliveries of a destination keep the order in which they were accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DestinationOrdering {
    /// Each stands for itself.
    #[default]
    None,
    /// Those with the same ordering key.
    Key,
    /// All, one at a time.
    Destination,
}

/// What a lane does when its head is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDead {
    /// Goes on with the next.
    #[default]
    Continue,
    /// Waits for a person.
    Hold,
}

/// What the owner of a destination writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DestinationSpec {
    /// Unique in the workspace.
    pub name: String,
    /// How the receiver is reached.
    pub notification_type: NotificationType,
    /// Where to, http or https.
    pub url: String,
    /// How.
    pub method: DestinationMethod,
    /// Whether deliveries are sent.
    pub enabled: bool,
    /// For people and tools.
    pub labels: BTreeMap<String, String>,
    /// Event types that it subscribes to without a route.
    pub events: Vec<String>,
    /// What a body is.
    pub format: Format,
    /// Headers of its own.
    pub headers: BTreeMap<String, String>,
    /// How requests are authenticated.
    pub auth: DestinationAuth,
    /// A key sent as `X-Api-Key`.
    #[schema(value_type = Option<Object>)]
    pub api_key: Option<Secret>,
    /// How requests are signed.
    pub signing: Signing,
    /// Certificates.
    pub tls: Option<TlsSpec>,
    /// A proxy that connections go through; absent = the installation's, where it has one.
    pub proxy: Option<ProxySpec>,
    /// What keeps its order.
    pub ordering: DestinationOrdering,
    /// What a lane does when its head is dead.
    pub on_dead: OnDead,
    /// Over how many partitions it may spread.
    pub spread: u32,
    /// Time-out of one attempt, milliseconds, for the whole exchange.
    pub timeout_ms: u32,
    /// When failed deliveries are tried again.
    pub retry: RetryPolicy,
    /// Attempts a second.
    pub rate_limit: Option<RateLimit>,
    /// Attempts at a time.
    pub max_in_flight: u32,
    /// How long dead deliveries are kept, seconds.
    pub dead_retention_s: u64,
}

impl Default for DestinationSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            notification_type: NotificationType::Rest,
            url: String::new(),
            method: DestinationMethod::Post,
            enabled: true,
            labels: BTreeMap::new(),
            events: Vec::new(),
            format: Format::Event,
            headers: BTreeMap::new(),
            auth: DestinationAuth::None,
            api_key: None,
            signing: Signing::default(),
            tls: None,
            proxy: None,
            ordering: DestinationOrdering::None,
            on_dead: OnDead::Continue,
            spread: 1,
            timeout_ms: 15_000,
            retry: RetryPolicy::default(),
            rate_limit: None,
            max_in_flight: 32,
            dead_retention_s: 2_592_000,
        }
    }
}

impl DestinationSpec {
    /// Refuses what can't be meant.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut faults = Faults::default();
        let detail = "has to match [A-Za-z0-9][A-Za-z0-9_-]{0,63}";
        faults.require(validation::is_name(&self.name), "/name", detail);
        validation::check_labels(&self.labels, &mut faults);
        self.check_request(&mut faults);
        self.check_body(&mut faults);
        self.signing.check(|name| self.sends(name), &mut faults);
        if let Some(tls) = &self.tls {
            tls.check(&mut faults);
        }
        if let Some(proxy) = &self.proxy {
            proxy.check(&mut faults);
        }
        self.check_limits(&mut faults);
        faults.finish()
    }

    fn check_request(&self, faults: &mut Faults) {
        match url::Url::parse(&self.url) {
            _ if self.url.len() > MAX_URL_BYTES => faults.require(false, "/url", "has more than 2048 bytes"),
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                faults.require(false, "/url", "has to start with http:// or https://");
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                faults.require(false, "/url", "must not hold credentials: use auth");
            }
            Ok(_) => {}
            Err(error) => faults.require(false, "/url", &format!("is not a URL: {error}")),
        }
        faults.require(self.headers.len() <= 32, "/headers", "has more than 32 headers");
        for (name, value) in &self.headers {
            check_header(
                name,
                value,
                &format!("/headers/{}", validation::pointer_token(name)),
                faults,
            );
        }
        self.auth.check(faults);
        for (i, event) in self.events.iter().enumerate() {
            let fits = crate::event_type::is_type_name(event);
            faults.require(fits, &format!("/events/{i}"), "is not the name of an event type");
        }
        faults.require(self.events.len() <= 64, "/events", "has more than 64 event types");
    }

    fn check_body(&self, faults: &mut Faults) {
        let has_members = matches!(self.format, Format::Event | Format::Mapped);
        faults.require(
            self.method != DestinationMethod::Get || has_members,
            "/format",
            "has to be event or mapped with the method GET, which sends the body's members as query parameters",
        );
        faults.require(
            self.format != Format::Mapped || self.events.is_empty(),
            "/events",
            "have to come by routes where the format is mapped: a route has the mapping",
        );
    }

    /// Whether a header is sent besides the signature's.
    fn sends(&self, name: &str) -> bool {
        let is = |other: &str| other.eq_ignore_ascii_case(name);
        let by_auth = match &self.auth {
            DestinationAuth::None => false,
            DestinationAuth::Header { name, .. } => is(name),
            _ => is("authorization"),
        };
        by_auth || (self.api_key.is_some() && is("x-api-key")) || self.headers.keys().any(|own| is(own))
    }

    fn check_limits(&self, faults: &mut Faults) {
        let timeout = (100..=MAX_TIMEOUT_MS).contains(&self.timeout_ms);
        faults.require(timeout, "/timeout_ms", "has to be 100 to 60000");
        faults.require(
            (1..=1024).contains(&self.max_in_flight),
            "/max_in_flight",
            "has to be 1 to 1024",
        );
        faults.require(
            (1..=1024).contains(&self.spread),
            "/spread",
            "has to be 1 to 1024",
        );
        // Each part sends at least one at a time.
        faults.require(
            self.spread <= self.max_in_flight,
            "/spread",
            "has to be at most max_in_flight, which is divided among its parts",
        );
        faults.require(
            (1..=MAX_DEAD_RETENTION_S).contains(&self.dead_retention_s),
            "/dead_retention_s",
            "has to be 1 to 315360000",
        );
        self.retry.check(faults);
        if let Some(limit) = &self.rate_limit {
            limit.check("/rate_limit", faults);
        }
    }

    /// Every secret in the definition.
    pub fn secrets_mut(&mut self) -> Vec<&mut Secret> {
        let mut found: Vec<&mut Secret> = Vec::new();
        found.extend(self.auth.secret_mut());
        found.extend(&mut self.api_key);
        match &mut self.signing {
            Signing::StandardWebhooks { secrets, .. } | Signing::Hmac { secrets, .. } => {
                found.extend(secrets)
            }
            Signing::None => {}
        }
        found.extend(self.tls.iter_mut().filter_map(|tls| tls.client_key.as_mut()));
        found.extend(self.proxy.iter_mut().filter_map(|proxy| proxy.password.as_mut()));
        found
    }
}

/// Refuses a header that a definition can't set.
pub(crate) fn check_header(name: &str, value: &str, pointer: &str, faults: &mut Faults) {
    faults.require(
        validation::is_header_name(name),
        pointer,
        "is not a header's name",
    );
    let own = OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str());
    faults.require(!own, pointer, "is a header that Hookrail sets itself");
    faults.require(
        validation::is_header_value(value),
        pointer,
        "is not a header's value: visible ASCII only",
    );
}
