//! What people ask of this partition's deliveries: it goes to the order engine, and its answer to whoever
//! asked. A request that comes again under the same id is done once and answered every time.

use std::collections::{HashMap, VecDeque};

use hookrail_broker::{
    Asked, ParkedStore, ReaderError,
    codec::{Ask, OwnerAnswer, OwnerRequest},
};
use hookrail_domain::{
    ids::DestinationId,
    lane::{Command, CommandAnswer, CommandId, Input, LaneKey, Target, WaitingLane},
};

use crate::{carry_out::Done, partition_task::PartitionTask};

/// Requests whose answers are remembered; of more, the oldest are forgotten.
const REMEMBERED_MAX: usize = 1_000;
/// Lanes of one answer.
const LANES_MAX: u32 = 256;

/// The requests that were not forgotten yet.
#[derive(Default)]
pub(crate) struct Commands {
    by_id: HashMap<String, State>,
    order: VecDeque<String>,
    waiting: HashMap<CommandId, String>,
    next: u64,
}

enum State {
    /// Not answered yet, and who waits.
    Waiting(Vec<Asked>),
    Answered(CommandAnswer),
}

impl Commands {
    /// The number of a new request, or nothing for one that is known: then `asked` waits with the others,
    /// or gets the answer back with it.
    fn note(&mut self, id: &str, asked: Asked) -> Noted {
        match self.by_id.get_mut(id) {
            Some(State::Waiting(waiting)) => {
                waiting.push(asked);
                Noted::Known
            }
            Some(State::Answered(answer)) => Noted::Answered(asked, *answer),
            None => {
                self.next += 1;
                let command = CommandId(self.next);
                self.by_id.insert(id.to_owned(), State::Waiting(vec![asked]));
                self.order.push_back(id.to_owned());
                self.waiting.insert(command, id.to_owned());
                self.forget_oldest();
                Noted::New(command)
            }
        }
    }

    /// Those who wait for the answer. One that says to come again is not remembered.
    fn answered(&mut self, command: CommandId, answer: CommandAnswer) -> Vec<Asked> {
        let Some(id) = self.waiting.remove(&command) else {
            return Vec::new();
        };
        let state = match answer {
            CommandAnswer::Busy | CommandAnswer::NotFound => self.by_id.remove(&id),
            _ => self.by_id.insert(id, State::Answered(answer)),
        };
        match state {
            Some(State::Waiting(asked)) => asked,
            _ => Vec::new(),
        }
    }

    fn forget_oldest(&mut self) {
        while self.order.len() > REMEMBERED_MAX {
            if let Some(id) = self.order.pop_front() {
                self.by_id.remove(&id);
            }
        }
    }
}

enum Noted {
    New(CommandId),
    Known,
    Answered(Asked, CommandAnswer),
}

impl PartitionTask<'_> {
    /// Takes a request.
    pub(crate) fn request(&mut self, request: OwnerRequest, asked: Asked) {
        match request.ask {
            Ask::Lanes {
                destination,
                after,
                most,
            } => self.list_lanes(destination, after, most, asked),
            Ask::Command(verb, target) => match self.commands.note(&request.id, asked) {
                Noted::New(id) => {
                    self.introduce(target.destination);
                    self.apply(Input::Command(Command { id, verb, target }));
                }
                Noted::Known => {}
                Noted::Answered(asked, answer) => self.tell(vec![asked], OwnerAnswer::Outcome(answer)),
            },
        }
    }

    /// The engine has an answer.
    pub(crate) fn answer(&mut self, command: CommandId, answer: CommandAnswer) {
        let asked = self.commands.answered(command, answer);
        self.tell(asked, OwnerAnswer::Outcome(answer));
    }

    /// The engine wants a delivery found.
    pub(crate) fn find(&mut self, command: CommandId, target: Target) {
        let store = self.store.clone();
        self.beside.spawn(async move {
            match store.find(&target).await {
                Ok(found) => Ok(Done::Found(command, found.map(Box::new))),
                Err(ReaderError::Broker(error)) => {
                    tracing::warn!(delivery = %target.delivery, %error, "a delivery was not found in time");
                    Ok(Done::NotSearched(command))
                }
                Err(error) => Err(error.into()),
            }
        });
    }

    fn tell(&mut self, asked: Vec<Asked>, answer: OwnerAnswer) {
        if asked.is_empty() {
            return;
        }
        self.beside.spawn(async move {
            for asked in asked {
                asked.answer(&answer).await;
            }
            Ok(Done::Recorded)
        });
    }

    fn list_lanes(&mut self, destination: DestinationId, after: Option<LaneKey>, most: u32, asked: Asked) {
        let after = after.map(|key| hookrail_domain::lane::LaneId { destination, key });
        let most = most.min(LANES_MAX) as usize;
        let lanes = self.lanes.waiting_lanes(destination, after, most);
        let store = self.store.clone();
        self.beside.spawn(async move {
            asked
                .answer(&OwnerAnswer::Lanes(with_heads(&store, lanes).await))
                .await;
            Ok(Done::Recorded)
        });
    }
}

/// Heads that are not in memory are looked up; one that can't be read now is left out.
async fn with_heads(store: &ParkedStore, mut lanes: Vec<WaitingLane>) -> Vec<WaitingLane> {
    for lane in lanes.iter_mut().filter(|lane| lane.head.is_none()) {
        if let Ok(Some(first)) = store.first(lane.lane).await {
            lane.head = Some(first.parked.delivery.id);
            lane.progress = first.parked.progress;
        }
    }
    lanes
}
