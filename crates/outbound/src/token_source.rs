//! Where a destination's access tokens come from: OAuth 2 client credentials (RFC 6749, section 4.4).
//!
//! Makes the request for a token and reads the answer. Doesn't send, and keeps no token.

use std::fmt;
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hookrail_domain::Millis;
use hookrail_domain::delivery::ErrorCode;
use hookrail_domain::destination::{ClientAuth, DestinationAuth};
use hookrail_domain::json::Json;
use url::form_urlencoded;

use crate::attempt::{AttemptError, AttemptResult};
use crate::destination_request::{RequestError, active};
use crate::outbound_request::OutboundRequest;

/// Most of a token endpoint's answer that is read, bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Longest token, bytes: what servers take as a header.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// How long a token is used whose endpoint doesn't say (RFC 6749, section 5.1, only recommends it).
const UNSAID_LIFE: Duration = Duration::from_secs(300);
/// The longest that a token is used, whatever its endpoint says.
const MAX_LIFE_S: u64 = 24 * 3600;
/// Longest error code of a token endpoint that is shown, bytes.
const MAX_CODE_BYTES: usize = 64;

/// The credentials of one client, and where they are shown. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TokenSource {
    token_url: String,
    client_id: String,
    client_secret: String,
    scope: String,
    audience: Option<String>,
    client_auth: ClientAuth,
}

/// A token as it was given.
#[derive(PartialEq, Eq)]
pub(crate) struct GivenToken {
    pub(crate) text: String,
    pub(crate) life: Duration,
}

impl TokenSource {
    /// The source of a definition's tokens; `None` where it uses none.
    ///
    /// # Errors
    /// A secret without a value.
    pub(crate) fn of(auth: &DestinationAuth, now: Millis) -> Result<Option<Self>, RequestError> {
        let DestinationAuth::Oauth2ClientCredentials {
            token_url,
            client_id,
            client_secret,
            scopes,
            audience,
            client_auth,
        } = auth
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            token_url: token_url.clone(),
            client_id: client_id.clone(),
            client_secret: active(client_secret, now, "/auth/client_secret")?.to_owned(),
            scope: scopes.join(" "),
            audience: audience.clone(),
            client_auth: *client_auth,
        }))
    }

    /// The request for a token.
    pub(crate) fn request(&self, timeout_ms: u64) -> OutboundRequest {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.scope.is_empty() {
            form.append_pair("scope", &self.scope);
        }
        if let Some(audience) = &self.audience {
            form.append_pair("audience", audience);
        }
        if self.client_auth == ClientAuth::Body {
            form.append_pair("client_id", &self.client_id);
            form.append_pair("client_secret", &self.client_secret);
        }
        let body = form.finish();
        let mut request = OutboundRequest::new("POST", &self.token_url, body.into(), timeout_ms);
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        request.headers = vec![
            header("content-type", "application/x-www-form-urlencoded"),
            header("accept", "application/json"),
        ];
        if self.client_auth == ClientAuth::Basic {
            request.headers.push(header("authorization", &self.basic()));
        }
        request.keep_body_bytes = MAX_ANSWER_BYTES;
        request
    }

    /// RFC 6749, section 2.3.1: both are form-encoded before they are joined.
    fn basic(&self) -> String {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encoded(&self.client_id), encoded(&self.client_secret));
        format!("Basic {}", BASE64.encode(pair))
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource(…)")
    }
}

/// Reads an answer of the token endpoint (RFC 6749, sections 5.1 and 5.2).
///
/// # Errors
/// Why there is no token in it. Of the answer's own words only its error code is shown: the rest may repeat
/// what it was asked with.
pub(crate) fn read_answer(result: &AttemptResult) -> Result<GivenToken, AttemptError> {
    if let Some(error) = &result.error {
        return Err(no_token(error.code, &error.detail));
    }
    let failed = |detail: &str| no_token(ErrorCode::Auth, detail);
    let response = result.response.as_ref().ok_or_else(|| failed("no answer came"))?;
    let body = Json::parse(&response.body).ok();
    let member = |name: &str| body.as_ref().and_then(|body| body.get(name));
    if !result.is_success() {
        let code = member("error")
            .and_then(Json::as_str)
            .filter(|code| is_code(code));
        let code = code.map(|code| format!(", {code}")).unwrap_or_default();
        return Err(failed(&format!(
            "the token endpoint answered {}{code}",
            response.status
        )));
    }
    let kind = member("token_type").and_then(Json::as_str);
    if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(failed(
            "the token endpoint gave a token that isn't a bearer token",
        ));
    }
    let text = member("access_token")
        .and_then(Json::as_str)
        .filter(|text| is_token(text));
    let text = text.ok_or_else(|| failed("the token endpoint's answer holds no access_token"))?;
    Ok(GivenToken {
        text: text.to_owned(),
        life: life(member("expires_in")),
    })
}

/// A failure on the way to a token. A proxy's stays its own, and so does a refused address.
fn no_token(code: ErrorCode, detail: &str) -> AttemptError {
    let code = match code {
        ErrorCode::Proxy | ErrorCode::AddressRefused => code,
        _ => ErrorCode::Auth,
    };
    AttemptError::new(code, format!("no access token: {detail}"))
}

fn is_code(code: &str) -> bool {
    code.len() <= MAX_CODE_BYTES && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// RFC 6750, section 2.1, and what else can be sent as a header.
fn is_token(text: &str) -> bool {
    (1..=MAX_TOKEN_BYTES).contains(&text.len()) && text.bytes().all(|b| (0x21..0x7f).contains(&b))
}

/// Seconds, as a number or, as some servers write them, as a text.
fn life(expires_in: Option<&Json>) -> Duration {
    let seconds = expires_in.and_then(|value| value.bare_text().parse::<f64>().ok());
    match seconds {
        Some(seconds) if seconds >= 0.0 => Duration::from_secs((seconds as u64).clamp(1, MAX_LIFE_S)),
        _ => UNSAID_LIFE,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hookrail_domain::secret::Secret;

    use super::*;
    use crate::attempt::AttemptResponse;

    fn source(client_auth: ClientAuth) -> TokenSource {
        let auth = DestinationAuth::Oauth2ClientCredentials {
            token_url: "https://t.example/token".into(),
            client_id: "the client".into(),
            client_secret: Secret::new("s+c:r/t"),
            scopes: vec!["a".into(), "b:c".into()],
            audience: Some("https://api.example".into()),
            client_auth,
        };
        TokenSource::of(&auth, 0).unwrap().unwrap()
    }

    #[test]
    fn a_client_says_who_it_is_in_the_header_or_in_the_body() {
        const ASKED: &str = "grant_type=client_credentials&scope=a+b%3Ac&audience=https%3A%2F%2Fapi.example";
        let request = source(ClientAuth::Basic).request(5);
        assert_eq!(&request.body[..], ASKED.as_bytes());
        let basic = format!("Basic {}", BASE64.encode("the+client:s%2Bc%3Ar%2Ft"));
        assert!(request.headers.contains(&("authorization".to_owned(), basic)));
        let request = source(ClientAuth::Body).request(5);
        let expected = format!("{ASKED}&client_id=the+client&client_secret=s%2Bc%3Ar%2Ft");
        assert_eq!(&request.body[..], expected.as_bytes());
        assert!(request.headers.iter().all(|(name, _)| name != "authorization"));
        assert_eq!(format!("{:?}", source(ClientAuth::Body)), "TokenSource(…)");
    }

    fn check(status: u16, body: &'static str, expected: Result<(&str, u64), &str>) {
        let result = AttemptResult {
            duration_ms: 1,
            response: Some(AttemptResponse {
                status,
                headers: Vec::new(),
                body: Bytes::from_static(body.as_bytes()),
                body_truncated: false,
            }),
            error: None,
        };
        let read = read_answer(&result).map(|given| (given.text, given.life.as_secs()));
        let read = read.map_err(|error| error.detail);
        let expected = expected.map(|(text, life)| (text.to_owned(), life));
        assert_eq!(
            read,
            expected.map_err(|detail| format!("no access token: {detail}")),
            "{body}"
        );
    }

    #[test]
    fn an_answer_gives_a_token_or_says_why_not() {
        check(
            200,
            r#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#,
            Ok(("t", 3600)),
        );
        check(
            200,
            r#"{"access_token":"t","token_type":"bearer","expires_in":"60"}"#,
            Ok(("t", 60)),
        );
        check(200, r#"{"access_token":"t"}"#, Ok(("t", 300)));
        check(200, r#"{"access_token":"t","expires_in":0}"#, Ok(("t", 1)));
        check(
            200,
            r#"{"access_token":"t","expires_in":1e300}"#,
            Ok(("t", MAX_LIFE_S)),
        );
        check(200, r#"{"access_token":"t","expires_in":-5}"#, Ok(("t", 300)));
        const NONE: Result<(&str, u64), &str> = Err("the token endpoint's answer holds no access_token");
        for body in [
            "",
            "[]",
            r#"{"access_token":5}"#,
            r#"{"access_token":"a b"}"#,
            r#"{"access_token":""}"#,
        ] {
            check(200, body, NONE);
        }
        let kind = Err("the token endpoint gave a token that isn't a bearer token");
        check(200, r#"{"access_token":"t","token_type":"mac"}"#, kind);
        let client = Err("the token endpoint answered 401, invalid_client");
        check(
            401,
            r#"{"error":"invalid_client","error_description":"s+c:r/t is wrong"}"#,
            client,
        );
        check(503, "<html>", Err("the token endpoint answered 503"));
        check(
            400,
            r#"{"error":"Not A Code: s+c:r/t"}"#,
            Err("the token endpoint answered 400"),
        );
    }
}
