//! Who sent a request, and under which URL: what a trusted proxy says (`X-Forwarded-For`, `-Proto`,
//! `-Host`; RFC 7239's `Forwarded`), else what the connection says. From anybody else such headers are
//! just claims.

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, HeaderMap};
use ipnet::IpNet;

/// Addresses of a list that are looked at, from its end.
const HOPS_MAX: usize = 32;

const FORWARDED: &str = "forwarded";
const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_HOST: &str = "x-forwarded-host";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// The sender's address: the last one in the list of forwarders that isn't a trusted proxy's.
pub fn client_address(request: &HttpRequest, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    Some(behind_proxies(peer, request.headers(), trusted))
}

fn behind_proxies(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let mut nearest = peer;
    for hop in forwarders(headers).take(HOPS_MAX) {
        // Beyond what can't be read, nothing was said by somebody trusted.
        let Some(address) = hop else { return nearest };
        if !is_trusted(address, trusted) {
            return address;
        }
        nearest = address;
    }
    nearest
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// The addresses that forwarders wrote, the nearest first; `None` for what is no address.
fn forwarders(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let listed: Vec<&str> = elements(headers, FORWARDED_FOR).collect();
    let standard: Vec<&str> = match listed.is_empty() {
        true => elements(headers, FORWARDED)
            .map(|element| parameter(element, "for").unwrap_or_default())
            .collect(),
        false => Vec::new(),
    };
    let nearest_first = listed.into_iter().chain(standard).rev().map(read_address);
    nearest_first.collect::<Vec<_>>().into_iter()
}

fn elements<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let values = headers
        .get_all(name)
        .map(|value| value.to_str().unwrap_or_default());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// One parameter of an element of `Forwarded` (RFC 7239, section 4).
fn parameter<'a>(element: &'a str, wanted: &str) -> Option<&'a str> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
    found.next().map(|(_, value)| value.trim().trim_matches('"'))
}

/// An address with or without a port, IPv6 with or without brackets.
fn read_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
    let parsed = bare.parse::<IpAddr>().ok();
    parsed
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(|address| address.to_canonical())
}

/// Scheme and host as the sender wrote them in its URL.
pub fn seen_origin<'a>(request: &'a HttpRequest, trusted: &[IpNet]) -> (&'a str, &'a str) {
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
    let by_proxy = peer.is_some_and(|peer| is_trusted(peer, trusted));
    let headers = request.headers();
    let said = |name, parameter_name| {
        // What comes before may be the sender's own words.
        let nearest = elements(headers, name).last();
        let standard = || parameter(elements(headers, FORWARDED).last()?, parameter_name);
        nearest.or_else(standard).filter(|_| by_proxy)
    };
    let own_scheme = if request.app_config().secure() {
        "https"
    } else {
        "http"
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    (
        said(FORWARDED_PROTO, "proto").unwrap_or(own_scheme),
        said(FORWARDED_HOST, "host").or(host).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn check(peer: &str, headers: &[(&'static str, &'static str)], expected: &str) {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let mut request = TestRequest::default().peer_addr(peer.parse().unwrap());
        for header in headers {
            request = request.append_header(*header);
        }
        let address = client_address(&request.to_http_request(), &trusted).unwrap();
        assert_eq!(address.to_string(), expected, "{peer} {headers:?}");
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        check(
            "203.0.113.9:1",
            &[("x-forwarded-for", "198.51.100.1")],
            "203.0.113.9",
        );
        check(
            "10.0.0.1:1",
            &[("x-forwarded-for", "198.51.100.1")],
            "198.51.100.1",
        );
        check("10.0.0.1:1", &[], "10.0.0.1");
        check("[::ffff:203.0.113.9]:1", &[], "203.0.113.9");
    }

    #[test]
    fn what_a_sender_wrote_into_the_list_itself_does_not_count() {
        let listed = [("x-forwarded-for", "1.1.1.1, 198.51.100.1, 10.0.0.7")];
        check("10.0.0.1:1", &listed, "198.51.100.1");
        let twice = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "198.51.100.1:44"),
        ];
        check("10.0.0.1:1", &twice, "198.51.100.1");
        check("10.0.0.1:1", &[("x-forwarded-for", "1.1.1.1, ?")], "10.0.0.1");
        check(
            "10.0.0.1:1",
            &[("x-forwarded-for", "10.0.0.2, 10.0.0.3")],
            "10.0.0.2",
        );
    }

    #[test]
    fn the_standard_header_is_read_too() {
        let standard = [(
            "forwarded",
            r#"for=192.0.2.43, For="[2001:db8::17]:47";proto=https"#,
        )];
        check("[::1]:1", &standard, "2001:db8::17");
        check("10.0.0.1:1", &[("forwarded", "for=unknown")], "10.0.0.1");
    }

    #[test]
    fn the_url_is_the_sender_s_behind_a_trusted_proxy() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let origin = |peer: &str| {
            let request = TestRequest::default()
                .peer_addr(peer.parse().unwrap())
                .insert_header(("host", "inner:8080"))
                .insert_header(("x-forwarded-proto", "https"))
                .insert_header(("x-forwarded-host", "hooks.example.com"))
                .to_http_request();
            let (scheme, host) = seen_origin(&request, &trusted);
            format!("{scheme}://{host}")
        };
        assert_eq!(origin("10.0.0.1:1"), "https://hooks.example.com");
        assert_eq!(origin("203.0.113.9:1"), "http://inner:8080");
    }
}
