//! Imports: existing objects loaded into a source, a JSON value a line. A line's event has an id that follows
//! from the import and the line's number, so that loading it twice gives one event. Pure.

use crate::{
    Millis,
    event::{Body, Event},
    event_type::WEBHOOK_RECEIVED,
    ids::{EventId, Id, ImportId},
    ownership::JOB_SHARDS,
    partition,
    payload::PayloadError,
    plan::NO_KEY,
    source::{OrderingMode, Source},
    wellformed::{self, KeyPaths},
};

/// The header that marks an imported event.
pub const IMPORT_HEADER: &str = "hookrail-import";
/// What an imported line is.
const CONTENT_TYPE: &str = "application/json";

/// The shard of jobs that works on an import.
pub fn shard_of(import: ImportId) -> u32 {
    (import.as_u128() % u128::from(JOB_SHARDS)) as u32
}

/// What the lines of an import have in common.
#[derive(Debug, Clone, Copy)]
pub struct ImportOf<'a> {
    /// The import.
    pub import: ImportId,
    /// When it was asked for, which is when its events were accepted.
    pub accepted_at: Millis,
    /// The source that takes the lines.
    pub source: &'a Source,
    /// The revision of the definitions in force.
    pub revision: u64,
    /// The raw partitions of the installation.
    pub partitions: u32,
}

impl ImportOf<'_> {
    /// The event of a line; `None` for an empty one. Its partition and ordering key are those that the
    /// ingress would give it.
    ///
    /// # Errors
    /// The line is no JSON value, or one that the ingress would not take.
    pub fn event(&self, number: u64, line: &[u8]) -> Result<Option<Event>, PayloadError> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(None);
        }
        let spec = &self.source.spec;
        let ordering = spec.effective_ordering();
        let place = ordering.key.as_ref().and_then(|key| key.path.as_ref());
        let paths = KeyPaths {
            ordering: place.and_then(|path| path.plain()).cloned(),
            dedupe: None,
        };
        let checked = wellformed::check(Some(CONTENT_TYPE), spec.body_format, line, &[], &paths)?;
        let id = self.event_id(number);
        let scope = self.source.id.as_u128();
        let (partition, ordering_key) = match ordering.mode {
            OrderingMode::None => (partition::of_event(id, self.partitions), None),
            OrderingMode::Source => (partition::of_key(scope, "", self.partitions), None),
            OrderingMode::Key => {
                let key = checked.key.as_deref().unwrap_or(NO_KEY);
                (partition::of_key(scope, key, self.partitions), checked.key)
            }
        };
        Ok(Some(Event {
            id: id.with_partition(partition),
            workspace: self.source.workspace,
            source: Some(self.source.id),
            event_type: WEBHOOK_RECEIVED.to_owned(),
            revision: self.revision,
            accepted_at: self.accepted_at,
            method: "POST".to_owned(),
            query: Vec::new(),
            headers: vec![
                ("content-type".to_owned(), CONTENT_TYPE.to_owned()),
                (IMPORT_HEADER.to_owned(), format!("{}.{number}", self.import)),
            ],
            content_type: Some(CONTENT_TYPE.to_owned()),
            body: Body::inline(line),
            remote_addr: None,
            credential: None,
            ordering_key,
            dedupe_key: None,
            idempotency_key: None,
            current_context: None,
            traceparent: String::new(),
            reply: None,
            internal: false,
        }))
    }

    /// The same for the same line, however often it is loaded; lines in their order.
    fn event_id(&self, number: u64) -> EventId {
        let import = self.import.as_u128().to_be_bytes();
        let hash = partition::hash(&[b"import", &import, &number.to_be_bytes()]);
        let hash = u128::from_be_bytes(hash[..16].try_into().expect("a SHA-256 has 32 bytes"));
        // The ten bits above are the partition's, where one follows from them.
        let spread = hash & 0x3ff;
        let random = (spread << 70) | (u128::from(number & 0xffff_ffff) << 38) | (hash >> 90);
        EventId::from_parts(self.accepted_at, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{SourceId, WorkspaceId};
    use crate::source::SourceSpec;

    fn source(spec: &str) -> Source {
        let spec: SourceSpec = serde_json::from_str(spec).unwrap();
        Source {
            id: SourceId::from_u128(7),
            workspace: WorkspaceId::from_u128(1),
            workspace_code: "default".to_owned(),
            token: String::new(),
            old_names: Vec::new(),
            api_keys: Vec::new(),
            spec,
        }
    }

    fn event(spec: &str, number: u64, line: &str) -> Result<Option<Event>, String> {
        let source = source(spec);
        let of = ImportOf {
            import: ImportId::from_u128(5),
            accepted_at: 1_764_000_000_000,
            source: &source,
            revision: 3,
            partitions: 32,
        };
        of.event(number, line.as_bytes())
            .map_err(|error| error.to_string())
    }

    const KEYED: &str = r#"{"name": "s", "entity": {"type": "t", "unique_id": "$.id"}}"#;

    #[test]
    fn a_line_is_the_same_event_every_time_and_another_line_another() {
        let one = event(KEYED, 1, r#"{"id": 9007199254740993}"#).unwrap().unwrap();
        let again = event(KEYED, 1, "  {\"id\": 9007199254740993}\r")
            .unwrap()
            .unwrap();
        assert_eq!(one, again);
        assert_eq!(one.ordering_key.as_deref(), Some("9007199254740993"));
        let expected = partition::of_key(7, "9007199254740993", 32);
        assert_eq!(one.id.partition(), expected);
        let other = event(KEYED, 2, r#"{"id": 9007199254740993}"#).unwrap().unwrap();
        assert!(other.id > one.id, "lines of one partition sort as they came");
    }

    #[test]
    fn events_of_a_source_in_order_share_a_partition() {
        let spec = r#"{"name": "s", "ordering": {"mode": "source"}}"#;
        let partitions: Vec<u32> = (1..50)
            .map(|n| event(spec, n, "{}").unwrap().unwrap().id.partition())
            .collect();
        assert!(partitions.iter().all(|found| *found == partitions[0]));
        let spread: std::collections::HashSet<u32> = (1..500)
            .map(|n| {
                event(r#"{"name": "s"}"#, n, "{}")
                    .unwrap()
                    .unwrap()
                    .id
                    .partition()
            })
            .collect();
        assert!(spread.len() > 20, "{spread:?}");
    }

    #[test]
    fn empty_lines_are_nothing_and_others_have_to_be_json() {
        assert_eq!(event(KEYED, 1, " \r"), Ok(None));
        assert!(event(KEYED, 1, "{").unwrap_err().contains("JSON"));
        assert!(event(KEYED, 1, "{} {}").is_err());
    }
}
