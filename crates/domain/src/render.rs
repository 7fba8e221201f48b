//! The body of a delivery in the format `event`, and the text of times.
//!
//! Written straight into bytes, compact, so numbers and member order come out as they came in.
//! Other formats have their own place ([`cloudevent`], [`crate::mapping`]), and so has what becomes of a body
//! that is sent with GET ([`query`]); nothing here knows destinations.

mod cloudevent;
mod query;

pub use cloudevent::{CLOUDEVENT_CONTENT_TYPE, CloudEvent, CloudEventData};
pub(crate) use query::query_name;
pub use query::{MAX_QUERY_URL_BYTES, QueryError, flatten, url_with_members};

use crate::Millis;
use crate::json::{Json, Members, write_json_string};
use chrono::{DateTime, SecondsFormat};

/// What the body of a delivery in the format `event` is made of.
#[derive(Clone, Copy, Debug)]
pub struct EventBody<'a> {
    /// When the event was accepted.
    pub event_time: Millis,
    pub event_type: &'a str,
    pub current_context: CurrentContext<'a>,
    pub data: &'a Json,
}

/// The member `current_context` of an event's body.
#[derive(Clone, Copy, Debug)]
pub enum CurrentContext<'a> {
    /// Where the event comes from.
    Origin(Origin<'a>),
    /// What the poster of an event gave, in the place of the origin.
    Posted(&'a Json),
}

/// Where an event comes from, and which entity it is about.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The workspace's code.
    pub workspace: &'a str,
    /// The source's name; `None` for posted events.
    pub source: Option<&'a str>,
    pub event_id: &'a str,
    pub entity: Option<EntityReference<'a>>,
    /// The entity's fields that changed, with their values before; `None` where there was no before.
    pub previous_fields: Option<&'a Members>,
    /// The query parameters that the source declares; `None` where it declares none.
    pub query: Option<&'a Members>,
}

/// The entity that an event is about.
#[derive(Clone, Copy, Debug)]
pub struct EntityReference<'a> {
    pub entity_type: &'a str,
    pub unique_id: &'a str,
    /// `<raw partition>.<sequence>`.
    pub version: &'a str,
}

impl EventBody<'_> {
    /// `{"event_time", "event_type", "current_context", "data"}` as compact JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b"{\"event_time\":");
        write_json_string(&format_millis(self.event_time), &mut out);
        out.extend_from_slice(b",\"event_type\":");
        write_json_string(self.event_type, &mut out);
        out.extend_from_slice(b",\"current_context\":");
        match &self.current_context {
            CurrentContext::Origin(origin) => origin.write(&mut out),
            CurrentContext::Posted(context) => context.write_compact(&mut out),
        }
        out.extend_from_slice(b",\"data\":");
        self.data.write_compact(&mut out);
        out.push(b'}');
        out
    }
}

impl Origin<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"workspace\":");
        write_json_string(self.workspace, out);
        out.extend_from_slice(b",\"source\":");
        match self.source {
            Some(source) => write_json_string(source, out),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"event_id\":");
        write_json_string(self.event_id, out);
        out.extend_from_slice(b",\"entity\":");
        match &self.entity {
            Some(entity) => entity.write(out),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"previous_fields\":");
        match self.previous_fields {
            Some(fields) => Json::write_members(fields, out),
            None => out.extend_from_slice(b"null"),
        }
        if let Some(query) = self.query {
            out.extend_from_slice(b",\"query\":");
            Json::write_members(query, out);
        }
        out.push(b'}');
    }
}

impl EntityReference<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":");
        write_json_string(self.entity_type, out);
        out.extend_from_slice(b",\"unique_id\":");
        write_json_string(self.unique_id, out);
        out.extend_from_slice(b",\"version\":");
        write_json_string(self.version, out);
        out.push(b'}');
    }
}

/// RFC 3339, UTC, milliseconds: `2026-11-22T00:27:42.000Z`. A time that no calendar date has is the
/// nearest one that does.
pub fn format_millis(time: Millis) -> String {
    let nearest = if time < 0 {
        DateTime::<chrono::Utc>::MIN_UTC
    } else {
        DateTime::<chrono::Utc>::MAX_UTC
    };
    DateTime::from_timestamp_millis(time)
        .unwrap_or(nearest)
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Reads an RFC 3339 time with any offset; what is finer than a millisecond is cut off.
pub fn parse_rfc3339(text: &str) -> Option<Millis> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|time| time.timestamp_millis())
}

/// Reads an HTTP date in its preferred form (RFC 9110, section 5.6.7): `Sun, 22 Nov 2026 10:00:05 GMT`.
pub fn parse_http_date(text: &str) -> Option<Millis> {
    DateTime::parse_from_rfc2822(text)
        .ok()
        .map(|time| time.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin() -> Origin<'static> {
        Origin {
            workspace: "default",
            source: Some("crm"),
            event_id: "evt_1",
            entity: None,
            previous_fields: None,
            query: None,
        }
    }

    fn check(context: CurrentContext<'_>, data: &str, expected: &str) {
        let data = data.parse().unwrap();
        let body = EventBody {
            event_time: 1_732_226_400_005,
            event_type: "entity.updated",
            current_context: context,
            data: &data,
        };
        assert_eq!(String::from_utf8(body.to_bytes()).unwrap(), expected);
    }

    #[test]
    fn a_body_without_an_entity_says_null() {
        check(
            CurrentContext::Origin(Origin {
                source: None,
                ..origin()
            }),
            r#"{"id": 820982911946154508, "price": 1.10}"#,
            concat!(
                r#"{"event_time":"2024-11-21T22:00:00.005Z","event_type":"entity.updated","#,
                r#""current_context":{"workspace":"default","source":null,"event_id":"evt_1","#,
                r#""entity":null,"previous_fields":null},"data":{"id":820982911946154508,"price":1.10}}"#
            ),
        );
    }

    #[test]
    fn a_body_names_its_entity_and_what_changed() {
        let previous = Members::from_iter([("active".to_owned(), Json::Bool(false))]);
        let entity = EntityReference {
            entity_type: "customer",
            unique_id: "a\"b",
            version: "0.7",
        };
        check(
            CurrentContext::Origin(Origin {
                entity: Some(entity),
                previous_fields: Some(&previous),
                ..origin()
            }),
            "[]",
            concat!(
                r#"{"event_time":"2024-11-21T22:00:00.005Z","event_type":"entity.updated","#,
                r#""current_context":{"workspace":"default","source":"crm","event_id":"evt_1","#,
                r#""entity":{"type":"customer","unique_id":"a\"b","version":"0.7"},"#,
                r#""previous_fields":{"active":false}},"data":[]}"#
            ),
        );
    }

    #[test]
    fn a_posted_context_takes_the_place_of_the_origin() {
        check(
            CurrentContext::Posted(&Json::from("shop 5")),
            "1.0",
            concat!(
                r#"{"event_time":"2024-11-21T22:00:00.005Z","event_type":"entity.updated","#,
                r#""current_context":"shop 5","data":1.0}"#
            ),
        );
    }

    #[test]
    fn times_are_read_with_any_offset_and_written_in_utc() {
        assert_eq!(
            parse_rfc3339("2024-11-21T23:00:00.0059+01:00"),
            Some(1_732_226_400_005)
        );
        assert_eq!(parse_rfc3339("2024-11-21"), None);
        assert_eq!(format_millis(0), "1970-01-01T00:00:00.000Z");
        assert!(format_millis(i64::MAX).starts_with('+'));
        assert!(format_millis(i64::MIN).starts_with('-'));
    }

    proptest! {
        #[test]
        fn a_written_time_is_read_back(time in 0i64..253_402_300_800_000) {
            prop_assert_eq!(parse_rfc3339(&format_millis(time)), Some(time));
        }
    }
}
