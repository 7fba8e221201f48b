//! How many requests a second are taken of one token, and how many wrong guesses of one address. Counted
//! by each config service for itself.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use hookrail_domain::Millis;
use hookrail_domain::token_bucket::{RateRule, TokenBucket};
use moka::sync::Cache;

use crate::error::ApiError;

/// Tokens and addresses that are counted; who is forgotten begins with a full burst.
const COUNTED_MAX: u64 = 20_000;
/// How long one that sends nothing is remembered.
const IDLE: Duration = Duration::from_secs(60);
/// A burst is as many requests as come in so many seconds.
const BURST_S: u32 = 2;
/// Requests a second without a known token that one address may make: more is guessing.
const STRANGER_RATE: RateRule = RateRule {
    per_second: 10.0,
    burst: 100.0,
};

type Shared = Arc<Mutex<TokenBucket>>;

/// The limits, and what is left of them.
pub(crate) struct RequestRates {
    per_second: u32,
    tokens: Cache<String, Shared>,
    strangers: Cache<IpAddr, Shared>,
}

/// What a token has left after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    burst: u32,
    left: u64,
}

impl RequestRates {
    /// With so many requests a second of one token; 0 = as many as come.
    pub(crate) fn new(per_second: u32) -> Self {
        Self {
            per_second,
            tokens: Cache::builder()
                .max_capacity(COUNTED_MAX)
                .time_to_idle(IDLE)
                .build(),
            strangers: Cache::builder()
                .max_capacity(COUNTED_MAX)
                .time_to_idle(IDLE)
                .build(),
        }
    }

    /// Takes a request of a token in; `None` where nothing is counted.
    ///
    /// # Errors
    /// 429, with when to come again.
    pub(crate) fn take_token(&self, id: &str, now: Millis) -> Result<Option<Left>, ApiError> {
        if self.per_second == 0 {
            return Ok(None);
        }
        let burst = self.per_second.saturating_mul(BURST_S);
        let rule = RateRule {
            per_second: f64::from(self.per_second),
            burst: f64::from(burst),
        };
        let bucket = self.tokens.get_with_by_ref(id, || new(rule, now));
        let left = take(&bucket, now)?;
        Ok(Some(Left { burst, left }))
    }

    /// Takes a request without a known token in.
    ///
    /// # Errors
    /// As [`RequestRates::take_token`].
    pub(crate) fn take_stranger(&self, address: Option<IpAddr>, now: Millis) -> Result<(), ApiError> {
        let Some(address) = address.filter(|_| self.per_second > 0) else {
            return Ok(());
        };
        let bucket = self.strangers.get_with(address, || new(STRANGER_RATE, now));
        take(&bucket, now).map(drop)
    }
}

impl Left {
    /// `RateLimit` and `RateLimit-Policy`: what may come, and how much of that is left.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let policy = format!("\"token\";q={};w={BURST_S}", self.burst);
        let left = format!("\"token\";r={}", self.left);
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", left)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

fn new(rule: RateRule, now: Millis) -> Shared {
    Arc::new(Mutex::new(TokenBucket::new(rule, now)))
}

fn take(bucket: &Mutex<TokenBucket>, now: Millis) -> Result<u64, ApiError> {
    let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
    let too_many = |at: Millis| ApiError::TooManyRequests { wait_ms: at - now };
    bucket.try_take(now).map_err(too_many)?;
    Ok(bucket.left())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(rates: &RequestRates, id: &str, now: Millis) -> bool {
        rates.take_token(id, now).is_ok()
    }

    #[test]
    fn a_token_has_a_burst_and_then_its_rate_and_takes_none_of_another_s() {
        let rates = RequestRates::new(10);
        let taken = (0..30).filter(|_| is_taken(&rates, "a", 0)).count();
        assert_eq!(taken, 20);
        assert!(is_taken(&rates, "b", 0));
        assert!(is_taken(&rates, "a", 100) && !is_taken(&rates, "a", 100));
        let mut headers = HeaderMap::new();
        rates.take_token("b", 0).unwrap().unwrap().write(&mut headers);
        assert_eq!(headers.get("ratelimit-policy").unwrap(), "\"token\";q=20;w=2");
        assert_eq!(headers.get("ratelimit").unwrap(), "\"token\";r=18");
    }

    #[test]
    fn guesses_are_counted_by_address() {
        let rates = RequestRates::new(1);
        let address = Some("192.0.2.1".parse().unwrap());
        let taken = (0..200)
            .filter(|_| rates.take_stranger(address, 0).is_ok())
            .count();
        assert_eq!(taken, 100);
        assert!(rates.take_stranger(Some("192.0.2.2".parse().unwrap()), 0).is_ok());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let rates = RequestRates::new(0);
        assert!((0..1000).all(|_| rates.take_token("a", 0).is_ok_and(|left| left.is_none())));
    }
}
