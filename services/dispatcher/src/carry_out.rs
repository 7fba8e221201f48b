//! Carries out what the order engine decides: attempts, records and settlements run beside the loop and
//! come back as [`Done`].

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use hookrail_broker::{FoundParked, NoticeKind, StoredParked};
use hookrail_domain::{
    ids::{DeliveryId, DestinationId},
    lane::{
        Action, AttemptId, CommandId, End, Input, LaneId, ParkedSubject, Place, Search, Send, Settle, TierKey,
    },
    retry::{AttemptResult, Progress},
};
use hookrail_runtime::{clock, random};

use crate::{
    answer_caller,
    attempt::{Finished, attempt, broken},
    error::PartitionError,
    large_body::remove_body,
    park::{body_of, parked_arrival},
    partition_task::PartitionTask,
    settle::{settle, until_taken},
};

/// What came back from beside the loop.
pub(crate) enum Done {
    Attempt {
        id: AttemptId,
        finished: Box<Finished>,
        result: AttemptResult,
    },
    Recorded,
    Settled(Place),
    Appended {
        place: Place,
        to: ParkedSubject,
        parked: u64,
    },
    AppendRefused(Place),
    HeadRead(LaneId, Option<Box<StoredParked>>),
    TierRead {
        destination: DestinationId,
        tier: TierKey,
        messages: Vec<StoredParked>,
    },
    StateWritten(LaneId, u64),
    StateRefused(LaneId),
    StateDeleted,
    Found(CommandId, Option<Box<(ParkedSubject, StoredParked)>>),
    NotSearched(CommandId),
}

impl PartitionTask<'_> {
    /// Tells the engine what was parked before it came, destinations first.
    pub(crate) fn load(&mut self, found: FoundParked) {
        let lanes = found.set.lanes.iter().map(|found| found.lane.destination);
        let tiers = found.set.tiers.iter().map(|(destination, ..)| *destination);
        let destinations: std::collections::BTreeSet<DestinationId> = lanes.chain(tiers).collect();
        self.take_changes();
        for destination in destinations {
            self.introduce(destination);
        }
        self.apply(Input::Parked(found.set));
    }

    /// Tells the engine what was done.
    pub(crate) fn done(&mut self, done: Done) {
        match done {
            Done::Recorded | Done::StateDeleted => {}
            Done::Settled(place) => {
                self.bodies.drop_body(place);
                self.apply(Input::Settled(place));
            }
            Done::Attempt { id, finished, result } => {
                self.finished.insert(id, *finished);
                self.apply(Input::AttemptFinished {
                    attempt: id,
                    result,
                    jitter: random::unit(),
                });
                self.finished.remove(&id);
            }
            Done::Appended { place, to, parked } => self.appended(place, to, parked),
            Done::AppendRefused(place) => self.apply(Input::AppendRefused(place)),
            Done::HeadRead(lane, stored) => {
                let message = stored.as_deref().map(|stored| self.read_parked(stored));
                self.apply(Input::HeadRead(lane, message.map(Box::new)));
            }
            Done::TierRead {
                destination,
                tier,
                messages,
            } => {
                let messages = messages.iter().map(|stored| self.read_parked(stored)).collect();
                self.apply(Input::TierRead {
                    destination,
                    tier,
                    messages,
                });
            }
            Done::StateRefused(lane) => self.apply(Input::LaneStateRefused(lane)),
            Done::NotSearched(command) => {
                self.searching = self.searching.saturating_sub(1);
                self.apply(Input::Found(command, Search::Broken));
            }
            Done::Found(command, found) => {
                self.searching = self.searching.saturating_sub(1);
                let search = found.map_or(Search::Nowhere, |found| {
                    Search::Here(found.0, Box::new(self.read_parked(&found.1)))
                });
                self.apply(Input::Found(command, search));
            }
            Done::StateWritten(lane, sequence) => self.apply(Input::LaneStateWritten(lane, sequence)),
        }
    }

    fn read_parked(&mut self, stored: &StoredParked) -> hookrail_domain::lane::ParkedMessage {
        self.bodies.keep_parked(stored);
        parked_arrival(stored)
    }

    /// An outcome that waits for its settlement goes on under the message's new place.
    fn appended(&mut self, place: Place, to: ParkedSubject, parked: u64) {
        self.shared.metrics.parked.inc();
        if let (ParkedSubject::Lane(_), Some(outcome)) = (to, self.outcomes.remove(&place)) {
            self.outcomes.insert(Place::Parked(parked), outcome);
        }
        self.apply(Input::Appended { place, parked });
    }

    /// Tells the engine, and carries out what it decides.
    pub(crate) fn apply(&mut self, input: Input) {
        let mut actions = std::mem::take(&mut self.actions);
        self.lanes.apply(clock::now_ms(), input, &mut actions);
        for action in actions.drain(..) {
            self.carry_out(action);
        }
        self.actions = actions;
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Send(send) => self.send(send),
            Action::Record {
                attempt,
                place,
                progress,
                settles,
                ..
            } => self.record(attempt, place, progress, settles),
            Action::RecordPaused { place, progress } => self.record_paused(place, progress),
            Action::Settle(settle) => self.settle(settle),
            Action::Append {
                place,
                to,
                progress,
                reason,
            } => self.append(place, to, progress, reason),
            Action::ReadHead(lane) => self.read_head(lane),
            Action::ReadTier {
                destination,
                tier,
                after,
                most,
            } => self.read_tier(destination, tier, after, most),
            Action::WriteLaneState(lane, state) => self.write_state(lane, state),
            Action::DeleteLaneState(_, sequence) => self.delete_state(sequence),
            Action::DestinationGone {
                destination,
                delivery,
            } => self.tell_gone(destination, delivery),
            Action::OverQuota {
                destination,
                delivery,
                parked_bytes,
            } => self.tell_over_quota(destination, delivery, parked_bytes),
            Action::CallerInVain { place, .. } => self.tell_in_vain(place),
            Action::Find(command, target) => self.find(command, target),
            Action::Answer { command, answer } => self.answer(command, answer),
        }
    }

    fn send(&mut self, send: Send) {
        let held = self.bodies.get(send.place);
        let (shared, lease, store) = (Arc::clone(self.shared), self.lease.clone(), self.store.clone());
        let fetched = self.fetched.clone();
        self.beside.spawn(async move {
            // Whatever breaks one delivery stays with that delivery.
            let (epoch, again) = (lease.epoch(), (store.clone(), held.clone()));
            match AssertUnwindSafe(attempt(&shared, lease, store, held, &fetched, send))
                .catch_unwind()
                .await
            {
                Ok(done) => done,
                Err(_panic) => broken(again.1, &again.0, send, epoch).await,
            }
        });
    }

    /// Tells the definitions' owner that a receiver wants no more: it is disabled there.
    fn tell_gone(&mut self, destination: DestinationId, delivery: DeliveryId) {
        tracing::warn!(%destination, %delivery, "the receiver is gone (410): it is to be disabled");
        let at = clock::now_ms();
        let notice = format!(r#"{{"destination":"{destination}","delivery":"{delivery}","at":{at}}}"#);
        self.notify(
            NoticeKind::DestinationGone,
            format!("gone.{delivery}.{at}"),
            notice,
        );
    }

    /// Tells the definitions' owner that a destination has used up its share of the parked stream: whoever
    /// subscribes to that is told from there.
    fn tell_over_quota(&mut self, destination: DestinationId, delivery: DeliveryId, parked_bytes: u64) {
        tracing::warn!(%destination, parked_bytes, "the destination has too much parked: what comes now is dead");
        let at = clock::now_ms();
        let notice = format!(
            r#"{{"destination":"{destination}","delivery":"{delivery}","parked_bytes":{parked_bytes},"at":{at}}}"#
        );
        let id = format!("quota.{delivery}.{at}");
        self.notify(NoticeKind::DestinationOverQuota, id, notice);
    }

    fn notify(&mut self, kind: NoticeKind, id: String, notice: String) {
        let publisher = self.shared.publisher.clone();
        self.beside.spawn(async move {
            let payload = bytes::Bytes::from(notice);
            let publish = || async {
                let published = publisher
                    .publish_notice(kind.as_str(), &id, payload.clone())
                    .await;
                published.map(drop)
            };
            until_taken(publish).await?;
            Ok(Done::Recorded)
        });
    }

    /// Writes a failed attempt down at once; one that settles its delivery goes with the settlement.
    fn record(&mut self, attempt: AttemptId, place: Place, progress: Progress, settles: bool) {
        let Some(finished) = self.finished.remove(&attempt) else {
            return;
        };
        if settles {
            self.outcomes.insert(place, finished);
            return;
        }
        // A lane may wait for days; what is unordered goes to its next tier at once.
        if finished.delivery.lane_key.is_some() && matches!(place, Place::Parked(_)) {
            self.bodies.drop_body(place);
        }
        let recorder = self.recorder.clone();
        self.beside.spawn(async move {
            let Finished {
                delivery, attempt, ..
            } = finished;
            until_taken(|| recorder.waits(&delivery, progress, attempt.clone())).await?;
            Ok(Done::Recorded)
        });
    }

    fn settle(&mut self, order: Settle) {
        if matches!(order.end, End::Moved | End::Stale) {
            return self.remove(order.place);
        }
        let (outcome, held) = (self.outcomes.remove(&order.place), self.bodies.get(order.place));
        let (recorder, acker, store) = (self.recorder.clone(), self.acker.clone(), self.store.clone());
        let (shared, responder) = (Arc::clone(self.shared), self.shared.responder.clone());
        self.beside.spawn(async move {
            let (delivery, attempt, answer) = match outcome {
                Some(Finished {
                    delivery,
                    attempt,
                    outcome,
                }) => (delivery, Some(attempt), outcome),
                None => (body_of(held, &store, order.place).await?.delivery, None, None),
            };
            // The caller waits: first of all it is answered. What is recorded first and then not answered
            // would never be.
            answer_caller::answer(
                &responder,
                &shared.metrics,
                &delivery,
                answer,
                attempt.as_deref(),
                order.end,
            )
            .await?;
            settle(&recorder, &delivery, order, attempt).await?;
            take_away(&acker, &store, order.place).await?;
            remove_body(&shared, &delivery.body, order.end).await;
            shared.metrics.settled(order.end);
            // A replay's event may be weeks old: that says nothing of how fast this is.
            if order.end == End::Delivered && delivery.replay.is_none() {
                let waited = (clock::now_ms() - delivery.accepted_at).max(0);
                shared.metrics.delivered_seconds.observe(waited as f64 / 1000.0);
            }
            Ok(Done::Settled(order.place))
        });
    }

    /// Takes a message away of which there is nothing to record.
    fn remove(&mut self, place: Place) {
        let (acker, store) = (self.acker.clone(), self.store.clone());
        self.beside.spawn(async move {
            take_away(&acker, &store, place).await?;
            Ok(Done::Settled(place))
        });
    }
}

/// Acks or deletes a message, and returns once it is surely gone.
async fn take_away(
    acker: &hookrail_broker::DeliveryAcker,
    store: &hookrail_broker::ParkedStore,
    place: Place,
) -> Result<(), PartitionError> {
    match place {
        Place::Queue(sequence) => Ok(acker.ack_confirmed(sequence).await?),
        Place::Parked(sequence) => crate::park::until_answered(|| store.delete(sequence)).await,
    }
}
