//! What a sync's definition has to be.

use super::{SyncOrigin, SyncSpec, schedule, sql_text};
use crate::{
    json::Json,
    validation::{self, Faults, FieldError, pointer_token},
};

/// Columns of a primary key, at the most.
const MAX_KEY_COLUMNS: usize = 8;
/// Bytes of the name of a column or a part of a table's name; databases take 63 to 128.
const MAX_IDENTIFIER_BYTES: usize = 128;
/// Bytes of a query.
const MAX_QUERY_BYTES: usize = 16 * 1024;
/// Bytes of a prefix.
const MAX_PREFIX_BYTES: usize = 64;
/// Parts of a table's name: catalogue, schema, table.
const MAX_TABLE_PARTS: usize = 3;

impl SyncSpec {
    /// Refuses what can't be meant.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut faults = Faults::default();
        let name = "has to match [A-Za-z0-9][A-Za-z0-9_-]{0,63}";
        faults.require(validation::is_name(&self.name), "/name", name);
        validation::check_labels(&self.labels, &mut faults);
        self.from.check(&mut faults);
        self.check_mapping(&mut faults);
        faults.require(
            is_prefix(&self.meta_prefix),
            "/meta_prefix",
            "has to match [A-Za-z_][A-Za-z0-9_]{0,63}",
        );
        if let Some(Err(detail)) = self.schedule.as_deref().map(schedule::check) {
            faults.require(false, "/schedule", &detail);
        }
        faults.finish()
    }

    /// A record is an object, beside whose members is what it says about itself.
    fn check_mapping(&self, faults: &mut Faults) {
        let Some(mapping) = &self.mapping else { return };
        let reads_row = !mapping.looks_at_event();
        let detail = "can't look at $event: a row has none, it is the data";
        faults.require(reads_row, "/mapping", detail);
        let meta = format!("{}_meta", self.meta_prefix);
        for name in mapping
            .definition()
            .as_object()
            .into_iter()
            .flat_map(|members| members.keys())
        {
            let pointer = format!("/mapping/{}", pointer_token(name));
            let is_member = !name.starts_with('$') || name.starts_with("$$");
            faults.require(is_member, &pointer, "is no member: a record is an object");
            let detail = "is what a record says about itself: take another name or meta_prefix";
            faults.require(*name != meta, &pointer, detail);
        }
    }

    /// The name that two members of a record would have as query parameters, at a destination with GET.
    pub fn clash_in_query(&self) -> Option<String> {
        let mapping = self.mapping.as_ref()?;
        let own = ["_message_id", "_sync_mode"];
        let members = mapping.definition().as_object()?;
        let taken = members.keys().find(|name| own.contains(&name.as_str()));
        taken.cloned().or_else(|| mapping.clash_in_query())
    }
}

impl SyncOrigin {
    fn check(&self, faults: &mut Faults) {
        match (&self.entities, self.connection) {
            (Some(entity_type), None) => {
                let detail = "is not the name of a type";
                faults.require(validation::is_name(entity_type), "/from/entities", detail);
                let detail = "goes with a connection, not with entities";
                faults.require(self.table.is_none(), "/from/table", detail);
                faults.require(self.query.is_none(), "/from/query", detail);
            }
            (None, Some(_)) => self.check_rows(faults),
            (Some(_), Some(_)) => {
                faults.require(false, "/from/connection", "does not go with entities");
            }
            (None, None) => faults.require(false, "/from", "needs entities or a connection"),
        }
        self.check_key(faults);
    }

    fn check_rows(&self, faults: &mut Faults) {
        match (&self.table, &self.query) {
            (Some(table), None) => {
                let parts: Vec<&str> = table.split('.').collect();
                let fits = parts.len() <= MAX_TABLE_PARTS && parts.iter().all(|part| is_identifier(part));
                faults.require(
                    fits,
                    "/from/table",
                    "is not a table's name, such as sales.customers",
                );
            }
            (None, Some(query)) => {
                faults.require(
                    query.len() <= MAX_QUERY_BYTES,
                    "/from/query",
                    "has more than 16384 bytes",
                );
                if let Err(detail) = sql_text::check_query(query) {
                    faults.require(false, "/from/query", detail);
                }
            }
            (Some(_), Some(_)) => faults.require(false, "/from/query", "does not go with table"),
            (None, None) => faults.require(false, "/from/table", "is needed, or query"),
        }
        faults.require(
            !self.primary_key.is_empty(),
            "/from/primary_key",
            "is needed: the columns that identify a row",
        );
    }

    fn check_key(&self, faults: &mut Faults) {
        let few = self.primary_key.len() <= MAX_KEY_COLUMNS;
        faults.require(few, "/from/primary_key", "has more than 8 columns");
        for (place, column) in self.primary_key.iter().enumerate() {
            let pointer = format!("/from/primary_key/{place}");
            faults.require(is_identifier(column), &pointer, "is not a column's name");
            let is_first = !self.primary_key[..place].contains(column);
            faults.require(is_first, &pointer, "is there twice");
        }
    }
}

/// A name that can be put between quotes.
fn is_identifier(text: &str) -> bool {
    (1..=MAX_IDENTIFIER_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_prefix(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.len() <= MAX_PREFIX_BYTES
        && text.starts_with(first)
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether a row has all columns of the primary key, none of them null.
pub(super) fn key_values(primary_key: &[String], row: &Json) -> Option<Vec<Json>> {
    let value = |column: &String| row.get(column).filter(|value| !value.is_null()).cloned();
    primary_key.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pointers of the faults of a sound definition with `changes`.
    fn check(changes: &str, expected: &[&str]) {
        let mut spec: serde_json::Value = serde_json::json!({
            "name": "crm", "from": {"entities": "customer"}, "destination": "dst_01ARZ3NDEKTSV4RRFFQ69G5FAV"
        });
        let changes: serde_json::Value = serde_json::from_str(changes).unwrap();
        for (name, value) in changes.as_object().unwrap() {
            spec[name] = value.clone();
        }
        let spec: SyncSpec = serde_json::from_str(&spec.to_string()).unwrap();
        let faults = spec.validate().err().unwrap_or_default();
        let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, expected, "{changes}: {faults:?}");
    }

    const CONNECTION: &str = r#""connection": "con_01ARZ3NDEKTSV4RRFFQ69G5FAV""#;

    fn check_from(members: &str, expected: &[&str]) {
        check(&format!(r#"{{"from": {{{members}}}}}"#), expected);
    }

    #[test]
    fn sound_definitions_pass() {
        check("{}", &[]);
        check(
            r#"{"schedule": "*/5 * * * *", "meta_prefix": "_valmi", "mode": "mirror"}"#,
            &[],
        );
        check(
            r#"{"mapping": {"a": "$.a", "$$b": "{{c}}", "meta": {"x": 1}}}"#,
            &[],
        );
        check_from(
            &format!(r#"{CONNECTION}, "table": "public.users", "primary_key": ["a", "b"]"#),
            &[],
        );
        check_from(
            &format!(r#"{CONNECTION}, "query": "SELECT 1 AS a", "primary_key": ["a"]"#),
            &[],
        );
    }

    #[test]
    fn every_fault_is_named_by_its_field() {
        check(r#"{"name": "a b"}"#, &["/name"]);
        for prefix in ["", "1a", "a-b", "ä"] {
            check(&format!(r#"{{"meta_prefix": "{prefix}"}}"#), &["/meta_prefix"]);
        }
        for schedule in [
            "",
            "* * * *",
            "@hourly",
            "* * * * * *",
            "61 * * * *",
            "0 0 30 2 *",
        ] {
            check(&format!(r#"{{"schedule": "{schedule}"}}"#), &["/schedule"]);
        }
        check(r#"{"mapping": {"a": "$event.event_type"}}"#, &["/mapping"]);
        check(r#"{"mapping": {"$path": "$.a"}}"#, &["/mapping/$path"]);
        check(
            r#"{"mapping": {"_hookrail_meta": 1}}"#,
            &["/mapping/_hookrail_meta"],
        );
    }

    #[test]
    fn an_origin_is_one_thing() {
        check_from("", &["/from"]);
        check_from(r#""entities": "a b""#, &["/from/entities"]);
        check_from(r#""entities": "a", "table": "t""#, &["/from/table"]);
        check_from(CONNECTION, &["/from/table", "/from/primary_key"]);
        check_from(
            &format!(r#"{CONNECTION}, "entities": "a""#),
            &["/from/connection"],
        );
        let key = r#""primary_key": ["a"]"#;
        check_from(
            &format!(r#"{CONNECTION}, "table": "a..b", {key}"#),
            &["/from/table"],
        );
        check_from(
            &format!(r#"{CONNECTION}, "table": "a", "query": "b", {key}"#),
            &["/from/query"],
        );
        check_from(
            &format!(r#"{CONNECTION}, "query": "SELECT 1; SELECT 2", {key}"#),
            &["/from/query"],
        );
        check_from(
            &format!(r#"{CONNECTION}, "table": "a", "primary_key": ["a", "a", ""]"#),
            &["/from/primary_key/1", "/from/primary_key/2"],
        );
    }
}
