//! The rule that an order which was lost before can't be kept after: a source without ordering may
//! not be routed to a destination with one.

use crate::{
    destination::{DestinationOrdering, DestinationSpec},
    source::{OrderingMode, SourceSpec},
    validation::FieldError,
};

/// Refuses, at `/ordering`, a route from `source` to `destination` whose order could not be kept.
pub fn check_route(source: &SourceSpec, destination: &DestinationSpec) -> Result<(), FieldError> {
    let lost = source.effective_ordering().mode == OrderingMode::None;
    if !lost || destination.ordering == DestinationOrdering::None {
        return Ok(());
    }
    let detail = format!(
        "source {} keeps no order, so destination {} can't deliver its events in order: give the \
         source an ordering, or set the destination's to none",
        source.name, destination.name
    );
    Err(FieldError {
        code: Some("ordering-lost"),
        ..FieldError::new("/ordering", detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceOrdering;

    fn check(mode: OrderingMode, ordering: DestinationOrdering) -> bool {
        let source = SourceSpec {
            ordering: Some(SourceOrdering { mode, key: None }),
            ..SourceSpec::default()
        };
        check_route(
            &source,
            &DestinationSpec {
                ordering,
                ..DestinationSpec::default()
            },
        )
        .is_ok()
    }

    #[test]
    fn only_an_unordered_source_to_an_ordered_destination_is_refused() {
        use DestinationOrdering as To;
        use OrderingMode as From;
        for (from, to, allowed) in [
            (From::None, To::None, true),
            (From::None, To::Key, false),
            (From::None, To::Destination, false),
            (From::Key, To::Key, true),
            (From::Source, To::Destination, true),
            (From::Source, To::None, true),
        ] {
            assert_eq!(check(from, to), allowed, "{from:?} to {to:?}");
        }
    }
}
