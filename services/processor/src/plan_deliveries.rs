//! Planning an event's deliveries: those of the event itself, then those of its entities' changes.

use std::cell::OnceCell;

use hookrail_domain::{
    delivery::EntityRef,
    ids::ReplayId,
    json::{Json, Members},
    plan::{self, Trigger},
    snapshot::Snapshot,
};

use crate::{
    evaluation::{Arrival, Evaluation},
    render_delivery::{self, Rendering},
    rule_findings,
    take_entities::EntityEvent,
};

/// Plans deliveries under the definitions in force.
pub(crate) struct Planner<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// The largest body of a delivery.
    pub(crate) max_body_bytes: usize,
    /// The replay for which events are planned again.
    pub(crate) replay: Option<ReplayId>,
    /// Whether the events were held.
    pub(crate) was_held: bool,
}

impl Planner<'_> {
    /// Plans the deliveries of the event itself, then those of its entities' changes.
    pub(crate) fn plan_all(
        &self,
        arrival: &Arrival,
        data: &Json,
        changes: &[EntityEvent],
        evaluation: &mut Evaluation,
    ) {
        let mut index = 0;
        let event_type = arrival.event.event_type.as_str();
        let itself = Planning {
            arrival,
            event_type,
            data,
            entity: None,
            previous: None,
        };
        self.plan(&itself, &mut index, evaluation);
        self.plan_changes(arrival, changes, &mut index, evaluation);
    }

    /// Plans the deliveries of changes alone, after the `index` that the event has already.
    pub(crate) fn plan_changes(
        &self,
        arrival: &Arrival,
        changes: &[EntityEvent],
        index: &mut u32,
        evaluation: &mut Evaluation,
    ) {
        for change in changes {
            let planning = Planning {
                arrival,
                event_type: change.event_type,
                data: &change.data,
                entity: Some(&change.entity),
                previous: change.previous.as_ref(),
            };
            self.plan(&planning, index, evaluation);
        }
    }

    fn plan(&self, planning: &Planning<'_>, index: &mut u32, evaluation: &mut Evaluation) {
        let made = OnceCell::new();
        let plan = plan::plan(self.snapshot, &planning.trigger(self.replay), index);
        let said = rule_findings::of_route_filters(&planning.arrival.event, &plan.filters);
        evaluation.findings.extend(said);
        for planned in plan.deliveries {
            let findings =
                rule_findings::of_lane_key(self.snapshot, &planning.arrival.event, planning.entity, &planned);
            evaluation.findings.extend(findings);
            let answers = planned.respond && self.is_awaited(planning, evaluation);
            if answers {
                evaluation.responds = Some(planned.id);
            }
            let rendering = Rendering {
                snapshot: self.snapshot,
                arrival: planning.arrival,
                event_type: planning.event_type,
                data: planning.data,
                entity: planning.entity,
                previous: planning.previous,
                max_body_bytes: self.max_body_bytes,
                replay: self.replay,
                was_held: self.was_held,
                made: &made,
                answers,
            };
            match render_delivery::render(&rendering, planned) {
                Ok(delivery) => evaluation.deliveries.push(delivery),
                Err(dead) => evaluation.stillborn.push(*dead),
            }
        }
    }

    /// Whether a caller waits that no delivery answers yet. Whoever waited for what is replayed has been
    /// answered, or has gone.
    fn is_awaited(&self, planning: &Planning<'_>, evaluation: &Evaluation) -> bool {
        let waits = self.replay.is_none() && planning.arrival.event.reply.is_some();
        waits && evaluation.responds.is_none()
    }
}

/// What deliveries are planned for.
struct Planning<'a> {
    arrival: &'a Arrival,
    event_type: &'a str,
    data: &'a Json,
    entity: Option<&'a EntityRef>,
    previous: Option<&'a Members>,
}

impl Planning<'_> {
    fn trigger(&self, replay: Option<ReplayId>) -> Trigger<'_> {
        let event = &self.arrival.event;
        Trigger {
            event: event.id,
            accepted_at: event.accepted_at,
            workspace: event.workspace,
            source: event.source,
            event_type: self.event_type,
            entity: self.entity,
            data: self.data,
            headers: &event.headers,
            query: &event.query,
            method: &event.method,
            ordering_key: event.ordering_key.as_deref(),
            replay,
            partition: self.arrival.partition,
            sequence: self.arrival.sequence,
        }
    }
}
