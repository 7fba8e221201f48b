//! The library's syntax tree → [`Query`]: checks the types of RFC 9535, section 2.4.3, which the
//! library leaves open, refuses its extensions, and makes literals and patterns ready.

use super::PathError;
use super::pattern::compile_iregexp;
use super::program::{Comparator, Condition, Operand, PatternOperand, Query, Segment, Selector};
use crate::json::{Json, Number};
use jsonpath_rust::parser::model as syntax;
use jsonpath_rust::parser::parse_json_path;

pub(super) fn compile(text: &str) -> Result<Query, PathError> {
    let parsed = parse_json_path(text)
        .map_err(|error| PathError::new(format!("not a valid JSONPath: {}", first_line(&error))))?;
    query(true, &parsed.segments)
}

/// The library draws the place over several lines; the last says what was expected.
fn first_line(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.unwrap_or_default()
        .trim()
        .trim_start_matches("= ")
        .to_owned()
}

fn query(from_root: bool, segments: &[syntax::Segment]) -> Result<Query, PathError> {
    let segments = segments.iter().map(segment).collect::<Result<_, _>>()?;
    Ok(Query { from_root, segments })
}

fn segment(segment: &syntax::Segment) -> Result<Segment, PathError> {
    let selectors = |list: &[syntax::Selector]| list.iter().map(selector).collect::<Result<_, _>>();
    match segment {
        syntax::Segment::Selector(one) => Ok(Segment {
            descendant: false,
            selectors: selectors(std::slice::from_ref(one))?,
        }),
        syntax::Segment::Selectors(list) => Ok(Segment {
            descendant: false,
            selectors: selectors(list)?,
        }),
        syntax::Segment::Descendant(inner) => Ok(Segment {
            descendant: true,
            ..self::segment(inner)?
        }),
    }
}

fn selector(selector: &syntax::Selector) -> Result<Selector, PathError> {
    Ok(match selector {
        syntax::Selector::Name(name) => Selector::Name(name.clone()),
        syntax::Selector::Wildcard => Selector::Wildcard,
        syntax::Selector::Index(index) => Selector::Index(*index),
        syntax::Selector::Slice(start, end, step) => Selector::Slice {
            start: *start,
            end: *end,
            step: step.unwrap_or(1),
        },
        syntax::Selector::Filter(filter) => Selector::Filter(condition(filter)?),
    })
}

fn condition(filter: &syntax::Filter) -> Result<Condition, PathError> {
    let all = |list: &[syntax::Filter]| list.iter().map(condition).collect::<Result<_, _>>();
    match filter {
        syntax::Filter::Or(list) => Ok(Condition::Any(all(list)?)),
        syntax::Filter::And(list) => Ok(Condition::All(all(list)?)),
        syntax::Filter::Atom(syntax::FilterAtom::Filter { expr, not }) => {
            condition(expr).map(|inner| negated(inner, *not))
        }
        syntax::Filter::Atom(syntax::FilterAtom::Test { expr, not }) => {
            test(expr).map(|inner| negated(inner, *not))
        }
        syntax::Filter::Atom(syntax::FilterAtom::Comparison(comparison)) => compare(comparison),
    }
}

fn negated(inner: Condition, not: bool) -> Condition {
    if not {
        Condition::Not(Box::new(inner))
    } else {
        inner
    }
}

fn test(test: &syntax::Test) -> Result<Condition, PathError> {
    match test {
        syntax::Test::RelQuery(segments) => query(false, segments).map(Condition::Exists),
        syntax::Test::AbsQuery(inner) => query(true, &inner.segments).map(Condition::Exists),
        syntax::Test::Function(function) => match function.as_ref() {
            syntax::TestFunction::Match(text, pattern) => matches(text, pattern, true),
            syntax::TestFunction::Search(text, pattern) => matches(text, pattern, false),
            other => Err(PathError::new(format!(
                "the result of {other} has to be compared"
            ))),
        },
    }
}

fn matches(text: &syntax::FnArg, pattern: &syntax::FnArg, whole: bool) -> Result<Condition, PathError> {
    let pattern = match value_argument(pattern)? {
        Operand::Literal(Json::String(literal)) => {
            PatternOperand::Fixed(Some(compile_iregexp(&literal, whole).map_err(PathError::new)?))
        }
        Operand::Literal(_) => PatternOperand::Fixed(None),
        operand => PatternOperand::Computed { operand, whole },
    };
    Ok(Condition::Matches(value_argument(text)?, pattern))
}

fn compare(comparison: &syntax::Comparison) -> Result<Condition, PathError> {
    let comparator = match comparison {
        syntax::Comparison::Eq(..) => Comparator::Equal,
        syntax::Comparison::Ne(..) => Comparator::NotEqual,
        syntax::Comparison::Gt(..) => Comparator::Greater,
        syntax::Comparison::Gte(..) => Comparator::GreaterOrEqual,
        syntax::Comparison::Lt(..) => Comparator::Less,
        syntax::Comparison::Lte(..) => Comparator::LessOrEqual,
    };
    let (left, right) = comparison.vals();
    Ok(Condition::Compare(
        comparable(left)?,
        comparator,
        comparable(right)?,
    ))
}

fn comparable(comparable: &syntax::Comparable) -> Result<Operand, PathError> {
    match comparable {
        syntax::Comparable::Literal(value) => literal(value).map(Operand::Literal),
        syntax::Comparable::Function(function) => value_function(function),
        syntax::Comparable::SingularQuery(query) => Ok(Operand::Singular(singular(query))),
    }
}

fn singular(query: &syntax::SingularQuery) -> Query {
    let (from_root, steps) = match query {
        syntax::SingularQuery::Root(steps) => (true, steps),
        syntax::SingularQuery::Current(steps) => (false, steps),
    };
    let selector = |step: &syntax::SingularQuerySegment| match step {
        syntax::SingularQuerySegment::Name(name) => Selector::Name(name.clone()),
        syntax::SingularQuerySegment::Index(index) => Selector::Index(*index),
    };
    let segment = |step| Segment {
        descendant: false,
        selectors: vec![selector(step)],
    };
    Query {
        from_root,
        segments: steps.iter().map(segment).collect(),
    }
}

fn value_function(function: &syntax::TestFunction) -> Result<Operand, PathError> {
    match function {
        syntax::TestFunction::Length(argument) => Ok(Operand::Length(Box::new(value_argument(argument)?))),
        syntax::TestFunction::Count(argument) => nodes_argument(argument).map(Operand::Count),
        syntax::TestFunction::Value(argument) => nodes_argument(argument).map(Operand::Value),
        other => Err(PathError::new(format!(
            "{other} gives no value to compare or pass on"
        ))),
    }
}

/// An argument of ValueType: a literal, a singular query, or a function that gives a value.
fn value_argument(argument: &syntax::FnArg) -> Result<Operand, PathError> {
    match argument {
        syntax::FnArg::Literal(value) => literal(value).map(Operand::Literal),
        syntax::FnArg::Test(test) => match test.as_ref() {
            syntax::Test::Function(function) => value_function(function),
            _ => {
                let query = nodes_argument(argument)?;
                let detail = "a query that may match many nodes can't be used as a value";
                if query.is_singular() {
                    Ok(Operand::Singular(query))
                } else {
                    Err(PathError::new(detail))
                }
            }
        },
        syntax::FnArg::Filter(_) => Err(PathError::new("a condition can't be used as a value")),
    }
}

/// An argument of NodesType: a query.
fn nodes_argument(argument: &syntax::FnArg) -> Result<Query, PathError> {
    match argument {
        syntax::FnArg::Test(test) => match test.as_ref() {
            syntax::Test::RelQuery(segments) => query(false, segments),
            syntax::Test::AbsQuery(inner) => query(true, &inner.segments),
            syntax::Test::Function(_) => Err(PathError::new("the argument has to be a query")),
        },
        _ => Err(PathError::new("the argument has to be a query")),
    }
}

fn literal(literal: &syntax::Literal) -> Result<Json, PathError> {
    Ok(match literal {
        syntax::Literal::Int(value) => Json::from(*value),
        syntax::Literal::Float(value) => Number::parse(&value.to_string())
            .map(Json::Number)
            .ok_or_else(|| PathError::new("a number in the path is too large"))?,
        syntax::Literal::String(value) => Json::from(value.as_str()),
        syntax::Literal::Bool(value) => Json::Bool(*value),
        syntax::Literal::Null => Json::Null,
    })
}
