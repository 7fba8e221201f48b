//! A token bucket's definition, of sources, destinations and fetchers alike.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validation::Faults;

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Tokens a second.
    pub per_second: f64,
    /// Tokens at the most.
    #[serde(default = "default_burst")]
    pub burst: u32,
}

fn default_burst() -> u32 {
    1
}

impl RateLimit {
    /// Adds what is wrong with it.
    pub fn check(&self, pointer: &str, faults: &mut Faults) {
        let rate = self.per_second.is_finite() && self.per_second > 0.0 && self.per_second <= 1e6;
        faults.require(
            rate,
            &format!("{pointer}/per_second"),
            "has to be above 0 and at most 1000000",
        );
        faults.require(
            (1..=1_000_000).contains(&self.burst),
            &format!("{pointer}/burst"),
            "has to be 1 to 1000000",
        );
    }
}
