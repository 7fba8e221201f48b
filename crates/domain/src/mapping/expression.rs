//! What a mapping is compiled to.

use super::{place::Place, template::Part};
use crate::json::Json;

/// One value of the body that a mapping makes.
#[derive(Debug)]
pub(super) enum Expression {
    /// Itself.
    Constant(Json),
    /// What is at a place; several are a list.
    Found {
        place: Place,
        /// Whether one is a list too, and none an empty one.
        as_list: bool,
        /// What it is where nothing is found.
        default: Option<Json>,
    },
    /// Text with what is at places.
    Template {
        parts: Vec<Part>,
        /// What it is where one of the places has nothing; without it that place is empty.
        default: Option<Json>,
    },
    /// Members; those that come to nothing are left out.
    Object(Vec<(String, Expression)>),
    /// Items; those that come to nothing are null, so that the others keep their places.
    List(Vec<Expression>),
    /// A list: one item for each of those that are found.
    Each { place: Place, item: Box<Expression> },
}
