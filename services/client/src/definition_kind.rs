//! The kinds of definitions that a file can hold: where the API has them, and which of their fields name others.

use hookrail_domain::connection::ConnectionSpec;
use hookrail_domain::destination::DestinationSpec;
use hookrail_domain::fetcher::FetcherSpec;
use hookrail_domain::json::Json;
use hookrail_domain::route::RouteSpec;
use hookrail_domain::source::SourceSpec;
use hookrail_domain::sync::SyncSpec;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A kind of definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    EventTypes,
    Connections,
    Fetchers,
    Sources,
    Destinations,
    Routes,
    Syncs,
}

/// Members that the service adds to what was written.
const READ_ONLY: [&str; 8] = [
    "id",
    "workspace",
    "created_at",
    "updated_at",
    "etag",
    "status",
    "ingest_url",
    "token_url",
];

impl Kind {
    /// All, each behind those that it may name.
    pub(crate) const ALL: [Self; 7] = [
        Self::EventTypes,
        Self::Connections,
        Self::Fetchers,
        Self::Sources,
        Self::Destinations,
        Self::Routes,
        Self::Syncs,
    ];

    /// Its key in a file, which is its path in the API but for the sign between words.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::EventTypes => "event_types",
            Self::Connections => "connections",
            Self::Fetchers => "fetchers",
            Self::Sources => "sources",
            Self::Destinations => "destinations",
            Self::Routes => "routes",
            Self::Syncs => "syncs",
        }
    }

    /// The path of all of them.
    pub(crate) fn path(self) -> String {
        format!("/{}", self.key().replace('_', "-"))
    }

    /// One of them.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::EventTypes => "event type",
            Self::Connections => "connection",
            Self::Fetchers => "fetcher",
            Self::Sources => "source",
            Self::Destinations => "destination",
            Self::Routes => "route",
            Self::Syncs => "sync",
        }
    }

    /// What its ids begin with.
    pub(crate) fn id_prefix(self) -> &'static str {
        match self {
            Self::EventTypes => "",
            Self::Connections => "con_",
            Self::Fetchers => "ftc_",
            Self::Sources => "src_",
            Self::Destinations => "dst_",
            Self::Routes => "rte_",
            Self::Syncs => "syn_",
        }
    }

    /// The fields that name a definition of another kind: by its id in the API, by its name in a file.
    pub(crate) fn references(self) -> &'static [(&'static [&'static str], Kind)] {
        match self {
            Self::Sources => &[(&["entity", "fetcher"], Self::Fetchers)],
            Self::Routes => &[
                (&["source"], Self::Sources),
                (&["destination"], Self::Destinations),
            ],
            Self::Syncs => &[
                (&["destination"], Self::Destinations),
                (&["from", "connection"], Self::Connections),
            ],
            Self::EventTypes | Self::Connections | Self::Fetchers | Self::Destinations => &[],
        }
    }

    /// Whether saving one asks its receiver.
    pub(crate) fn is_probed(self) -> bool {
        self == Self::Destinations
    }

    /// A definition as the service would show it: what is not said has its default, secrets are hints.
    ///
    /// # Errors
    /// What can't be read, by this version's rules.
    pub(crate) fn completed(self, written: &Json) -> Result<Json, String> {
        match self {
            Self::Sources => {
                let mut spec: SourceSpec = read(written)?;
                spec.ordering = Some(spec.effective_ordering());
                shown(&spec)
            }
            Self::Destinations => completed::<DestinationSpec>(written),
            Self::Routes => completed::<RouteSpec>(written),
            Self::Fetchers => completed::<FetcherSpec>(written),
            Self::Connections => completed::<ConnectionSpec>(written),
            Self::Syncs => completed::<SyncSpec>(written),
            Self::EventTypes => Ok(written.clone()),
        }
    }

    /// What was written of a definition that the service shows.
    pub(crate) fn written(self, shown: &Json) -> Json {
        let mut written = shown.clone();
        if let Json::Object(members) = &mut written {
            members.retain(|name, _| !READ_ONLY.contains(&name.as_str()));
        }
        written
    }
}

fn completed<S: Serialize + DeserializeOwned>(written: &Json) -> Result<Json, String> {
    shown(&read::<S>(written)?)
}

fn read<S: DeserializeOwned>(written: &Json) -> Result<S, String> {
    serde_json::from_str(&written.to_string()).map_err(|error| error.to_string())
}

fn shown<S: Serialize>(spec: &S) -> Result<Json, String> {
    let text = serde_json::to_string(spec).map_err(|error| error.to_string())?;
    text.parse::<Json>().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_its_default() {
        let written: Json = r#"{"name":"shop","entity":{"type":"order","unique_id":"$.id"}}"#
            .parse()
            .unwrap();
        let completed = Kind::Sources.completed(&written).unwrap();
        assert_eq!(completed.get("enabled"), Some(&Json::Bool(true)));
        assert!(completed.get("entity").unwrap().get("history").is_some());
        let wrong: Json = r#"{"name":"shop","metods":["POST"]}"#.parse().unwrap();
        assert!(Kind::Sources.completed(&wrong).unwrap_err().contains("metods"));
    }
}
