//! What a receiver gets of a row: the record's body, and the same as members for a query. Members keep their
//! order, numbers their text; bodies are compact JSON.

use super::{SyncMode, SyncSpec, decide::Operation, rules};
use crate::json::{Json, Members};
use crate::jsonpath::{JsonPath, PlainStep};
use crate::mapping::{MappedEvent, Mapping, MappingError, Request};
use crate::render::{CurrentContext, EventBody, QueryError};

/// The name of the primary key of entities where none is given.
pub const UNIQUE_ID: &str = "unique_id";

/// What a record is made of.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The sync's mode.
    pub mode: SyncMode,
    /// What is told.
    pub operation: Operation,
    /// The prefix of what the record says about itself.
    pub prefix: &'a str,
    /// The number of the record in its run, from 1.
    pub number: u64,
    /// Its members, a compact JSON object.
    pub members: &'a [u8],
}

impl Record<'_> {
    /// The body: `{"_message_id", "_sync_mode", "_type", "payload": {"<prefix>_meta": {…}, …}}`.
    pub fn body(&self) -> Vec<u8> {
        let Self { prefix, number, .. } = self;
        let head = format!(
            r#"{{"_message_id":{},"_sync_mode":"{}","_type":"object","payload":{{"{prefix}_meta":{{"{prefix}_row_num":{number},"{prefix}_sync_op":"{}"}}"#,
            number.saturating_sub(1),
            self.mode.as_str(),
            self.operation.word(self.mode),
        );
        let mut body = head.into_bytes();
        // What is behind the opening brace: members with the closing brace, or that alone.
        match self.members.get(1..) {
            None | Some(b"" | b"}") => body.push(b'}'),
            Some(rest) => {
                body.push(b',');
                body.extend_from_slice(rest);
            }
        }
        body.push(b'}');
        body
    }
}

/// The body of a record in the order of a query: the payload's members, then `_message_id` and `_sync_mode`.
///
/// # Errors
/// It is no record, or one of its members has such a name.
pub fn query_form(body: &[u8]) -> Result<Vec<u8>, QueryError> {
    let record = Json::parse(body)?;
    let payload = record.get("payload").and_then(Json::as_object);
    let mut members = payload.ok_or(QueryError::NoMembers)?.clone();
    for name in ["_message_id", "_sync_mode"] {
        let value = record.get(name).cloned().unwrap_or_default();
        if members.insert(name.to_owned(), value).is_some() {
            return Err(QueryError::Clash(name.to_owned()));
        }
    }
    Ok(Json::Object(members).to_compact_vec())
}

/// Why a row makes no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Its mapping makes nothing of it.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// It is no object.
    #[error("the row is not an object")]
    NoObject,
    /// It is too large.
    #[error("the record has more than {limit} bytes")]
    TooLarge {
        /// The limit, bytes.
        limit: usize,
    },
}

impl SyncSpec {
    /// The members of the record of a row, a compact JSON object.
    ///
    /// # Errors
    /// When the row makes no record of at most `max_bytes`.
    pub fn members_of(&self, row: &Json, max_bytes: usize) -> Result<Vec<u8>, RecordError> {
        let Some(mapping) = &self.mapping else {
            let bytes = row.as_object().map(|_| row.to_compact_vec());
            let bytes = bytes.ok_or(RecordError::NoObject)?;
            return match bytes.len() > max_bytes {
                true => Err(RecordError::TooLarge { limit: max_bytes }),
                false => Ok(bytes),
            };
        };
        let nothing = Json::Null;
        let body = EventBody {
            event_time: 0,
            event_type: crate::event_type::SYNC_RECORD,
            current_context: CurrentContext::Posted(&nothing),
            data: row,
        };
        let request = Request::default();
        Ok(mapping.render(&MappedEvent { body, request }, max_bytes)?)
    }

    /// The values of a row's primary key, as a JSON list; `None` where a part of it is missing or null.
    pub fn key_of(&self, row: &Json) -> Option<Json> {
        rules::key_values(&self.from.primary_key, row).map(Json::from)
    }

    /// The members of the record of a row that has gone: its primary key, each part under the name of the first
    /// member that the mapping makes of it, else under its own.
    pub fn key_members(&self, key: &Json) -> Vec<u8> {
        let columns = self.from.primary_key.iter().map(String::as_str);
        let mut columns: Vec<&str> = columns.collect();
        if columns.is_empty() {
            columns.push(UNIQUE_ID);
        }
        let values = key.as_array().unwrap_or_default();
        let mut members = Members::new();
        for (column, value) in columns.into_iter().zip(values) {
            let name = self.mapping.as_ref().and_then(|mapping| name_of(mapping, column));
            members.insert(name.unwrap_or_else(|| column.to_owned()), value.clone());
        }
        Json::Object(members).to_compact_vec()
    }
}

/// The member that a mapping makes of a column, and of nothing else.
fn name_of(mapping: &Mapping, column: &str) -> Option<String> {
    let is_column = |value: &Json| {
        let text = value.as_str().or_else(|| value.get("$path")?.as_str());
        let path = text.and_then(|text| JsonPath::parse(text).ok());
        let steps = path.as_ref().and_then(JsonPath::plain).map(|plain| plain.steps());
        matches!(steps, Some([PlainStep::Name(name)]) if name == column)
    };
    let members = mapping.definition().as_object()?;
    let (name, _) = members.iter().find(|(_, value)| is_column(value))?;
    // `$$name` is a member called `$name`.
    Some(name.strip_prefix('$').unwrap_or(name).to_owned())
}

/// The text of a primary key by which a record's lane and row are known: a single value as it is, several as a JSON
/// list.
pub fn key_text(key: &Json) -> String {
    match key.as_array() {
        Some([one]) => one.bare_text(),
        _ => key.to_compact_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::flatten;

    const RYAN: &str = r#"{"first_name": "Ryan", "last_name": "Salisbury", "customer_id": 346,
        "email": "ryan.salisbury@sakilacustomer.org", "active": 1}"#;
    const MAPPING: &str = r#"{"my_first_name": "$.first_name", "my_last_name": "$.last_name",
        "email": "$.email", "active": "$.active"}"#;

    fn spec(mapping: &str, key: &str) -> SyncSpec {
        let text = format!(
            r#"{{"name": "s", "from": {{"entities": "customer", "primary_key": {key}}}, "mapping": {mapping},
                "destination": "dst_01ARZ3NDEKTSV4RRFFQ69G5FAV", "meta_prefix": "_valmi"}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn body(spec: &SyncSpec, operation: Operation, number: u64, members: &[u8]) -> String {
        let record = Record {
            mode: spec.mode,
            operation,
            prefix: &spec.meta_prefix,
            number,
            members,
        };
        String::from_utf8(record.body()).unwrap()
    }

    #[test]
    fn a_record_is_byte_for_byte_what_the_other_product_sends() {
        let spec = spec(MAPPING, r#"["customer_id"]"#);
        let members = spec.members_of(&RYAN.parse().unwrap(), 1024).unwrap();
        let body = body(&spec, Operation::Write, 347, &members);
        assert_eq!(
            body,
            concat!(
                r#"{"_message_id":346,"_sync_mode":"upsert","_type":"object","payload":{"#,
                r#""_valmi_meta":{"_valmi_row_num":347,"_valmi_sync_op":"upsert"},"my_first_name":"Ryan","#,
                r#""my_last_name":"Salisbury","email":"ryan.salisbury@sakilacustomer.org","active":1}}"#
            )
        );
        let query = flatten(&Json::parse(&query_form(body.as_bytes()).unwrap()).unwrap()).unwrap();
        assert_eq!(
            query,
            concat!(
                "_valmi_meta__valmi_row_num=347&_valmi_meta__valmi_sync_op=upsert&my_first_name=Ryan",
                "&my_last_name=Salisbury&email=ryan.salisbury%40sakilacustomer.org&active=1",
                "&_message_id=346&_sync_mode=upsert"
            )
        );
    }

    #[test]
    fn a_row_that_has_gone_is_its_key_under_the_names_of_the_mapping() {
        let key: Json = "[346, 1.10]".parse().unwrap();
        for (mapping, expected) in [
            ("null", r#"{"id":346,"part":1.10}"#),
            (
                r#"{"a": "$.x", "b": "$.part", "c": "$['id']"}"#,
                r#"{"c":346,"b":1.10}"#,
            ),
            (
                r#"{"$$a": {"$path": "$.id"}, "b": "{{part}}"}"#,
                r#"{"$a":346,"part":1.10}"#,
            ),
        ] {
            let spec = spec(mapping, r#"["id", "part"]"#);
            assert_eq!(String::from_utf8(spec.key_members(&key)).unwrap(), expected);
        }
        let of_entities = spec("null", "[]");
        let members = of_entities.key_members(&"[\"x\"]".parse().unwrap());
        assert_eq!(
            body(&of_entities, Operation::Delete, 1, &members),
            concat!(
                r#"{"_message_id":0,"_sync_mode":"upsert","_type":"object","payload":{"_valmi_meta":"#,
                r#"{"_valmi_row_num":1,"_valmi_sync_op":"delete"},"unique_id":"x"}}"#
            )
        );
    }

    #[test]
    fn a_record_without_members_is_still_one() {
        let spec = spec(r#"{"a": "$.missing"}"#, "[]");
        let members = spec.members_of(&RYAN.parse().unwrap(), 1024).unwrap();
        let body = body(&spec, Operation::Write, 1, &members);
        assert!(body.ends_with(r#""_valmi_sync_op":"upsert"}}}"#), "{body}");
        assert!(Json::parse(body.as_bytes()).is_ok(), "{body}");
    }

    #[test]
    fn what_makes_no_record_says_why() {
        let whole = spec("null", "[]");
        assert_eq!(whole.members_of(&Json::Null, 9), Err(RecordError::NoObject));
        let found = whole.members_of(&RYAN.parse().unwrap(), 9);
        assert_eq!(found, Err(RecordError::TooLarge { limit: 9 }));
        assert!(spec(MAPPING, "[]").members_of(&RYAN.parse().unwrap(), 9).is_err());
    }

    #[test]
    fn a_member_can_not_take_a_name_of_the_query() {
        let spec = spec(r#"{"_sync_mode": "$.active"}"#, "[]");
        assert_eq!(spec.clash_in_query().as_deref(), Some("_sync_mode"));
        let members = spec.members_of(&RYAN.parse().unwrap(), 1024).unwrap();
        let body = body(&spec, Operation::Write, 1, &members);
        assert_eq!(
            query_form(body.as_bytes()),
            Err(QueryError::Clash("_sync_mode".to_owned()))
        );
    }

    #[test]
    fn numbers_of_keys_keep_their_text() {
        let spec = spec("null", r#"["id", "part"]"#);
        let row: Json = r#"{"part": "a", "id": 9007199254740993, "x": 1}"#.parse().unwrap();
        let key = spec.key_of(&row).unwrap();
        assert_eq!(key_text(&key), r#"[9007199254740993,"a"]"#);
        assert_eq!(spec.key_of(&r#"{"id": 1, "part": null}"#.parse().unwrap()), None);
        assert_eq!(key_text(&"[\"a b\"]".parse().unwrap()), "a b");
    }
}
