//! The answer to a fetch, as an event of Hookrail's own: what it is about, where in the log it belongs, and
//! the entity in it.
//!
//! Such an event has the webhook's source, and an id that follows from the fetch, so that one that is told
//! twice is one. Answers about one entity are in one partition, in the order in which they came. Such an
//! event makes entities and deliveries of their changes; it is never the reason of another fetch.

use super::{Fetcher, FetcherSpec, On404};
use crate::{
    Millis,
    delivery::{Delivery, EntityRef},
    entity::{self, Build, EntityRules, Extracted, Extraction, Warning},
    event::{Body, Event},
    event_type::FETCH_ANSWERED,
    filter::FilterInput,
    ids::{DeliveryId, EventId, FetcherId, Id},
    json::Json,
    jsonpath::JsonPath,
    partition,
};

/// The largest answer where the source is not known any more, bytes.
pub const MAX_ANSWER_BYTES: u64 = 1_048_576;
/// The code of an answer about another entity than the one that was asked for.
pub const OTHER_ID: &str = "fetcher.other_id";
/// The member, and the indexed field, of an entity that its API has no more and that is kept.
pub const MISSING: &str = "_missing";

const FETCHER: &str = "hookrail-fetcher";
const UNIQUE_ID: &str = "hookrail-unique-id";
const STATUS: &str = "hookrail-status";
const FETCH: &str = "hookrail-fetch";
const CAUSE: &str = "hookrail-event";

/// What an answer is about. It travels as headers of its event, where people see it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchAnswer {
    /// Who asked.
    pub fetcher: FetcherId,
    /// The entity that was asked for.
    pub unique_id: String,
    /// The answer's status.
    pub status: u16,
    /// The fetch.
    pub fetch: DeliveryId,
    /// The event that was its reason.
    pub cause: EventId,
}

/// Whether a status says that there is no such entity (RFC 9110, sections 15.5.5 and 15.5.11).
pub fn is_missing(status: u16) -> bool {
    matches!(status, 404 | 410)
}

impl FetchAnswer {
    /// What `event` answers; `None` for any other event than an answer.
    pub fn of(event: &Event) -> Option<Self> {
        if !event.internal || event.event_type != FETCH_ANSWERED {
            return None;
        }
        let header = |wanted: &str| {
            let found = event.headers.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        Some(Self {
            fetcher: header(FETCHER)?.parse().ok()?,
            unique_id: header(UNIQUE_ID)?.to_owned(),
            status: header(STATUS)?.parse().ok()?,
            fetch: header(FETCH)?.parse().ok()?,
            cause: header(CAUSE)?.parse().ok()?,
        })
    }

    fn headers(&self) -> Vec<(String, String)> {
        let pairs = [
            (FETCHER, self.fetcher.to_string()),
            (UNIQUE_ID, self.unique_id.clone()),
            (STATUS, self.status.to_string()),
            (FETCH, self.fetch.to_string()),
            (CAUSE, self.cause.to_string()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// The id of the event that answers `fetch`: the same however often it is answered.
pub fn event_id(fetch: &Delivery, entity: &EntityRef, partitions: u32) -> EventId {
    let (id, generation) = (fetch.id.as_u128().to_be_bytes(), fetch.generation.to_be_bytes());
    let hash = partition::hash(&[b"fetched", &id, &generation]);
    let random = u128::from_be_bytes(hash[..16].try_into().expect("a SHA-256 has 32 bytes"));
    EventId::from_parts(fetch.accepted_at, random).with_partition(of_entity(fetch, entity, partitions))
}

/// The raw partition of all answers about one entity.
fn of_entity(fetch: &Delivery, entity: &EntityRef, partitions: u32) -> u32 {
    let key = format!("{}:{}", entity.entity_type, entity.unique_id);
    partition::of_key(fetch.workspace.as_u128(), &key, partitions)
}

/// What came back for a fetch.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The answer's status.
    pub status: u16,
    /// Its content type.
    pub content_type: Option<String>,
    /// Its body.
    pub body: Body,
    /// When it came.
    pub at: Millis,
    /// The revision of the definitions under which it was asked.
    pub revision: u64,
}

/// The event that says what came back for `fetch`, which is one of `entity` by `fetcher`.
pub fn event(
    fetch: &Delivery,
    fetcher: FetcherId,
    entity: &EntityRef,
    fetched: Fetched,
    partitions: u32,
) -> Event {
    let answer = FetchAnswer {
        fetcher,
        unique_id: entity.unique_id.clone(),
        status: fetched.status,
        fetch: fetch.id,
        cause: fetch.event,
    };
    Event {
        id: event_id(fetch, entity, partitions),
        workspace: fetch.workspace,
        source: fetch.source,
        event_type: FETCH_ANSWERED.to_owned(),
        revision: fetched.revision,
        accepted_at: fetched.at,
        method: String::new(),
        query: Vec::new(),
        headers: answer.headers(),
        content_type: fetched.content_type,
        body: fetched.body,
        remote_addr: None,
        credential: None,
        // By which its entity's deliveries are in one partition, and so in order.
        ordering_key: Some(entity.unique_id.clone()),
        dedupe_key: None,
        idempotency_key: None,
        current_context: None,
        traceparent: fetch.traceparent.clone(),
        reply: None,
        internal: true,
    }
}

/// The rules by which an answer becomes an entity: where it is by the fetcher, what is shown of it by the
/// source, as far as that has entities of the same type.
pub fn rules(fetcher: &FetcherSpec, source: Option<&EntityRules>) -> EntityRules {
    let source = source.filter(|rules| rules.entity_type == fetcher.entity_type);
    let path = fetcher.entity_path.clone();
    EntityRules {
        entity_type: fetcher.entity_type.clone(),
        build: Build::Payload,
        fetcher: None,
        path: path.unwrap_or_else(JsonPath::root),
        unique_id: fetcher.unique_id.clone(),
        title: source.and_then(|rules| rules.title.clone()),
        fields: source.map(|rules| rules.fields.clone()).unwrap_or_default(),
        delete_when: source.and_then(|rules| rules.delete_when.clone()),
        history: source.map_or(EntityRules::DEFAULT_HISTORY, |rules| rules.history),
    }
}

/// The entity `unique_id` in an answer's body, with what is wrong with the rules. An answer may hold others
/// too; they were not asked for, so nothing says that they are in order, and they are left out.
pub fn extract(rules: &EntityRules, input: &FilterInput<'_>, unique_id: &str) -> Extraction {
    let mut extraction = entity::extract_from(rules, input);
    for warning in &mut extraction.warnings {
        warning.field = match warning.field.as_str() {
            "path" => "fetcher.entity_path".to_owned(),
            "unique_id" => "fetcher.unique_id".to_owned(),
            _ => continue,
        };
    }
    let found = extraction.entities.len();
    extraction.entities.retain(|entity| entity.unique_id == unique_id);
    if found > 0 && extraction.entities.is_empty() {
        // Before all others: it is the reason.
        let other = Warning {
            code: OTHER_ID,
            field: "fetcher.unique_id".to_owned(),
            path: rules.unique_id.to_string(),
        };
        extraction.warnings.insert(0, other);
    }
    extraction
}

/// What becomes of an entity that its API has no more: `stored` is its data where it is known. `None`:
/// nothing, since there is none, or since the definition says by now that a fetch fails of it.
pub fn missing(fetcher: &Fetcher, unique_id: &str, stored: Option<Stored<'_>>) -> Option<Extracted> {
    let stored = stored?;
    let mut entity = Extracted {
        unique_id: unique_id.to_owned(),
        title: stored.title.map(str::to_owned),
        fields: stored.fields.as_object().cloned().unwrap_or_default(),
        data: stored.data.clone(),
        deletes: false,
    };
    match fetcher.spec.on_404 {
        On404::Delete => entity.deletes = true,
        On404::Mark => {
            entity.fields.insert(MISSING.to_owned(), Json::Bool(true));
            if let Json::Object(members) = &mut entity.data {
                members.insert(MISSING.to_owned(), Json::Bool(true));
            }
        }
        On404::Fail => return None,
    }
    Some(entity)
}

/// An entity as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// Its data.
    pub data: &'a Json,
    /// Its title.
    pub title: Option<&'a str>,
    /// Its indexed fields, an object.
    pub fields: &'a Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Origin, fetcher::as_destination, ids::WorkspaceId};

    fn fetch() -> Delivery {
        Delivery {
            id: DeliveryId::from_u128(1),
            event: EventId::from_u128(2),
            event_type: "webhook.received".to_owned(),
            workspace: WorkspaceId::from_u128(3),
            source: None,
            destination: as_destination(FetcherId::from_u128(4)),
            fetcher: Some(FetcherId::from_u128(4)),
            route: None,
            entity: None,
            lane_key: None,
            origin: Origin {
                partition: 0,
                sequence: 1,
                index: 0,
            },
            revision: 1,
            accepted_at: 1_764_000_000_000,
            content_type: None,
            headers: Vec::new(),
            body: Body::inline(&b""[..]),
            traceparent: String::new(),
            replay: None,
            reply: None,
            generation: 0,
            attempts_before: 0,
            was_held: false,
        }
    }

    fn entity(unique_id: &str) -> EntityRef {
        EntityRef {
            entity_type: "customer".to_owned(),
            unique_id: unique_id.to_owned(),
            version: String::new(),
        }
    }

    fn fetched(at: Millis) -> Fetched {
        Fetched {
            status: 200,
            content_type: None,
            body: Body::inline(&b"{}"[..]),
            at,
            revision: 7,
        }
    }

    #[test]
    fn an_answer_told_twice_is_one_and_a_retry_s_is_another() {
        let told =
            |fetch: &Delivery, at| event(fetch, FetcherId::from_u128(4), &entity("42"), fetched(at), 32);
        let (first, again) = (told(&fetch(), 5), told(&fetch(), 9));
        assert_eq!((first.id, first.id.partition()), (again.id, again.id.partition()));
        let revived = Delivery {
            generation: 1,
            ..fetch()
        };
        assert_ne!(told(&revived, 5).id, first.id);
        assert_eq!(told(&revived, 5).id.partition(), first.id.partition());
        let answer = FetchAnswer::of(&first).unwrap();
        assert_eq!((answer.unique_id.as_str(), answer.status), ("42", 200));
        assert_eq!((answer.fetch, answer.cause), (fetch().id, fetch().event));
    }

    #[test]
    fn what_a_sender_claims_is_no_answer() {
        let mut claimed = event(&fetch(), FetcherId::from_u128(4), &entity("42"), fetched(5), 32);
        claimed.internal = false;
        assert_eq!(FetchAnswer::of(&claimed), None);
    }

    fn spec(entity_path: &str, on_404: &str) -> FetcherSpec {
        let text = format!(
            r#"{{"name":"f","type":"customer","url":"http://h/{{{{id}}}}","unique_id":"$.id",
                "entity_path":"{entity_path}","on_404":"{on_404}"}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn check(entity_path: &str, body: &str, asked: &str, expected: Result<&str, (&str, &str)>) {
        let body: Json = body.parse().unwrap();
        let input = FilterInput {
            payload: Some(&body),
            headers: &[],
            query: &[],
            method: "",
        };
        let rules = rules(&spec(entity_path, "delete"), None);
        let extraction = extract(&rules, &input, asked);
        let found = extraction
            .entities
            .first()
            .map(|entity| entity.data.to_compact_string());
        let warning = extraction.warnings.first();
        let warning = warning.map(|warning| (warning.code, warning.field.as_str()));
        match expected {
            Ok(data) => assert_eq!((found.as_deref(), warning), (Some(data), None), "{body:?}"),
            Err(expected) => assert_eq!((found, warning), (None, Some(expected)), "{body:?}"),
        }
    }

    #[test]
    fn the_entity_that_was_asked_for_is_taken_and_no_other() {
        check(
            "$.data",
            r#"{"data":{"id":42,"n":1}}"#,
            "42",
            Ok(r#"{"id":42,"n":1}"#),
        );
        check(
            "$.data",
            r#"{"data":[{"id":"41"},{"id":"42"}]}"#,
            "42",
            Ok(r#"{"id":"42"}"#),
        );
        check(
            "$.data",
            r#"{"data":{"id":41}}"#,
            "42",
            Err((OTHER_ID, "fetcher.unique_id")),
        );
        let unresolved = "mapping.unresolved";
        check(
            "$.data",
            r#"{"data":{"n":1}}"#,
            "42",
            Err((unresolved, "fetcher.unique_id")),
        );
        check(
            "$.data",
            r#"{"error":1}"#,
            "42",
            Err((unresolved, "fetcher.entity_path")),
        );
    }

    #[test]
    fn what_is_missing_is_deleted_or_marked_where_it_is_known() {
        let data: Json = r#"{"id":42}"#.parse().unwrap();
        let fields: Json = r#"{"city":"Bern"}"#.parse().unwrap();
        let stored = Stored {
            data: &data,
            title: Some("a"),
            fields: &fields,
        };
        let of = |on_404: &str, stored| {
            let fetcher = Fetcher {
                id: FetcherId::from_u128(4),
                workspace: WorkspaceId::from_u128(3),
                spec: spec("$", on_404),
            };
            missing(&fetcher, "42", stored)
        };
        assert!(of("delete", Some(stored)).is_some_and(|entity| entity.deletes));
        let marked = of("mark", Some(stored)).unwrap();
        assert_eq!(marked.data.to_compact_string(), r#"{"id":42,"_missing":true}"#);
        let fields = Json::Object(marked.fields).to_compact_string();
        assert_eq!(fields, r#"{"city":"Bern","_missing":true}"#);
        assert_eq!((marked.title.as_deref(), marked.deletes), (Some("a"), false));
        assert_eq!((of("mark", None), of("fail", Some(stored))), (None, None));
    }
}
