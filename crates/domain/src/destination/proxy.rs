//! The proxy that a destination's connections go through.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::MAX_URL_BYTES;
use crate::{secret::Secret, validation::Faults};

/// Longest user name or password: SOCKS counts them in one byte (RFC 1929, section 2).
const MAX_CREDENTIAL_BYTES: usize = 255;

/// A proxy that connections go through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxySpec {
    /// `http://host:port` (HTTP CONNECT) or `socks5://host:port`.
    pub url: String,
    /// User name, where it asks for one.
    #[serde(default)]
    pub username: Option<String>,
    /// Password.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub password: Option<Secret>,
}

impl ProxySpec {
    /// Refuses what can't be meant.
    pub(super) fn check(&self, faults: &mut Faults) {
        if let Err(detail) = check_url(&self.url) {
            faults.require(false, "/proxy/url", &detail);
        }
        let fits = |text: &str| (1..=MAX_CREDENTIAL_BYTES).contains(&text.len());
        let username = self.username.as_deref();
        let is_name = username.is_none_or(|name| fits(name) && !name.contains(':'));
        faults.require(is_name, "/proxy/username", "has 1 to 255 bytes without a colon");
        let password = self.password.as_ref().and_then(|secret| secret.value.as_deref());
        faults.require(password.is_none_or(fits), "/proxy/password", "has 1 to 255 bytes");
        let has_user = username.is_some() || self.password.is_none();
        faults.require(has_user, "/proxy/username", "is needed with a password");
    }
}

fn check_url(text: &str) -> Result<(), String> {
    let url = url::Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    match () {
        () if text.len() > MAX_URL_BYTES => Err("has more than 2048 bytes".to_owned()),
        () if !matches!(url.scheme(), "http" | "socks5") => {
            Err("has to start with http:// or socks5://".to_owned())
        }
        () if url.host_str().is_none_or(str::is_empty) => Err("has no host".to_owned()),
        () if has_credentials => Err("must not hold credentials: use username and password".to_owned()),
        () if !is_bare => Err("has nothing behind host and port".to_owned()),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(proxy: &str, expected: &[&str]) {
        let proxy: ProxySpec = serde_json::from_str(proxy).unwrap();
        let mut faults = Faults::default();
        proxy.check(&mut faults);
        let pointers: Vec<_> = faults
            .errors()
            .iter()
            .map(|fault| fault.pointer.clone())
            .collect();
        assert_eq!(pointers, expected, "{proxy:?}");
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port() {
        check(r#"{"url":"http://proxy.example:3128"}"#, &[]);
        check(
            r#"{"url":"socks5://[2001:db8::1]:1080/","username":"u","password":"p"}"#,
            &[],
        );
        for url in [
            "https://proxy.example",
            "socks5h://proxy.example",
            "http://u:p@proxy.example",
            "http://proxy.example/path",
            "proxy.example:3128",
            "socks5://",
        ] {
            check(&format!(r#"{{"url":"{url}"}}"#), &["/proxy/url"]);
        }
        check(
            r#"{"url":"http://p.example","password":"p"}"#,
            &["/proxy/username"],
        );
        check(
            r#"{"url":"http://p.example","username":"a:b"}"#,
            &["/proxy/username"],
        );
    }
}
