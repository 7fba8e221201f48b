//! The plan of a page of a sync's run: what is sent, what is remembered, and the counts. Pure.

use hookrail_domain::{
    ids::RunId,
    json::Json,
    partition,
    sync::{
        self, SyncSpec,
        decide::{Decision, KnownRow, Operation, RowStatus, decide},
        merge::Pair,
        record::Record,
    },
};
use hookrail_store::{
    sync_rows::KnownRecord,
    sync_runs::Progress,
    sync_sends::{self, SendRow},
};

use crate::sync_input::{InputRow, lane_key};

/// What a page comes to.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) progress: Progress,
    /// What is known of rows from now on.
    pub(crate) known: Vec<KnownRecord>,
    /// What is sent, in order.
    pub(crate) sends: Vec<SendRow>,
}

/// Whose page it is.
pub(crate) struct Planning<'a> {
    pub(crate) spec: &'a SyncSpec,
    pub(crate) sync: &'a str,
    pub(crate) run: RunId,
    /// When the run was asked for, milliseconds.
    pub(crate) created_at: i64,
    /// Records that the run has sent before.
    pub(crate) sent_before: u64,
}

impl Planning<'_> {
    /// The plan of pairs in the order of their keys.
    pub(crate) fn plan(&self, pairs: Vec<Pair<InputRow, KnownRecord>>) -> Plan {
        let mut plan = Plan::default();
        for pair in pairs {
            match (pair.seen, pair.known) {
                (Some(seen), known) => self.of_seen(seen, known.map(|record| record.known), &mut plan),
                (None, Some(known)) => self.of_gone(known, &mut plan),
                (None, None) => {}
            }
        }
        plan
    }

    fn of_seen(&self, seen: InputRow, known: Option<KnownRow>, plan: &mut Plan) {
        plan.progress.rows_read += 1;
        let (members, hash) = match seen.members {
            Ok(made) => made,
            Err(reason) => {
                plan.progress.failed += 1;
                let told = format!("row {}: {reason}", seen.key);
                plan.progress.failure.get_or_insert(told);
                return;
            }
        };
        let record = |status| KnownRecord {
            row_key: seen.key.clone(),
            key_json: seen.key_json.clone(),
            known: KnownRow { status, hash },
        };
        match decide(self.spec.mode, known, Some(hash)) {
            Decision::Keep => plan.progress.unchanged += 1,
            Decision::Wait => plan.progress.waiting += 1,
            Decision::Learn => {
                plan.progress.learned += 1;
                plan.known.push(record(RowStatus::Learned));
            }
            Decision::Send(operation) => {
                let known = record(match operation {
                    Operation::Write => RowStatus::Writing,
                    Operation::Delete => RowStatus::Deleting,
                });
                self.send(operation, &known, &members, seen.entity_version, plan);
                plan.known.push(known);
            }
        }
    }

    fn of_gone(&self, mut known: KnownRecord, plan: &mut Plan) {
        match decide(self.spec.mode, Some(known.known), None) {
            Decision::Wait => plan.progress.waiting += 1,
            Decision::Send(operation) => {
                let key: Json = known.key_json.parse().unwrap_or_default();
                let members = self.spec.key_members(&key);
                known.known.status = RowStatus::Deleting;
                self.send(operation, &known, &members, None, plan);
                plan.known.push(known);
            }
            Decision::Keep | Decision::Learn => {}
        }
    }

    fn send(
        &self,
        operation: Operation,
        known: &KnownRecord,
        members: &[u8],
        entity_version: Option<String>,
        plan: &mut Plan,
    ) {
        match operation {
            Operation::Write => plan.progress.writes += 1,
            Operation::Delete => plan.progress.deletes += 1,
        }
        let number = self.sent_before + plan.sends.len() as u64 + 1;
        let record = Record {
            mode: self.spec.mode,
            operation,
            prefix: &self.spec.meta_prefix,
            number,
            members,
        };
        let event = sync::event_of(self.run);
        let delivery = partition::delivery_id(event, self.created_at, &["sync", &known.row_key]);
        plan.sends.push(SendRow {
            delivery: delivery.to_string(),
            sync: self.sync.to_owned(),
            run: self.run.to_string(),
            number: i64::try_from(number).unwrap_or(i64::MAX),
            row_key: known.row_key.clone(),
            operation: sync_sends::number_of(operation),
            lane_key: lane_key(self.spec, &known.row_key, &known.key_json),
            entity_version,
            body: Some(record.body()),
            published: 0,
        });
    }
}

#[cfg(test)]
mod tests {
    use hookrail_domain::sync::decide::RowHash;

    use super::*;

    fn seen(key: &str, members: Result<&str, &str>) -> InputRow {
        let members = members.map(|text| (text.as_bytes().to_vec(), RowHash::of(text.as_bytes())));
        InputRow {
            key: key.to_owned(),
            key_json: format!("[\"{key}\"]"),
            members: members.map_err(str::to_owned),
            entity_version: None,
        }
    }

    fn known(key: &str, status: RowStatus, members: &str) -> KnownRecord {
        KnownRecord {
            row_key: key.to_owned(),
            key_json: format!("[\"{key}\"]"),
            known: KnownRow {
                status,
                hash: RowHash::of(members.as_bytes()),
            },
        }
    }

    fn pair(seen: Option<InputRow>, known: Option<KnownRecord>) -> Pair<InputRow, KnownRecord> {
        Pair { seen, known }
    }

    #[test]
    fn a_page_counts_every_row_once_and_numbers_what_it_sends() {
        let spec = r#"{"name": "s", "from": {"entities": "customer", "primary_key": ["id"]}, "mode": "mirror",
            "destination": "dst_01ARZ3NDEKTSV4RRFFQ69G5FAV"}"#;
        let spec: SyncSpec = serde_json::from_str(spec).unwrap();
        let planning = Planning {
            spec: &spec,
            sync: "syn_1",
            run: RunId::from_u128(7),
            created_at: 1_000,
            sent_before: 40,
        };
        let plan = planning.plan(vec![
            pair(Some(seen("a", Ok(r#"{"id":1}"#))), None),
            pair(Some(seen("b", Err("it is broken"))), None),
            pair(Some(seen("c", Ok("{}"))), Some(known("c", RowStatus::Sent, "{}"))),
            pair(
                Some(seen("d", Ok(r#"{"x":1}"#))),
                Some(known("d", RowStatus::Writing, "{}")),
            ),
            pair(None, Some(known("e", RowStatus::Sent, "{}"))),
        ]);
        let progress = &plan.progress;
        assert_eq!(
            (
                progress.rows_read,
                progress.unchanged,
                progress.waiting,
                progress.failed
            ),
            (4, 1, 1, 1)
        );
        assert_eq!((progress.writes, progress.deletes), (1, 1));
        assert_eq!(progress.failure.as_deref(), Some("row b: it is broken"));
        let sent: Vec<_> = plan
            .sends
            .iter()
            .map(|send| (send.number, send.lane_key.as_str()))
            .collect();
        assert_eq!(sent, [(41, "customer:a"), (42, "customer:e")]);
        let statuses: Vec<_> = plan.known.iter().map(|record| record.known.status).collect();
        assert_eq!(statuses, [RowStatus::Writing, RowStatus::Deleting]);
        let body = String::from_utf8(plan.sends[1].body.clone().unwrap()).unwrap();
        assert!(
            body.ends_with(r#""_hookrail_sync_op":"delete"},"id":"e"}}"#),
            "{body}"
        );
    }
}
