//! The query's parameters, in order, decoded as forms are (WHATWG URL, `application/x-www-form-urlencoded`).

/// Reads a query string. Nothing is allocated for an empty one.
pub(crate) fn read_query(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_their_order_and_repetitions() {
        let read = read_query("b=1&a=%C3%A4+%2B&b=2&flag");
        let read: Vec<_> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(read, [("b", "1"), ("a", "ä +"), ("b", "2"), ("flag", "")]);
        assert!(read_query("").is_empty());
    }
}
