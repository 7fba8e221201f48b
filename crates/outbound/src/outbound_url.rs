//! What a URL must look like before anything is sent to it.
//!
//! Pure: literals are checked here, since the HTTP stack doesn't ask a resolver about them. Names
//! pass here and are checked once they are resolved.

use std::net::IpAddr;

use url::{Host, Url};

use crate::address_policy::{AddressPolicy, AddressRefused};

/// Longest URL that is sent to, in bytes; common servers refuse longer request lines.
pub(crate) const URL_MAX_BYTES: usize = 8192;

/// Why a URL isn't sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefused {
    /// Not an absolute URL.
    #[error("the URL is not valid: {0}")]
    Malformed(String),
    /// Longer than any common server takes.
    #[error("the URL is longer than {URL_MAX_BYTES} bytes")]
    TooLong,
    /// Neither `http` nor `https`.
    #[error("the URL's scheme is {0}; only http and https are sent to")]
    Scheme(String),
    /// No host to connect to.
    #[error("the URL has no host")]
    NoHost,
    /// A user name or a password in the URL: it would be shown wherever the URL is.
    #[error("the URL holds credentials; put them into the destination's auth instead")]
    Credentials,
    /// The host is a literal address that the policy refuses.
    #[error(transparent)]
    Address(#[from] AddressRefused),
}

impl AddressPolicy {
    /// Parses a URL and checks all that can be checked without resolving its host.
    ///
    /// Every notation of an IPv4 literal (`0x7f.1`, `2130706433`, `0177.0.0.1`, full-width digits) is
    /// normalised by the WHATWG rules first, so what is checked is what is connected to.
    ///
    /// # Errors
    /// [`UrlRefused`], whose text can be shown to the integrator.
    pub fn check_url(&self, text: &str) -> Result<Url, UrlRefused> {
        if text.len() > URL_MAX_BYTES {
            return Err(UrlRefused::TooLong);
        }
        let url = Url::parse(text).map_err(|e| UrlRefused::Malformed(e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlRefused::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRefused::Credentials);
        }
        if let Some(address) = literal_address(&url)? {
            self.check_address(address)?;
        }
        Ok(url)
    }

    /// Checks the URL of a proxy as far as it can be without resolving its host, whatever its scheme.
    ///
    /// # Errors
    /// Why connections don't go through it, in words.
    pub fn check_proxy_url(&self, text: &str) -> Result<(), String> {
        // Hosts of other schemes aren't read as those of http, in which 127.1 is an address.
        let plain = text.split_once("://").map(|(_, rest)| format!("http://{rest}"));
        let plain = plain.ok_or_else(|| "the proxy's URL is not valid".to_owned())?;
        self.check_url(&plain)
            .map(drop)
            .map_err(|refused| refused.to_string())
    }
}

/// The address that the URL's host spells out, or `None` for a name.
pub(crate) fn literal_address(url: &Url) -> Result<Option<IpAddr>, UrlRefused> {
    match url.host() {
        None => Err(UrlRefused::NoHost),
        Some(Host::Ipv4(v4)) => Ok(Some(IpAddr::V4(v4))),
        Some(Host::Ipv6(v6)) => Ok(Some(IpAddr::V6(v6))),
        // A name that the standard library would take for an address is one, whatever the URL
        // standard says: nothing may pass between the two parsers.
        Some(Host::Domain(name)) => Ok(name.trim_end_matches('.').parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refused_range::RefusedRange;

    fn refusal(url: &str) -> Option<UrlRefused> {
        AddressPolicy::default().check_url(url).err()
    }

    fn check_range(url: &str, expected: RefusedRange) {
        match refusal(url) {
            Some(UrlRefused::Address(refused)) => assert_eq!(refused.range, expected, "{url}"),
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn names_and_public_literals_pass() {
        let table = [
            "https://example.com/hook?x=1",
            "http://8.8.8.8:8080/",
            "http://[2606:4700::1111]/",
            "https://bücher.example/",
            "HTTP://EXAMPLE.COM",
        ];
        for url in table {
            assert_eq!(refusal(url), None, "{url}");
        }
    }

    #[test]
    fn every_notation_of_loopback_is_refused() {
        let table = [
            "http://127.0.0.1/",
            "http://127.0.0.1./",
            "http://127.1/",
            "http://127.0.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0X7F000001/",
            "http://0x7f.1/",
            "http://0x7f.0x0.0x0.0x1/",
            "http://017700000001/",
            "http://0177.0.0.1/",
            "http://0177.0.0.01/",
            "http://00000177.0.0.1/",
            "http://%31%32%37.0.0.1/",
            "http://127。0。0。1/",
            "http://127.0.0.1/",
            "http://①②⑦.⓪.⓪.①/",
            "http:127.0.0.1/",
            "http:\\\\127.0.0.1\\",
            "http:/127.0.0.1/",
            " http://127.0.0.1/ ",
            "ht\ntp://127.0.\t0.1/",
            "http://[::1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
        ];
        for url in table {
            check_range(url, RefusedRange::Loopback);
        }
    }

    #[test]
    fn every_notation_of_the_metadata_address_is_refused() {
        let table = [
            "http://169.254.169.254/latest/meta-data/",
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://0251.0376.0251.0376/",
            "http://025177524776/",
            "http://0xa9.0xfe.43518/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[fd00:ec2::254]/",
        ];
        for url in table {
            check_range(url, RefusedRange::Metadata);
        }
    }

    #[test]
    fn unspecified_hosts_are_refused() {
        for url in ["http://0/", "http://0.0.0.0/", "http://[::]/", "http://0x0/"] {
            check_range(url, RefusedRange::Unspecified);
        }
    }

    #[test]
    fn urls_that_no_webhook_has_are_refused_by_name() {
        assert!(matches!(refusal("file:///etc/passwd"), Some(UrlRefused::Scheme(s)) if s == "file"));
        assert!(matches!(
            refusal("gopher://8.8.8.8/"),
            Some(UrlRefused::Scheme(_))
        ));
        assert!(matches!(
            refusal("unix:/var/run/docker.sock"),
            Some(UrlRefused::Scheme(_))
        ));
        assert_eq!(
            refusal("https://user@example.com/"),
            Some(UrlRefused::Credentials)
        );
        assert_eq!(
            refusal("https://user:pw@example.com/"),
            Some(UrlRefused::Credentials)
        );
        assert_eq!(refusal("https://:pw@example.com/"), Some(UrlRefused::Credentials));
        assert!(matches!(
            refusal("example.com/hook"),
            Some(UrlRefused::Malformed(_))
        ));
        assert!(matches!(refusal("http://"), Some(UrlRefused::Malformed(_))));
        assert!(matches!(
            refusal("http://256.256.256.256/"),
            Some(UrlRefused::Malformed(_))
        ));
        assert!(matches!(
            refusal("http://1.2.3.08/"),
            Some(UrlRefused::Malformed(_))
        ));
        assert!(matches!(
            refusal("http://[::1%25lo]/"),
            Some(UrlRefused::Malformed(_))
        ));
        let long = format!("http://example.com/{}", "a".repeat(URL_MAX_BYTES));
        assert_eq!(refusal(&long), Some(UrlRefused::TooLong));
    }
}
