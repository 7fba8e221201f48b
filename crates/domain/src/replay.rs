//! Replays: what may be asked to be sent again. Pure; finding it and sending it is done elsewhere.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Millis,
    delivery::ErrorCode,
    ids::{DeliveryId, DestinationId, EventId, ReplayId, SourceId},
    ownership::JOB_SHARDS,
    render::parse_rfc3339,
    validation::{Faults, FieldError},
};

/// Most ids that one replay names.
pub const MAX_IDS: usize = 1_000;

/// The statuses of deliveries that can be sent again: those that have ended.
const DELIVERY_STATUSES: [&str; 3] = ["delivered", "dead", "cancelled"];
/// The statuses of events that can be processed again.
const EVENT_STATUSES: [&str; 3] = ["processed", "filtered", "failed"];

/// What is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplayOf {
    /// Deliveries, each with the body that it had.
    Deliveries,
    /// Events: they are processed again, under today's definitions.
    Events,
}

impl ReplayOf {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deliveries => "deliveries",
            Self::Events => "events",
        }
    }
}

/// Which of them; all that is given has to hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayFilter {
    /// Deliveries to this destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub destination: Option<DestinationId>,
    /// Of this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceId>,
    /// Deliveries of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub event: Option<EventId>,
    /// Deliveries: `dead` (the default), `delivered` or `cancelled`. Events: `processed`, `filtered` or
    /// `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Deliveries that failed with this code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Deliveries of this lane, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// Of events accepted at or after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Of events accepted before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Deliveries that a replay has sent again before (`true`) or not (`false`, the default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<bool>,
}

/// A replay as it is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// What is sent again.
    pub what: ReplayOf,
    /// Which of them.
    #[serde(default)]
    pub filter: ReplayFilter,
    /// Only these: ids of deliveries or of events, 1 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    /// Only count them.
    #[serde(default, skip_serializing)]
    pub dry_run: bool,
}

impl ReplayFilter {
    /// The first millisecond wanted, and the first one after it.
    pub fn span(&self) -> (Option<Millis>, Option<Millis>) {
        let read = |text: &Option<String>| text.as_deref().and_then(parse_rfc3339);
        (read(&self.since), read(&self.until))
    }

    fn check_times(&self, faults: &mut Faults) {
        for (pointer, text) in [("/filter/since", &self.since), ("/filter/until", &self.until)] {
            let reads = text.as_deref().is_none_or(|text| parse_rfc3339(text).is_some());
            faults.require(reads, pointer, "has to be a time such as 2026-11-22T00:00:00Z");
        }
        if let (Some(since), Some(until)) = self.span() {
            faults.require(since < until, "/filter/until", "has to be after since");
        }
    }

    fn check_deliveries(&self, faults: &mut Faults) {
        let one_of =
            |known: &[&str], text: &Option<String>| text.as_deref().is_none_or(|text| known.contains(&text));
        let detail = "has to be delivered, dead or cancelled: what has not ended is on its way";
        faults.require(one_of(&DELIVERY_STATUSES, &self.status), "/filter/status", detail);
        let codes = ErrorCode::ALL.map(ErrorCode::as_str);
        let detail = "is not an error code of deliveries";
        faults.require(one_of(&codes, &self.error_code), "/filter/error_code", detail);
        let is_lane =
            |lane: &str| lane.len() == 16 && lane.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let lane = self.lane.as_deref().is_none_or(is_lane);
        faults.require(lane, "/filter/lane", "is not the id of a lane");
    }

    fn check_events(&self, faults: &mut Faults) {
        let known = |text: &String| EVENT_STATUSES.contains(&text.as_str());
        let detail = "has to be processed, filtered or failed";
        faults.require(self.status.as_ref().is_none_or(known), "/filter/status", detail);
        for (pointer, given) in [
            ("/filter/destination", self.destination.is_some()),
            ("/filter/event", self.event.is_some()),
            ("/filter/error_code", self.error_code.is_some()),
            ("/filter/lane", self.lane.is_some()),
            ("/filter/replayed", self.replayed.is_some()),
        ] {
            faults.require(!given, pointer, "is for deliveries only");
        }
    }
}

impl ReplayRequest {
    /// Refuses what can't be meant.
    ///
    /// # Errors
    /// Every fault, by the pointer of its field.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut faults = Faults::default();
        self.filter.check_times(&mut faults);
        match self.what {
            ReplayOf::Deliveries => self.filter.check_deliveries(&mut faults),
            ReplayOf::Events => self.filter.check_events(&mut faults),
        }
        let anything = self.ids.is_some() || self.filter != ReplayFilter::default();
        let named = self.what == ReplayOf::Deliveries || anything;
        faults.require(named, "/filter", "has to say which events: all is seldom meant");
        self.check_ids(&mut faults);
        faults.finish()
    }

    fn check_ids(&self, faults: &mut Faults) {
        let Some(ids) = &self.ids else { return };
        faults.require(
            (1..=MAX_IDS).contains(&ids.len()),
            "/ids",
            "has to name 1 to 1000",
        );
        for (place, id) in ids.iter().enumerate().take(MAX_IDS) {
            let (reads, detail) = match self.what {
                ReplayOf::Deliveries => (id.parse::<DeliveryId>().is_ok(), "is not the id of a delivery"),
                ReplayOf::Events => (id.parse::<EventId>().is_ok(), "is not the id of an event"),
            };
            faults.require(reads, &format!("/ids/{place}"), detail);
        }
    }

    /// The ids named; none = all.
    pub fn ids(&self) -> &[String] {
        self.ids.as_deref().unwrap_or_default()
    }

    /// The status wanted: of deliveries that are not named, `dead` unless another is asked for.
    pub fn status(&self) -> Option<&str> {
        let default = (self.what == ReplayOf::Deliveries && self.ids.is_none()).then_some("dead");
        self.filter.status.as_deref().or(default)
    }

    /// Whether deliveries are wanted that were sent again before; `None` = both. Those that were are left
    /// out where they are not named, or a replay that is asked for twice would send everything twice.
    pub fn replayed(&self) -> Option<bool> {
        self.filter
            .replayed
            .or_else(|| self.ids.is_none().then_some(false))
    }
}

/// The shard of jobs that works on a replay.
pub fn shard_of(replay: ReplayId) -> u32 {
    (replay.as_u128() % u128::from(JOB_SHARDS)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: &str, pointers: &[&str]) {
        let request: ReplayRequest = serde_json::from_str(request).unwrap();
        let faults = request.validate().err().unwrap_or_default();
        let found: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(found, pointers, "{request:?}");
    }

    #[test]
    fn what_can_not_be_meant_is_refused_by_field() {
        check(r#"{"what": "deliveries"}"#, &[]);
        check(r#"{"what": "events"}"#, &["/filter"]);
        check(r#"{"what": "events", "filter": {"status": "failed"}}"#, &[]);
        check(
            r#"{"what": "events", "filter": {"status": "dead"}}"#,
            &["/filter/status"],
        );
        check(
            r#"{"what": "events", "filter": {"lane": "0123456789abcdef", "error_code": "dns"}}"#,
            &["/filter/error_code", "/filter/lane"],
        );
        check(
            r#"{"what": "deliveries", "filter": {"status": "pending", "error_code": "x", "lane": "A"}}"#,
            &["/filter/status", "/filter/error_code", "/filter/lane"],
        );
        check(
            r#"{"what": "deliveries", "filter": {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}}"#,
            &["/filter/until"],
        );
        check(
            r#"{"what": "deliveries", "filter": {"since": "yesterday"}}"#,
            &["/filter/since"],
        );
        check(r#"{"what": "deliveries", "ids": []}"#, &["/ids"]);
        check(
            r#"{"what": "deliveries", "ids": ["dlv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "evt_01ARZ3NDEKTSV4RRFFQ69G5FAV"]}"#,
            &["/ids/1"],
        );
    }

    #[test]
    fn dead_deliveries_are_meant_that_were_not_sent_again() {
        let read = |text: &str| serde_json::from_str::<ReplayRequest>(text).unwrap();
        let all = read(r#"{"what": "deliveries"}"#);
        assert_eq!((all.status(), all.replayed()), (Some("dead"), Some(false)));
        let named = read(r#"{"what": "deliveries", "ids": ["dlv_01ARZ3NDEKTSV4RRFFQ69G5FAV"]}"#);
        assert_eq!((named.status(), named.replayed()), (None, None));
        let events = read(r#"{"what": "events", "filter": {"status": "failed"}}"#);
        assert_eq!(events.status(), Some("failed"));
    }
}
