//! When a destination's failed deliveries are tried again.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validation::Faults;

/// When a failed delivery is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// Wait before the second attempt, milliseconds.
    pub initial_ms: u64,
    /// What each wait is multiplied with for the next.
    pub multiplier: f64,
    /// Longest wait, milliseconds.
    pub max_ms: u64,
    /// Largest part of a wait that is added to it at random, 0 to 1.
    pub jitter: f64,
    /// Age since the first attempt at which it is given up, milliseconds; `None` = never.
    pub give_up_after_ms: Option<u64>,
    /// Attempts at which it is given up; `None` = no limit.
    pub max_attempts: Option<u32>,
    /// Statuses that give it up at once.
    pub permanent_statuses: Vec<u16>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial_ms: 5_000,
            multiplier: 2.0,
            max_ms: 14_400_000,
            jitter: 0.2,
            give_up_after_ms: Some(259_200_000),
            max_attempts: None,
            permanent_statuses: vec![400, 413, 415, 422],
        }
    }
}

impl RetryPolicy {
    /// Adds what is wrong with it.
    pub(crate) fn check(&self, faults: &mut Faults) {
        const DAYS_30_MS: u64 = 30 * 24 * 3600 * 1000;
        faults.require(
            (100..=DAYS_30_MS).contains(&self.initial_ms),
            "/retry/initial_ms",
            "has to be 100 to 2592000000",
        );
        let max = (self.initial_ms..=DAYS_30_MS).contains(&self.max_ms);
        faults.require(
            max,
            "/retry/max_ms",
            "has to be at least initial_ms and at most 2592000000",
        );
        faults.require(
            (1.0..=100.0).contains(&self.multiplier),
            "/retry/multiplier",
            "has to be 1 to 100",
        );
        faults.require(
            (0.0..=1.0).contains(&self.jitter),
            "/retry/jitter",
            "has to be 0 to 1",
        );
        let age = self
            .give_up_after_ms
            .is_none_or(|ms| (1..=12 * DAYS_30_MS).contains(&ms));
        faults.require(age, "/retry/give_up_after_ms", "has to be 1 to 31104000000");
        let attempts = self.max_attempts.is_none_or(|n| (1..=100_000).contains(&n));
        faults.require(attempts, "/retry/max_attempts", "has to be 1 to 100000");
        let statuses = self.permanent_statuses.iter().all(|s| (300..=599).contains(s));
        faults.require(
            statuses && self.permanent_statuses.len() <= 64,
            "/retry/permanent_statuses",
            "names statuses from 300 to 599, at most 64",
        );
    }
}
