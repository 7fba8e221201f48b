//! What people look for: lists with filters and single rows, as the API shows them. Reads only.

pub(crate) mod conditions;
pub mod dead_letters;
pub mod deliveries;
pub mod entities;
pub mod entity_rows;
mod entity_search;
pub mod entity_versions;
pub mod event_search;
pub mod events;
pub mod selections;
pub mod source_status;

use hookrail_domain::Millis;
use hookrail_domain::ids::Id;

/// A span of time, by the time in the ids: from `since`, before `until`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// The first millisecond in it.
    pub since: Option<Millis>,
    /// The first millisecond after it.
    pub until: Option<Millis>,
}

impl Span {
    /// The first possible id in it, and the first one after it.
    pub fn ids<I: Id>(&self) -> (Option<String>, Option<String>) {
        let first = |at: Option<Millis>| at.map(|at| I::from_parts(at.max(0), 0).to_string());
        (first(self.since), first(self.until))
    }
}
