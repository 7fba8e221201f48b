//! Requests of senders that are no events and want an answer of their own: challenges, pings,
//! confirmations of subscriptions. One rule, as data: when it fits, and what is answered.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use ring::hmac;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::json::Json;
use crate::signature::template::{Field, Filter, Piece};
use crate::signature::{Condition, HeaderLookup, Place, Remote, RequestFacts, Template};
use crate::validation::{self, Faults};

/// Longest body of an answer, bytes: challenges are short, and nobody's echo should be large.
const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// Headers that are about the transfer, or the server's to set.
const NOT_SET: [&str; 9] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Most headers of an answer.
const MAX_HEADERS: usize = 32;

/// A rule for requests that are no events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Handshake {
    /// When it fits; all have to hold.
    pub when: Vec<Condition>,
    /// Whether the request has to be signed as events are.
    #[serde(default = "yes")]
    pub signed: bool,
    /// A URL in the body that has to be fetched successfully first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit: Option<Remote>,
    /// What is answered.
    pub answer: HandshakeAnswer,
}

/// What is answered; headers and body are texts with `{{placeholders}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandshakeAnswer {
    /// Status, 200 to 299.
    #[serde(default = "ok")]
    pub status: u16,
    /// Headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Body.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

/// When a rule can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before the body is read: the rule needs neither it nor a signature.
    Head,
    /// With the body, unsigned.
    Body,
    /// With the body, once its signature was found right.
    Signed,
}

/// An answer that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// The rules of a source, ready.
#[derive(Debug, Default)]
pub struct Handshakes(Vec<Compiled>);

#[derive(Debug)]
struct Compiled {
    rule: Handshake,
    stage: Stage,
    headers: Vec<(String, Template)>,
    body: Template,
}

fn yes() -> bool {
    true
}

fn ok() -> u16 {
    200
}

impl Handshake {
    pub(crate) fn check(&self, pointer: &str, faults: &mut Faults) {
        let conditions = (1..=16).contains(&self.when.len());
        faults.require(conditions, &format!("{pointer}/when"), "needs 1 to 16 conditions");
        for (place, condition) in self.when.iter().enumerate() {
            condition.check(&format!("{pointer}/when/{place}"), faults);
        }
        if let Some(visit) = &self.visit {
            visit.check(&format!("{pointer}/visit"), faults);
            faults.require(
                self.signed,
                &format!("{pointer}/signed"),
                "is needed to visit a URL",
            );
        }
        let pointer = format!("{pointer}/answer");
        check_answer(self.answer.status, &self.answer.headers, &pointer, faults);
        for (name, value) in &self.answer.headers {
            check_template(value, self.signed, &format!("{pointer}/headers/{name}"), faults);
        }
        check_template(&self.answer.body, self.signed, &format!("{pointer}/body"), faults);
    }

    fn compile(&self) -> Option<Compiled> {
        let parse = |(name, text): (&String, &String)| Some((name.clone(), Template::parse(text).ok()?));
        let headers: Vec<_> = self.answer.headers.iter().map(parse).collect::<Option<_>>()?;
        let body = Template::parse(&self.answer.body).ok()?;
        let in_body = |template: &Template| template.fields().any(|field| matches!(field, Field::Value(_)));
        let reads_body = self.when.iter().any(Condition::reads_body)
            || headers.iter().any(|(_, template)| in_body(template))
            || in_body(&body);
        let stage = match (self.signed, reads_body) {
            (true, _) => Stage::Signed,
            (false, true) => Stage::Body,
            (false, false) => Stage::Head,
        };
        Some(Compiled {
            rule: self.clone(),
            stage,
            headers,
            body,
        })
    }
}

/// What a rule of a source comes to.
pub struct Fitting<'h> {
    /// What has to be fetched first.
    pub visit: Option<&'h Remote>,
    pub answer: ReadyAnswer,
}

impl Handshakes {
    /// Readies rules. One whose templates can't be parsed was refused when it was saved.
    pub fn new(rules: &[Handshake]) -> Self {
        Self(rules.iter().filter_map(Handshake::compile).collect())
    }

    /// Whether there is a rule that needs the body of a request with this method.
    pub fn take(&self, method: &str) -> bool {
        let methods = |rule: &Compiled| {
            let mut named = rule
                .rule
                .when
                .iter()
                .filter_map(|condition| condition.method.as_deref());
            named.all(|known| known == method)
        };
        self.0
            .iter()
            .any(|rule| rule.stage != Stage::Head && methods(rule))
    }

    /// The answer of the first rule of this stage that fits. `secret` is the one to answer with.
    pub fn answer<'h, H: HeaderLookup>(
        &'h self,
        stage: Stage,
        request: &RequestFacts<'_, H>,
        secret: Option<&str>,
        is_secret: &dyn Fn(&str) -> bool,
    ) -> Option<Fitting<'h>> {
        let of_stage = self.0.iter().filter(|rule| rule.stage == stage);
        let mut fitting = of_stage.filter(|rule| rule.rule.when.iter().all(|c| c.holds(request, is_secret)));
        fitting.find_map(|rule| {
            let headers = rule.headers.iter().map(|(name, value)| {
                let value = fill(value, request, secret)?;
                validation::is_header_value(&value).then(|| (name.clone(), value))
            });
            let answer = ReadyAnswer {
                status: rule.rule.answer.status,
                headers: headers.collect::<Option<_>>()?,
                body: fill(&rule.body, request, secret)?,
            };
            let visit = rule.rule.visit.as_ref();
            Some(Fitting { visit, answer })
        })
    }
}

/// A template's text; `None` where a part of it isn't in the request, or it grows too long.
fn fill<H: HeaderLookup>(
    template: &Template,
    request: &RequestFacts<'_, H>,
    secret: Option<&str>,
) -> Option<String> {
    let mut filled = String::new();
    for piece in &template.0 {
        match piece {
            Piece::Literal(text) => filled.push_str(text),
            Piece::Placeholder(field, filters) => {
                let place = match field {
                    Field::Header(name) => Place::Header(name.clone()),
                    Field::Query(name) => Place::Query(name.clone()),
                    Field::Value(path) => Place::Path(path.clone()),
                    _ => return None,
                };
                let text = place.text(request, None)?.into_owned();
                filled.push_str(
                    &filters
                        .iter()
                        .try_fold(text, |text, filter| filter.apply(&text, secret))?,
                );
            }
        }
        if filled.len() > MAX_ANSWER_BYTES {
            return None;
        }
    }
    Some(filled)
}

impl Filter {
    fn apply(self, text: &str, secret: Option<&str>) -> Option<String> {
        let mac = |secret: &str| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            hmac::sign(&key, text.as_bytes())
        };
        Some(match self {
            Self::Json => Json::from(text).to_compact_string(),
            Self::HmacSha256Hex => HEXLOWER.encode(mac(secret?).as_ref()),
            Self::HmacSha256Base64 => STANDARD.encode(mac(secret?)),
        })
    }
}

/// Refuses an answer that can't be sent, or that would lie.
pub(crate) fn check_answer(
    status: u16,
    headers: &BTreeMap<String, String>,
    pointer: &str,
    faults: &mut Faults,
) {
    let is_success = (200..300).contains(&status);
    faults.require(is_success, &format!("{pointer}/status"), "has to be 200 to 299");
    let few = headers.len() <= MAX_HEADERS;
    faults.require(few, &format!("{pointer}/headers"), "has more than 32 headers");
    for (name, value) in headers {
        let pointer = format!("{pointer}/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        faults.require(
            validation::is_header_name(name),
            &pointer,
            "is not a header's name",
        );
        let own = !NOT_SET.contains(&name.to_ascii_lowercase().as_str());
        faults.require(own, &pointer, "is not for a definition to set");
        faults.require(
            validation::is_header_value(value),
            &pointer,
            "is not a header's value",
        );
    }
}

/// Where nobody signed, a stranger must not have texts of its own choice signed with the secret.
fn check_template(text: &str, signed: bool, pointer: &str, faults: &mut Faults) {
    let allowed = |field: &Field, filters: &[Filter]| {
        let signs = |filter: &Filter| matches!(filter, Filter::HmacSha256Hex | Filter::HmacSha256Base64);
        let shown = matches!(field, Field::Header(_) | Field::Query(_) | Field::Value(_));
        shown && (signed || !filters.iter().any(signs))
    };
    let checked = Template::parse(text).and_then(|template| template.check(allowed));
    if let Err(error) = checked {
        faults.require(false, pointer, &error.to_string());
    }
}
