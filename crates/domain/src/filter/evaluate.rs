//! Deciding by a filter, once for speed and once with every condition explained: same code.

use super::condition::{Condition, ConditionResult, Node, Place};
use super::{Filter, Group};
use crate::json::Json;
use crate::jsonpath::{Budget, BudgetExceeded};

/// Nodes that are shown of a condition that found many.
const MAX_SHOWN_NODES: usize = 10;

/// What a filter looks at.
#[derive(Clone, Copy, Debug)]
pub struct FilterInput<'a> {
    /// `None` for a body that has no structure; paths find nothing then.
    pub payload: Option<&'a Json>,
    /// Names in any case; a name may come more than once.
    pub headers: &'a [(String, String)],
    /// Decoded; a name may come more than once.
    pub query: &'a [(String, String)],
    /// In upper case.
    pub method: &'a str,
}

/// A filter's decision with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub accepted: bool,
    /// Every condition of the filter, in the order of the definition.
    pub conditions: Vec<ConditionResult>,
    /// The filter's paths cost too much on this payload: an event of a source fails by it.
    pub over_budget: bool,
}

impl Filter {
    /// Whether the filter accepts, stopping at the first condition that decides. What costs too much
    /// is not accepted.
    pub fn accepts(&self, input: &FilterInput<'_>) -> bool {
        self.accepts_within(input, &mut Budget::default())
            .unwrap_or(false)
    }

    /// Like [`Filter::accepts`], with a budget that several evaluations share.
    ///
    /// # Errors
    /// When the paths of the filter cost more than the budget has left.
    pub fn accepts_within(
        &self,
        input: &FilterInput<'_>,
        budget: &mut Budget,
    ) -> Result<bool, BudgetExceeded> {
        Decision {
            input,
            budget,
            explained: None,
        }
        .group(&self.root)
    }

    /// The decision with the result of every condition.
    pub fn evaluate(&self, input: &FilterInput<'_>) -> Verdict {
        let mut conditions = Vec::new();
        // Conditions that the decision never looks at may cost more than there is: they are only left out.
        let decided = self.accepts_within(input, &mut Budget::default());
        let explained = Decision {
            input,
            budget: &mut Budget::default(),
            explained: Some(&mut conditions),
        }
        .group(&self.root);
        debug_assert!(explained.is_err() || explained == decided, "one code decides");
        Verdict {
            accepted: decided.unwrap_or(false),
            conditions,
            over_budget: decided.is_err(),
        }
    }
}

struct Decision<'i, 'a, 'b> {
    input: &'i FilterInput<'a>,
    budget: &'b mut Budget,
    /// Where results go; while there is such a place, no condition is skipped.
    explained: Option<&'b mut Vec<ConditionResult>>,
}

impl<'a> Decision<'_, 'a, '_> {
    fn group(&mut self, group: &Group) -> Result<bool, BudgetExceeded> {
        match group {
            Group::All(list) => Ok(!self.some(list, false)?),
            Group::Any(list) => self.some(list, true),
            Group::Not(inner) => Ok(!self.group(inner)?),
            Group::Leaf(condition) => self.condition(condition),
        }
    }

    /// Whether one of the groups comes to `wanted`.
    fn some(&mut self, list: &[Group], wanted: bool) -> Result<bool, BudgetExceeded> {
        let mut found = false;
        for group in list {
            found |= self.group(group)? == wanted;
            if found && self.explained.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn condition(&mut self, condition: &Condition) -> Result<bool, BudgetExceeded> {
        let nodes = self.nodes(&condition.place)?;
        let result = condition.test.holds(&nodes, self.budget)?;
        if let Some(explained) = &mut self.explained {
            explained.push(ConditionResult {
                place: condition.place.clone(),
                op: condition.operator,
                value: condition.value.clone(),
                actual: shown(&nodes),
                result,
            });
        }
        Ok(result)
    }

    fn nodes(&mut self, place: &Place) -> Result<Vec<Node<'a>>, BudgetExceeded> {
        Ok(match place {
            Place::Path(path) => match self.input.payload {
                Some(payload) => {
                    let found = path.select_within(payload, self.budget)?;
                    found.into_iter().map(Node::Json).collect()
                }
                None => Vec::new(),
            },
            Place::Header(name) => values(self.input.headers, |header| header.eq_ignore_ascii_case(name)),
            Place::Query(name) => values(self.input.query, |query| query == name),
            Place::Method => vec![Node::Text(self.input.method)],
        })
    }
}

fn values(pairs: &[(String, String)], is_wanted: impl Fn(&str) -> bool) -> Vec<Node<'_>> {
    let wanted = pairs.iter().filter(|(name, _)| is_wanted(name));
    wanted.map(|(_, value)| Node::Text(value)).collect()
}

fn shown(nodes: &[Node<'_>]) -> Option<Json> {
    match nodes {
        [] => None,
        [node] => Some(node.to_json()),
        many => Some(
            many.iter()
                .take(MAX_SHOWN_NODES)
                .map(|node| node.to_json())
                .collect(),
        ),
    }
}
