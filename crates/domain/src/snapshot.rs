//! The snapshot: the definitions in force, as every worker holds them, and their revision.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    Millis,
    connection::Connection,
    destination::Destination,
    fetcher::{self, Fetcher},
    ids::{ConnectionId, DestinationId, FetcherId, RouteId, SourceId, WorkspaceId},
    route::Route,
    source::Source,
    workspace::Workspace,
};

/// Which definition an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A workspace.
    Workspace(WorkspaceId),
    /// A source.
    Source(SourceId),
    /// A destination.
    Destination(DestinationId),
    /// A route.
    Route(RouteId),
    /// A fetcher.
    Fetcher(FetcherId),
    /// A connection.
    Connection(ConnectionId),
}

/// A definition in force.
#[derive(Debug, Clone, PartialEq)]
pub enum Definition {
    /// A workspace.
    Workspace(Workspace),
    /// A source.
    Source(Box<Source>),
    /// What a source was before it was deleted: for events that it accepted, and for nothing else.
    DeletedSource(Box<Source>),
    /// A destination.
    Destination(Box<Destination>),
    /// A route.
    Route(Box<Route>),
    /// A fetcher.
    Fetcher(Box<Fetcher>),
    /// A connection.
    Connection(Box<Connection>),
}

/// One change of the definitions, the unit in which they are published.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The revision that this change made: one more than the one before.
    pub revision: u64,
    /// What it is about.
    pub key: Key,
    /// What is in force now; `None` = deleted.
    pub definition: Option<Definition>,
}

/// The definitions in force at a revision. Cheap to clone in part: definitions are shared.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    revision: u64,
    /// Each definition's newest revision, deleted ones' too: what is older must not come back.
    revisions: HashMap<Key, u64>,
    workspaces: HashMap<WorkspaceId, Arc<Workspace>>,
    sources: HashMap<SourceId, Arc<Source>>,
    deleted_sources: HashMap<SourceId, Arc<Source>>,
    /// By workspace code and name, current and former.
    names: HashMap<Box<str>, Vec<SourceName>>,
    tokens: HashMap<Box<str>, SourceId>,
    destinations: HashMap<DestinationId, Arc<Destination>>,
    routes: HashMap<RouteId, Arc<Route>>,
    /// Enabled routes of a source, and under `None` those of any source.
    routes_by_source: HashMap<(WorkspaceId, Option<SourceId>), Vec<Arc<Route>>>,
    paused_routes: BTreeSet<RouteId>,
    /// Destinations with `events` of their own.
    subscribers: HashMap<WorkspaceId, Vec<Arc<Destination>>>,
    fetchers: HashMap<FetcherId, Arc<Fetcher>>,
    connections: HashMap<ConnectionId, Arc<Connection>>,
    /// The limits of fetchers, under the ids by which their calls wait.
    fetching: HashMap<DestinationId, Arc<Destination>>,
}

#[derive(Debug, Clone, Copy)]
struct SourceName {
    source: SourceId,
    /// `None` = the current name.
    until: Option<Millis>,
}

impl Snapshot {
    /// The newest revision that it holds.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The revision of a definition's newest change, its deletion included.
    pub fn revision_of(&self, key: Key) -> Option<u64> {
        self.revisions.get(&key).copied()
    }

    /// Takes one change in, unless it is not newer than what is known of its definition: changes may
    /// be published again, beginning with older ones.
    pub fn apply(&mut self, entry: Entry) {
        let known = self.revisions.entry(entry.key).or_default();
        if entry.revision <= *known {
            return;
        }
        *known = entry.revision;
        self.revision = self.revision.max(entry.revision);
        self.put(entry.key, entry.definition);
    }

    /// Forgets a definition that was deleted so long ago that nothing refers to it.
    pub fn forget(&mut self, key: Key) {
        self.put(key, None);
        self.revisions.remove(&key);
    }

    fn put(&mut self, key: Key, definition: Option<Definition>) {
        match key {
            Key::Workspace(id) => match definition {
                Some(Definition::Workspace(workspace)) => {
                    drop(self.workspaces.insert(id, Arc::new(workspace)))
                }
                _ => drop(self.workspaces.remove(&id)),
            },
            Key::Source(id) => match definition {
                Some(Definition::Source(source)) => self.put_source(*source),
                Some(Definition::DeletedSource(source)) => {
                    self.remove_source(id);
                    self.deleted_sources.insert(id, Arc::new(*source));
                }
                _ => self.remove_source(id),
            },
            Key::Destination(id) => match definition {
                Some(Definition::Destination(destination)) => self.put_destination(*destination),
                _ => self.remove_destination(id),
            },
            Key::Route(id) => match definition {
                Some(Definition::Route(route)) => self.put_route(*route),
                _ => self.remove_route(id),
            },
            Key::Fetcher(id) => match definition {
                Some(Definition::Fetcher(fetcher)) => self.put_fetcher(*fetcher),
                _ => self.remove_fetcher(id),
            },
            Key::Connection(id) => match definition {
                Some(Definition::Connection(connection)) => {
                    drop(self.connections.insert(id, Arc::new(*connection)))
                }
                _ => drop(self.connections.remove(&id)),
            },
        }
    }

    /// A workspace.
    pub fn workspace(&self, id: WorkspaceId) -> Option<&Arc<Workspace>> {
        self.workspaces.get(&id)
    }

    /// A source by its id. One that was deleted is found for as long as an event that it accepted may
    /// still be on its way.
    pub fn source(&self, id: SourceId) -> Option<&Arc<Source>> {
        self.sources.get(&id).or_else(|| self.deleted_sources.get(&id))
    }

    /// A source by its id, unless it was deleted.
    pub fn live_source(&self, id: SourceId) -> Option<&Arc<Source>> {
        self.sources.get(&id)
    }

    /// Whether the events of a source are to be held. What one accepted that was deleted since is not.
    pub fn holds(&self, source: SourceId) -> bool {
        self.sources.get(&source).is_some_and(|source| source.spec.paused)
    }

    /// All sources but deleted ones.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.sources.values()
    }

    /// All sources that events may still be queued of, deleted ones among them.
    pub fn known_sources(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.sources.values().chain(self.deleted_sources.values())
    }

    /// The source that answers at `/{path}`, where `path` is `{workspace code}/{name}`: a current
    /// public name first, else a former one that still answers at `now`.
    pub fn source_at(&self, path: &str, now: Millis) -> Option<&Arc<Source>> {
        let names = self.names.get(path)?;
        let current = names.iter().find(|name| name.until.is_none());
        let former = || {
            names
                .iter()
                .filter(|name| name.until.is_some_and(|until| until > now))
                .max_by_key(|n| n.until)
        };
        let source = self.sources.get(&current.or_else(former)?.source)?;
        source.spec.public_name.then_some(source)
    }

    /// The source with this token.
    pub fn source_by_token(&self, token: &str) -> Option<&Arc<Source>> {
        self.sources.get(self.tokens.get(token)?)
    }

    /// A destination.
    pub fn destination(&self, id: DestinationId) -> Option<&Arc<Destination>> {
        self.destinations.get(&id)
    }

    /// All destinations.
    pub fn destinations(&self) -> impl Iterator<Item = &Arc<Destination>> {
        self.destinations.values()
    }

    /// What has the limits of deliveries to `id`: a destination, or a fetcher in the shape of one.
    pub fn receiver(&self, id: DestinationId) -> Option<&Arc<Destination>> {
        self.destinations.get(&id).or_else(|| self.fetching.get(&id))
    }

    /// All that deliveries may go to.
    pub fn receivers(&self) -> impl Iterator<Item = &Arc<Destination>> {
        self.destinations.values().chain(self.fetching.values())
    }

    /// A fetcher.
    pub fn fetcher(&self, id: FetcherId) -> Option<&Arc<Fetcher>> {
        self.fetchers.get(&id)
    }

    /// A connection.
    pub fn connection(&self, id: ConnectionId) -> Option<&Arc<Connection>> {
        self.connections.get(&id)
    }

    /// A route.
    pub fn route(&self, id: RouteId) -> Option<&Arc<Route>> {
        self.routes.get(&id)
    }

    /// The routes whose deliveries wait, enabled or not.
    pub fn paused_routes(&self) -> &BTreeSet<RouteId> {
        &self.paused_routes
    }

    /// The enabled routes that may take events of `source`, oldest first.
    pub fn routes_of(
        &self,
        workspace: WorkspaceId,
        source: Option<SourceId>,
    ) -> impl Iterator<Item = &Arc<Route>> {
        let own = source.and_then(|source| self.routes_by_source.get(&(workspace, Some(source))));
        let of_any = self.routes_by_source.get(&(workspace, None));
        own.into_iter().chain(of_any).flatten()
    }

    /// The destinations that subscribe to event types by themselves, oldest first.
    pub fn subscribers(&self, workspace: WorkspaceId) -> &[Arc<Destination>] {
        self.subscribers.get(&workspace).map_or(&[], Vec::as_slice)
    }

    /// How many definitions it holds: sources, destinations, routes.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.sources.len(), self.destinations.len(), self.routes.len())
    }

    fn put_source(&mut self, source: Source) {
        self.remove_source(source.id);
        let path = |name: &str| format!("{}/{}", source.workspace_code, name).into_boxed_str();
        let id = source.id;
        self.names
            .entry(path(&source.spec.name))
            .or_default()
            .push(SourceName {
                source: id,
                until: None,
            });
        for old in &source.old_names {
            let name = SourceName {
                source: id,
                until: Some(old.until),
            };
            self.names.entry(path(&old.name)).or_default().push(name);
        }
        self.tokens.insert(source.token.clone().into_boxed_str(), id);
        self.sources.insert(id, Arc::new(source));
    }

    fn remove_source(&mut self, id: SourceId) {
        self.deleted_sources.remove(&id);
        let Some(source) = self.sources.remove(&id) else {
            return;
        };
        self.tokens.remove(source.token.as_str());
        let former = source.old_names.iter().map(|old| &old.name);
        for name in std::iter::once(&source.spec.name).chain(former) {
            let path = format!("{}/{}", source.workspace_code, name);
            if let Some(names) = self.names.get_mut(path.as_str()) {
                names.retain(|name| name.source != id);
                if names.is_empty() {
                    self.names.remove(path.as_str());
                }
            }
        }
    }

    fn put_destination(&mut self, destination: Destination) {
        self.remove_destination(destination.id);
        let destination = Arc::new(destination);
        if !destination.spec.events.is_empty() {
            let of_workspace = self.subscribers.entry(destination.workspace).or_default();
            of_workspace.push(Arc::clone(&destination));
            of_workspace.sort_by_key(|d| d.id);
        }
        self.destinations.insert(destination.id, destination);
    }

    fn remove_destination(&mut self, id: DestinationId) {
        let Some(destination) = self.destinations.remove(&id) else {
            return;
        };
        if let Some(of_workspace) = self.subscribers.get_mut(&destination.workspace) {
            of_workspace.retain(|d| d.id != id);
        }
    }

    fn put_fetcher(&mut self, fetcher: Fetcher) {
        self.fetching.insert(
            fetcher::as_destination(fetcher.id),
            Arc::new(fetcher.as_receiver()),
        );
        self.fetchers.insert(fetcher.id, Arc::new(fetcher));
    }

    fn remove_fetcher(&mut self, id: FetcherId) {
        self.fetching.remove(&fetcher::as_destination(id));
        self.fetchers.remove(&id);
    }

    fn put_route(&mut self, route: Route) {
        self.remove_route(route.id);
        let route = Arc::new(route);
        if route.spec.paused {
            self.paused_routes.insert(route.id);
        }
        if route.spec.enabled {
            let of_source = self
                .routes_by_source
                .entry((route.workspace, route.spec.source))
                .or_default();
            of_source.push(Arc::clone(&route));
            of_source.sort_by_key(|r| r.id);
        }
        self.routes.insert(route.id, route);
    }

    fn remove_route(&mut self, id: RouteId) {
        let Some(route) = self.routes.remove(&id) else {
            return;
        };
        self.paused_routes.remove(&id);
        if let Some(of_source) = self
            .routes_by_source
            .get_mut(&(route.workspace, route.spec.source))
        {
            of_source.retain(|r| r.id != id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::RouteSpec;
    use crate::source::{OldName, SourceSpec};

    fn source(id: u128, name: &str, old: &[(&str, Millis)]) -> Source {
        Source {
            id: SourceId::from_u128(id),
            workspace: WorkspaceId::from_u128(1),
            workspace_code: "default".into(),
            token: format!("token-{id}"),
            old_names: old
                .iter()
                .map(|(name, until)| OldName {
                    name: (*name).into(),
                    until: *until,
                })
                .collect(),
            api_keys: vec![],
            spec: SourceSpec {
                name: name.into(),
                ..SourceSpec::default()
            },
        }
    }

    fn put(snapshot: &mut Snapshot, revision: u64, source: Source) {
        let key = Key::Source(source.id);
        snapshot.apply(Entry {
            revision,
            key,
            definition: Some(Definition::Source(Box::new(source))),
        });
    }

    #[test]
    fn a_renamed_source_answers_at_its_old_name_until_that_ends() {
        let mut snapshot = Snapshot::default();
        put(&mut snapshot, 1, source(1, "orders", &[]));
        put(&mut snapshot, 2, source(1, "sales", &[("orders", 100)]));
        let found = |path, now| snapshot.source_at(path, now).map(|s| s.id.as_u128());
        assert_eq!(found("default/sales", 0), Some(1));
        assert_eq!(found("default/orders", 99), Some(1));
        assert_eq!(found("default/orders", 100), None);
        assert_eq!(snapshot.revision(), 2);
    }

    #[test]
    fn a_current_name_wins_over_a_former_one() {
        let mut snapshot = Snapshot::default();
        put(&mut snapshot, 1, source(1, "sales", &[("orders", 100)]));
        put(&mut snapshot, 2, source(2, "orders", &[]));
        assert_eq!(
            snapshot.source_at("default/orders", 0).map(|s| s.id.as_u128()),
            Some(2)
        );
    }

    #[test]
    fn a_deleted_source_leaves_nothing_behind() {
        let mut snapshot = Snapshot::default();
        put(&mut snapshot, 1, source(1, "orders", &[]));
        snapshot.apply(Entry {
            revision: 2,
            key: Key::Source(SourceId::from_u128(1)),
            definition: None,
        });
        assert!(snapshot.source_at("default/orders", 0).is_none());
        assert!(snapshot.source_by_token("token-1").is_none());
        assert!(snapshot.names.is_empty() && snapshot.tokens.is_empty());
    }

    #[test]
    fn a_deleted_source_is_found_by_its_id_only_until_it_is_forgotten() {
        let mut snapshot = Snapshot::default();
        let last = source(1, "orders", &[("sales", 100)]);
        let (id, key) = (last.id, Key::Source(last.id));
        put(&mut snapshot, 1, last.clone());
        let definition = Some(Definition::DeletedSource(Box::new(last.clone())));
        snapshot.apply(Entry {
            revision: 2,
            key,
            definition,
        });
        assert_eq!(snapshot.source(id).map(|found| &**found), Some(&last));
        assert!(snapshot.source_at("default/orders", 0).is_none());
        assert!(snapshot.source_at("default/sales", 0).is_none());
        assert!(snapshot.source_by_token("token-1").is_none());
        assert_eq!(snapshot.sizes().0, 0);
        snapshot.forget(key);
        assert!(snapshot.source(id).is_none() && snapshot.revision_of(key).is_none());
        assert_eq!(snapshot.revision(), 2);
    }

    #[test]
    fn a_source_holds_its_events_while_it_is_paused_and_not_once_it_is_deleted() {
        let mut snapshot = Snapshot::default();
        let (id, mut paused) = (SourceId::from_u128(1), source(1, "orders", &[]));
        assert!(!snapshot.holds(id), "nobody knows it");
        put(&mut snapshot, 1, paused.clone());
        assert!(!snapshot.holds(id));
        paused.spec.paused = true;
        put(&mut snapshot, 2, paused.clone());
        assert!(snapshot.holds(id));
        snapshot.apply(Entry {
            revision: 3,
            key: Key::Source(id),
            definition: Some(Definition::DeletedSource(Box::new(paused))),
        });
        assert!(!snapshot.holds(id));
    }

    #[test]
    fn the_paused_routes_are_those_that_are_paused_now() {
        let mut snapshot = Snapshot::default();
        let key = Key::Route(RouteId::from_u128(1));
        let mut change = |revision, paused: Option<bool>| {
            let route = |paused| Route {
                id: RouteId::from_u128(1),
                workspace: WorkspaceId::from_u128(1),
                spec: RouteSpec {
                    paused,
                    ..RouteSpec::default()
                },
            };
            snapshot.apply(Entry {
                revision,
                key,
                definition: paused.map(|paused| Definition::Route(Box::new(route(paused)))),
            });
            snapshot.paused_routes().len()
        };
        assert_eq!(change(1, Some(true)), 1);
        assert_eq!(change(2, Some(true)), 1);
        assert_eq!(change(3, Some(false)), 0);
        assert_eq!((change(4, Some(true)), change(5, None)), (1, 0));
    }

    #[test]
    fn a_fetcher_is_found_by_its_id_and_as_a_receiver_until_it_is_deleted() {
        let mut snapshot = Snapshot::default();
        let spec = r#"{"name":"f","type":"t","url":"http://h/{{id}}","unique_id":"$.id","timeout_ms":700}"#;
        let fetcher = Fetcher {
            id: FetcherId::from_u128(9),
            workspace: WorkspaceId::from_u128(1),
            spec: serde_json::from_str(spec).unwrap(),
        };
        let (key, place) = (Key::Fetcher(fetcher.id), fetcher::as_destination(fetcher.id));
        snapshot.apply(Entry {
            revision: 1,
            key,
            definition: Some(Definition::Fetcher(Box::new(fetcher.clone()))),
        });
        assert_eq!(snapshot.fetcher(fetcher.id).map(|found| &**found), Some(&fetcher));
        assert_eq!(
            snapshot.receiver(place).map(|found| found.spec.timeout_ms),
            Some(700)
        );
        assert!(snapshot.destination(place).is_none(), "no route leads to it");
        snapshot.apply(Entry {
            revision: 2,
            key,
            definition: None,
        });
        assert!(snapshot.fetcher(fetcher.id).is_none() && snapshot.receiver(place).is_none());
    }

    #[test]
    fn an_older_change_that_comes_again_is_ignored() {
        let mut snapshot = Snapshot::default();
        let key = Key::Source(SourceId::from_u128(1));
        put(&mut snapshot, 5, source(1, "old", &[]));
        put(&mut snapshot, 6, source(1, "new", &[]));
        put(&mut snapshot, 5, source(1, "old", &[]));
        assert!(snapshot.source_at("default/new", 0).is_some());
        snapshot.apply(Entry {
            revision: 7,
            key,
            definition: None,
        });
        put(&mut snapshot, 6, source(1, "new", &[]));
        assert!(snapshot.source_at("default/new", 0).is_none(), "a deletion stays");
        assert_eq!((snapshot.revision(), snapshot.revision_of(key)), (7, Some(7)));
    }
}
