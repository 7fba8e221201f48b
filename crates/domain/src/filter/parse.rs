//! A filter's definition → its compiled form, every fault with its pointer.

use super::condition::{Condition, Place, Test};
use super::{Group, Operator};
use crate::json::{Json, Members};
use crate::jsonpath::{JsonPath, compile_search};
use crate::validation::{self, FieldError};
use std::cmp::Ordering;

/// Groups inside of each other.
pub const MAX_FILTER_DEPTH: usize = 16;

/// Conditions of one filter.
pub const MAX_CONDITIONS: usize = 256;

/// Values of one `in` or `not_in`.
pub const MAX_VALUES: usize = 1000;

const TYPES: [&str; 6] = ["null", "boolean", "number", "string", "array", "object"];

pub(super) fn parse(definition: &Json, pointer: &str, errors: &mut Vec<FieldError>) -> Option<Group> {
    let before = errors.len();
    let mut parser = Parser {
        errors,
        conditions: 0,
    };
    let group = parser.group(definition, pointer, 1);
    if parser.conditions > MAX_CONDITIONS {
        let detail = format!("a filter has at most {MAX_CONDITIONS} conditions");
        errors.push(FieldError::new(pointer, detail));
    }
    group.filter(|_| errors.len() == before)
}

struct Parser<'e> {
    errors: &'e mut Vec<FieldError>,
    conditions: usize,
}

impl Parser<'_> {
    fn refuse<T>(&mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Option<T> {
        self.errors.push(FieldError::new(pointer, detail));
        None
    }

    fn group(&mut self, definition: &Json, pointer: &str, depth: usize) -> Option<Group> {
        let Some(members) = definition.as_object() else {
            return self.refuse(pointer, "has to be an object: a group or a condition");
        };
        let name = ["all", "any", "not"]
            .into_iter()
            .find(|name| members.contains_key(*name));
        let Some(name) = name else {
            return self.leaf(members, pointer);
        };
        if members.len() > 1 {
            return self.refuse(pointer, format!("a group has no other member than {name}"));
        }
        if depth > MAX_FILTER_DEPTH {
            return self.refuse(pointer, format!("groups nest at most {MAX_FILTER_DEPTH} deep"));
        }
        let inner = &members[name];
        let below = format!("{pointer}/{name}");
        match name {
            "not" => self
                .group(inner, &below, depth + 1)
                .map(|group| Group::Not(Box::new(group))),
            "all" => self.list(inner, &below, depth).map(Group::All),
            _ => match self.list(inner, &below, depth) {
                Some(list) if list.is_empty() => self.refuse(below, "needs a condition"),
                list => list.map(Group::Any),
            },
        }
    }

    fn list(&mut self, list: &Json, pointer: &str, depth: usize) -> Option<Vec<Group>> {
        let Some(list) = list.as_array() else {
            return self.refuse(pointer, "has to be a list of groups and conditions");
        };
        let mut groups = Vec::new();
        for (index, definition) in list.iter().enumerate() {
            groups.push(self.group(definition, &format!("{pointer}/{index}"), depth + 1));
        }
        groups.into_iter().collect()
    }

    fn leaf(&mut self, members: &Members, pointer: &str) -> Option<Group> {
        self.conditions += 1;
        let known = ["path", "header", "query", "method", "op", "value"];
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            self.errors.push(FieldError::new(
                format!("{pointer}/{}", escape_pointer(name)),
                "is not a member of a condition",
            ));
        }
        let place = self.place(members, pointer);
        let operator = self.operator(members.get("op"), pointer);
        let (place, operator) = (place?, operator?);
        let value = match (members.get("value"), operator) {
            (Some(value), _) => value.clone(),
            (None, Operator::Exists | Operator::Empty) => Json::Bool(true),
            (None, _) => return self.refuse(format!("{pointer}/value"), "is required"),
        };
        match compile_test(operator, &value) {
            Ok(test) => Some(Group::Leaf(Condition {
                place,
                operator,
                value,
                test,
            })),
            Err(detail) => self.refuse(format!("{pointer}/value"), detail),
        }
    }

    fn place(&mut self, members: &Members, pointer: &str) -> Option<Place> {
        let mut places = ["path", "header", "query", "method"]
            .into_iter()
            .filter(|name| members.contains_key(*name));
        let (Some(name), None) = (places.next(), places.next()) else {
            return self.refuse(pointer, "needs exactly one of path, header, query and method");
        };
        let value = &members[name];
        let below = format!("{pointer}/{name}");
        match (name, value) {
            ("path", Json::String(text)) => match JsonPath::parse(text) {
                Ok(path) => Some(Place::Path(path)),
                Err(error) => self.refuse(below, error.detail),
            },
            ("header", Json::String(name)) if validation::is_header_name(name) => {
                Some(Place::Header(name.clone()))
            }
            ("query", Json::String(name)) if !name.is_empty() => Some(Place::Query(name.clone())),
            ("method", Json::Bool(true)) => Some(Place::Method),
            ("method", _) => self.refuse(below, "has to be true; the method itself is the value"),
            _ => self.refuse(below, format!("has to be a {name} as a string")),
        }
    }

    fn operator(&mut self, op: Option<&Json>, pointer: &str) -> Option<Operator> {
        let below = format!("{pointer}/op");
        let Some(op) = op else {
            return self.refuse(below, "is required");
        };
        match op.as_str().and_then(Operator::from_name) {
            Some(operator) => Some(operator),
            None => {
                let names = Operator::ALL.map(Operator::as_str).join(", ");
                self.refuse(below, format!("has to be one of {names}"))
            }
        }
    }
}

fn compile_test(operator: Operator, value: &Json) -> Result<Test, String> {
    Ok(match operator {
        Operator::Eq => Test::AnyEqual(vec![value.clone()]),
        Operator::Ne => Test::NoneEqual(vec![value.clone()]),
        Operator::In => Test::AnyEqual(list(value)?),
        Operator::NotIn => Test::NoneEqual(list(value)?),
        Operator::Gt => ordered(value, Ordering::is_gt)?,
        Operator::Gte => ordered(value, Ordering::is_ge)?,
        Operator::Lt => ordered(value, Ordering::is_lt)?,
        Operator::Lte => ordered(value, Ordering::is_le)?,
        Operator::Contains => Test::Contains(value.clone()),
        Operator::StartsWith => Test::StartsWith(string(value)?),
        Operator::EndsWith => Test::EndsWith(string(value)?),
        Operator::Matches => Test::Matches(compile_search(&string(value)?)?),
        Operator::Exists => Test::Exists(boolean(value)?),
        Operator::Empty => Test::Empty(boolean(value)?),
        Operator::Type => {
            let name = TYPES.into_iter().find(|name| value.as_str() == Some(name));
            Test::Type(name.ok_or_else(|| format!("has to be one of {}", TYPES.join(", ")))?)
        }
    })
}

fn ordered(value: &Json, accepts: fn(Ordering) -> bool) -> Result<Test, String> {
    match value {
        Json::Number(_) | Json::String(_) => Ok(Test::Ordered {
            operand: value.clone(),
            accepts,
        }),
        _ => Err("has to be a number or a string".to_owned()),
    }
}

fn list(value: &Json) -> Result<Vec<Json>, String> {
    match value.as_array() {
        Some(items) if items.len() <= MAX_VALUES => Ok(items.to_vec()),
        Some(_) => Err(format!("has at most {MAX_VALUES} values")),
        None => Err("has to be a list".to_owned()),
    }
}

fn string(value: &Json) -> Result<String, String> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| "has to be a string".to_owned())
}

fn boolean(value: &Json) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| "has to be true or false".to_owned())
}

/// A member's name as a token of a JSON Pointer (RFC 6901, section 3).
fn escape_pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
