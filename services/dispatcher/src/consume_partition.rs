//! One partition's loop: what comes in goes to the order engine, what it decides is carried out.
//!
//! One task owns the engine, so there is no lock. Attempts, records and settlements run beside it
//! and come back as [`Done`]. Any doubt about ownership, or about a record's fate, ends the loop
//! with an error: the partition is then taken over anew, from what the broker has.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;

use hookrail_broker::{DeliveryAcker, DeliveryMessage, DeliveryReader, HandOver, Lease, codec};
use hookrail_domain::{
    Millis,
    delivery::{Attempt, Delivery, ErrorCode, Failure},
    ids::{DeliveryId, DestinationId},
    lane::{
        Action, Arrival, AttemptId, End, Input, LaneKey, Limits, Parking, PartitionLanes, Place, RateRule,
        Send, Settle, Takeover,
    },
    retry::{AttemptResult, Progress, Verdict},
};
use hookrail_runtime::{clock, random};
use tokio::{sync::oneshot, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    error::PartitionError,
    judge_answer, make_request,
    own_partitions::Shared,
    read_ahead::ReadAhead,
    record::Recorder,
    rules::KnownDestinations,
    settle::{settle, until_taken},
};

/// Longest sleep of an idle partition, milliseconds: changed definitions are seen by then.
const IDLE_MS: Millis = 200;
/// The notice that a receiver has answered 410.
const GONE_NOTICE: &str = "destination.gone";
/// How long one wait for a revision of the definitions takes before it is begun again.
const REVISION_WAIT: Duration = Duration::from_secs(1);

/// How a partition's task is told to end.
pub(crate) struct Orders {
    /// At once: the partition is lost.
    pub(crate) stop: CancellationToken,
    /// When nothing is in flight any more: the partition is handed over.
    pub(crate) drain: oneshot::Receiver<()>,
}

/// What came back from beside the loop.
enum Done {
    Attempt {
        id: AttemptId,
        place: Place,
        attempt: Box<Attempt>,
        result: AttemptResult,
    },
    Recorded,
    Settled(Place),
}

struct PartitionTask<'a> {
    shared: &'a Arc<Shared>,
    lease: &'a Lease,
    lanes: PartitionLanes,
    known: KnownDestinations,
    held: HashMap<Place, Arc<Delivery>>,
    /// Attempts that the engine has judged, or is about to, and that the journal does not have yet.
    finished: HashMap<Place, Attempt>,
    acker: DeliveryAcker,
    recorder: Recorder,
    beside: JoinSet<Result<Done, PartitionError>>,
    actions: Vec<Action>,
}

/// Delivers what is in the partition of `lease` until `orders` say otherwise. Says whether it was left
/// clean: nothing that an owner sent can still be on its way.
pub(crate) async fn consume_partition(
    shared: &Arc<Shared>,
    lease: &Lease,
    mut orders: Orders,
) -> Result<HandOver, PartitionError> {
    let reader = DeliveryReader::open(&shared.broker, lease).await?;
    let mut task = PartitionTask::new(shared, lease, &reader);
    let mut reader = ReadAhead::start(reader);
    let mut ahead: Option<(DeliveryMessage, Delivery)> = None;
    let mut draining = false;
    loop {
        task.take_changes();
        if draining && task.is_drained() {
            let clean = task.lanes.is_clean(clock::now_ms());
            return Ok(if clean { HandOver::Clean } else { HandOver::Unclean });
        }
        let revision = ahead.as_ref().map(|(_, delivery)| delivery.revision);
        let wake = task.sleep_ms();
        tokio::select! {
            biased;
            () = orders.stop.cancelled() => return Ok(HandOver::Unclean),
            Ok(()) = &mut orders.drain, if !draining => {
                draining = true;
                task.apply(Input::Drain);
            }
            Some(done) = task.beside.join_next(), if !task.beside.is_empty() => {
                task.done(done.map_err(|error| PartitionError::Beside(error.to_string()))??);
            }
            known = shared.snapshots.wait_for(revision.unwrap_or_default(), REVISION_WAIT), if revision.is_some() => {
                if let (true, Some((message, delivery))) = (known, ahead.take_if(|_| known)) {
                    task.arrive(&message, delivery);
                }
            }
            // What comes while draining stays un-acked, for the next owner.
            Some(message) = reader.next(), if ahead.is_none() => {
                let message = message?;
                if draining {
                    continue;
                }
                let Some(delivery) = task.decode(&message) else { continue };
                match delivery.revision <= shared.snapshots.current().revision() {
                    true => task.arrive(&message, delivery),
                    false => ahead = Some((message, delivery)),
                }
            }
            () = tokio::time::sleep(wake) => task.apply(Input::Tick),
        }
    }
}

impl<'a> PartitionTask<'a> {
    fn new(shared: &'a Arc<Shared>, lease: &'a Lease, reader: &DeliveryReader) -> Self {
        let now = clock::now_ms();
        let takeover = takeover(shared, reader, now);
        Self {
            shared,
            lease,
            lanes: PartitionLanes::new(limits(shared), Parking::Off, takeover, now),
            known: KnownDestinations::default(),
            held: HashMap::new(),
            finished: HashMap::new(),
            acker: reader.acker(),
            recorder: Recorder {
                publisher: shared.publisher.clone(),
                partition: lease.partition(),
                epoch: lease.epoch(),
            },
            beside: JoinSet::new(),
            actions: Vec::new(),
        }
    }

    fn is_drained(&self) -> bool {
        self.lanes.is_drained() && self.beside.is_empty()
    }

    fn sleep_ms(&self) -> Duration {
        let now = clock::now_ms();
        let wake = self
            .lanes
            .next_wake()
            .map_or(IDLE_MS, |at| (at - now).clamp(0, IDLE_MS));
        Duration::from_millis(u64::try_from(wake).unwrap_or_default())
    }

    fn take_changes(&mut self) {
        let snapshot = self.shared.snapshots.current();
        for input in self.known.changes(&snapshot) {
            self.apply(input);
        }
    }

    /// Reads a delivery. One that this version can't read stays un-acked, for a version that can.
    fn decode(&self, message: &DeliveryMessage) -> Option<Delivery> {
        match codec::decode_delivery(&message.payload) {
            Ok(delivery) => Some(delivery),
            Err(error) => {
                let (partition, sequence) = (self.lease.partition(), message.sequence);
                tracing::error!(partition, sequence, %error, "left alone: not a delivery that this version knows");
                self.shared.metrics.unreadable.inc();
                None
            }
        }
    }

    fn arrive(&mut self, message: &DeliveryMessage, delivery: Delivery) {
        let place = Place::Queue(message.sequence);
        if self.lanes.holds(message.sequence) {
            return;
        }
        if let Some(input) = self
            .known
            .introduce(delivery.destination, &self.shared.snapshots.current())
        {
            self.apply(input);
        }
        let arrival = Arrival {
            sequence: message.sequence,
            delivery: delivery.id,
            destination: delivery.destination,
            lane: delivery
                .lane_key
                .is_some()
                .then(|| LaneKey::from_u64(delivery.lane())),
            origin: delivery.replay.is_none().then_some(delivery.origin),
            respond: delivery.reply.is_some(),
            expires_at: None,
            bytes: u32::try_from(message.payload.len()).unwrap_or(u32::MAX),
        };
        self.held.insert(place, Arc::new(delivery));
        self.apply(Input::Arrived(arrival));
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Recorded => {}
            Done::Settled(place) => {
                self.held.remove(&place);
                self.apply(Input::Settled(place));
            }
            Done::Attempt {
                id,
                place,
                attempt,
                result,
            } => {
                self.finished.insert(place, *attempt);
                self.apply(Input::AttemptFinished {
                    attempt: id,
                    result,
                    jitter: random::unit(),
                });
            }
        }
    }

    /// Tells the engine, and carries out what it decides.
    fn apply(&mut self, input: Input) {
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
                place,
                verdict,
                progress,
                ..
            } => self.record(place, verdict, progress),
            Action::Settle(settle) => self.settle(settle),
            Action::DestinationGone {
                destination,
                delivery,
            } => self.tell_gone(destination, delivery),
            Action::Answer { .. } => {}
            // Only where parking is on.
            parking @ (Action::Append { .. }
            | Action::ReadHead(_)
            | Action::ReadTier { .. }
            | Action::WriteLaneState(..)
            | Action::DeleteLaneState(..)) => {
                tracing::error!(?parking, "parking is off, yet something is to be parked")
            }
        }
    }

    fn send(&mut self, send: Send) {
        let delivery = Arc::clone(
            self.held
                .get(&send.place)
                .expect("a delivery is held until it is settled"),
        );
        let (shared, lease) = (Arc::clone(self.shared), self.lease.clone());
        self.beside.spawn(async move {
            // Whatever breaks one delivery stays with that delivery.
            let attempt = AssertUnwindSafe(attempt(&shared, lease.clone(), &delivery, send)).catch_unwind();
            attempt
                .await
                .unwrap_or_else(|_panic| Ok(broken(&delivery, send, lease.epoch())))
        });
    }

    /// Tells the definitions' owner that a receiver wants no more: it is disabled there.
    fn tell_gone(&mut self, destination: DestinationId, delivery: DeliveryId) {
        tracing::warn!(%destination, %delivery, "the receiver is gone (410): it is to be disabled");
        let publisher = self.shared.publisher.clone();
        self.beside.spawn(async move {
            let at = clock::now_ms();
            let notice = format!(r#"{{"destination":"{destination}","delivery":"{delivery}","at":{at}}}"#);
            let id = format!("gone.{delivery}.{at}");
            let payload = bytes::Bytes::from(notice);
            until_taken(|| async {
                publisher
                    .publish_notice(GONE_NOTICE, &id, payload.clone())
                    .await
                    .map(drop)
            })
            .await?;
            Ok(Done::Recorded)
        });
    }

    /// Writes a failed attempt down at once; one that settles its delivery goes with the settlement.
    fn record(&mut self, place: Place, verdict: Verdict, progress: Progress) {
        if matches!(verdict, Verdict::Delivered | Verdict::Dead { .. }) {
            return;
        }
        let Some(attempt) = self.finished.remove(&place) else {
            return;
        };
        let Some(delivery) = self.held.get(&place).map(Arc::clone) else {
            return;
        };
        let recorder = self.recorder.clone();
        self.beside.spawn(async move {
            let failure = attempt.failure.clone();
            until_taken(|| recorder.attempt(&delivery, attempt.clone())).await?;
            until_taken(|| recorder.waits(&delivery, progress, failure.clone())).await?;
            Ok(Done::Recorded)
        });
    }

    fn settle(&mut self, order: Settle) {
        let Some(delivery) = self.held.get(&order.place).map(Arc::clone) else {
            return;
        };
        let attempt = self.finished.remove(&order.place);
        let (recorder, acker) = (self.recorder.clone(), self.acker.clone());
        let metrics = self.shared.metrics.clone();
        self.beside.spawn(async move {
            let failure = attempt.as_ref().and_then(|attempt| attempt.failure.clone());
            let failure = failure.or_else(|| of_end(order.end));
            if let Some(attempt) = attempt {
                until_taken(|| recorder.attempt(&delivery, attempt.clone())).await?;
            }
            let place = settle(recorder, acker, Arc::clone(&delivery), order, failure).await?;
            metrics.settled(order.end);
            let waited = (clock::now_ms() - delivery.accepted_at).max(0);
            metrics.delivered_seconds.observe(waited as f64 / 1000.0);
            Ok(Done::Settled(place))
        });
    }
}

fn limits(shared: &Shared) -> Limits {
    let settings = &shared.settings;
    let per_second = settings.dispatcher_attempts_per_second;
    Limits {
        in_flight: settings.dispatcher_in_flight,
        destination_in_flight: settings.dispatcher_destination_in_flight,
        attempts: RateRule {
            per_second,
            burst: (per_second / 5.0).max(1.0),
        },
        ..Limits::default()
    }
}

/// After an unclean owner, what it may have been sending gets one request time-out to arrive.
fn takeover(shared: &Shared, reader: &DeliveryReader, now: Millis) -> Takeover {
    if !reader.unclean() {
        return Takeover::default();
    }
    let snapshot = shared.snapshots.current();
    let longest = snapshot
        .destinations()
        .map(|destination| destination.spec.timeout_ms)
        .max();
    Takeover {
        delivered: reader.delivered_before(),
        not_before: now + Millis::from(longest.unwrap_or_default()),
    }
}

/// Makes one attempt.
async fn attempt(
    shared: &Shared,
    lease: Lease,
    delivery: &Delivery,
    send: Send,
) -> Result<Done, PartitionError> {
    let started_at = clock::now_ms();
    let snapshot = shared.snapshots.current();
    let made = match snapshot.destination(delivery.destination) {
        Some(destination) => make_request::make_request(delivery, &destination.spec, send.number, started_at)
            .map_err(|error| Failure {
                code: ErrorCode::Render,
                detail: error.to_string(),
            }),
        None => Err(Failure {
            code: ErrorCode::Cancelled,
            detail: "the destination was deleted".to_owned(),
        }),
    };
    let epoch = lease.epoch();
    let (attempt, result) = match made {
        Err(failure) => unsent(failure, send.number, epoch, started_at),
        Ok(made) => {
            shared.metrics.in_flight.inc();
            let check = Arc::new(move || lease.holds());
            let exchange = shared.outbound.send_while(&made.request, check).await;
            shared.metrics.in_flight.dec();
            let exchange = exchange.map_err(|_withheld| PartitionError::Replaced)?;
            let attempt = judge_answer::attempt(&exchange, &made, send.number, epoch, started_at);
            (attempt, judge_answer::result(&exchange, clock::now_ms()))
        }
    };
    log_attempt(shared, delivery, &attempt);
    Ok(Done::Attempt {
        id: send.attempt,
        place: send.place,
        attempt: Box::new(attempt),
        result,
    })
}

/// What a delivery that ended without an attempt failed of.
fn of_end(end: End) -> Option<Failure> {
    let detail = match end {
        End::Dead(_) => "it was given up",
        End::Cancelled(ErrorCode::Expired) => "its caller had gone",
        End::Cancelled(_) => "it was cancelled, or its destination was deleted",
        End::Delivered | End::Stale | End::Moved => return None,
    };
    let (End::Dead(code) | End::Cancelled(code)) = end else {
        return None;
    };
    Some(Failure {
        code,
        detail: detail.to_owned(),
    })
}

/// An attempt that ended in a panic.
fn broken(delivery: &Delivery, send: Send, epoch: u64) -> Done {
    tracing::error!(delivery = %delivery.id, "an attempt panicked");
    let failure = Failure {
        code: ErrorCode::Render,
        detail: "the attempt broke off inside Hookrail".to_owned(),
    };
    let (attempt, result) = unsent(failure, send.number, epoch, clock::now_ms());
    Done::Attempt {
        id: send.attempt,
        place: send.place,
        attempt: Box::new(attempt),
        result,
    }
}

fn unsent(failure: Failure, number: u32, epoch: u64, started_at: Millis) -> (Attempt, AttemptResult) {
    let result = AttemptResult::Failed(failure.code);
    let attempt = Attempt {
        number,
        epoch,
        started_at,
        duration_ms: 0,
        method: String::new(),
        url: String::new(),
        request_headers: Vec::new(),
        status: None,
        response_headers: Vec::new(),
        response_body: Vec::new(),
        failure: Some(failure),
    };
    (attempt, result)
}

fn log_attempt(shared: &Shared, delivery: &Delivery, attempt: &Attempt) {
    let result = attempt
        .failure
        .as_ref()
        .map_or("success", |failure| failure.code.as_str());
    shared.metrics.attempts.with_label_values(&[result]).inc();
    shared
        .metrics
        .attempt_seconds
        .observe(attempt.duration_ms as f64 / 1000.0);
    let trace_id = hookrail_domain::event::trace_id(&delivery.traceparent);
    let (number, status) = (attempt.number, attempt.status);
    match &attempt.failure {
        None => tracing::debug!(trace_id, delivery = %delivery.id, number, status, "attempt delivered"),
        Some(failure) => {
            tracing::info!(trace_id, delivery = %delivery.id, number, status, code = result, detail = %failure.detail, "attempt failed");
        }
    }
}
