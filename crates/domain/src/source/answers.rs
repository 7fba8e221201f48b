//! What a source answers besides the usual 202.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::handshake::check_answer;
use crate::json::Json;
use crate::validation::Faults;

/// Answering the sender with the destination's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RequestResponse {
    /// Whether the sender waits for the result.
    pub enabled: bool,
    /// How long it waits at most, milliseconds: 100 to 60,000.
    pub timeout_ms: u32,
    /// What becomes of a delivery that was not sent by then.
    pub on_late: OnLate,
}

impl RequestResponse {
    /// How long a sender may be kept waiting, milliseconds: up to the longest time-out of a destination.
    pub const TIMEOUT_MS: std::ops::RangeInclusive<u32> = 100..=60_000;
}

impl Default for RequestResponse {
    fn default() -> Self {
        Self {
            enabled: false,
            timeout_ms: 30_000,
            on_late: OnLate::Send,
        }
    }
}

/// What becomes of a delivery whose caller has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLate {
    /// It is sent all the same.
    #[default]
    Send,
    /// It is cancelled.
    Drop,
}

/// A sender's own answer in the place of 202's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// Status, 200 to 299.
    pub status: u16,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Body; `{{event_id}}` in it is the event's id.
    #[serde(default)]
    pub body: String,
}

/// Longest body of an acknowledgement, bytes.
const MAX_ACKNOWLEDGEMENT_BYTES: usize = 16 * 1024;

impl Acknowledgement {
    pub(crate) fn check(&self, pointer: &str, faults: &mut Faults) {
        check_answer(self.status, &self.headers, pointer, faults);
        let pointer = format!("{pointer}/body");
        let short = self.body.len() <= MAX_ACKNOWLEDGEMENT_BYTES;
        faults.require(short, &pointer, "has more than 16384 bytes");
        let has_body = !matches!(self.status, 204 | 205);
        faults.require(
            has_body || self.body.is_empty(),
            &pointer,
            "does not go with this status",
        );
    }

    /// The body of the answer to this event.
    pub fn body_for(&self, event_id: &str) -> String {
        self.body.replace("{{event_id}}", event_id)
    }

    /// Its content type, where the headers name none: JSON that is well-formed is JSON.
    pub fn default_content_type(&self) -> Option<&'static str> {
        let named = self
            .headers
            .keys()
            .any(|name| name.eq_ignore_ascii_case("content-type"));
        match named || self.body.is_empty() {
            true => None,
            false if Json::parse(self.body.as_bytes()).is_ok() => Some("application/json"),
            false => Some("text/plain; charset=utf-8"),
        }
    }
}

/// What a disabled source answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisabledAnswer {
    /// 423: the sender should give up.
    #[default]
    Reject,
    /// 503: the sender should try again.
    Retry,
}
