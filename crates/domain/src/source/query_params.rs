//! Query parameters that a source declares: their values, or their defaults, are data of its events.

use super::{QueryParam, SourceAuth};
use crate::{
    json::{Json, Members},
    validation::Faults,
};

/// Parameters that one source may declare.
const MAX_PARAMS: usize = 64;
/// Longest name, bytes.
const MAX_NAME_BYTES: usize = 128;
/// Longest default, bytes.
const MAX_DEFAULT_BYTES: usize = 4096;

pub(super) fn check(params: &[QueryParam], auth: &SourceAuth, faults: &mut Faults) {
    faults.require(
        params.len() <= MAX_PARAMS,
        "/query_params",
        "has more than 64 parameters",
    );
    let credential = auth.key_places().1;
    for (index, param) in params.iter().enumerate() {
        let pointer = format!("/query_params/{index}/name");
        let length = (1..=MAX_NAME_BYTES).contains(&param.name.len());
        faults.require(length, &pointer, "has to have 1 to 128 bytes");
        let is_new = params[..index].iter().all(|other| other.name != param.name);
        faults.require(is_new, &pointer, "is declared twice");
        let is_open = credential != Some(param.name.as_str());
        faults.require(is_open, &pointer, "carries the API key, which is no data");
        let default = param.default.as_ref();
        faults.require(
            default.is_none_or(|default| default.len() <= MAX_DEFAULT_BYTES),
            &format!("/query_params/{index}/default"),
            "has more than 4096 bytes",
        );
    }
}

/// Adds the defaults of declared parameters that the query leaves out.
pub fn fill_defaults(params: &[QueryParam], query: &mut Vec<(String, String)>) {
    for param in params {
        let is_given = query.iter().any(|(name, _)| *name == param.name);
        if let (false, Some(default)) = (is_given, &param.default) {
            query.push((param.name.clone(), default.clone()));
        }
    }
}

/// The declared parameters as an object, in the order of their declaration: one that was given more
/// than once is an array, one that was left out and has no default is null.
pub fn declared_members(params: &[QueryParam], query: &[(String, String)]) -> Members {
    let member = |param: &QueryParam| {
        let given = query.iter().filter(|(name, _)| *name == param.name);
        let mut values: Vec<Json> = given.map(|(_, value)| Json::from(value.as_str())).collect();
        let value = match values.len() {
            0 => param.default.as_deref().map_or(Json::Null, Json::from),
            1 => values.remove(0),
            _ => Json::Array(values),
        };
        (param.name.clone(), value)
    };
    params.iter().map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(name: &str, default: Option<&str>) -> QueryParam {
        QueryParam {
            name: name.to_owned(),
            default: default.map(str::to_owned),
        }
    }

    fn query(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn what_the_caller_leaves_out_is_the_default() {
        let params = [
            param("item", Some("0")),
            param("unit", None),
            param("tag", Some("")),
        ];
        let check = |given: &[(&str, &str)], filled: &[(&str, &str)], members: &str| {
            let mut given = query(given);
            fill_defaults(&params, &mut given);
            assert_eq!(given, query(filled));
            let found = Json::Object(declared_members(&params, &given));
            assert_eq!(found.to_compact_string(), members);
        };
        check(
            &[],
            &[("item", "0"), ("tag", "")],
            r#"{"item":"0","unit":null,"tag":""}"#,
        );
        check(
            &[("x", "1"), ("tag", "a"), ("item", ""), ("tag", "b")],
            &[("x", "1"), ("tag", "a"), ("item", ""), ("tag", "b")],
            r#"{"item":"","unit":null,"tag":["a","b"]}"#,
        );
    }

    #[test]
    fn declarations_that_can_not_be_meant_are_refused_by_field() {
        let check = |params: &[QueryParam], pointer: &str| {
            let auth = SourceAuth::ApiKey {
                header: None,
                query: Some("key".to_owned()),
            };
            let mut faults = Faults::default();
            super::check(params, &auth, &mut faults);
            let errors = faults.finish().unwrap_err();
            let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
            assert_eq!(pointers, [pointer]);
        };
        check(&[param("a", None), param("a", None)], "/query_params/1/name");
        check(&[param("", None)], "/query_params/0/name");
        check(&[param(&"a".repeat(129), None)], "/query_params/0/name");
        check(&[param("key", None)], "/query_params/0/name");
        check(&[param("a", Some(&"a".repeat(4097)))], "/query_params/0/default");
        let many: Vec<_> = (0..65).map(|n| param(&n.to_string(), None)).collect();
        check(&many, "/query_params");
    }
}
