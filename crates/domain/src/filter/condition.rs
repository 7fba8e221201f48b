//! One condition: where it looks, and what has to hold of a node found there.

use super::Operator;
use crate::json::Json;
use crate::jsonpath::{Budget, BudgetExceeded, JsonPath, Pattern};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::cmp::Ordering;

/// Bytes of a string that one step of the budget looks through.
const BYTES_PER_STEP: usize = 64;

/// Where a condition looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Path(JsonPath),
    /// A header's name, matched whatever its case.
    Header(String),
    /// A query parameter's name.
    Query(String),
    /// The request's method. Written `"method": true`.
    Method,
}

/// What a condition came to, for a person to read.
#[derive(Clone, Debug, PartialEq)]
pub struct ConditionResult {
    pub place: Place,
    pub op: Operator,
    pub value: Json,
    /// What was found: the value, or a list of several; absent where nothing was.
    pub actual: Option<Json>,
    pub result: bool,
}

/// `{"path" | "header" | "query" | "method", "op", "value", "actual"?, "result"}`. By hand, since a
/// flattened type would not keep the numbers of the values.
impl Serialize for ConditionResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        match &self.place {
            Place::Path(path) => object.serialize_entry("path", path)?,
            Place::Header(name) => object.serialize_entry("header", name)?,
            Place::Query(name) => object.serialize_entry("query", name)?,
            Place::Method => object.serialize_entry("method", &true)?,
        }
        object.serialize_entry("op", &self.op)?;
        object.serialize_entry("value", &self.value)?;
        if let Some(actual) = &self.actual {
            object.serialize_entry("actual", actual)?;
        }
        object.serialize_entry("result", &self.result)?;
        object.end()
    }
}

/// A condition: a place and a test.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) place: Place,
    pub(super) operator: Operator,
    pub(super) value: Json,
    pub(super) test: Test,
}

/// What has to hold, its operand made ready.
#[derive(Debug)]
pub(super) enum Test {
    /// Some node equals one of the values.
    AnyEqual(Vec<Json>),
    /// No node equals one of the values.
    NoneEqual(Vec<Json>),
    Ordered {
        operand: Json,
        accepts: fn(Ordering) -> bool,
    },
    Contains(Json),
    StartsWith(String),
    EndsWith(String),
    Matches(Pattern),
    Exists(bool),
    Empty(bool),
    Type(&'static str),
}

/// A value that was found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node<'a> {
    Json(&'a Json),
    Text(&'a str),
}

impl Test {
    /// The decision on all that was found.
    pub(super) fn holds(&self, nodes: &[Node<'_>], budget: &mut Budget) -> Result<bool, BudgetExceeded> {
        match self {
            Self::Exists(wanted) => Ok(nodes.is_empty() != *wanted),
            Self::NoneEqual(values) => Ok(!any_node(nodes, |node| node.is_one_of(values, budget))?),
            _ => any_node(nodes, |node| self.holds_for(node, budget)),
        }
    }

    fn holds_for(&self, node: Node<'_>, budget: &mut Budget) -> Result<bool, BudgetExceeded> {
        budget.spend(1 + node.text().map_or(0, str::len) / BYTES_PER_STEP)?;
        Ok(match self {
            Self::AnyEqual(values) => node.is_one_of(values, budget)?,
            Self::Ordered { operand, accepts } => node.compare(operand).is_some_and(accepts),
            Self::Contains(part) => node.contains(part, budget)?,
            Self::StartsWith(start) => node.text().is_some_and(|text| text.starts_with(start)),
            Self::EndsWith(end) => node.text().is_some_and(|text| text.ends_with(end)),
            Self::Matches(pattern) => match node.text() {
                Some(text) => pattern.is_match(text, budget)?,
                None => false,
            },
            Self::Empty(wanted) => node.is_empty() == *wanted,
            Self::Type(name) => node.type_name() == *name,
            Self::Exists(_) | Self::NoneEqual(_) => unreachable!("decided on all nodes at once"),
        })
    }
}

fn any_node(
    nodes: &[Node<'_>],
    mut holds: impl FnMut(Node<'_>) -> Result<bool, BudgetExceeded>,
) -> Result<bool, BudgetExceeded> {
    for node in nodes {
        if holds(*node)? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Node<'_> {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Json(value) => value.as_str(),
            Self::Text(text) => Some(text),
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Json(value) => value.type_name(),
            Self::Text(_) => "string",
        }
    }

    /// Null and what has no characters, items or members.
    fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Json(value) => match value {
                Json::Null => true,
                Json::String(text) => text.is_empty(),
                Json::Array(items) => items.is_empty(),
                Json::Object(members) => members.is_empty(),
                Json::Bool(_) | Json::Number(_) => false,
            },
        }
    }

    fn is_one_of(&self, values: &[Json], budget: &mut Budget) -> Result<bool, BudgetExceeded> {
        budget.spend(values.len())?;
        Ok(values.iter().any(|value| match self {
            Self::Json(node) => node.equals(value),
            Self::Text(text) => value.as_str() == Some(text),
        }))
    }

    /// Numbers with numbers, strings with strings (by code points); nothing else has an order.
    fn compare(&self, operand: &Json) -> Option<Ordering> {
        match (self, operand) {
            (Self::Json(Json::Number(node)), Json::Number(operand)) => Some(node.compare(operand)),
            (_, Json::String(operand)) => Some(self.text()?.cmp(operand.as_str())),
            _ => None,
        }
    }

    /// A string has the part in it; an array has an item that equals it.
    fn contains(&self, part: &Json, budget: &mut Budget) -> Result<bool, BudgetExceeded> {
        if let Self::Json(Json::Array(items)) = self {
            budget.spend(items.len())?;
            return Ok(items.iter().any(|item| item.equals(part)));
        }
        Ok(match (self.text(), part) {
            (Some(text), Json::String(part)) => text.contains(part.as_str()),
            _ => false,
        })
    }

    pub(super) fn to_json(self) -> Json {
        match self {
            Self::Json(value) => value.clone(),
            Self::Text(text) => Json::from(text),
        }
    }
}
