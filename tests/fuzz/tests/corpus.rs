//! Every target bears its corpus and a few thousand inputs made of it.
#![allow(clippy::unwrap_used, reason = "tests")]

use hookrail_fuzz::SEED;
use hookrail_fuzz::parsers::try_target;
use hookrail_fuzz::targets::TARGETS;

/// Inputs made for each target here; the program makes as many as it is told to.
const MUTATIONS: u64 = 15_000;

#[test]
fn every_parser_bears_whatever_comes() {
    for target in TARGETS {
        let tried = try_target(target, MUTATIONS, SEED).unwrap();
        assert!(
            tried.kept > 0 && tried.made == MUTATIONS,
            "{}: {tried:?}",
            target.0
        );
    }
}
