//! The body and headers of a delivery as a CloudEvent 1.0: structured (its JSON format, section 3) or binary
//! (HTTP protocol binding, section 3.1).

use super::format_millis;
use crate::Millis;
use crate::delivery::EntityRef;
use crate::ids::EventId;
use crate::json::{Json, write_json_string};
use crate::partition;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

/// The content type of a structured CloudEvent.
pub const CLOUDEVENT_CONTENT_TYPE: &str = "application/cloudevents+json";

/// What a CloudEvent carries.
#[derive(Debug, Clone, Copy)]
pub enum CloudEventData<'a> {
    /// JSON.
    Json(&'a Json),
    /// Bytes as they were received, with their content type.
    Bytes(Option<&'a str>, &'a [u8]),
}

/// A CloudEvent.
#[derive(Debug, Clone, Copy)]
pub struct CloudEvent<'a> {
    /// The event.
    pub event: EventId,
    /// The workspace's code.
    pub workspace: &'a str,
    /// The source's name; `None` for posted events.
    pub source: Option<&'a str>,
    /// The event's type.
    pub event_type: &'a str,
    /// The entity that it is about.
    pub entity: Option<&'a EntityRef>,
    /// When the event was accepted.
    pub time: Millis,
    /// What it says.
    pub data: CloudEventData<'a>,
}

impl CloudEvent<'_> {
    /// The attributes, in the order of the specification. With `source`, `id` is unique: the event's, and
    /// where the event is about several entities, one for each of them.
    fn attributes(&self) -> Vec<(&'static str, String)> {
        let source = match self.source {
            Some(source) => format!("/{}/{source}", self.workspace),
            None => format!("/{}", self.workspace),
        };
        let mut attributes = vec![
            ("specversion", "1.0".to_owned()),
            ("id", self.id()),
            ("source", source),
            ("type", self.event_type.to_owned()),
        ];
        if let Some(entity) = self.entity {
            attributes.push(("subject", entity.unique_id.clone()));
            attributes.push(("entitytype", entity.entity_type.clone()));
        }
        attributes.push(("time", format_millis(self.time)));
        attributes
    }

    fn id(&self) -> String {
        let Some(entity) = self.entity else {
            return self.event.to_string();
        };
        let parts = [self.event_type, &entity.entity_type, &entity.unique_id];
        let of_entity = partition::token(partition::hash(&parts.map(str::as_bytes)));
        format!("{}.{of_entity}", self.event)
    }

    /// The body in structured mode; its content type is [`CLOUDEVENT_CONTENT_TYPE`].
    pub fn to_structured(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let mut before = b'{';
        let mut member = |name: &str, text: &str, out: &mut Vec<u8>| {
            out.push(before);
            before = b',';
            write_json_string(name, out);
            out.push(b':');
            write_json_string(text, out);
        };
        for (name, text) in self.attributes() {
            member(name, &text, &mut out);
        }
        match self.data {
            CloudEventData::Json(data) => {
                member("datacontenttype", "application/json", &mut out);
                out.extend_from_slice(b",\"data\":");
                data.write_compact(&mut out);
            }
            CloudEventData::Bytes(content_type, bytes) => {
                if let Some(content_type) = content_type {
                    member("datacontenttype", content_type, &mut out);
                }
                member("data_base64", &BASE64.encode(bytes), &mut out);
            }
        }
        out.push(b'}');
        out
    }

    /// The headers of binary mode; the body is the data, its content type the data's.
    pub fn to_headers(&self) -> Vec<(String, String)> {
        let header = |(name, text): (&str, String)| (format!("ce-{name}"), header_value(&text));
        self.attributes().into_iter().map(header).collect()
    }
}

/// An attribute as a header's value: percent-encoded where it is not visible ASCII, and `"` and `%` too (HTTP
/// protocol binding, section 3.1.3.2).
fn header_value(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' | 0..=0x20 | 0x7f.. => value.push_str(&format!("%{byte:02X}")),
            visible => value.push(char::from(visible)),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(data: CloudEventData<'_>) -> CloudEvent<'_> {
        CloudEvent {
            event: EventId::from_u128(5),
            workspace: "default",
            source: Some("crm"),
            event_type: "webhook.received",
            entity: None,
            time: 1_732_226_400_005,
            data,
        }
    }

    fn check(event: CloudEvent<'_>, expected: &str) {
        let body = String::from_utf8(event.to_structured()).unwrap();
        assert_eq!(body, expected);
    }

    #[test]
    fn json_is_data_with_its_numbers_as_they_came() {
        let data = r#"{"id": 9007199254740993, "price": 1.10}"#.parse().unwrap();
        check(
            event(CloudEventData::Json(&data)),
            concat!(
                r#"{"specversion":"1.0","id":"evt_00000000000000000000000005","source":"/default/crm","#,
                r#""type":"webhook.received","time":"2024-11-21T22:00:00.005Z","#,
                r#""datacontenttype":"application/json","data":{"id":9007199254740993,"price":1.10}}"#
            ),
        );
    }

    #[test]
    fn what_is_not_json_is_base64_with_its_own_content_type() {
        let posted = CloudEvent {
            source: None,
            ..event(CloudEventData::Bytes(Some("application/xml"), b"<a/>"))
        };
        check(
            posted,
            concat!(
                r#"{"specversion":"1.0","id":"evt_00000000000000000000000005","source":"/default","#,
                r#""type":"webhook.received","time":"2024-11-21T22:00:00.005Z","#,
                r#""datacontenttype":"application/xml","data_base64":"PGEvPg=="}"#
            ),
        );
    }

    #[test]
    fn an_entity_is_the_subject_and_its_event_has_an_id_of_its_own() {
        let entity = |unique_id: &str| EntityRef {
            entity_type: "customer".to_owned(),
            unique_id: unique_id.to_owned(),
            version: "0.1".to_owned(),
        };
        let headers = |unique_id: &str| {
            let entity = entity(unique_id);
            CloudEvent {
                entity: Some(&entity),
                event_type: "entity.created",
                ..event(CloudEventData::Json(&Json::Null))
            }
            .to_headers()
        };
        let value = |headers: &[(String, String)], wanted: &str| {
            let found = headers.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let (one, other) = (headers("ü 1\"%"), headers("2"));
        assert_eq!(value(&one, "ce-subject"), "%C3%BC%201%22%25");
        assert_eq!(value(&one, "ce-entitytype"), "customer");
        assert_eq!(value(&one, "ce-specversion"), "1.0");
        assert!(value(&one, "ce-id").starts_with("evt_00000000000000000000000005."));
        assert_ne!(value(&one, "ce-id"), value(&other, "ce-id"));
        assert_eq!(
            value(&headers("2"), "ce-id"),
            value(&other, "ce-id"),
            "the same every time"
        );
    }
}
