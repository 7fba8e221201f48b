//! The random bits of this crate: names that must differ between processes, never secrets.

/// 64 random bits.
#[expect(
    clippy::disallowed_methods,
    reason = "this crate's one place that draws random bits"
)]
pub(crate) fn random_bits() -> u64 {
    rand::random()
}
