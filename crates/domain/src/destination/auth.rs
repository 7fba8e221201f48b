//! How a destination's requests are authenticated.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{MAX_URL_BYTES, check_header};
use crate::{
    secret::Secret,
    validation::{Faults, is_header_value},
};

/// Longest client id, user name or audience, bytes.
const MAX_TEXT_BYTES: usize = 2048;
/// Most scopes that are asked for.
const MAX_SCOPES: usize = 64;

/// Where a client says who it is when it asks for a token (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// In the header `Authorization`, as HTTP Basic.
    #[default]
    Basic,
    /// In the body, as `client_id` and `client_secret`.
    Body,
}

/// How requests are authenticated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum DestinationAuth {
    /// Not at all.
    #[default]
    None,
    /// One header.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        #[schema(value_type = Object)]
        value: Secret,
    },
    /// HTTP Basic (RFC 7617).
    Basic {
        /// User name.
        username: String,
        /// Password.
        #[schema(value_type = Object)]
        password: Secret,
    },
    /// A bearer token (RFC 6750).
    Bearer {
        /// The token.
        #[schema(value_type = Object)]
        token: Secret,
    },
    /// A token got with client credentials (RFC 6749, section 4.4), kept until it expires.
    Oauth2ClientCredentials {
        /// Where tokens are got.
        token_url: String,
        /// The client's id.
        client_id: String,
        /// The client's secret.
        #[schema(value_type = Object)]
        client_secret: Secret,
        /// Scopes asked for.
        #[serde(default)]
        scopes: Vec<String>,
        /// Whom the token is for, where the token endpoint wants to know it.
        #[serde(default)]
        audience: Option<String>,
        /// Where the client says who it is.
        #[serde(default)]
        client_auth: ClientAuth,
    },
}

impl DestinationAuth {
    /// The secret in it.
    pub fn secret_mut(&mut self) -> Option<&mut Secret> {
        match self {
            Self::None => None,
            Self::Header { value: secret, .. }
            | Self::Basic { password: secret, .. }
            | Self::Bearer { token: secret }
            | Self::Oauth2ClientCredentials {
                client_secret: secret,
                ..
            } => Some(secret),
        }
    }

    /// Where its tokens are got.
    pub fn token_url(&self) -> Option<&str> {
        match self {
            Self::Oauth2ClientCredentials { token_url, .. } => Some(token_url),
            _ => None,
        }
    }

    /// Refuses credentials that can't be sent.
    pub(crate) fn check(&self, faults: &mut Faults) {
        match self {
            Self::None => {}
            Self::Header { name, value } => {
                check_header(name, value.value.as_deref().unwrap_or_default(), "/auth", faults);
            }
            Self::Basic { username, .. } => {
                // RFC 7617, section 2: the first colon ends the user name.
                let fits = !username.contains(':') && !username.chars().any(char::is_control);
                faults.require(
                    fits,
                    "/auth/username",
                    "must not hold colons or control characters",
                );
            }
            Self::Bearer { token } => {
                let fits = token.value.as_deref().is_none_or(is_header_value);
                faults.require(fits, "/auth/token", "is not a token: visible ASCII only");
            }
            Self::Oauth2ClientCredentials {
                token_url,
                client_id,
                scopes,
                audience,
                ..
            } => {
                check_token_url(token_url, faults);
                let fits = is_text(client_id, 1);
                faults.require(fits, "/auth/client_id", "has 1 to 2048 visible ASCII characters");
                check_scopes(scopes, faults);
                let fits = audience.as_deref().is_none_or(|audience| is_text(audience, 1));
                faults.require(fits, "/auth/audience", "has 1 to 2048 visible ASCII characters");
            }
        }
    }
}

fn is_text(text: &str, least: usize) -> bool {
    (least..=MAX_TEXT_BYTES).contains(&text.len()) && text.bytes().all(|b| (0x21..0x7f).contains(&b))
}

fn check_token_url(text: &str, faults: &mut Faults) {
    const POINTER: &str = "/auth/token_url";
    match url::Url::parse(text) {
        _ if text.len() > MAX_URL_BYTES => faults.require(false, POINTER, "has more than 2048 bytes"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            faults.require(false, POINTER, "has to start with http:// or https://");
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            faults.require(
                false,
                POINTER,
                "must not hold credentials: use client_id and client_secret",
            );
        }
        // RFC 6749, section 3.2.
        Ok(url) => faults.require(url.fragment().is_none(), POINTER, "must not have a fragment"),
        Err(error) => faults.require(false, POINTER, &format!("is not a URL: {error}")),
    }
}

/// RFC 6749, section 3.3: a scope is visible ASCII without quotes and backslashes.
fn check_scopes(scopes: &[String], faults: &mut Faults) {
    faults.require(
        scopes.len() <= MAX_SCOPES,
        "/auth/scopes",
        "has more than 64 scopes",
    );
    for (i, scope) in scopes.iter().enumerate() {
        let fits = is_text(scope, 1) && !scope.contains(['"', '\\']);
        faults.require(fits, &format!("/auth/scopes/{i}"), "is not a scope");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(auth: &str, expected: &[&str]) {
        let auth: DestinationAuth = serde_json::from_str(auth).unwrap();
        let mut faults = Faults::default();
        auth.check(&mut faults);
        let pointers: Vec<_> = faults
            .errors()
            .iter()
            .map(|fault| fault.pointer.clone())
            .collect();
        assert_eq!(pointers, expected, "{auth:?}");
    }

    #[test]
    fn client_credentials_are_refused_by_their_part() {
        let oauth =
            |more: &str| format!(r#"{{"type":"oauth2_client_credentials","client_secret":"s",{more}}}"#);
        check(
            &oauth(r#""token_url":"https://t.example/token","client_id":"c","scopes":["a:b","c"]"#),
            &[],
        );
        check(
            &oauth(r#""token_url":"ftp://t.example","client_id":"","scopes":["a b","\""],"audience":"""#),
            &[
                "/auth/token_url",
                "/auth/client_id",
                "/auth/scopes/0",
                "/auth/scopes/1",
                "/auth/audience",
            ],
        );
        check(
            &oauth(r##""token_url":"https://t.example/#a","client_id":"c""##),
            &["/auth/token_url"],
        );
        check(
            &oauth(r#""token_url":"https://u:p@t.example/","client_id":"c""#),
            &["/auth/token_url"],
        );
    }

    #[test]
    fn credentials_that_would_break_a_header_are_refused() {
        check(r#"{"type":"bearer","token":"a.b-c_d"}"#, &[]);
        check(r#"{"type":"bearer","token":"a\r\nb: c"}"#, &["/auth/token"]);
        check(
            r#"{"type":"basic","username":"a:b","password":"p"}"#,
            &["/auth/username"],
        );
        check(r#"{"type":"basic","username":"","password":"p"}"#, &[]);
    }
}
