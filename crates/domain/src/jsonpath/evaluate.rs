//! Evaluation of a compiled path over a payload, by RFC 9535, every step paid from the budget.

use super::pattern::{Pattern, compile_iregexp};
use super::program::{Comparator, Condition, Operand, PatternOperand, Query, Segment, Selector};
use super::{Budget, BudgetExceeded, MAX_RESULTS};
use crate::json::Json;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// Beginning a query that may find many nodes, as a filter may do for each of its own.
const SEARCH_STEPS: usize = 8;

/// Comparing two scalars.
const SCALAR_STEPS: usize = 1;

/// Counting, and writing the count down to compare it.
const COUNT_STEPS: usize = 3;

/// Looking a member up by its name to compare it.
const LOOKUP_STEPS: usize = 3;

/// Steps that compiling a pattern found in a payload costs, so that 20 of them use up a budget.
const COMPILE_STEPS: usize = 100_000;

/// Bytes of a string or number that one step compares.
const BYTES_PER_STEP: usize = 64;

type Evaluated<T> = Result<T, BudgetExceeded>;

pub(super) fn select<'a>(query: &Query, root: &'a Json, budget: &mut Budget) -> Evaluated<Vec<&'a Json>> {
    let nodes = Evaluation {
        root,
        budget,
        patterns: HashMap::new(),
    }
    .nodes(query, root)?;
    if nodes.len() > MAX_RESULTS {
        Err(BudgetExceeded)
    } else {
        Ok(nodes)
    }
}

struct Evaluation<'a, 'b> {
    root: &'a Json,
    budget: &'b mut Budget,
    /// Patterns read from the payload; each was paid for, so their number is bounded.
    patterns: HashMap<(String, bool), Option<Arc<Pattern>>>,
}

impl<'a> Evaluation<'a, '_> {
    fn nodes(&mut self, query: &Query, current: &'a Json) -> Evaluated<Vec<&'a Json>> {
        let start = if query.from_root { self.root } else { current };
        // What a segment selects are children. Most of a filter's nodes are scalars: they cost no allocation.
        if start.is_scalar() && !query.segments.is_empty() {
            self.budget.spend(1)?;
            return Ok(Vec::new());
        }
        if !query.is_singular() {
            self.budget.spend(SEARCH_STEPS)?;
        }
        let mut nodes = vec![start];
        for segment in &query.segments {
            let mut next = Vec::new();
            for node in nodes {
                self.apply_segment(segment, node, &mut next)?;
            }
            nodes = next;
        }
        Ok(nodes)
    }

    fn apply_segment(&mut self, segment: &Segment, node: &'a Json, out: &mut Vec<&'a Json>) -> Evaluated<()> {
        if !segment.descendant {
            return self.apply_selectors(&segment.selectors, node, out);
        }
        // Pre-order, as section 2.5.2.2 wants; the children wait on a stack, last one first.
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            self.apply_selectors(&segment.selectors, node, out)?;
            let before = waiting.len();
            waiting.extend(children(node).filter(|child| !child.is_scalar()));
            waiting[before..].reverse();
            self.budget.spend(child_count(node))?;
        }
        Ok(())
    }

    fn apply_selectors(
        &mut self,
        selectors: &[Selector],
        node: &'a Json,
        out: &mut Vec<&'a Json>,
    ) -> Evaluated<()> {
        for selector in selectors {
            self.budget.spend(1)?;
            match selector {
                Selector::Name(name) => out.extend(node.get(name)),
                Selector::Index(index) => out.extend(node.item(*index)),
                Selector::Wildcard => {
                    self.budget.spend(child_count(node))?;
                    out.extend(children(node));
                }
                Selector::Slice { start, end, step } => {
                    if let Json::Array(items) = node {
                        self.slice(items, (*start, *end, *step), out)?;
                    }
                }
                Selector::Filter(condition) => {
                    for child in children(node) {
                        if self.holds(condition, child)? {
                            out.push(child);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// RFC 9535, section 2.3.4.2.2.
    fn slice(
        &mut self,
        items: &'a [Json],
        (start, end, step): (Option<i64>, Option<i64>, i64),
        out: &mut Vec<&'a Json>,
    ) -> Evaluated<()> {
        let len = items.len() as i64;
        let normalize = |index: i64| {
            if index < 0 {
                len.saturating_add(index)
            } else {
                index
            }
        };
        if step == 0 {
            return Ok(());
        }
        let (mut index, stop) = if step > 0 {
            (
                start.map_or(0, normalize).clamp(0, len),
                end.map_or(len, normalize).clamp(0, len),
            )
        } else {
            (
                start.map_or(len - 1, normalize).clamp(-1, len - 1),
                end.map_or(-1, normalize).clamp(-1, len - 1),
            )
        };
        while (step > 0 && index < stop) || (step < 0 && index > stop) {
            self.budget.spend(1)?;
            out.extend(items.get(index as usize));
            index = index.saturating_add(step);
        }
        Ok(())
    }

    fn holds(&mut self, condition: &Condition, current: &'a Json) -> Evaluated<bool> {
        self.budget.spend(1)?;
        match condition {
            Condition::Any(list) => {
                for condition in list {
                    if self.holds(condition, current)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Condition::All(list) => {
                for condition in list {
                    if !self.holds(condition, current)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Condition::Not(inner) => Ok(!self.holds(inner, current)?),
            Condition::Exists(query) => Ok(!self.nodes(query, current)?.is_empty()),
            Condition::Compare(left, comparator, right) => {
                let left = self.value(left, current)?;
                let right = self.value(right, current)?;
                self.compare(left.as_deref(), *comparator, right.as_deref())
            }
            Condition::Matches(text, pattern) => self.matches(text, pattern, current),
        }
    }

    /// The value of an operand; `None` is the special result Nothing.
    fn value<'o>(&mut self, operand: &'o Operand, current: &'a Json) -> Evaluated<Option<Cow<'o, Json>>>
    where
        'a: 'o,
    {
        self.budget.spend(1)?;
        Ok(match operand {
            Operand::Literal(value) => Some(Cow::Borrowed(value)),
            Operand::Singular(query) => self.single(query, current)?.map(Cow::Borrowed),
            Operand::Value(query) => match self.nodes(query, current)?.as_slice() {
                [node] => Some(Cow::Borrowed(*node)),
                _ => None,
            },
            Operand::Count(query) => {
                self.budget.spend(COUNT_STEPS)?;
                Some(count(self.nodes(query, current)?.len()))
            }
            Operand::Length(inner) => match self.value(inner, current)?.as_deref() {
                Some(Json::String(text)) => {
                    self.budget.spend(text.len() / BYTES_PER_STEP)?;
                    Some(count(text.chars().count()))
                }
                Some(Json::Array(items)) => Some(count(items.len())),
                Some(Json::Object(members)) => Some(count(members.len())),
                _ => None,
            },
        })
    }

    fn single(&mut self, query: &Query, current: &'a Json) -> Evaluated<Option<&'a Json>> {
        self.budget.spend(query.segments.len())?;
        let start = if query.from_root { self.root } else { current };
        Ok(query
            .segments
            .iter()
            .try_fold(start, |node, segment| match &segment.selectors[..] {
                [Selector::Name(name)] => node.get(name),
                [Selector::Index(index)] => node.item(*index),
                _ => None,
            }))
    }

    /// RFC 9535, section 2.3.5.2.2. Only numbers with numbers and strings with strings have an order.
    fn compare(
        &mut self,
        left: Option<&Json>,
        comparator: Comparator,
        right: Option<&Json>,
    ) -> Evaluated<bool> {
        let order = match (left, right) {
            (Some(Json::Number(left)), Some(Json::Number(right))) => Some(left.compare(right)),
            (Some(Json::String(left)), Some(Json::String(right))) => Some(left.cmp(right)),
            _ => None,
        };
        let equal = match (left, right) {
            (None, None) => true,
            (Some(left), Some(right)) if order.is_some() => {
                self.spend_on_scalars(left, right)?;
                order == Some(Ordering::Equal)
            }
            (Some(left), Some(right)) => self.equal(left, right)?,
            _ => false,
        };
        Ok(match comparator {
            Comparator::Equal => equal,
            Comparator::NotEqual => !equal,
            Comparator::Less => order == Some(Ordering::Less),
            Comparator::Greater => order == Some(Ordering::Greater),
            Comparator::LessOrEqual => equal || order == Some(Ordering::Less),
            Comparator::GreaterOrEqual => equal || order == Some(Ordering::Greater),
        })
    }

    /// [`Json::equals`], paid for.
    fn equal(&mut self, left: &Json, right: &Json) -> Evaluated<bool> {
        match (left, right) {
            (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
                self.budget.spend(1)?;
                for (a, b) in a.iter().zip(b) {
                    if !self.equal(a, b)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Json::Object(a), Json::Object(b)) if a.len() == b.len() => {
                self.budget.spend(1 + a.len() * LOOKUP_STEPS)?;
                for (name, a) in a {
                    let Some(b) = b.get(name) else { return Ok(false) };
                    if !self.equal(a, b)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Json::Array(_), Json::Array(_)) | (Json::Object(_), Json::Object(_)) => Ok(false),
            _ => {
                self.spend_on_scalars(left, right)?;
                Ok(left.equals(right))
            }
        }
    }

    fn spend_on_scalars(&mut self, left: &Json, right: &Json) -> Evaluated<()> {
        let bytes = scalar_bytes(left).min(scalar_bytes(right));
        self.budget.spend(SCALAR_STEPS + bytes / BYTES_PER_STEP)
    }

    fn matches(&mut self, text: &Operand, pattern: &PatternOperand, current: &'a Json) -> Evaluated<bool> {
        let text = self.value(text, current)?;
        let Some(Json::String(text)) = text.as_deref() else {
            return Ok(false);
        };
        match pattern {
            PatternOperand::Fixed(None) => Ok(false),
            PatternOperand::Fixed(Some(pattern)) => pattern.is_match(text, self.budget),
            PatternOperand::Computed { operand, whole } => {
                let pattern = self.value(operand, current)?;
                let Some(Json::String(pattern)) = pattern.as_deref() else {
                    return Ok(false);
                };
                match self.pattern(pattern, *whole)? {
                    Some(pattern) => pattern.is_match(text, self.budget),
                    None => Ok(false),
                }
            }
        }
    }

    /// Shared, since a copy of a pattern would begin with empty caches.
    fn pattern(&mut self, text: &str, whole: bool) -> Evaluated<Option<Arc<Pattern>>> {
        let key = (text.to_owned(), whole);
        if let Some(known) = self.patterns.get(&key) {
            return Ok(known.clone());
        }
        self.budget.spend(COMPILE_STEPS)?;
        let pattern = compile_iregexp(text, whole).ok().map(Arc::new);
        self.patterns.insert(key, pattern.clone());
        Ok(pattern)
    }
}

/// The items of an array or the values of an object, in order.
fn children(node: &Json) -> impl Iterator<Item = &Json> {
    let (items, members) = match node {
        Json::Array(items) => (Some(items), None),
        Json::Object(members) => (None, Some(members)),
        _ => (None, None),
    };
    items
        .into_iter()
        .flatten()
        .chain(members.into_iter().flat_map(|members| members.values()))
}

fn child_count(node: &Json) -> usize {
    match node {
        Json::Array(items) => items.len(),
        Json::Object(members) => members.len(),
        _ => 0,
    }
}

fn scalar_bytes(value: &Json) -> usize {
    match value {
        Json::String(text) => text.len(),
        Json::Number(number) => number.as_str().len(),
        _ => 0,
    }
}

fn count<'o>(number: usize) -> Cow<'o, Json> {
    Cow::Owned(Json::from(number as u64))
}
