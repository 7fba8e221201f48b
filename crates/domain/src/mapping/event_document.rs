//! The event that a mapping is applied to: its data, and the whole of it as `$event` shows it: the body of
//! the format `event`, with the `request` that brought it.

use super::{expression::Expression, place::Place, template::Part};
use crate::json::{Json, Members};
use crate::render::EventBody;

/// The request that brought an event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Its method; empty for an event that no request brought.
    pub method: &'a str,
    /// Its query, in order, decoded.
    pub query: &'a [(String, String)],
    /// Its headers, in order; names in lower case; without credentials.
    pub headers: &'a [(String, String)],
}

/// The event that a mapping is applied to.
#[derive(Debug, Clone, Copy)]
pub struct MappedEvent<'a> {
    /// What the format `event` would say.
    pub body: EventBody<'a>,
    /// What brought it.
    pub request: Request<'a>,
}

/// How much of the whole event a mapping looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// The data alone.
    Data,
    /// Also the event's other members.
    Around,
    /// Also the data, as a member of the event.
    Whole,
}

impl<'a> MappedEvent<'a> {
    /// The event's data.
    pub(super) fn data(&self) -> &'a Json {
        self.body.data
    }

    /// What `$event` shows, as far as it is looked at: copying the data is left out where nobody does.
    pub(super) fn document(&self, reach: Reach) -> Json {
        if reach == Reach::Data {
            return Json::Null;
        }
        let around = EventBody {
            data: &Json::Null,
            ..self.body
        };
        let document = Json::parse(&around.to_bytes());
        let mut document = document.expect("the body of an event is JSON");
        if let Json::Object(members) = &mut document {
            if reach == Reach::Whole {
                members.insert("data".to_owned(), self.body.data.clone());
            }
            members.insert("request".to_owned(), self.request.document());
        }
        document
    }
}

impl Request<'_> {
    fn document(&self) -> Json {
        Json::from([
            ("method", Json::from(self.method)),
            ("query", Json::Object(by_name(self.query))),
            ("headers", Json::Object(by_name(self.headers))),
        ])
    }
}

/// Pairs as members; what comes more than once is a list.
fn by_name(pairs: &[(String, String)]) -> Members {
    let mut members = Members::new();
    for (name, value) in pairs {
        let value = Json::from(value.as_str());
        match members.get_mut(name) {
            None => drop(members.insert(name.clone(), value)),
            Some(Json::Array(values)) => values.push(value),
            Some(first) => *first = Json::Array(vec![std::mem::take(first), value]),
        }
    }
    members
}

impl Expression {
    /// Whether it looks at the whole event.
    pub(super) fn looks_at_event(&self) -> bool {
        self.reach() > Reach::Data
    }

    /// How much of the whole event it looks at.
    pub(super) fn reach(&self) -> Reach {
        let of = |place: &Place| match (place.is_of_event(), place.needs_event_data()) {
            (false, _) => Reach::Data,
            (true, false) => Reach::Around,
            (true, true) => Reach::Whole,
        };
        let of_part = |part: &Part| match part {
            Part::Text(_) => Reach::Data,
            Part::Found(place) => of(place),
        };
        match self {
            Self::Constant(_) => Reach::Data,
            Self::Found { place, .. } => of(place),
            Self::Template { parts, .. } => parts.iter().map(of_part).max().unwrap_or(Reach::Data),
            Self::Object(members) => members
                .iter()
                .map(|(_, value)| value.reach())
                .max()
                .unwrap_or(Reach::Data),
            Self::List(items) => items.iter().map(Self::reach).max().unwrap_or(Reach::Data),
            Self::Each { place, item } => of(place).max(item.reach()),
        }
    }
}
