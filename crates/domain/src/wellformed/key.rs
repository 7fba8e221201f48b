//! Follows a plain path through the events of a JSON text.

use crate::json::{Json, Number};
use crate::jsonpath::{PlainPath, PlainStep};
use json_event_parser::JsonEvent;

/// Picks the value at a path. Of members with one name the last counts, as in the parsed tree.
pub(super) struct KeyReader<'p> {
    steps: &'p [PlainStep],
    open: Vec<Container>,
    found: Option<String>,
    /// The list that is being read at the path; `None` in its place once it can be no key.
    list: Option<Vec<Json>>,
}

/// An array or object that is open.
struct Container {
    /// Whether the path leads here.
    on_path: bool,
    /// Whether it is the list at the end of the path.
    is_target: bool,
    /// Whether the next child is on the path; for an array, found out by its index.
    next: Next,
}

enum Next {
    Member(bool),
    Item(usize),
}

impl<'p> KeyReader<'p> {
    pub(super) fn new(path: &'p PlainPath) -> Self {
        Self {
            steps: path.steps(),
            open: Vec::new(),
            found: None,
            list: None,
        }
    }

    /// The key; `None` where nothing at the path can be one.
    pub(super) fn finish(self) -> Option<String> {
        self.found
    }

    pub(super) fn read(&mut self, event: &JsonEvent<'_>) {
        match event {
            JsonEvent::ObjectKey(name) => {
                let depth = self.open.len();
                let steps = self.steps;
                if let Some(open) = self.open.last_mut() {
                    let wanted =
                        matches!(steps.get(depth - 1), Some(PlainStep::Name(step)) if step == name.as_ref());
                    open.next = Next::Member(open.on_path && wanted);
                }
            }
            JsonEvent::StartArray => self.enter(true),
            JsonEvent::StartObject => self.enter(false),
            JsonEvent::EndArray | JsonEvent::EndObject => self.leave(),
            JsonEvent::Eof => {}
            scalar => self.scalar(scalar),
        }
    }

    /// Counts the child that begins here; says whether the path leads to it.
    fn advance(&mut self) -> bool {
        let depth = self.open.len();
        let Some(open) = self.open.last_mut() else {
            return true;
        };
        let wanted = match &mut open.next {
            Next::Member(wanted) => *wanted,
            Next::Item(index) => {
                let wanted = self.steps.get(depth - 1) == Some(&PlainStep::Index(*index));
                *index += 1;
                open.on_path && wanted
            }
        };
        if wanted {
            // What a repeated member said before no longer counts.
            self.found = None;
        }
        wanted
    }

    fn enter(&mut self, is_array: bool) {
        let is_item = self.open.last().is_some_and(|open| open.is_target);
        let on_path = self.advance();
        if is_item {
            // A list with a list or object in it identifies nothing.
            self.list = None;
        }
        let is_target = on_path && is_array && self.open.len() == self.steps.len();
        if is_target {
            self.list = Some(Vec::new());
        }
        let next = if is_array {
            Next::Item(0)
        } else {
            Next::Member(false)
        };
        self.open.push(Container {
            on_path,
            is_target,
            next,
        });
    }

    fn leave(&mut self) {
        if self.open.pop().is_some_and(|closed| closed.is_target) {
            self.found = self
                .list
                .take()
                .and_then(|list| Json::Array(list).identity_text());
        }
    }

    fn scalar(&mut self, event: &JsonEvent<'_>) {
        let is_item = self.open.last().is_some_and(|open| open.is_target);
        let on_path = self.advance();
        if is_item {
            if let Some(list) = &mut self.list {
                list.extend(value(event));
            }
        } else if on_path && self.open.len() == self.steps.len() {
            self.found = value(event).and_then(|value| value.identity_text());
        }
    }
}

fn value(event: &JsonEvent<'_>) -> Option<Json> {
    match event {
        JsonEvent::Null => Some(Json::Null),
        JsonEvent::Boolean(value) => Some(Json::Bool(*value)),
        JsonEvent::Number(text) => Number::parse(text).map(Json::Number),
        JsonEvent::String(text) => Some(Json::String(text.clone().into_owned())),
        _ => None,
    }
}
