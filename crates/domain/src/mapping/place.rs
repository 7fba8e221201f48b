//! Where a mapping's value is: a path into the event's data, or into the whole event.

use crate::json::Json;
use crate::jsonpath::{Budget, BudgetExceeded, JsonPath, PathError, PlainStep};

/// How a path into the whole event begins.
const EVENT: &str = "$event";

/// A path with where it starts.
#[derive(Debug, Clone)]
pub(super) struct Place {
    of_event: bool,
    path: JsonPath,
}

/// What paths start at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Roots<'a> {
    /// The event's data, or the item of an `$each`.
    pub(super) data: &'a Json,
    /// The whole event.
    pub(super) event: &'a Json,
}

impl Place {
    /// Parses `$…` or `$event…`.
    pub(super) fn parse(text: &str) -> Result<Self, PathError> {
        let below = text
            .strip_prefix(EVENT)
            .filter(|below| below.is_empty() || below.starts_with(['.', '[']));
        match below {
            Some(below) => JsonPath::parse(&format!("${below}")).map(|path| Self { of_event: true, path }),
            None => JsonPath::parse(text).map(|path| Self {
                of_event: false,
                path,
            }),
        }
    }

    /// Whether it finds one node at most.
    pub(super) fn is_plain(&self) -> bool {
        self.path.is_plain()
    }

    /// Whether it looks at the whole event, and not only at one of its members that are not `data`.
    pub(super) fn needs_event_data(&self) -> bool {
        let first = self.path.plain().and_then(|plain| plain.steps().first());
        let elsewhere = matches!(first, Some(PlainStep::Name(name)) if name != "data");
        self.of_event && !elsewhere
    }

    /// Whether it starts at the whole event.
    pub(super) fn is_of_event(&self) -> bool {
        self.of_event
    }

    /// What is there.
    pub(super) fn find<'a>(
        &self,
        roots: &Roots<'a>,
        budget: &mut Budget,
    ) -> Result<Vec<&'a Json>, BudgetExceeded> {
        let root = if self.of_event { roots.event } else { roots.data };
        self.path.select_within(root, budget)
    }
}
