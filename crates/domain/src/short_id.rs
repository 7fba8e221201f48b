//! Half of an id, where there may be so many of them that memory counts.

use std::{fmt, num::NonZeroU64};

/// The half of an id that is random: as good as unique among those of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShortId(NonZeroU64);

impl ShortId {
    /// That of an id, given as its number.
    pub fn of(id: u128) -> Self {
        Self::from_u64((id & u128::from(u64::MAX)) as u64)
    }

    /// The one with this number; 0 is taken for 1.
    pub fn from_u64(number: u64) -> Self {
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
    }
}

impl fmt::LowerHex for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}
