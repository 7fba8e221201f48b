//! The keys that issuers of tokens publish (RFC 7517, section 5): fetched once, kept, and fetched again when
//! they are old or a token names one that is not among them.

use std::sync::{Arc, PoisonError, RwLock};

use actix_web::web::Bytes;
use hookrail_domain::Millis;
use hookrail_domain::jwt::{self, JwtKey};
use hookrail_outbound::{OutboundClient, OutboundRequest};
use moka::sync::Cache;
use tokio::sync::Mutex;

use crate::refusal::Refusal;

/// Sets of keys that are kept.
const SETS_MAX: u64 = 1_000;
/// After how long a set is fetched again, milliseconds.
const OLD_MS: Millis = 10 * 60 * 1000;
/// How long a set counts that can't be fetched again, milliseconds.
const LAST_MS: Millis = 24 * 3600 * 1000;
/// The time between two fetches of a set, milliseconds: tokens that name unknown keys must not cause more.
const PAUSE_MS: Millis = 10 * 1000;
/// How long a fetch may take, milliseconds.
const FETCH_TIMEOUT_MS: u64 = 5_000;
/// Largest set, bytes.
const SET_MAX_BYTES: usize = 256 * 1024;

/// The sets that were fetched.
pub(crate) struct PublishedKeys {
    client: OutboundClient,
    sets: Cache<String, Arc<Set>>,
}

/// One set, as it was fetched last.
struct Set {
    url: String,
    known: RwLock<Known>,
    /// Held while it is fetched, so that many requests wait for one fetch.
    fetching: Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Option<Arc<Vec<JwtKey>>>,
    fetched_at: Millis,
    tried_at: Millis,
}

impl PublishedKeys {
    pub(crate) fn new(client: OutboundClient) -> Self {
        Self {
            client,
            sets: Cache::new(SETS_MAX),
        }
    }

    /// The keys at `url`, fetched where they are not known, too old, or where one is `missing`.
    ///
    /// # Errors
    /// They are not known, and can't be fetched.
    pub(crate) async fn keys(
        &self,
        url: &str,
        missing: impl Fn(&[JwtKey]) -> bool,
        now: Millis,
    ) -> Result<Arc<Vec<JwtKey>>, Refusal> {
        let set = self.sets.get_with_by_ref(url, || Arc::new(Set::new(url)));
        let suffices = |known: &Known| known.has(now, &missing) || now - known.tried_at < PAUSE_MS;
        if !suffices(&set.known()) {
            let _fetching = set.fetching.lock().await;
            // Somebody else may have fetched it meanwhile.
            if !suffices(&set.known()) {
                set.fetch(&self.client, now).await;
            }
        }
        let known = set.known();
        known
            .keys
            .filter(|_| now - known.fetched_at < LAST_MS)
            .ok_or(Refusal::NoKeys)
    }
}

impl Known {
    fn has(&self, now: Millis, missing: &impl Fn(&[JwtKey]) -> bool) -> bool {
        let fresh = now - self.fetched_at < OLD_MS;
        fresh && self.keys.as_ref().is_some_and(|keys| !missing(keys))
    }
}

impl Set {
    fn new(url: &str) -> Self {
        // Long ago: the first try is at once.
        let known = Known {
            tried_at: Millis::MIN / 2,
            fetched_at: Millis::MIN / 2,
            keys: None,
        };
        Self {
            url: url.to_owned(),
            known: RwLock::new(known),
            fetching: Mutex::new(()),
        }
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }

    async fn fetch(&self, client: &OutboundClient, now: Millis) {
        // Noted before: whoever waits for it may hang up.
        self.write(|known| known.tried_at = now);
        let fetched = fetch(client, &self.url).await;
        match fetched {
            Ok(keys) => self.write(|known| {
                known.keys = Some(Arc::new(keys));
                known.fetched_at = now;
            }),
            Err(reason) => tracing::warn!(url = self.url, reason, "published keys can't be fetched"),
        }
    }
}

async fn fetch(client: &OutboundClient, url: &str) -> Result<Vec<JwtKey>, String> {
    let mut request = OutboundRequest::new("GET", url, Bytes::new(), FETCH_TIMEOUT_MS);
    request.keep_body_bytes = SET_MAX_BYTES;
    request
        .headers
        .push(("accept".to_owned(), "application/json".to_owned()));
    let result = client.send(&request).await;
    if let Some(error) = &result.error {
        return Err(error.detail.clone());
    }
    let response = result.response.ok_or("no answer")?;
    if !(200..300).contains(&response.status) {
        return Err(format!("the answer's status is {}", response.status));
    }
    jwt::published_keys(&response.body).map_err(|error| error.to_string())
}
