//! What fetches and their answers say of a source's rules: which work, which don't.

use std::collections::BTreeMap;

use hookrail_domain::{
    delivery::DeliveryStatus, entity::Extraction, fetcher::answer::OTHER_ID, journal::StateRecord,
    snapshot::Snapshot,
};
use hookrail_store::source_warnings::{Finding, WarningKey};

use crate::{
    evaluation::Arrival,
    read_answer::{Answered, MALFORMED},
    rule_findings::{LIMIT_CODES, Said, fine, wrong},
};

/// The code of a fetch that was given up.
const FAILED: &str = "fetch.failed";
/// The fields of the fetcher that an answer says something of.
const FETCHER_FIELDS: [&str; 2] = ["fetcher.entity_path", "fetcher.unique_id"];

/// Which rules did not resolve in an answer, and that the others did.
pub(crate) fn of_answer(
    snapshot: &Snapshot,
    arrival: &Arrival,
    answered: &Answered,
    extraction: &Extraction,
) -> Vec<Said> {
    let event = &arrival.event;
    let Some(source) = event.source else {
        return Vec::new();
    };
    let key = |code, field: &str| WarningKey {
        source,
        code,
        field: field.to_owned(),
    };
    let mut known: Vec<WarningKey> = vec![key(MALFORMED, "fetcher"), key(OTHER_ID, FETCHER_FIELDS[1])];
    for field in FETCHER_FIELDS {
        known.push(key("mapping.unresolved", field));
        known.extend(LIMIT_CODES.map(|code| key(code, field)));
    }
    // Where there is no entity, nothing was looked for in it.
    if !extraction.entities.is_empty() {
        let rules = snapshot
            .source(source)
            .and_then(|source| source.spec.entity.as_ref());
        let rules = rules.filter(|rules| rules.entity_type == answered.fetcher.spec.entity_type);
        let fields = rules.into_iter().flat_map(|rules| rules.fields.keys());
        known.push(key("mapping.unresolved", "title"));
        known.extend(fields.map(|name| key("mapping.unresolved", &format!("fields.{name}"))));
    }
    let mut said: Vec<Said> = known.into_iter().map(|key| (key, fine(event))).collect();
    // After what is fine: the last finding of a rule counts.
    said.extend(extraction.warnings.iter().map(|warning| {
        let finding = wrong(event, &warning.path);
        (key(warning.code, &warning.field), finding)
    }));
    said
}

/// Which sources' fetches were given up, and which work. The warning's path is why.
pub(crate) fn of_fates<'r>(
    records: impl IntoIterator<Item = &'r StateRecord>,
) -> BTreeMap<WarningKey, Finding> {
    let mut findings = BTreeMap::new();
    for record in records {
        let delivery = &record.delivery;
        let (Some(source), Some(_)) = (delivery.source, delivery.fetcher) else {
            continue;
        };
        let at = delivery.accepted_at;
        let finding = match record.status {
            DeliveryStatus::Delivered => Finding::Fine { at },
            DeliveryStatus::Dead => Finding::Wrong {
                path: record
                    .failure
                    .as_ref()
                    .map_or_else(String::new, |failure| failure.detail.clone()),
                event: delivery.event,
                at,
            },
            _ => continue,
        };
        let key = WarningKey {
            source,
            code: FAILED,
            field: "fetcher".to_owned(),
        };
        let is_older = |known: &Finding| time_of(known) > at;
        if !findings.get(&key).is_some_and(is_older) {
            findings.insert(key, finding);
        }
    }
    findings
}

fn time_of(finding: &Finding) -> i64 {
    match finding {
        Finding::Fine { at } | Finding::Wrong { at, .. } => *at,
    }
}

#[cfg(test)]
mod tests {
    use hookrail_domain::{
        delivery::{ErrorCode, Failure},
        event::Origin,
        ids::{DeliveryId, DestinationId, EventId, FetcherId, SourceId, WorkspaceId},
        journal::DeliveryFacts,
    };

    use super::*;

    fn record(status: DeliveryStatus, fetcher: Option<u128>, at: i64) -> StateRecord {
        StateRecord {
            delivery: DeliveryFacts {
                id: DeliveryId::from_u128(1),
                event: EventId::from_u128(2),
                event_type: "webhook.received".to_owned(),
                workspace: WorkspaceId::from_u128(3),
                source: Some(SourceId::from_u128(4)),
                destination: DestinationId::from_u128(5),
                fetcher: fetcher.map(FetcherId::from_u128),
                route: None,
                entity: None,
                lane_key: None,
                origin: Origin {
                    partition: 0,
                    sequence: 1,
                    index: 0,
                },
                accepted_at: at,
                replay: None,
            },
            status,
            epoch: 1,
            attempts: 1,
            next_at: None,
            settled_at: None,
            failure: Some(Failure {
                code: ErrorCode::Status,
                detail: "the receiver answered 500".to_owned(),
            }),
            generation: 0,
            attempt: None,
        }
    }

    fn check(records: &[StateRecord], expected: Option<bool>) {
        let found = of_fates(records);
        let wrong = found
            .values()
            .next()
            .map(|finding| matches!(finding, Finding::Wrong { .. }));
        assert_eq!(wrong, expected, "{records:?}");
    }

    #[test]
    fn the_latest_fate_of_a_source_s_fetches_says_whether_they_work() {
        use DeliveryStatus::{Dead, Delivered, Parked};
        check(&[record(Dead, Some(9), 1)], Some(true));
        check(
            &[record(Dead, Some(9), 1), record(Delivered, Some(9), 2)],
            Some(false),
        );
        check(
            &[record(Dead, Some(9), 2), record(Delivered, Some(9), 1)],
            Some(true),
        );
        check(&[record(Parked, Some(9), 1)], None);
        check(&[record(Dead, None, 1)], None);
    }
}
