//! How long events are kept: what each source says, and one rule for all others.

use crate::{Millis, ids::SourceId, snapshot::Snapshot};

/// The retentions in force.
#[derive(Debug, Clone, Copy)]
pub struct RetentionRules<'a> {
    snapshot: &'a Snapshot,
    other: Millis,
}

impl<'a> RetentionRules<'a> {
    /// Those of the sources of `snapshot`; `other_s` seconds for events that were posted, Hookrail's own, and
    /// those of sources that were deleted.
    pub fn new(snapshot: &'a Snapshot, other_s: u64) -> Self {
        Self {
            snapshot,
            other: millis(other_s),
        }
    }

    /// How long the events of a source are kept; none = events without one.
    pub fn of(&self, source: Option<SourceId>) -> Millis {
        let live = source.and_then(|source| self.snapshot.live_source(source));
        live.map_or(self.other, |source| millis(source.spec.retention.events_s))
    }

    /// How long the events are kept that are kept longest.
    pub fn longest(&self) -> Millis {
        self.all().max().unwrap_or(self.other)
    }

    /// How long the events are kept that are kept shortest.
    pub fn shortest(&self) -> Millis {
        self.all().min().unwrap_or(self.other)
    }

    fn all(&self) -> impl Iterator<Item = Millis> {
        let sources = self.snapshot.sources();
        let own = sources.map(|source| millis(source.spec.retention.events_s));
        own.chain([self.other])
    }
}

fn millis(seconds: u64) -> Millis {
    Millis::try_from(seconds.saturating_mul(1000)).unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::WorkspaceId,
        snapshot::{Definition, Entry, Key},
        source::{Retention, Source, SourceSpec},
    };

    fn source(id: u128, events_s: u64) -> Source {
        Source {
            id: SourceId::from_u128(id),
            workspace: WorkspaceId::from_u128(1),
            workspace_code: "default".into(),
            token: format!("token-{id}"),
            old_names: vec![],
            api_keys: vec![],
            spec: SourceSpec {
                name: format!("s{id}"),
                retention: Retention { events_s },
                ..SourceSpec::default()
            },
        }
    }

    fn snapshot(definitions: Vec<(u128, Definition)>) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (revision, (id, definition)) in (1..).zip(definitions) {
            snapshot.apply(Entry {
                revision,
                key: Key::Source(SourceId::from_u128(id)),
                definition: Some(definition),
            });
        }
        snapshot
    }

    #[test]
    fn a_source_says_how_long_its_events_are_kept_until_it_is_deleted() {
        let snapshot = snapshot(vec![
            (1, Definition::Source(Box::new(source(1, 60)))),
            (2, Definition::Source(Box::new(source(2, 9_000)))),
            (3, Definition::DeletedSource(Box::new(source(3, 1_000_000)))),
        ]);
        let rules = RetentionRules::new(&snapshot, 600);
        for (source, expected) in [
            (Some(1), 60_000),
            (Some(2), 9_000_000),
            (Some(3), 600_000),
            (Some(4), 600_000),
            (None, 600_000),
        ] {
            assert_eq!(rules.of(source.map(SourceId::from_u128)), expected, "{source:?}");
        }
        assert_eq!((rules.shortest(), rules.longest()), (60_000, 9_000_000));
    }

    #[test]
    fn without_sources_one_rule_is_for_all() {
        let snapshot = Snapshot::default();
        let rules = RetentionRules::new(&snapshot, u64::MAX);
        assert_eq!((rules.shortest(), rules.longest()), (Millis::MAX, Millis::MAX));
    }
}
