//! The cases of the web platform's URL tests, where cargo has them: whatever a URL looks like, the guard's
//! verdict on it is the one on the address that it comes to.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use hookrail_domain::json::Json;
use url::{Host, Url};

use crate::{AddressPolicy, UrlRefused};

/// The file as the `url` crate ships it.
const FILE: &str = "tests/urltestdata.json";

/// Finds the corpus among the sources that cargo has fetched.
fn corpus() -> Option<String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))?;
    let registries = std::fs::read_dir(home.join("registry/src")).ok()?.flatten();
    let crates = registries
        .filter_map(|registry| std::fs::read_dir(registry.path()).ok())
        .flatten()
        .flatten();
    let mut found = crates
        .filter(|folder| folder.file_name().to_string_lossy().starts_with("url-2."))
        .filter_map(|folder| std::fs::read_to_string(folder.path().join(FILE)).ok());
    found.next()
}

/// The verdict on a URL by its canonical host alone: the address in its usual notation, or a name.
fn verdict_on_canonical(policy: &AddressPolicy, url: &Url) -> Result<(), String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials".to_owned());
    }
    let address = match url.host() {
        Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
        Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
        Some(Host::Domain(_)) => None,
        None => return Err("no host".to_owned()),
    };
    let checked = address.map_or(Ok(()), |address| policy.check_address(address));
    checked.map_err(|refused| refused.to_string())
}

fn verdict(policy: &AddressPolicy, url: &str) -> Result<(), String> {
    policy.check_url(url).map(drop).map_err(|refused| match refused {
        UrlRefused::Credentials => "credentials".to_owned(),
        UrlRefused::NoHost => "no host".to_owned(),
        other => other.to_string(),
    })
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn every_url_of_the_web_platform_s_tests_has_the_verdict_of_its_address() {
    let Some(text) = corpus() else {
        eprintln!("SKIPPED: cargo's registry has no url-2.*/{FILE}");
        return;
    };
    let cases: Json = text.parse().expect("JSON");
    let member = |case: &Json, name: &str| case.get(name).and_then(Json::as_str).map(str::to_owned);
    let policies = [
        AddressPolicy::default(),
        AddressPolicy::new(vec!["127.0.0.0/8".parse().expect("a network")]),
    ];
    let (mut seen, mut refused) = (0, 0);
    for case in cases.as_array().expect("a list") {
        let Some(input) = member(case, "input") else {
            continue;
        };
        let base = member(case, "base").and_then(|base| Url::parse(&base).ok());
        // What a URL without a base is given as, is what an integrator would write.
        let parsed = if base.is_some() {
            base.and_then(|base| base.join(&input).ok())
        } else {
            Url::parse(&input).ok()
        };
        let Some(url) = parsed.filter(|url| matches!(url.scheme(), "http" | "https")) else {
            continue;
        };
        seen += 1;
        for policy in &policies {
            let expected = verdict_on_canonical(policy, &url);
            refused += usize::from(expected.is_err());
            assert_eq!(verdict(policy, url.as_str()), expected, "{input:?} as {url}");
            if Url::parse(&input).is_ok_and(|alone| alone == url) {
                assert_eq!(verdict(policy, &input), expected, "{input:?}");
            }
        }
    }
    assert!(
        seen > 200 && refused > 40,
        "{seen} cases, {refused} refused: is that the corpus?"
    );
}

/// Notations of one host, and the address that each comes to; `None` = it is no URL.
#[test]
fn an_address_is_the_same_in_every_notation() {
    let check = |host: &str, canonical: Option<&str>| {
        let policy = AddressPolicy::default();
        let written = policy.check_url(&format!("http://{host}/"));
        match canonical {
            Some(address) => {
                let expected = policy.check_address(address.parse().expect("an address"));
                let refused = match written {
                    Ok(_) => Ok(()),
                    Err(UrlRefused::Address(refused)) => Err(refused.range),
                    Err(other) => panic!("{host}: {other}"),
                };
                assert_eq!(
                    refused,
                    expected.map_err(|refused| refused.range),
                    "{host} is {address}"
                );
            }
            None => assert!(
                matches!(written, Err(UrlRefused::Malformed(_))),
                "{host}: {written:?}"
            ),
        }
    };
    let table = [
        ("0300.0250.0.1", Some("192.168.0.1")),
        ("0xC0.0xA8.1", Some("192.168.0.1")),
        ("3232235521", Some("192.168.0.1")),
        ("192.168.1", Some("192.168.0.1")),
        ("192.168.0.1.", Some("192.168.0.1")),
        ("１９２.１６８.０.１", Some("192.168.0.1")),
        ("192。168。0。1", Some("192.168.0.1")),
        ("%31%39%32.168.0.1", Some("192.168.0.1")),
        ("8.8.2056", Some("8.8.8.8")),
        ("0x08080808", Some("8.8.8.8")),
        ("[::ffff:0a00:0001]", Some("10.0.0.1")),
        ("[0:0:0:0:0:ffff:10.0.0.1]", Some("10.0.0.1")),
        ("[64:ff9b::a00:1]", Some("10.0.0.1")),
        ("[64:ff9b::8.8.8.8]", Some("8.8.8.8")),
        ("[2002:a00:1::]", Some("10.0.0.1")),
        ("[2002:808:808::1]", Some("8.8.8.8")),
        ("[2001:0:a00:1::]", Some("2001:0:a00:1::")),
        ("[2001:0:808:808::f5ff:fffe]", Some("10.0.0.1")),
        ("[FE80::1]", Some("fe80::1")),
        ("[fe80::1%25eth0]", None),
        ("[fe80::1%eth0]", None),
        ("[::1%251]", None),
        ("256.1.1.1", None),
        ("1.2.3.4.5", None),
        ("0x", Some("0.0.0.0")),
        ("4294967296", None),
        ("192.168.0.09", None),
    ];
    for (host, canonical) in table {
        check(host, canonical);
    }
}
