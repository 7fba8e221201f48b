//! What a fetcher's definition has to be, so that it can ask for any id that it is given.

use url::Url;

use super::{
    FetchMethod, FetcherSpec,
    ids::FetchId,
    request::{FetchRequestError, is_dots},
    template::{MAX_TEMPLATE_BYTES, Template},
};
use crate::{
    destination::{MAX_TIMEOUT_MS, MAX_URL_BYTES, check_header},
    entity::{MAX_UNIQUE_ID_PATHS, UniqueId},
    json::Json,
    validation::{self, Faults, FieldError},
};

/// Calls of one fetcher at a time, at the most.
const MAX_IN_FLIGHT: u32 = 256;

impl FetcherSpec {
    /// Refuses what can't be meant, and what this version does not carry out yet.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut faults = Faults::default();
        let name = "has to match [A-Za-z0-9][A-Za-z0-9_-]{0,63}";
        faults.require(validation::is_name(&self.name), "/name", name);
        faults.require(validation::is_name(&self.entity_type), "/type", name);
        validation::check_labels(&self.labels, &mut faults);
        let paths = self.unique_id.paths().len();
        faults.require(
            (1..=MAX_UNIQUE_ID_PATHS).contains(&paths),
            "/unique_id",
            "needs 1 to 8 paths",
        );
        self.check_url(&mut faults);
        self.check_headers(&mut faults);
        self.check_body(&mut faults);
        self.check_asks(&mut faults);
        self.check_limits(&mut faults);
        self.auth.check(&mut faults);
        faults.finish()
    }

    /// A URL of the definition's shape, for some id: what leads to the server is the same for all.
    pub fn sample_url(&self) -> String {
        let template = self.template("url", &self.url).ok();
        template
            .and_then(|template| self.sample(&template, "x"))
            .unwrap_or_default()
    }

    fn check_url(&self, faults: &mut Faults) {
        faults.require(
            self.url.len() <= MAX_URL_BYTES,
            "/url",
            "has more than 2048 bytes",
        );
        let Some(template) = self.read("url", &self.url, "/url", faults) else {
            return;
        };
        let (Some(one), Some(other)) = (self.sample(&template, "x"), self.sample(&template, "y")) else {
            return;
        };
        let (one, other) = match (Url::parse(&one), Url::parse(&other)) {
            (Ok(one), Ok(other)) => (one, other),
            (Err(error), _) | (_, Err(error)) => {
                return faults.require(false, "/url", &format!("is not a URL: {error}"));
            }
        };
        let is_http = matches!(one.scheme(), "http" | "https");
        faults.require(is_http, "/url", "has to start with http:// or https://");
        let bare = one.username().is_empty() && one.password().is_none();
        faults.require(bare, "/url", "must not hold credentials: use auth");
        let same = one.scheme() == other.scheme() && one.host() == other.host() && one.port() == other.port();
        faults.require(
            same && one.username() == other.username(),
            "/url",
            "may have ids in its path and query only, not in what leads to the server",
        );
        faults.require(
            one.fragment().is_none(),
            "/url",
            "must not have a part after #, which is never sent",
        );
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        let dots = path.split('/').any(is_dots);
        faults.require(!dots, "/url", "must not have the segments . and ..");
    }

    fn check_headers(&self, faults: &mut Faults) {
        faults.require(self.headers.len() <= 32, "/headers", "has more than 32 headers");
        for (name, value) in &self.headers {
            let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
            check_header(name, value, &pointer, faults);
            self.read("headers", value, &pointer, faults);
        }
    }

    fn check_body(&self, faults: &mut Faults) {
        let Some(body) = &self.body else { return };
        faults.require(
            self.method == FetchMethod::Post,
            "/body",
            "goes with method POST only",
        );
        faults.require(
            body.len() <= MAX_TEMPLATE_BYTES,
            "/body",
            "has more than 16384 bytes",
        );
        let Some(template) = self.read("body", body, "/body", faults) else {
            return;
        };
        // Outside of a string this is no JSON, and an id there could be anything.
        let sample = self.sample(&template, "x").unwrap_or_default();
        faults.require(
            Json::parse(sample.as_bytes()).is_ok(),
            "/body",
            "has to be JSON, with ids inside of strings",
        );
    }

    /// What asks for nothing would get the same thing every time.
    fn check_asks(&self, faults: &mut Faults) {
        let has_id = |text: &str| self.template("", text).is_ok_and(|template| template.has_id());
        let asks = has_id(&self.url)
            || self.headers.values().any(|value| has_id(value))
            || self.body.as_deref().is_some_and(has_id);
        faults.require(asks, "/url", "needs {{id}} in it, in a header or in the body");
    }

    fn check_limits(&self, faults: &mut Faults) {
        let timeout = (100..=MAX_TIMEOUT_MS).contains(&self.timeout_ms);
        faults.require(timeout, "/timeout_ms", "has to be 100 to 60000");
        let in_flight = (1..=MAX_IN_FLIGHT).contains(&self.max_in_flight);
        faults.require(in_flight, "/max_in_flight", "has to be 1 to 256");
        self.retry.check(faults);
        if let Some(limit) = &self.rate_limit {
            limit.check("/rate_limit", faults);
        }
    }

    fn read(&self, field: &'static str, text: &str, pointer: &str, faults: &mut Faults) -> Option<Template> {
        match self.template(field, text) {
            Ok(template) => Some(template),
            Err(FetchRequestError::Template(_, error)) => {
                faults.require(false, pointer, &error.to_string());
                None
            }
            Err(_) => None,
        }
    }

    /// The template with `value` for every id.
    fn sample(&self, template: &Template, value: &str) -> Option<String> {
        let parts = match &self.unique_id {
            UniqueId::One(_) => 1,
            UniqueId::Many(paths) => paths.len(),
        };
        let id = FetchId {
            text: value.to_owned(),
            parts: vec![value.to_owned(); parts],
        };
        let plain = |value: &str| Ok::<_, std::convert::Infallible>(value.to_owned());
        template.render(&id, plain).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pointers of the faults of a sound definition with `changes`.
    fn check(changes: &str, expected: &[&str]) {
        let mut spec: serde_json::Value = serde_json::json!({
            "name": "users", "type": "customer", "url": "https://api.example.com/users/{{id}}", "unique_id": "$.id"
        });
        let changes: serde_json::Value = serde_json::from_str(changes).unwrap();
        for (name, value) in changes.as_object().unwrap() {
            spec[name] = value.clone();
        }
        let spec: FetcherSpec = serde_json::from_value(spec).unwrap();
        let faults = spec.validate().err().unwrap_or_default();
        let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, expected, "{changes}: {faults:?}");
    }

    #[test]
    fn sound_definitions_pass() {
        check("{}", &[]);
        check(
            r#"{"url":"http://h/{{id.0}}/{{id.1}}","unique_id":["$.a","$.b"]}"#,
            &[],
        );
        check(
            r#"{"url":"http://h/q","method":"POST","body":"{\"id\":\"{{id}}\"}","headers":{"X-A":"b"}}"#,
            &[],
        );
        check(r#"{"url":"http://h/","headers":{"X-Id":"{{id}}"}}"#, &[]);
    }

    #[test]
    fn every_fault_is_named_by_its_field() {
        check(r#"{"name":"a b","type":""}"#, &["/name", "/type"]);
        check(r#"{"url":"ftp://h/{{id}}"}"#, &["/url"]);
        check(r#"{"url":"http://{{id}}.h/"}"#, &["/url"]);
        check(r#"{"url":"http://h:8{{id}}/"}"#, &["/url"]);
        check(r#"{"url":"http://u:p@h/{{id}}"}"#, &["/url"]);
        check(r#"{"url":"http://h/#{{id}}"}"#, &["/url"]);
        check(r#"{"url":"http://h/../{{id}}"}"#, &["/url"]);
        check(r#"{"url":"http://h/all"}"#, &["/url"]);
        check(r#"{"url":"http://h/{{name}}"}"#, &["/url", "/url"]);
        check(r#"{"url":"http://h/{{id}}/{{id.1}}"}"#, &["/url", "/url"]);
        check(r#"{"body":"{}"}"#, &["/body"]);
        check(r#"{"method":"POST","body":"{\"id\":{{id}}}"}"#, &["/body"]);
        check(r#"{"headers":{"Host":"a"}}"#, &["/headers/Host"]);
        check(r#"{"headers":{"X-A":"{{it}}"}}"#, &["/headers/X-A"]);
        check(
            r#"{"timeout_ms":1,"max_in_flight":0}"#,
            &["/timeout_ms", "/max_in_flight"],
        );
        check(r#"{"rate_limit":{"per_second":0}}"#, &["/rate_limit/per_second"]);
        check(
            r#"{"auth":{"type":"oauth2_client_credentials","token_url":"ftp://t/","client_id":"a","client_secret":"b"}}"#,
            &["/auth/token_url"],
        );
    }
}
