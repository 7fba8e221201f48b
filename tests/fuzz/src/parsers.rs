//! Trying targets with their corpus, and with what is made of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::corpus;
use crate::mutate::mutate;
use crate::targets::Target;

/// How long one input may take: far more than any should, on a machine that is busy with other things.
const SLOW: Duration = Duration::from_secs(5);

/// What a target went through.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Inputs of the corpus.
    pub kept: u64,
    /// Inputs made of it.
    pub made: u64,
    /// The longest that one took.
    pub longest: Duration,
}

/// Tries a target with its corpus and with `mutations` inputs made of it.
///
/// # Errors
/// An input broke a promise; it was added to the corpus.
pub fn try_target((name, target): &Target, mutations: u64, seed: u64) -> anyhow::Result<Tried> {
    let inputs = corpus::load(name)?;
    let mut tried = Tried::default();
    for input in &inputs {
        check(name, *target, tried.kept, input, &mut tried.longest)?;
        tried.kept += 1;
    }
    let mut random = StdRng::seed_from_u64(seed);
    while tried.made < mutations {
        let one = &inputs[random.random_range(0..inputs.len())];
        let other = &inputs[random.random_range(0..inputs.len())];
        let input = mutate(&mut random, one, other);
        check(name, *target, tried.made, &input, &mut tried.longest)?;
        tried.made += 1;
    }
    Ok(tried)
}

fn check(
    name: &str,
    target: fn(&[u8]),
    number: u64,
    input: &[u8],
    longest: &mut Duration,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| target(input)));
    let took = started.elapsed();
    *longest = took.max(*longest);
    if ended.is_ok() && took < SLOW {
        return Ok(());
    }
    let kept = corpus::keep(name, number, input)?;
    anyhow::bail!("{name} broke a promise after {took:?}: {}", kept.display())
}
