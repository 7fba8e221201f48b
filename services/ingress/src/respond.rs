//! Request-response: a request whose answer is what becomes of its event.
//!
//! The waiting begins before the event is stored, and ends with the answer or with where it will be: once
//! stored, the event goes its way whether or not somebody waits.

use actix_web::HttpResponse;
use actix_web::http::header::HeaderMap;
use hookrail_broker::Noted;
use hookrail_domain::event::{Event, Reply};
use hookrail_domain::ids::EventId;
use hookrail_domain::respond::{Preference, Response};
use hookrail_domain::source::{OnLate, SourceSpec};
use hookrail_runtime::clock::now_ms;
use tokio::time::timeout;

use crate::answer;
use crate::hearing::{Heard, Hearing, look_up};
use crate::intake::Intake;
use crate::refusal::Refusal;
use crate::response_answer::{self, Later};
use crate::state::Worker;
use crate::store_event::{Receipt, store_event};

/// How long the note that an answer is still to come may take; without it the caller is told so and not
/// where.
const NOTE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// An answer, and its name in metrics.
pub(crate) struct Responded {
    pub(crate) answer: HttpResponse,
    pub(crate) outcome: &'static str,
    /// Whether this request's event is in the log; else it repeats another.
    pub(crate) is_stored: bool,
}

impl Responded {
    fn of_another(self) -> Self {
        Self {
            is_stored: false,
            ..self
        }
    }
}

/// What a caller wants to know, and for how long it waits.
struct Asked {
    reply: Reply,
    preference: Preference,
    timeout_ms: i64,
}

/// Takes an event in and answers with its result. What is `held`, its place and its body's
/// memory, is given back as soon as the event is stored.
///
/// # Errors
/// It was not stored, or nobody knows.
pub(crate) async fn respond<H>(
    worker: &Worker,
    intake: &Intake,
    headers: &HeaderMap,
    mut event: Event,
    held: H,
) -> Result<Responded, Refusal> {
    let ingress = &worker.ingress;
    if ingress.fill.answers_are_full() {
        return Err(Refusal::AnswersFull);
    }
    let _waiting = ingress.waiting.enter().ok_or(Refusal::Busy)?;
    let asked = Asked::of(worker, &intake.source.spec, headers, &event);
    if let Some(known) = known(worker, &asked).await? {
        drop((held, event));
        return Ok(asked.answer_to_known(worker, known).await.of_another());
    }
    let hearing = Hearing::of_caller(worker, &asked.reply).await?;
    let event_id = event.id;
    event.reply = Some(asked.reply.clone());
    let receipt = store_event(worker, intake, event).await?;
    drop(held);
    match receipt {
        Receipt::Accepted(_) => Ok(asked
            .hear(worker, hearing, event_id, Some(&asked.reply), false)
            .await),
        Receipt::Duplicate {
            event_id,
            reply: Some(first),
        } => {
            let answered = asked.answer_to_duplicate(worker, hearing, &event_id, &first);
            answered.await.map(Responded::of_another)
        }
        // The first one's caller did not ask for its result.
        receipt @ Receipt::Duplicate { .. } => Ok(Responded {
            answer: answer::receipt(&receipt, intake.acknowledgement.as_ref()),
            outcome: "duplicate",
            is_stored: false,
        }),
    }
}

/// What is stored under the caller's idempotency key.
async fn known(worker: &Worker, asked: &Asked) -> Result<Option<Response>, Refusal> {
    let Some(body_hash) = &asked.reply.body_hash else {
        return Ok(None);
    };
    let found = worker.broker.response(&asked.reply.request).await;
    let found = found.map_err(|error| Refusal::Unknown(error.to_string()))?;
    match found {
        Some(known) if known.body_hash.as_ref().is_some_and(|first| first != body_hash) => {
            Err(Refusal::KeyReused)
        }
        found => Ok(found),
    }
}

impl Asked {
    fn of(worker: &Worker, spec: &SourceSpec, headers: &HeaderMap, event: &Event) -> Self {
        let values = headers.get_all("prefer").filter_map(|value| value.to_str().ok());
        let preference = Preference::read(values);
        let timeout_ms = i64::from(spec.request_response.timeout_ms);
        Self {
            reply: Reply {
                instance: worker.waiters.instance().to_owned(),
                request: event.request_id(),
                deadline: event.accepted_at + timeout_ms,
                waits_until: event.accepted_at + preference.waits_ms(timeout_ms),
                drop_late: spec.request_response.on_late == OnLate::Drop,
                body_hash: event.idempotency_key.as_ref().map(|_| event.body_hash()),
            },
            preference,
            timeout_ms,
        }
    }

    /// The answer to a repetition whose first request is answered, or was told where its answer will be.
    async fn answer_to_known(&self, worker: &Worker, known: Response) -> Responded {
        let event = known.event;
        if known.outcome.is_some() {
            return self.answered(known);
        }
        match Hearing::of_request(worker, &self.reply.request).await {
            // It is noted already that the answer is to come: a second note could hide it.
            Ok(hearing) => self.hear(worker, hearing, event, None, true).await,
            Err(_) => self.later(worker, event, true),
        }
    }

    /// The answer to a repetition that the broker knows: that of the first request.
    async fn answer_to_duplicate(
        &self,
        worker: &Worker,
        hearing: Hearing,
        first_event: &str,
        first: &Reply,
    ) -> Result<Responded, Refusal> {
        let unreadable = |_| Refusal::Unknown("the first event's id can't be read".to_owned());
        let event: EventId = first_event.parse().map_err(unreadable)?;
        let hearing = match first.request == self.reply.request {
            true => hearing,
            // Known by the sender's own id, not by a key: it has another request's answer.
            false => Hearing::of_request(worker, &first.request).await?,
        };
        let of_first = Self {
            reply: Reply {
                waits_until: self.reply.waits_until,
                ..first.clone()
            },
            ..*self
        };
        Ok(of_first.hear(worker, hearing, event, Some(first), true).await)
    }

    /// Waits, and answers. `noting` is where is noted that the answer comes later.
    async fn hear(
        &self,
        worker: &Worker,
        hearing: Hearing,
        event: EventId,
        noting: Option<&Reply>,
        look_first: bool,
    ) -> Responded {
        let until = self.reply.waits_until;
        match hearing.wait(worker, &self.reply, until, look_first).await {
            Heard::Response(response) => self.answered(response),
            Heard::Later => self.come_later(worker, event, noting).await,
        }
    }

    /// The caller's time is up. What was answered at this very moment is found by the note being refused.
    async fn come_later(&self, worker: &Worker, event: EventId, noting: Option<&Reply>) -> Responded {
        let Some(reply) = noting else {
            return match look_up(worker, &self.reply).await {
                Some(response) => self.answered(response),
                None => self.later(worker, event, true),
            };
        };
        let pending = Response {
            event,
            at: now_ms(),
            body_hash: reply.body_hash.clone(),
            outcome: None,
        };
        let note = worker.publisher.note_pending(reply, pending);
        match timeout(NOTE_TIMEOUT, note).await {
            Ok(Ok(Noted::Yes)) => self.later(worker, event, true),
            Ok(Ok(Noted::Before)) => match look_up(worker, reply).await {
                Some(response) => self.answered(response),
                None => self.later(worker, event, true),
            },
            Ok(Err(error)) => {
                tracing::warn!(%error, "it was not noted that an answer comes later");
                self.later(worker, event, false)
            }
            Err(_) => self.later(worker, event, false),
        }
    }

    fn answered(&self, response: Response) -> Responded {
        let outcome = response
            .outcome
            .as_ref()
            .map_or("pending", |outcome| outcome.as_str());
        Responded {
            answer: response_answer::answered(response, self.preference.applied(self.timeout_ms, false)),
            outcome,
            is_stored: true,
        }
    }

    fn later(&self, worker: &Worker, event: EventId, is_noted: bool) -> Responded {
        let token = is_noted.then(|| worker.ingress.late_key.token(&self.reply.request));
        let at_once = self.preference.respond_async && is_noted;
        let later = Later {
            event,
            token,
            applied: self.preference.applied(self.timeout_ms, at_once),
        };
        Responded {
            is_stored: true,
            outcome: if at_once { "accepted" } else { "deadline" },
            answer: if at_once {
                later.accepted()
            } else {
                later.deadline()
            },
        }
    }
}
