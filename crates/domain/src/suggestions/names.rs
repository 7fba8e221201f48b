//! What a member's name says: whether it identifies, or is what people know a thing by.

/// Names that identify, the most telling first.
const ID_NAMES: [&str; 8] = ["id", "uuid", "guid", "key", "number", "code", "sku", "email"];
/// Last words of names that identify.
const ID_ENDINGS: [&str; 6] = ["_id", "_uuid", "_guid", "_key", "_number", "_code"];
/// Names that people know things by, the most telling first.
const TITLE_NAMES: [&str; 9] = [
    "title",
    "name",
    "display_name",
    "full_name",
    "subject",
    "label",
    "email",
    "username",
    "summary",
];

/// How telling a name is as that of an id, 0 the most; `None` where it is none.
pub(super) fn id_rank(name: &str) -> Option<usize> {
    let words = words(name);
    let by_name = ID_NAMES.iter().position(|known| *known == words);
    let by_ending = || {
        let place = ID_ENDINGS.iter().position(|ending| words.ends_with(ending));
        place.map(|_| ID_NAMES.len())
    };
    by_name.or_else(by_ending)
}

/// How telling a name is as that of a title, 0 the most; `None` where it is none.
pub(super) fn title_rank(name: &str) -> Option<usize> {
    let words = words(name);
    TITLE_NAMES.iter().position(|known| *known == words)
}

/// A name as its words in lower case, joined with `_`: `OrderID`, `order-id` and `@shop:orderId` are all
/// `order_id`. The marks of XML's attributes and prefixes don't count.
fn words(name: &str) -> String {
    let name = name.trim_start_matches('@');
    let name = name.rsplit(':').next().unwrap_or(name);
    let chars: Vec<char> = name.chars().collect();
    let mut words = String::with_capacity(name.len() + 4);
    for (index, c) in chars.iter().enumerate() {
        if !c.is_alphanumeric() {
            words.push('_');
            continue;
        }
        let before = index.checked_sub(1).and_then(|before| chars.get(before));
        let after = chars.get(index + 1);
        let begins = c.is_uppercase()
            && (before.is_some_and(|before| before.is_lowercase() || before.is_numeric())
                || before.is_some_and(|before| before.is_uppercase())
                    && after.is_some_and(|after| after.is_lowercase()));
        if begins {
            words.push('_');
        }
        words.extend(c.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_by_their_words() {
        for (name, expected) in [
            ("OrderID", "order_id"),
            ("order-id", "order_id"),
            ("@shop:orderId", "order_id"),
            ("ID", "id"),
            ("paid", "paid"),
            ("HTMLKey", "html_key"),
            ("line2Code", "line2_code"),
        ] {
            assert_eq!(words(name), expected, "{name}");
        }
    }

    #[test]
    fn an_ending_counts_as_a_word_only() {
        for name in ["id", "Id", "customer_id", "customerId", "sf:Id", "order_number"] {
            assert!(id_rank(name).is_some(), "{name}");
        }
        for name in ["paid", "valid", "grid", "monkey", "encode", "idle"] {
            assert_eq!(id_rank(name), None, "{name}");
        }
    }
}
