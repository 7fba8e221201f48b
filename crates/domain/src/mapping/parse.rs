//! A mapping's definition → its compiled form, every fault with its pointer.

use super::{
    expression::Expression,
    place::Place,
    template::{self, Part},
};
use crate::json::{Json, Members};
use crate::validation::{FieldError, pointer_token};

/// Values of one mapping, objects and lists counted.
pub const MAX_EXPRESSIONS: usize = 1000;
/// Objects and lists inside of each other.
pub const MAX_MAPPING_DEPTH: usize = 16;
/// Bytes of one template.
pub const MAX_TEMPLATE_BYTES: usize = 8192;
/// Bytes of a member's name.
pub const MAX_NAME_BYTES: usize = 256;

/// The instructions, each with the members that go with it.
const INSTRUCTIONS: [(&str, &[&str]); 4] = [
    ("$const", &[]),
    ("$path", &["$default", "$list"]),
    ("$template", &["$default"]),
    ("$each", &["$map"]),
];

pub(super) fn parse(definition: &Json, pointer: &str, errors: &mut Vec<FieldError>) -> Option<Expression> {
    let before = errors.len();
    let mut parser = Parser {
        errors,
        expressions: 0,
    };
    let root = match definition {
        Json::Object(members) if members.is_empty() => parser.refuse(pointer, "needs a member"),
        Json::Object(members) => parser.members(members, pointer, 1),
        _ => parser.refuse(pointer, "has to be an object"),
    };
    root.filter(|_| errors.len() == before)
}

struct Parser<'e> {
    errors: &'e mut Vec<FieldError>,
    expressions: usize,
}

impl Parser<'_> {
    fn refuse<T>(&mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Option<T> {
        self.errors.push(FieldError::new(pointer, detail));
        None
    }

    fn value(&mut self, value: &Json, pointer: &str, depth: usize) -> Option<Expression> {
        self.expressions += 1;
        if self.expressions == MAX_EXPRESSIONS + 1 {
            self.refuse::<()>(pointer, format!("a mapping has at most {MAX_EXPRESSIONS} values"));
        }
        if self.expressions > MAX_EXPRESSIONS {
            return None;
        }
        if depth > MAX_MAPPING_DEPTH {
            return self.refuse(pointer, format!("mappings nest at most {MAX_MAPPING_DEPTH} deep"));
        }
        match value {
            Json::String(text) => self.text(text, pointer),
            Json::Object(members) => self.members(members, pointer, depth),
            Json::Array(items) => self.list(items, pointer, depth),
            scalar => Some(Expression::Constant(scalar.clone())),
        }
    }

    fn text(&mut self, text: &str, pointer: &str) -> Option<Expression> {
        if template::is_template(text) {
            return self.template(text, None, pointer);
        }
        if !text.starts_with('$') {
            return Some(Expression::Constant(text.into()));
        }
        let place = self.place(text, pointer)?;
        Some(Expression::Found {
            place,
            as_list: false,
            default: None,
        })
    }

    fn list(&mut self, items: &[Json], pointer: &str, depth: usize) -> Option<Expression> {
        let mut parsed = Vec::new();
        for (index, item) in items.iter().enumerate() {
            parsed.push(self.value(item, &format!("{pointer}/{index}"), depth + 1));
        }
        parsed
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .map(Expression::List)
    }

    fn members(&mut self, members: &Members, pointer: &str, depth: usize) -> Option<Expression> {
        let is_instruction = |name: &String| name.starts_with('$') && !name.starts_with("$$");
        if members.keys().any(is_instruction) {
            return self.instruction(members, pointer, depth);
        }
        let mut parsed = Vec::new();
        for (name, value) in members {
            let below = format!("{pointer}/{}", pointer_token(name));
            if name.len() > MAX_NAME_BYTES {
                return self.refuse(below, format!("a name has at most {MAX_NAME_BYTES} bytes"));
            }
            // `$$name` is a member called `$name`.
            let target = name.strip_prefix('$').unwrap_or(name).to_owned();
            let value = self.value(value, &below, depth + 1);
            parsed.push(value.map(|value| (target, value)));
        }
        parsed
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .map(Expression::Object)
    }

    fn instruction(&mut self, members: &Members, pointer: &str, depth: usize) -> Option<Expression> {
        let found = INSTRUCTIONS
            .into_iter()
            .find(|(name, _)| members.contains_key(*name));
        let Some((name, allowed)) = found else {
            let names = INSTRUCTIONS.map(|(name, _)| name).join(", ");
            return self.refuse(
                pointer,
                format!("needs one of {names}; a member called $x is written $$x"),
            );
        };
        for other in members.keys().filter(|other| *other != name) {
            if !allowed.contains(&other.as_str()) {
                let below = format!("{pointer}/{}", pointer_token(other));
                return self.refuse(below, format!("does not go with {name}"));
            }
        }
        let below = format!("{pointer}/{name}");
        let default = members.get("$default").cloned();
        match (name, &members[name]) {
            ("$const", value) => Some(Expression::Constant(value.clone())),
            ("$path", Json::String(text)) => {
                let as_list = self.flag(members.get("$list"), pointer)?;
                let place = self.place(text, &below)?;
                Some(Expression::Found {
                    place,
                    as_list,
                    default,
                })
            }
            ("$template", Json::String(text)) => self.template(text, default, &below),
            ("$each", Json::String(text)) => self.each(text, members.get("$map"), pointer, depth),
            _ => self.refuse(below, "has to be a string"),
        }
    }

    fn each(&mut self, text: &str, item: Option<&Json>, pointer: &str, depth: usize) -> Option<Expression> {
        let place = self.place(text, &format!("{pointer}/$each"));
        let below = format!("{pointer}/$map");
        let Some(item) = item else {
            return self.refuse(below, "is needed: what an item becomes");
        };
        let item = self.value(item, &below, depth + 1);
        let (place, item) = (place?, Box::new(item?));
        Some(Expression::Each { place, item })
    }

    fn flag(&mut self, value: Option<&Json>, pointer: &str) -> Option<bool> {
        match value {
            None => Some(false),
            Some(Json::Bool(flag)) => Some(*flag),
            Some(_) => self.refuse(format!("{pointer}/$list"), "has to be true or false"),
        }
    }

    fn place(&mut self, text: &str, pointer: &str) -> Option<Place> {
        match Place::parse(text) {
            Ok(place) => Some(place),
            Err(error) => self.refuse(pointer, error.detail),
        }
    }

    fn template(&mut self, text: &str, default: Option<Json>, pointer: &str) -> Option<Expression> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return self.refuse(
                pointer,
                format!("a template has at most {MAX_TEMPLATE_BYTES} bytes"),
            );
        }
        match template::parse(text) {
            Ok(parts) => Some(literal_or(parts, default)),
            Err(detail) => self.refuse(pointer, detail),
        }
    }
}

/// A template without places is a constant.
fn literal_or(mut parts: Vec<Part>, default: Option<Json>) -> Expression {
    match parts.as_mut_slice() {
        [] => Expression::Constant("".into()),
        [Part::Text(text)] => Expression::Constant(std::mem::take(text).into()),
        _ => Expression::Template { parts, default },
    }
}
