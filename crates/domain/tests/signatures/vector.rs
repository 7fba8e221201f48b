//! A signed webhook, and everything that one changed byte of it must not get past.

use hookrail_domain::payload::BodyFormat;
use hookrail_domain::secret::Secret;
use hookrail_domain::signature::{
    Certificate, HeaderLookup, Mismatch, RequestFacts, RequestUrl, SourceSecrets, Verified, Verifier,
    find_preset,
};
use url::Url;

/// Longest that any scheme lets a time be off, and then some, milliseconds.
const FAR_MS: i64 = 8 * 24 * 3600 * 1000;

#[derive(Clone, Debug)]
pub(crate) struct Vector {
    pub(crate) scheme: String,
    pub(crate) by: String,
    pub(crate) secret: String,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) now_ms: i64,
    /// `body`, `url`, `target`, `query`.
    pub(crate) covers: Vec<String>,
    /// Texts in the body.
    pub(crate) covers_texts: Vec<String>,
    /// Headers that nothing is signed of.
    pub(crate) uncovered: Vec<String>,
    pub(crate) certificate: Option<String>,
}

struct Headers<'a>(&'a [(String, String)]);

impl HeaderLookup for Headers<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl Vector {
    /// Verifies it as the ingress does.
    pub(crate) fn verify(&self) -> Result<Verified, Mismatch> {
        let preset = find_preset(&self.scheme).unwrap_or_else(|| panic!("{} is a preset", self.scheme));
        let secrets = [Secret::new(self.secret.as_str())];
        let source = SourceSecrets {
            secrets: &secrets,
            ..SourceSecrets::default()
        };
        let verifier = Verifier::new(&preset.dimensions, source);
        let url = Url::parse(&self.url).expect("a URL");
        let query: Vec<_> = url.query_pairs().into_owned().collect();
        let seen = RequestUrl {
            scheme: url.scheme(),
            authority: url.authority(),
            path: url.path(),
            query: url.query().unwrap_or_default(),
        };
        let headers = Headers(&self.headers);
        let request = RequestFacts::new(&self.method, verifier.url(seen), &headers, &query).with_body(
            &self.body,
            headers.header("content-type"),
            BodyFormat::Auto,
        );
        verifier.certificate_url(&request, self.now_ms)?;
        let certificate = self
            .certificate
            .as_deref()
            .map(|pem| Certificate::parse(pem.as_bytes()).expect("a certificate"));
        verifier.verify(&request, certificate.as_ref(), self.now_ms)
    }

    /// The same webhook with one thing changed, each with what it is.
    pub(crate) fn forgeries(&self) -> Vec<(String, Vector)> {
        let mut forgeries = Vec::new();
        self.change_body(&mut forgeries);
        self.change_headers(&mut forgeries);
        self.change_url(&mut forgeries);
        let mut other = self.clone();
        other.secret = changed_in_the_middle(&self.secret);
        forgeries.push(("secret".to_owned(), other));
        if self.verify().is_ok_and(|verified| verified.signed_at.is_some()) {
            for off in [FAR_MS, -FAR_MS] {
                let mut other = self.clone();
                other.now_ms += off;
                forgeries.push((format!("clock {off}"), other));
            }
        }
        forgeries
    }

    fn change_body(&self, forgeries: &mut Vec<(String, Vector)>) {
        let whole = self.covers.iter().any(|part| part == "body");
        let mut places: Vec<usize> = if whole {
            (0..self.body.len()).collect()
        } else {
            Vec::new()
        };
        for text in &self.covers_texts {
            let found = find(&self.body, text.as_bytes());
            assert!(!found.is_empty(), "{text} is in the body of {}", self.scheme);
            places.extend(found.into_iter().map(|at| at + text.len() / 2));
        }
        for place in places {
            let mut other = self.clone();
            other.body[place] ^= 1;
            forgeries.push((format!("body byte {place}"), other));
        }
        if whole {
            for body in [
                &self.body[..self.body.len() - 1],
                &[&self.body[..], b" "].concat(),
            ] {
                let mut other = self.clone();
                other.body = body.to_vec();
                forgeries.push(("body length".to_owned(), other));
            }
        }
    }

    fn change_headers(&self, forgeries: &mut Vec<(String, Vector)>) {
        for (place, (name, value)) in self.headers.iter().enumerate() {
            let is_left_out = |uncovered: &String| uncovered.eq_ignore_ascii_case(name);
            let is_type = name.eq_ignore_ascii_case("content-type") && self.scheme != "contentful";
            if is_type || self.uncovered.iter().any(is_left_out) {
                continue;
            }
            for at in 0..value.len() {
                let mut bytes = value.clone().into_bytes();
                bytes[at] ^= 1;
                let mut other = self.clone();
                other.headers[place].1 = String::from_utf8(bytes).expect("ASCII stays ASCII");
                forgeries.push((format!("{name} byte {at}"), other));
            }
            let mut other = self.clone();
            other.headers.remove(place);
            forgeries.push((format!("{name} left out"), other));
        }
    }

    fn change_url(&self, forgeries: &mut Vec<(String, Vector)>) {
        let covers = |part: &str| self.covers.iter().any(|covered| covered == part);
        let mut urls = Vec::new();
        if covers("url") {
            urls.push(self.url.replace("https://", "http://"));
            urls.push(self.url.replace(".com/", ".net/"));
        }
        if covers("url") || covers("target") {
            let path = Url::parse(&self.url).expect("a URL").path().to_owned();
            urls.push(self.url.replacen(&path, &format!("{path}/more"), 1));
            urls.push(self.url.replacen(&path, &changed_in_the_middle(&path), 1));
            urls.push(format!(
                "{}{}x=1",
                self.url,
                if self.url.contains('?') { "&" } else { "?" }
            ));
        }
        if covers("query") {
            let (before, value) = self.url.rsplit_once('=').expect("a query");
            urls.push(format!("{before}={}", changed_in_the_middle(value)));
            urls.push(self.url.split('?').next().expect("a URL").to_owned());
        }
        for url in urls {
            let mut other = self.clone();
            other.url.clone_from(&url);
            forgeries.push((url, other));
        }
    }
}

fn find(body: &[u8], text: &[u8]) -> Vec<usize> {
    let windows = body.windows(text.len()).enumerate();
    windows
        .filter(|(_, window)| *window == text)
        .map(|(at, _)| at)
        .collect()
}

/// Another letter or digit in the place of the first one from the middle on.
fn changed_in_the_middle(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let middle = (bytes.len() / 2..bytes.len())
        .find(|at| bytes[*at].is_ascii_alphanumeric())
        .expect("a letter or digit");
    bytes[middle] = match bytes[middle] {
        b'0' => b'1',
        b'9' => b'8',
        b'z' | b'Z' => bytes[middle] - 1,
        b'F' => b'E',
        b'f' => b'e',
        other => other + 1,
    };
    String::from_utf8(bytes).expect("ASCII stays ASCII")
}
