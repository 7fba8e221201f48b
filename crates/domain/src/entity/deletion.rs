//! The event by which a person deletes an entity: it goes through the log as senders' events do, so that it
//! keeps its place among them.

use crate::event::Event;
use crate::event_type::ENTITY_DELETED;
use crate::json::Json;

/// Which entity is to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityDeletion {
    /// Its type.
    pub entity_type: String,
    /// Its unique id.
    pub unique_id: String,
}

impl EntityDeletion {
    /// Whether an event is one. Neither a sender nor who posts events can make one: theirs have other types,
    /// and are not Hookrail's own.
    pub fn is_in(event: &Event) -> bool {
        event.internal && event.event_type == ENTITY_DELETED
    }

    /// The event's body.
    pub fn to_json(&self) -> Json {
        Json::from([
            ("type", Json::from(self.entity_type.as_str())),
            ("unique_id", self.unique_id.as_str().into()),
        ])
    }

    /// Reads the event's body; `None` where it names no entity.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let body = Json::parse(body).ok()?;
        let text = |name| body.get(name)?.as_str().map(str::to_owned);
        Some(Self {
            entity_type: text("type")?,
            unique_id: text("unique_id")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_is_read_as_it_was_written() {
        let deletion = EntityDeletion {
            entity_type: "customer".to_owned(),
            unique_id: r#"["a",1]"#.to_owned(),
        };
        assert_eq!(
            EntityDeletion::parse(&deletion.to_json().to_compact_vec()),
            Some(deletion)
        );
        for body in [
            "",
            "[]",
            r#"{"type":"customer"}"#,
            r#"{"type":"customer","unique_id":5}"#,
        ] {
            assert_eq!(EntityDeletion::parse(body.as_bytes()), None, "{body}");
        }
    }
}
