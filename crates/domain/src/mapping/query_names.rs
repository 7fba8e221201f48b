//! The names that a mapping's members have as query parameters, as far as they are known before there is an
//! event: what a path finds may have members of its own.

use super::expression::Expression;
use crate::json::Json;
use crate::render::query_name;
use std::collections::HashSet;

/// The first name that comes twice.
pub(super) fn clash(root: &Expression) -> Option<String> {
    let mut names = Names::default();
    names.expression(root, "");
    names.clash
}

#[derive(Default)]
struct Names {
    known: HashSet<String>,
    clash: Option<String>,
}

impl Names {
    fn leaf(&mut self, name: &str) {
        if !self.known.insert(name.to_owned()) && self.clash.is_none() {
            self.clash = Some(name.to_owned());
        }
    }

    fn expression(&mut self, expression: &Expression, name: &str) {
        match expression {
            Expression::Constant(value) => self.value(value, name),
            Expression::Found { .. } | Expression::Template { .. } | Expression::Each { .. } => {
                self.leaf(name)
            }
            Expression::Object(members) => {
                for (member, value) in members {
                    self.expression(value, &query_name(name, member));
                }
            }
            Expression::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.expression(item, &query_name(name, &index.to_string()));
                }
            }
        }
    }

    fn value(&mut self, value: &Json, name: &str) {
        match value {
            Json::Object(members) if !members.is_empty() => {
                for (member, value) in members {
                    self.value(value, &query_name(name, member));
                }
            }
            Json::Array(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, &query_name(name, &index.to_string()));
                }
            }
            _ => self.leaf(name),
        }
    }
}
