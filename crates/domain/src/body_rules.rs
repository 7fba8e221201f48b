//! The rule that a route's mapping and its destination's format go together, whichever is saved last: a
//! mapped body needs a mapping, and no other has one.

use crate::{
    destination::{DestinationMethod, DestinationSpec, Format},
    route::RouteSpec,
    validation::FieldError,
};

/// Why a route does not go with its destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// The format is mapped, and there is no mapping.
    NoMapping,
    /// There is a mapping, and the format is another.
    NotMapped,
    /// The method is GET, and two members would be one query parameter.
    Clash(String),
}

/// Whether a route goes with the destination that it leads to.
pub fn check_route(route: &RouteSpec, destination: &DestinationSpec) -> Option<Misfit> {
    let is_mapped = destination.format == Format::Mapped;
    match &route.mapping {
        None => is_mapped.then_some(Misfit::NoMapping),
        Some(_) if !is_mapped => Some(Misfit::NotMapped),
        Some(mapping) if destination.method == DestinationMethod::Get => {
            mapping.clash_in_query().map(Misfit::Clash)
        }
        Some(_) => None,
    }
}

impl Misfit {
    /// The fault, where it is the route that is saved, to the destination of this name.
    pub fn in_route(&self, destination: &str) -> FieldError {
        let detail = match self {
            Self::NoMapping => format!("is needed: the format of destination {destination} is mapped"),
            Self::NotMapped => format!("needs the format mapped at destination {destination}"),
            Self::Clash(name) => {
                format!("has two members that are both the query parameter {name}, and the method is GET")
            }
        };
        FieldError::new("/mapping", detail)
    }

    /// The fault, where it is the destination that is saved, and a route of this name leads to it.
    pub fn in_destination(&self, route: &str) -> FieldError {
        match self {
            Self::NoMapping => FieldError::new("/format", format!("needs a mapping in route {route}")),
            Self::NotMapped => FieldError::new(
                "/format",
                format!("has to be mapped: route {route} has a mapping"),
            ),
            Self::Clash(name) => {
                let detail = format!("would give route {route} two query parameters of the name {name}");
                FieldError::new("/method", detail)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_and_the_format_mapped_need_each_other() {
        let check = |format: Format, method: DestinationMethod, mapping: &str, expected: Option<Misfit>| {
            let route: RouteSpec = serde_json::from_str(&format!(r#"{{"mapping": {mapping}}}"#)).unwrap();
            let destination = DestinationSpec {
                format,
                method,
                ..DestinationSpec::default()
            };
            assert_eq!(
                check_route(&route, &destination),
                expected,
                "{format:?} {mapping}"
            );
        };
        use DestinationMethod::{Get, Post};
        check(Format::Event, Post, "null", None);
        check(Format::Mapped, Post, "null", Some(Misfit::NoMapping));
        check(Format::Raw, Post, r#"{"a": 1}"#, Some(Misfit::NotMapped));
        check(Format::Mapped, Post, r#"{"a_b": 1, "a": {"b": 2}}"#, None);
        let clash = Some(Misfit::Clash("a_b".to_owned()));
        check(Format::Mapped, Get, r#"{"a_b": "$.x", "a": {"b": "$.y"}}"#, clash);
        check(Format::Mapped, Get, r#"{"a_b": "$.x", "a": {"c": "$.y"}}"#, None);
    }
}
