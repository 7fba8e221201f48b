//! The only place that draws random numbers. Code that decides something is given them.

use rand::RngCore;

/// The process's generator: a cryptographic one, seeded and reseeded by the operating system.
#[expect(clippy::disallowed_methods, reason = "this function is the generator's owner")]
fn generator() -> rand::rngs::ThreadRng {
    rand::rng()
}

/// Fills `bytes` with random ones, good enough for secrets.
pub fn fill(bytes: &mut [u8]) {
    generator().fill_bytes(bytes);
}

/// `N` random bytes.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// 64 random bits.
#[must_use]
pub fn u64() -> u64 {
    generator().next_u64()
}

/// A number in `0.0..1.0`, for jitter.
#[must_use]
pub fn unit() -> f64 {
    // 53 bits are what an f64 holds exactly.
    (u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// `N` random bytes in lower-case hex: a token that nobody guesses from 16 bytes on.
#[must_use]
pub fn hex_token<const N: usize>() -> String {
    bytes::<N>().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_two_characters_a_byte() {
        assert_eq!(hex_token::<24>().len(), 48);
    }

    #[test]
    fn unit_numbers_are_below_one() {
        assert!((0..1_000).all(|_| (0.0..1.0).contains(&unit())));
    }
}
