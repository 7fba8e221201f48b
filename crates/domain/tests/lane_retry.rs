//! The retry schedule under any policy and any run of failures.

use hookrail_domain::{
    delivery::ErrorCode,
    destination::RetryPolicy,
    retry::{AttemptResult, Progress, Verdict, delay_ms, judge},
};
use proptest::{collection::vec, option, prelude::*};

prop_compose! {
    fn policy()(
        initial_ms in 100u64..1_000_000,
        multiplier in 1.0..100.0f64,
        above in 0u64..100_000_000,
        jitter in 0.0..=1.0f64,
        give_up_after_ms in option::of(1u64..1_000_000_000),
        max_attempts in option::of(1u32..1_000),
    ) -> RetryPolicy {
        let (max_ms, permanent_statuses) = (initial_ms + above, vec![422]);
        RetryPolicy { initial_ms, multiplier, max_ms, jitter, give_up_after_ms, max_attempts, permanent_statuses }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_wait_lies_between_the_first_and_the_cap_with_jitter_and_never_shrinks(
        policy in policy(), attempts in 1u32.., asked in option::of(-10i64..i64::MAX), draw in 0.0..1.0f64,
    ) {
        let wait_ms = delay_ms(&policy, attempts, asked, draw) as f64;
        prop_assert!(wait_ms >= policy.initial_ms as f64);
        prop_assert!(wait_ms <= policy.max_ms as f64 * (1.0 + policy.jitter) + 1.0);
        prop_assert!(wait_ms >= delay_ms(&policy, attempts, asked, 0.0) as f64, "jitter only makes it later");
        let next_ms = delay_ms(&policy, attempts.saturating_add(1), asked, draw) as f64;
        prop_assert!(next_ms >= wait_ms);
        if let Some(asked) = asked {
            prop_assert!(wait_ms >= (asked as f64).min(policy.max_ms as f64) - 1.0);
        }
    }

    #[test]
    fn failures_in_a_row_end_by_attempts_or_age_and_never_before_one_attempt(
        policy in policy(), statuses in vec(300u16..600, 1..40), draw in 0.0..1.0f64,
    ) {
        let (mut now, began) = (1_000_000i64, 1_000_000i64);
        for (index, status) in statuses.into_iter().filter(|s| ![410, 422].contains(s)).enumerate() {
            let progress = Progress { attempts: index as u32 + 1, first_attempt_at: began, next_at: 0 };
            let result = AttemptResult::Answered { status, retry_after_ms: None };
            match judge(&policy, result, progress, now, draw) {
                Verdict::Retry { after_ms, .. } => {
                    now += after_ms;
                    prop_assert!(policy.max_attempts.is_none_or(|most| progress.attempts < most));
                    prop_assert!(policy.give_up_after_ms.is_none_or(|most| (now - began) as u64 <= most));
                }
                Verdict::Dead { code } => {
                    prop_assert_eq!(code, ErrorCode::Status);
                    let used_up = policy.max_attempts.is_some_and(|most| progress.attempts >= most);
                    prop_assert!(used_up || policy.give_up_after_ms.is_some());
                    return Ok(());
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
