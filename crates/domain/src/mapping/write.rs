//! An event → the bytes of the body that a mapping makes, within a budget of steps and bytes.
//!
//! Written straight into bytes: numbers and members come out as they came in, and what a path finds is
//! copied once.

use super::{
    event_document::MappedEvent,
    expression::Expression,
    place::Roots,
    template::{Part, text_of},
};
use crate::json::{Json, write_json_string};
use crate::jsonpath::{Budget, BudgetExceeded};

/// Why a mapping makes no body of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The mapping is one path, which finds nothing.
    #[error("the mapping finds nothing in the event")]
    Nothing,
    /// Evaluating it would take too long.
    #[error("the mapping costs too much on this event")]
    OverBudget,
    /// It would be larger than a body may be.
    #[error("the mapping makes a body over the limit of {limit} bytes")]
    TooLarge {
        /// The limit, bytes.
        limit: usize,
    },
}

impl From<BudgetExceeded> for MappingError {
    fn from(_: BudgetExceeded) -> Self {
        Self::OverBudget
    }
}

pub(super) fn render(
    root: &Expression,
    event: &MappedEvent<'_>,
    max_bytes: usize,
) -> Result<Vec<u8>, MappingError> {
    let document = event.document(root.reach());
    let roots = Roots {
        data: event.data(),
        event: &document,
    };
    let mut writer = Writer {
        out: Vec::with_capacity(256),
        budget: Budget::default(),
        max_bytes,
    };
    match writer.write(root, &roots)? {
        true => Ok(writer.out),
        false => Err(MappingError::Nothing),
    }
}

struct Writer {
    out: Vec<u8>,
    budget: Budget,
    max_bytes: usize,
}

impl Writer {
    /// Writes a value; `false` = there is none, and nothing was written.
    fn write(&mut self, expression: &Expression, roots: &Roots<'_>) -> Result<bool, MappingError> {
        // Plain paths are free by themselves; an `$each` of many items must not be.
        self.budget.spend(1)?;
        let written = match expression {
            Expression::Constant(value) => self.value(value),
            Expression::Found {
                place,
                as_list,
                default,
            } => {
                let found = place.find(roots, &mut self.budget)?;
                match (found.as_slice(), default) {
                    ([], Some(default)) => self.value(default),
                    ([], None) if !as_list => false,
                    ([one], _) if !as_list || (place.is_plain() && one.as_array().is_some()) => {
                        self.value(one)
                    }
                    (several, _) => self.list_of(several)?,
                }
            }
            Expression::Template { parts, default } => self.template(parts, default.as_ref(), roots)?,
            Expression::Object(members) => self.object(members, roots)?,
            Expression::List(items) => self.list(items, roots)?,
            Expression::Each { place, item } => {
                let found = place.find(roots, &mut self.budget)?;
                self.each(&found, item, roots)?
            }
        };
        match self.out.len() > self.max_bytes {
            true => Err(self.too_large()),
            false => Ok(written),
        }
    }

    fn too_large(&self) -> MappingError {
        MappingError::TooLarge {
            limit: self.max_bytes,
        }
    }

    fn value(&mut self, value: &Json) -> bool {
        value.write_compact(&mut self.out);
        true
    }

    /// Matches may overlap, so that together they are larger than the event by far.
    fn list_of(&mut self, values: &[&Json]) -> Result<bool, MappingError> {
        self.out.push(b'[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            value.write_compact(&mut self.out);
            if self.out.len() > self.max_bytes {
                return Err(self.too_large());
            }
        }
        self.out.push(b']');
        Ok(true)
    }

    fn template(
        &mut self,
        parts: &[Part],
        default: Option<&Json>,
        roots: &Roots<'_>,
    ) -> Result<bool, MappingError> {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Found(place) => {
                    let found = place.find(roots, &mut self.budget)?;
                    match (found.as_slice(), default) {
                        ([], Some(default)) => return Ok(self.value(default)),
                        ([], None) => {}
                        ([one], _) => text.push_str(&text_of(one)),
                        (several, _) => {
                            let list: Json = several.iter().map(|node| (*node).clone()).collect();
                            text.push_str(&text_of(&list));
                        }
                    }
                }
            }
            if text.len() > self.max_bytes {
                return Err(self.too_large());
            }
        }
        write_json_string(&text, &mut self.out);
        Ok(true)
    }

    fn object(&mut self, members: &[(String, Expression)], roots: &Roots<'_>) -> Result<bool, MappingError> {
        self.out.push(b'{');
        let mut is_first = true;
        for (name, value) in members {
            let before = self.out.len();
            if !is_first {
                self.out.push(b',');
            }
            write_json_string(name, &mut self.out);
            self.out.push(b':');
            match self.write(value, roots)? {
                true => is_first = false,
                false => self.out.truncate(before),
            }
        }
        self.out.push(b'}');
        Ok(true)
    }

    fn list(&mut self, items: &[Expression], roots: &Roots<'_>) -> Result<bool, MappingError> {
        self.out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            if !self.write(item, roots)? {
                self.value(&Json::Null);
            }
        }
        self.out.push(b']');
        Ok(true)
    }

    /// A single list that is found stands for its items.
    fn each(&mut self, found: &[&Json], item: &Expression, roots: &Roots<'_>) -> Result<bool, MappingError> {
        let items: Vec<&Json> = match found {
            [Json::Array(items)] => items.iter().collect(),
            nodes => nodes.to_vec(),
        };
        self.out.push(b'[');
        let mut is_first = true;
        for data in items {
            let before = self.out.len();
            if !is_first {
                self.out.push(b',');
            }
            match self.write(item, &Roots { data, ..*roots })? {
                true => is_first = false,
                false => self.out.truncate(before),
            }
        }
        self.out.push(b']');
        Ok(true)
    }
}
