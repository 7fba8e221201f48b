//! A source: the definition of one inbound webhook.

mod answers;
mod auth;
mod auth_rules;
mod dedupe;
mod event_payload;
mod ordering;
pub mod query_params;
mod signature_rules;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Millis,
    api_key::ApiKey,
    entity::EntityRules,
    filter::Filter,
    ids::{SourceId, WorkspaceId},
    payload::BodyFormat,
    rate_limit::RateLimit,
    secret::Secret,
    validation::{self, Faults, FieldError},
};

use auth_rules::check_auth;

pub use answers::{Acknowledgement, DisabledAnswer, OnLate, RequestResponse};
pub use auth::{DEFAULT_KEY_HEADER, DEFAULT_KEY_QUERY, SourceAuth};
pub use event_payload::PayloadInput;
pub use ordering::{KeyPlace, OrderingMode, SourceOrdering};
pub use signature_rules::{CUSTOM_SCHEME, SignatureAuth};

/// Largest accepted body, bytes, whatever a source allows.
pub const MAX_BODY_BYTES: u64 = 32 * 1024 * 1024;
/// How long a source's events may be kept, seconds: a minute to ten years.
pub const EVENTS_KEPT_S: RangeInclusive<u64> = 60..=315_360_000;
/// How long a source's former name goes on answering, milliseconds.
pub const OLD_NAME_MS: Millis = 30 * 24 * 3600 * 1000;

/// A source as it is in force: its definition and what belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its id.
    pub id: SourceId,
    /// The workspace that it belongs to.
    pub workspace: WorkspaceId,
    /// That workspace's code, the first segment of the ingest URL.
    pub workspace_code: String,
    /// The unguessable last segment of the token URL.
    pub token: String,
    /// Former names and until when each still answers.
    pub old_names: Vec<OldName>,
    /// Its API keys.
    pub api_keys: Vec<ApiKey>,
    /// What its owner wrote.
    pub spec: SourceSpec,
}

/// A name that a source had before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldName {
    /// The name.
    pub name: String,
    /// When it stops answering.
    pub until: Millis,
}

/// An HTTP method of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum SourceMethod {
    /// A body or none; declared query parameters are data too.
    Get,
    /// The usual one.
    Post,
    /// Accepted like POST.
    Put,
    /// Accepted like POST.
    Patch,
    /// Accepted like POST.
    Delete,
}

impl SourceMethod {
    /// The method's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A query parameter that belongs to the event's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryParam {
    /// The parameter.
    pub name: String,
    /// Its value where the caller leaves it out.
    #[serde(default)]
    pub default: Option<String>,
}

/// Telling a sender's repetitions from new events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dedupe {
    /// Whether repetitions are looked for.
    pub enabled: bool,
    /// Where the sender's id of the event is.
    pub key: Option<KeyPlace>,
    /// How long an id is remembered, seconds.
    pub window_s: u32,
}

impl Default for Dedupe {
    fn default() -> Self {
        Self {
            enabled: false,
            key: None,
            window_s: 3600,
        }
    }
}

/// How long a source's events are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Seconds that an event and its body are kept once it is processed.
    pub events_s: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { events_s: 604_800 }
    }
}

/// What the owner of a source writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SourceSpec {
    /// Unique in the workspace, the last segment of the ingest URL.
    pub name: String,
    /// For people.
    pub description: String,
    /// Whether it takes events.
    pub enabled: bool,
    /// Whether what it takes is held back: events are accepted and kept, and processed in order once it is resumed.
    pub paused: bool,
    /// For people and tools.
    pub labels: BTreeMap<String, String>,
    /// HTTP methods that it takes.
    pub methods: Vec<SourceMethod>,
    /// Whether `/{workspace}/{name}` answers besides the token URL.
    pub public_name: bool,
    /// Networks that may send; empty = all.
    #[schema(value_type = Vec<String>)]
    pub allow_ips: Vec<IpNet>,
    /// How senders are known.
    pub auth: SourceAuth,
    /// Query parameters that are data of the event.
    pub query_params: Vec<QueryParam>,
    /// Largest body, bytes, after decoding.
    pub max_body_bytes: u64,
    /// How bodies are read.
    pub body_format: BodyFormat,
    /// XML elements that are arrays even when there is one.
    pub force_list: Vec<String>,
    /// What is kept in order; absent = the default that follows from `entity`.
    pub ordering: Option<SourceOrdering>,
    /// Answering with the destination's answer.
    pub request_response: RequestResponse,
    /// Telling repetitions.
    pub dedupe: Dedupe,
    /// Events a second.
    pub rate_limit: Option<RateLimit>,
    /// An answer in the place of 202's.
    pub acknowledgement: Option<Acknowledgement>,
    /// What a disabled source answers.
    pub disabled_answer: DisabledAnswer,
    /// Which events are processed; absent = all.
    #[schema(value_type = Option<Object>)]
    pub filter: Option<Filter>,
    /// How entities are made; absent = none are.
    #[schema(value_type = Option<Object>)]
    pub entity: Option<EntityRules>,
    /// How long events are kept.
    pub retention: Retention,
}

impl Default for SourceSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            enabled: true,
            paused: false,
            labels: BTreeMap::new(),
            methods: vec![SourceMethod::Post, SourceMethod::Get],
            public_name: true,
            allow_ips: Vec::new(),
            auth: SourceAuth::None,
            query_params: Vec::new(),
            max_body_bytes: 1_048_576,
            body_format: BodyFormat::default(),
            force_list: Vec::new(),
            ordering: None,
            request_response: RequestResponse::default(),
            dedupe: Dedupe::default(),
            rate_limit: None,
            acknowledgement: None,
            disabled_answer: DisabledAnswer::Reject,
            filter: None,
            entity: None,
            retention: Retention::default(),
        }
    }
}

impl SourceSpec {
    /// The ordering in force: the one written, else the one that follows from the entity rules: by
    /// the unique id where that can be read at the edge, the whole source for other entities, none
    /// without entities.
    pub fn effective_ordering(&self) -> SourceOrdering {
        if let Some(written) = &self.ordering {
            return written.clone();
        }
        match &self.entity {
            None => SourceOrdering::NONE,
            Some(rules) => match rules.plain_unique_id() {
                Some(path) => SourceOrdering {
                    mode: OrderingMode::Key,
                    key: Some(KeyPlace::at_path(path)),
                },
                None => SourceOrdering {
                    mode: OrderingMode::Source,
                    key: None,
                },
            },
        }
    }

    /// The largest body that it takes in, bytes after decoding.
    pub fn body_limit(&self) -> usize {
        usize::try_from(self.max_body_bytes).unwrap_or(usize::MAX)
    }

    /// Refuses what can't be meant.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut faults = Faults::default();
        self.check_names(&mut faults);
        self.check_intake(&mut faults);
        self.check_rules(&mut faults);
        signature_rules::check(&self.auth, &mut faults);
        if let Some(acknowledgement) = &self.acknowledgement {
            acknowledgement.check("/acknowledgement", &mut faults);
        }
        faults.finish()
    }

    fn check_names(&self, faults: &mut Faults) {
        let detail = "has to match [A-Za-z0-9][A-Za-z0-9_-]{0,63}";
        faults.require(validation::is_name(&self.name), "/name", detail);
        faults.require(
            self.description.len() <= 4096,
            "/description",
            "has more than 4096 bytes",
        );
        validation::check_labels(&self.labels, faults);
    }

    fn check_intake(&self, faults: &mut Faults) {
        faults.require(!self.methods.is_empty(), "/methods", "needs at least one method");
        let repeated = self
            .methods
            .iter()
            .enumerate()
            .any(|(i, m)| self.methods[..i].contains(m));
        faults.require(!repeated, "/methods", "names a method twice");
        let size = (1..=MAX_BODY_BYTES).contains(&self.max_body_bytes);
        faults.require(size, "/max_body_bytes", "has to be 1 to 33554432");
        faults.require(
            self.force_list.len() <= 64,
            "/force_list",
            "has more than 64 names",
        );
        check_auth(&self.auth, faults);
        faults.require(
            self.allow_ips.len() <= 256,
            "/allow_ips",
            "has more than 256 networks",
        );
        query_params::check(&self.query_params, &self.auth, faults);
        self.dedupe.check(&self.query_params, faults);
        if let Some(limit) = &self.rate_limit {
            limit.check("/rate_limit", faults);
        }
        let timeout = RequestResponse::TIMEOUT_MS.contains(&self.request_response.timeout_ms);
        faults.require(timeout, "/request_response/timeout_ms", "has to be 100 to 60000");
    }

    fn check_rules(&self, faults: &mut Faults) {
        if let Some(ordering) = &self.ordering {
            match (ordering.mode, &ordering.key) {
                (OrderingMode::Key, Some(key)) => key.check("/ordering/key", faults),
                (OrderingMode::Key, None) => {
                    faults.require(false, "/ordering/key", "is needed with mode key")
                }
                (_, Some(_)) => faults.require(false, "/ordering/key", "goes with mode key only"),
                (_, None) => {}
            }
        }
        if let Some(entity) = &self.entity {
            entity.validate("/entity", faults.errors());
        }
        faults.require(
            EVENTS_KEPT_S.contains(&self.retention.events_s),
            "/retention/events_s",
            "has to be 60 to 315360000",
        );
    }

    /// Every secret in the definition.
    pub fn secrets_mut(&mut self) -> Vec<&mut Secret> {
        match &mut self.auth {
            SourceAuth::Basic { password: secret, .. } | SourceAuth::Bearer { token: secret } => vec![secret],
            SourceAuth::Jwt { secret, .. } => secret.iter_mut().collect(),
            SourceAuth::Signature {
                secrets,
                verify_token,
                ..
            } => secrets.iter_mut().chain(verify_token).collect(),
            SourceAuth::None | SourceAuth::ApiKey { .. } => Vec::new(),
        }
    }
}
