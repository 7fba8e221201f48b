//! Outbound proxies: which one a connection goes through, and through which none.
//!
//! A proxy is asked for an **address** that was resolved and checked here, not for a name: what it would
//! resolve the name to is nothing that the guard has seen. Only an installation's own proxy may be told to
//! resolve names itself, by whoever runs the installation.

use std::net::IpAddr;

use http::Uri;
use ipnet::IpNet;
use url::Url;

use crate::connection_profile::ProxyAddress;

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyKind {
    /// HTTP CONNECT (RFC 9110, section 9.3.6).
    Http,
    /// SOCKS 5 (RFC 1928).
    Socks5,
}

/// A proxy that is ready to be used.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) kind: ProxyKind,
    /// `http://host:port`, for the connection to it, whatever its kind.
    pub(crate) uri: Uri,
    /// User name and password.
    pub(crate) credentials: Option<(String, String)>,
    /// Whether it was given by who runs the installation, so that its own address isn't checked.
    pub(crate) is_own: bool,
    /// Whether it is asked for names.
    pub(crate) resolves: bool,
}

impl Proxy {
    /// # Errors
    /// What the URL isn't, in words.
    pub(crate) fn of_destination(address: &ProxyAddress) -> Result<Self, String> {
        let (kind, uri) = read_url(&address.url)?;
        Ok(Self {
            kind,
            uri,
            credentials: address.credentials.clone(),
            is_own: false,
            resolves: false,
        })
    }

    /// Host and port, for messages.
    pub(crate) fn name(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }
}

fn read_url(text: &str) -> Result<(ProxyKind, Uri), String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let (kind, port) = match url.scheme() {
        "http" => (ProxyKind::Http, 80),
        "socks5" => (ProxyKind::Socks5, 1080),
        other => return Err(format!("{other} is no kind of proxy: it is http or socks5")),
    };
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or("it has no host")?;
    // As http, so that the host is read by the same rules as a receiver's.
    let plain = format!("http://{host}:{}", url.port().unwrap_or(port));
    let plain = Url::parse(&plain).map_err(|error| error.to_string())?;
    let port = plain.port_or_known_default().unwrap_or(port);
    let uri = format!("http://{}:{port}/", plain.host_str().unwrap_or_default());
    Ok((
        kind,
        uri.parse()
            .map_err(|error: http::uri::InvalidUri| error.to_string())?,
    ))
}

/// The proxy of an installation, and what doesn't go through it.
#[derive(Clone)]
pub struct OutboundProxy {
    proxy: Proxy,
    except: Vec<Exception>,
}

/// What doesn't go through the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    All,
    /// A name, and all below it.
    Domain(String),
    /// Addresses, as they are written in a URL.
    Network(IpNet),
}

impl OutboundProxy {
    /// Reads `http://[user:password@]host:port` or `socks5://…`, and what doesn't go through it: names (and
    /// all below them), addresses, networks or `*`, separated by commas. With `resolves` the proxy is asked
    /// for names, and what they resolve to is its own affair.
    ///
    /// # Errors
    /// What can't be read, in words without the credentials.
    pub fn parse(url: &str, except: &str, resolves: bool) -> Result<Self, String> {
        let (kind, uri) = read_url(url)?;
        let written = Url::parse(url).map_err(|error| error.to_string())?;
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8_lossy()
                .into_owned()
        };
        let credentials = (!written.username().is_empty()).then(|| {
            (
                decoded(written.username()),
                decoded(written.password().unwrap_or_default()),
            )
        });
        let parts = except.split(',').map(str::trim).filter(|part| !part.is_empty());
        Ok(Self {
            proxy: Proxy {
                kind,
                uri,
                credentials,
                is_own: true,
                resolves,
            },
            except: parts.map(exception).collect::<Result<_, _>>()?,
        })
    }

    /// The proxy for a host, if there is one for it.
    pub(crate) fn for_host(&self, host: &str) -> Option<&Proxy> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let address: Option<IpAddr> = bare.parse().ok();
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let is_excepted = self.except.iter().any(|except| match except {
            Exception::All => true,
            Exception::Network(network) => address.is_some_and(|address| network.contains(&address)),
            Exception::Domain(domain) => {
                let above = name.strip_suffix(domain.as_str());
                above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
        });
        (!is_excepted).then_some(&self.proxy)
    }
}

fn exception(text: &str) -> Result<Exception, String> {
    if text == "*" {
        return Ok(Exception::All);
    }
    if let Ok(network) = text.parse() {
        return Ok(Exception::Network(network));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Exception::Network(address.into()));
    }
    let name = text
        .trim_start_matches("*.")
        .trim_matches('.')
        .to_ascii_lowercase();
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    match is_name {
        true => Ok(Exception::Domain(name)),
        false => Err(format!("`{text}` is no name, address or network")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_goes_through_the_proxy_unless_it_is_excepted() {
        let except = "internal.example, .lan,10.0.0.0/8, ::1";
        let proxy = OutboundProxy::parse("http://proxy.example:3128", except, false).unwrap();
        for (host, goes) in [
            ("internal.example", false),
            ("a.internal.example.", false),
            ("ainternal.example", true),
            ("printer.LAN", false),
            ("10.1.2.3", false),
            ("11.1.2.3", true),
            ("[::1]", false),
            ("[::2]", true),
            ("example.com", true),
        ] {
            assert_eq!(proxy.for_host(host).is_some(), goes, "{host}");
        }
        let none = OutboundProxy::parse("http://proxy.example:3128", "*", false).unwrap();
        assert!(none.for_host("example.com").is_none());
    }

    #[test]
    fn a_proxy_s_url_may_hold_its_credentials() {
        let read = |url| OutboundProxy::parse(url, "", true).map(|read| read.proxy);
        let proxy = read("socks5://us%40er:p%3Aw@proxy.example").unwrap();
        assert_eq!(
            (proxy.kind, proxy.name()),
            (ProxyKind::Socks5, "proxy.example:1080")
        );
        assert_eq!(proxy.credentials, Some(("us@er".to_owned(), "p:w".to_owned())));
        assert_eq!(read("http://[::1]").unwrap().name(), "[::1]:80");
        for wrong in [
            "ftp://p.example",
            "proxy.example:80",
            "http://",
            "https://p.example",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(OutboundProxy::parse("http://p.example", "a b", false).is_err());
    }
}
