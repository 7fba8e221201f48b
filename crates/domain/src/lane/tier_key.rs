//! Which tier an unordered delivery waits in.

use std::{fmt, str::FromStr};

use crate::short_id::ShortId;

/// A tier of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TierKey {
    /// Of deliveries that failed so often; 0 of those never tried.
    Step(u8),
    /// Of deliveries through a route that is paused.
    Route(ShortId),
}

impl TierKey {
    /// The tier of those never tried.
    pub const FIRST: Self = Self::Step(0);
}

impl fmt::Display for TierKey {
    /// One token: a number, or that of the route behind an `r`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) => step.fmt(f),
            Self::Route(route) => write!(f, "r{route:016x}"),
        }
    }
}

impl FromStr for TierKey {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix('r') {
            Some(route) => u64::from_str_radix(route, 16).map(|route| Self::Route(ShortId::from_u64(route))),
            None => text.parse().map(Self::Step),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_read_back_from_its_token() {
        let routes = [7, u128::MAX, 0].map(|id| TierKey::Route(ShortId::of(id)));
        for key in [TierKey::FIRST, TierKey::Step(255)].into_iter().chain(routes) {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for other in ["", "256", "-1", "x", "r", "rx"] {
            assert!(other.parse::<TierKey>().is_err(), "{other}");
        }
    }
}
