//! How many requests a second are taken: of a source, shared among the live ingresses, and of one client
//! address at this ingress.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hookrail_broker::Presence;
use hookrail_domain::Millis;
use hookrail_domain::ids::SourceId;
use hookrail_domain::rate_limit::RateLimit;
use hookrail_domain::token_bucket::{RateRule, TokenBucket};
use moka::sync::Cache;

/// Sources whose tokens are counted; one that is forgotten begins with a full burst.
const SOURCES_MAX: u64 = 20_000;
/// Client addresses whose tokens are counted.
const CLIENTS_MAX: u64 = 100_000;
/// How long an address that sends nothing is remembered.
const CLIENT_IDLE: Duration = Duration::from_secs(60);

type Shared = Arc<Mutex<TokenBucket>>;

/// The limits, and the tokens that are left.
pub(crate) struct Rates {
    sources: Cache<SourceId, Shared>,
    clients: Cache<IpAddr, Shared>,
    per_client: Option<RateRule>,
    /// The ingresses that share a source's rate.
    pub(crate) presence: Presence,
}

impl Rates {
    /// With `per_client_rate` requests a second of one address; 0 = as many as come.
    pub(crate) fn new(per_client_rate: u32) -> Self {
        let rate = f64::from(per_client_rate);
        Self {
            sources: Cache::new(SOURCES_MAX),
            clients: Cache::builder()
                .max_capacity(CLIENTS_MAX)
                .time_to_idle(CLIENT_IDLE)
                .build(),
            per_client: (per_client_rate > 0).then_some(RateRule {
                per_second: rate,
                burst: rate,
            }),
            presence: Presence::default(),
        }
    }

    /// Takes a request of a client in.
    ///
    /// # Errors
    /// In how many milliseconds one will be taken.
    pub(crate) fn take_client(&self, address: Option<IpAddr>, now: Millis) -> Result<(), Millis> {
        let (Some(rule), Some(address)) = (self.per_client, address) else {
            return Ok(());
        };
        take(&self.clients.get_with(address, || new(rule, now)), rule, now)
    }

    /// Takes a request for a source in.
    ///
    /// # Errors
    /// In how many milliseconds one will be taken.
    pub(crate) fn take_source(
        &self,
        source: SourceId,
        limit: Option<RateLimit>,
        now: Millis,
    ) -> Result<(), Millis> {
        let Some(limit) = limit else { return Ok(()) };
        let rule = share(limit, self.presence.count());
        take(&self.sources.get_with(source, || new(rule, now)), rule, now)
    }
}

/// This ingress's part of a source's limit.
fn share(limit: RateLimit, ingresses: usize) -> RateRule {
    let ingresses = ingresses as f64;
    RateRule {
        per_second: limit.per_second / ingresses,
        burst: (f64::from(limit.burst) / ingresses).max(1.0),
    }
}

fn new(rule: RateRule, now: Millis) -> Shared {
    Arc::new(Mutex::new(TokenBucket::new(rule, now)))
}

fn take(bucket: &Mutex<TokenBucket>, rule: RateRule, now: Millis) -> Result<(), Millis> {
    let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
    if bucket.rule() != rule {
        bucket.change(rule, now);
    }
    bucket.try_take(now).map_err(|at| at.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: SourceId = SourceId::from_u128(1);

    fn limit(per_second: f64, burst: u32) -> Option<RateLimit> {
        Some(RateLimit { per_second, burst })
    }

    #[test]
    fn a_source_s_burst_goes_through_and_then_its_rate_whatever_other_sources_take() {
        let rates = Rates::new(0);
        let take = |source, now| rates.take_source(source, limit(10.0, 2), now);
        assert_eq!((take(SOURCE, 0), take(SOURCE, 0)), (Ok(()), Ok(())));
        assert_eq!(take(SOURCE, 0), Err(100));
        assert_eq!(take(SourceId::from_u128(2), 0), Ok(()));
        assert_eq!(take(SOURCE, 100), Ok(()));
        assert_eq!(rates.take_source(SOURCE, None, 100), Ok(()));
    }

    #[test]
    fn a_changed_limit_counts_at_once() {
        let rates = Rates::new(0);
        assert_eq!(rates.take_source(SOURCE, limit(1.0, 1), 0), Ok(()));
        assert_eq!(rates.take_source(SOURCE, limit(1.0, 1), 0), Err(1_000));
        assert!(
            rates
                .take_source(SOURCE, limit(100.0, 1), 0)
                .is_err_and(|wait_ms| wait_ms <= 10)
        );
        assert_eq!(rates.take_source(SOURCE, limit(100.0, 1), 10), Ok(()));
    }

    #[test]
    fn live_ingresses_share_a_source_s_rate() {
        let rule = share(
            RateLimit {
                per_second: 30.0,
                burst: 2,
            },
            3,
        );
        assert_eq!((rule.per_second, rule.burst), (10.0, 1.0));
    }

    #[test]
    fn a_client_has_as_many_a_second_as_the_setting_says() {
        let rates = Rates::new(2);
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(rates.take_client(address, 0), Ok(()));
        assert_eq!(rates.take_client(address, 0), Ok(()));
        assert_eq!(rates.take_client(address, 0), Err(500));
        assert_eq!(rates.take_client(Some(IpAddr::from([192, 0, 2, 2])), 0), Ok(()));
        assert_eq!(Rates::new(0).take_client(address, 0), Ok(()));
    }
}
