//! A token bucket: attempts or requests per second with a burst.
//!
//! Holds a number and a time; waiting until a token is there is the caller's part.

use crate::Millis;

/// What a bucket allows. A rate of 0 or less allows nothing beyond the burst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateRule {
    /// Tokens that come per second.
    pub per_second: f64,
    /// Tokens that it holds at most; at least 1 is assumed.
    pub burst: f64,
}

/// Tokens of one destination, of one source, or of all.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    rule: RateRule,
    tokens: f64,
    counted_at: Millis,
}

/// The longest wait that is told at once, in ms: a rate near zero must not overflow the time.
const LONGEST_WAIT_MS: f64 = 86_400_000.0;

impl TokenBucket {
    /// A full bucket.
    pub fn new(rule: RateRule, now: Millis) -> Self {
        Self {
            rule,
            tokens: rule.burst.max(1.0),
            counted_at: now,
        }
    }

    /// Takes another rule; the tokens that are there stay, as far as the new burst allows.
    pub fn change(&mut self, rule: RateRule, now: Millis) {
        self.refill(now);
        self.rule = rule;
        self.tokens = self.tokens.min(rule.burst.max(1.0));
    }

    /// What it allows.
    pub fn rule(&self) -> RateRule {
        self.rule
    }

    /// `None` where a token is there at `now`, else when one will be.
    pub fn wait_until(&mut self, now: Millis) -> Option<Millis> {
        self.refill(now);
        if self.tokens >= 1.0 {
            return None;
        }
        let wait_ms = ((1.0 - self.tokens) / self.rule.per_second * 1_000.0).ceil();
        // A rate of zero divides to infinity, or to no number at all.
        let bounded = if wait_ms >= 1.0 {
            wait_ms.min(LONGEST_WAIT_MS)
        } else {
            LONGEST_WAIT_MS
        };
        Some(now.saturating_add(bounded as Millis))
    }

    /// Takes a token, where one is there at `now`.
    ///
    /// # Errors
    /// When one will be.
    pub fn try_take(&mut self, now: Millis) -> Result<(), Millis> {
        match self.wait_until(now) {
            None => {
                self.take();
                Ok(())
            }
            Some(at) => Err(at),
        }
    }

    /// Whole tokens that were there when it was last looked at.
    pub fn left(&self) -> u64 {
        self.tokens.max(0.0) as u64
    }

    /// Takes a token that [`TokenBucket::wait_until`] said is there.
    pub fn take(&mut self) {
        self.tokens -= 1.0;
    }

    fn refill(&mut self, now: Millis) {
        let passed_ms = now.saturating_sub(self.counted_at);
        // A clock that was set back must not take tokens away.
        if passed_ms > 0 {
            let gained = passed_ms as f64 / 1_000.0 * self.rule.per_second.max(0.0);
            self.tokens = (self.tokens + gained).min(self.rule.burst.max(1.0));
        }
        self.counted_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_then_one_per_period() {
        let mut bucket = TokenBucket::new(
            RateRule {
                per_second: 10.0,
                burst: 2.0,
            },
            0,
        );
        let mut at = Vec::new();
        let mut now = 0;
        while at.len() < 5 {
            match bucket.wait_until(now) {
                None => {
                    bucket.take();
                    at.push(now);
                }
                Some(later) => now = later,
            }
        }
        assert_eq!(at, [0, 0, 100, 200, 300]);
    }

    #[test]
    fn a_rate_of_zero_waits_long_and_a_clock_set_back_loses_nothing() {
        let mut bucket = TokenBucket::new(
            RateRule {
                per_second: 0.0,
                burst: 1.0,
            },
            1_000,
        );
        bucket.take();
        assert_eq!(bucket.wait_until(1_000), Some(86_401_000));
        let mut bucket = TokenBucket::new(
            RateRule {
                per_second: 1.0,
                burst: 1.0,
            },
            1_000,
        );
        assert_eq!(bucket.wait_until(0), None);
    }
}
