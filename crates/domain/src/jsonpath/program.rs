//! A compiled path: well-typed by RFC 9535, literals and fixed patterns ready to use.

use super::pattern::Pattern;
use crate::json::Json;

/// A query from the payload's root (`$`) or from the current node of a filter (`@`).
#[derive(Debug)]
pub(super) struct Query {
    pub(super) from_root: bool,
    pub(super) segments: Vec<Segment>,
}

/// One segment; `descendant` where it began with `..`.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) descendant: bool,
    pub(super) selectors: Vec<Selector>,
}

#[derive(Debug)]
pub(super) enum Selector {
    Name(String),
    Wildcard,
    Index(i64),
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    },
    Filter(Condition),
}

/// A logical expression.
#[derive(Debug)]
pub(super) enum Condition {
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Not(Box<Condition>),
    Exists(Query),
    Compare(Operand, Comparator, Operand),
    /// `match` and `search` differ in how the pattern is compiled.
    Matches(Operand, PatternOperand),
}

/// A value type of RFC 9535, section 2.4.1: evaluates to a value or to nothing.
#[derive(Debug)]
pub(super) enum Operand {
    Literal(Json),
    Singular(Query),
    Length(Box<Operand>),
    Count(Query),
    Value(Query),
}

/// The second argument of `match` and `search`.
#[derive(Debug)]
pub(super) enum PatternOperand {
    /// A literal that is a pattern; `None` for one that can match nothing.
    Fixed(Option<Pattern>),
    /// A pattern that is read from the payload; `whole` for `match`.
    Computed { operand: Operand, whole: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Query {
    /// RFC 9535, section 2.3.5.1: names and indices only, so one node at most.
    pub(super) fn is_singular(&self) -> bool {
        self.segments.iter().all(|segment| {
            !segment.descendant
                && matches!(
                    segment.selectors.as_slice(),
                    [Selector::Name(_) | Selector::Index(_)]
                )
        })
    }
}
