//! Routes.

use hookrail_domain::ids::RouteId;
use hookrail_domain::route::{OrderingKey, Route, RouteSpec};
use hookrail_proto::v1;

use super::CodecError;
use super::words::{from_json_text, json_text, parse, parse_option, text_option};

pub(super) fn to_message(route: &Route) -> v1::RouteDefinition {
    let spec = &route.spec;
    v1::RouteDefinition {
        workspace: route.workspace.to_string(),
        name: spec.name.clone(),
        source: text_option(spec.source.as_ref()),
        events: spec.events.clone(),
        destination: text_option(spec.destination.as_ref()).unwrap_or_default(),
        filter: spec.filter.as_ref().map(json_text),
        mapping: spec.mapping.as_ref().map(json_text),
        ordering_key_path: spec.ordering_key.as_ref().map(|key| key.path.to_string()),
        respond: spec.respond,
        enabled: spec.enabled,
        paused: spec.paused,
        labels: spec.labels.clone(),
    }
}

pub(super) fn from_message(id: RouteId, message: v1::RouteDefinition) -> Result<Route, CodecError> {
    let destination = (!message.destination.is_empty()).then_some(message.destination);
    let path = parse_option("route.ordering_key_path", message.ordering_key_path.as_ref())?;
    let filter = message.filter.as_deref();
    let mapping = message.mapping.as_deref();
    Ok(Route {
        id,
        workspace: parse("route.workspace", &message.workspace)?,
        spec: RouteSpec {
            name: message.name,
            source: parse_option("route.source", message.source.as_ref())?,
            events: message.events,
            destination: parse_option("route.destination", destination.as_ref())?,
            filter: filter
                .map(|text| from_json_text("route.filter", text))
                .transpose()?,
            mapping: mapping
                .map(|text| from_json_text("route.mapping", text))
                .transpose()?,
            ordering_key: path.map(|path| OrderingKey { path }),
            respond: message.respond,
            enabled: message.enabled,
            paused: message.paused,
            labels: message.labels,
        },
    })
}
