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
/// Searches of the parked stream at once; who asks for more is asked to come again.
const SEARCHES_MAX: usize = 4;
/// Lanes of one answer.
const LANES_MAX: u32 = 256;

/// The requests that were not forgotten yet; `W` is who waits for an answer.
pub(crate) struct Commands<W = Asked> {
    by_id: HashMap<String, State<W>>,
    order: VecDeque<String>,
    waiting: HashMap<CommandId, String>,
    next: u64,
}

enum State<W> {
    /// Not answered yet, and who waits.
    Waiting(Vec<W>),
    Answered(CommandAnswer),
}

impl<W> Default for Commands<W> {
    fn default() -> Self {
        Self {
            by_id: HashMap::new(),
            order: VecDeque::new(),
            waiting: HashMap::new(),
            next: 0,
        }
    }
}

impl<W> Commands<W> {
    /// The number of a new request, or nothing for one that is known: then `asked` waits with the others,
    /// or gets the answer back with it.
    fn note(&mut self, id: &str, asked: W) -> Noted<W> {
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
    fn answered(&mut self, command: CommandId, answer: CommandAnswer) -> Vec<W> {
        let Some(id) = self.waiting.remove(&command) else {
            return Vec::new();
        };
        let state = match answer {
            CommandAnswer::Busy | CommandAnswer::NotFound => {
                self.order.retain(|known| *known != id);
                self.by_id.remove(&id)
            }
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

enum Noted<W> {
    New(CommandId),
    Known,
    Answered(W, CommandAnswer),
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
        self.searching += 1;
        let too_many = self.searching > SEARCHES_MAX;
        self.beside.spawn(async move {
            if too_many {
                return Ok(Done::NotSearched(command));
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn new(commands: &mut Commands<u32>, id: &str, waiter: u32) -> CommandId {
        match commands.note(id, waiter) {
            Noted::New(command) => command,
            Noted::Known | Noted::Answered(..) => panic!("{id} is new"),
        }
    }

    #[test]
    fn a_request_that_comes_again_is_done_once_and_answered_every_time() {
        let mut commands = Commands::default();
        let command = new(&mut commands, "a", 1);
        assert!(matches!(commands.note("a", 2), Noted::Known));
        assert_eq!(commands.answered(command, CommandAnswer::Done), [1, 2]);
        assert!(matches!(
            commands.note("a", 3),
            Noted::Answered(3, CommandAnswer::Done)
        ));
        assert!(commands.answered(command, CommandAnswer::Done).is_empty());
    }

    #[test]
    fn one_that_was_told_to_come_again_is_new_when_it_does() {
        for answer in [CommandAnswer::Busy, CommandAnswer::NotFound] {
            let mut commands = Commands::default();
            let command = new(&mut commands, "a", 1);
            assert_eq!(commands.answered(command, answer), [1]);
            assert_ne!(new(&mut commands, "a", 2), command);
        }
    }

    #[test]
    fn only_so_many_are_remembered() {
        let mut commands = Commands::default();
        for number in 0..REMEMBERED_MAX + 10 {
            let command = new(&mut commands, &number.to_string(), 0);
            commands.answered(command, CommandAnswer::Done);
        }
        assert_eq!(commands.by_id.len(), REMEMBERED_MAX);
        assert!(commands.order.len() <= REMEMBERED_MAX && commands.waiting.is_empty());
    }
}
