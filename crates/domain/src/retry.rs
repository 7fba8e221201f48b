//! Judging an attempt: delivered, retried later, dead, or the end of its destination.
//!
//! Decides from the attempt's result, the destination's policy and the delivery's own progress. It
//! neither waits nor draws: the time and the jitter value are given, and waiting is `lane`'s part.

use crate::{Millis, delivery::ErrorCode, destination::RetryPolicy};

/// The status by which a receiver says that it wants no more (RFC 9110, section 15.5.11: Gone).
const GONE: u16 = 410;
/// Statuses whose `Retry-After` is honoured (RFC 6585, section 4; RFC 9110, section 15.6.4).
const WITH_RETRY_AFTER: [u16; 2] = [429, 503];

/// What came of one HTTP exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptResult {
    /// An answer came.
    Answered {
        /// Its HTTP status.
        status: u16,
        /// Its `Retry-After`, from now.
        retry_after_ms: Option<Millis>,
    },
    /// No whole answer came.
    Failed(ErrorCode),
}

/// What a delivery has behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Attempts made.
    pub attempts: u32,
    /// When the first of them began; 0 while there is none.
    pub first_attempt_at: Millis,
    /// Not before this moment comes the next; 0 for any time.
    pub next_at: Millis,
}

/// What an attempt meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// Try again so long after now.
    Retry {
        /// The wait.
        after_ms: Millis,
        /// Why this attempt failed.
        code: ErrorCode,
    },
    /// Never again.
    Dead {
        /// Why the last attempt failed.
        code: ErrorCode,
    },
    /// The receiver is gone (410): the destination is disabled and the delivery waits.
    DisableDestination,
}

impl AttemptResult {
    /// True for a 2xx.
    pub const fn is_success(self) -> bool {
        matches!(
            self,
            Self::Answered {
                status: 200..=299,
                ..
            }
        )
    }

    /// Why it failed; meaningless for a success.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Answered { .. } => ErrorCode::Status,
            Self::Failed(code) => code,
        }
    }

    /// True where the receiver answered and said whether it wants this delivery: it is alive.
    pub fn shows_life(self, policy: &RetryPolicy) -> bool {
        matches!(self, Self::Answered { .. }) && (self.is_success() || self.is_permanent(policy))
    }

    /// True where nothing reached the receiver by no fault of its own, so that it says nothing of it.
    pub fn was_not_sent(self) -> bool {
        matches!(self, Self::Failed(ErrorCode::Render | ErrorCode::Proxy))
    }

    fn is_permanent(self, policy: &RetryPolicy) -> bool {
        match self {
            Self::Answered { status, .. } => policy.permanent_statuses.contains(&status),
            Self::Failed(code) => code == ErrorCode::Render,
        }
    }

    fn retry_after_ms(self) -> Option<Millis> {
        match self {
            Self::Answered {
                status,
                retry_after_ms,
            } if WITH_RETRY_AFTER.contains(&status) => retry_after_ms,
            _ => None,
        }
    }
}

/// Judges the attempt that ended at `now`; `progress` counts it already, `jitter` is in [0, 1).
pub fn judge(
    policy: &RetryPolicy,
    result: AttemptResult,
    progress: Progress,
    now: Millis,
    jitter: f64,
) -> Verdict {
    let code = result.code();
    if result.is_success() {
        return Verdict::Delivered;
    }
    if matches!(result, AttemptResult::Answered { status: GONE, .. }) {
        return Verdict::DisableDestination;
    }
    if result.is_permanent(policy) {
        return Verdict::Dead { code };
    }
    let after_ms = delay_ms(policy, progress.attempts, result.retry_after_ms(), jitter);
    if gives_up(policy, progress, code, now.saturating_add(after_ms)) {
        return Verdict::Dead { code };
    }
    Verdict::Retry { after_ms, code }
}

/// Judges an attempt of a delivery whose caller waits for the answer until `deadline`: any status settles
/// it. It is tried again only where no connection could be made, or one broke before the answer, and only
/// by the deadline: what may hang, or was answered in part, may have had its effect.
pub fn judge_respond(
    policy: &RetryPolicy,
    result: AttemptResult,
    progress: Progress,
    now: Millis,
    jitter: f64,
    deadline: Millis,
) -> Verdict {
    let code = result.code();
    match result {
        AttemptResult::Answered { .. } if result.is_success() => Verdict::Delivered,
        AttemptResult::Failed(code) if may_connect_later(code) => {
            match judge(policy, result, progress, now, jitter) {
                Verdict::Retry { after_ms, .. } if now.saturating_add(after_ms) > deadline => {
                    Verdict::Dead { code }
                }
                verdict => verdict,
            }
        }
        _ => Verdict::Dead { code },
    }
}

/// True for failures to reach the receiver that may be over in a moment.
fn may_connect_later(code: ErrorCode) -> bool {
    use ErrorCode::{Auth, Connect, Dns, Proxy, Tls};
    matches!(code, Dns | Connect | Tls | Proxy | Auth)
}

/// The wait after attempt number `attempts`, in ms: exponential up to the policy's cap, at least
/// the receiver's `Retry-After` within that cap, and up to the jitter's share later, never earlier.
pub fn delay_ms(policy: &RetryPolicy, attempts: u32, retry_after_ms: Option<Millis>, jitter: f64) -> Millis {
    let cap = policy.max_ms as f64;
    let steps = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
    let exponential = (policy.initial_ms as f64 * policy.multiplier.powi(steps)).min(cap);
    let asked = retry_after_ms.map_or(0.0, |ms| (ms.max(0) as f64).min(cap));
    let base = exponential.max(asked);
    (base * (1.0 + policy.jitter * jitter.clamp(0.0, 1.0))).ceil() as Millis
}

/// True where the attempts are used up, or the next one would come after the delivery's age. That a proxy
/// fails uses up no attempts of its receiver.
fn gives_up(policy: &RetryPolicy, progress: Progress, code: ErrorCode, next_at: Millis) -> bool {
    if progress.attempts == 0 {
        return false;
    }
    let counts = code != ErrorCode::Proxy;
    let by_attempts = counts && policy.max_attempts.is_some_and(|most| progress.attempts >= most);
    let age_ms = u64::try_from(next_at.saturating_sub(progress.first_attempt_at)).unwrap_or(0);
    by_attempts || policy.give_up_after_ms.is_some_and(|most| age_ms > most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            initial_ms: 5_000,
            multiplier: 2.0,
            max_ms: 60_000,
            jitter: 0.2,
            give_up_after_ms: Some(1_000_000),
            max_attempts: Some(9),
            permanent_statuses: vec![400, 413, 415, 422],
        }
    }

    fn status(status: u16) -> AttemptResult {
        AttemptResult::Answered {
            status,
            retry_after_ms: None,
        }
    }

    fn check(result: AttemptResult, attempts: u32, expected: Verdict) {
        let progress = Progress {
            attempts,
            first_attempt_at: 1_000,
            next_at: 0,
        };
        assert_eq!(
            judge(&policy(), result, progress, 2_000, 0.0),
            expected,
            "{result:?} after {attempts}"
        );
    }

    #[test]
    fn a_status_means_what_the_interface_says() {
        for ok in [200, 201, 204, 299] {
            check(status(ok), 1, Verdict::Delivered);
        }
        for dead in [400, 413, 415, 422] {
            check(
                status(dead),
                1,
                Verdict::Dead {
                    code: ErrorCode::Status,
                },
            );
        }
        for again in [100, 199, 300, 302, 308, 401, 404, 409, 429, 500, 503, 599] {
            check(
                status(again),
                1,
                Verdict::Retry {
                    after_ms: 5_000,
                    code: ErrorCode::Status,
                },
            );
        }
        check(status(410), 1, Verdict::DisableDestination);
    }

    #[test]
    fn failures_without_an_answer_retry_except_render() {
        use ErrorCode::*;
        for code in [Dns, Connect, Tls, Timeout, AddressRefused, Body, Proxy, Auth] {
            check(
                AttemptResult::Failed(code),
                2,
                Verdict::Retry {
                    after_ms: 10_000,
                    code,
                },
            );
        }
        check(AttemptResult::Failed(Render), 1, Verdict::Dead { code: Render });
    }

    #[test]
    fn attempts_and_age_end_the_retries() {
        check(
            status(500),
            8,
            Verdict::Retry {
                after_ms: 60_000,
                code: ErrorCode::Status,
            },
        );
        check(
            status(500),
            9,
            Verdict::Dead {
                code: ErrorCode::Status,
            },
        );
        let old = Progress {
            attempts: 2,
            first_attempt_at: -1_000_000,
            next_at: 0,
        };
        assert_eq!(
            judge(&policy(), status(500), old, 2_000, 0.0),
            Verdict::Dead {
                code: ErrorCode::Status
            }
        );
    }

    #[test]
    fn a_proxy_s_failures_use_up_no_attempts_and_say_nothing_of_the_receiver() {
        let failed = AttemptResult::Failed(ErrorCode::Proxy);
        check(
            failed,
            9,
            Verdict::Retry {
                after_ms: 60_000,
                code: ErrorCode::Proxy,
            },
        );
        assert!(failed.was_not_sent() && !failed.shows_life(&policy()));
        let token = AttemptResult::Failed(ErrorCode::Auth);
        check(
            token,
            9,
            Verdict::Dead {
                code: ErrorCode::Auth,
            },
        );
        assert!(!token.was_not_sent());
    }

    #[test]
    fn retry_after_lengthens_the_wait_within_the_cap() {
        let asked = |status, ms| AttemptResult::Answered {
            status,
            retry_after_ms: Some(ms),
        };
        check(
            asked(429, 30_000),
            1,
            Verdict::Retry {
                after_ms: 30_000,
                code: ErrorCode::Status,
            },
        );
        check(
            asked(503, 1_000),
            1,
            Verdict::Retry {
                after_ms: 5_000,
                code: ErrorCode::Status,
            },
        );
        check(
            asked(503, 9_000_000),
            1,
            Verdict::Retry {
                after_ms: 60_000,
                code: ErrorCode::Status,
            },
        );
        check(
            asked(500, 30_000),
            1,
            Verdict::Retry {
                after_ms: 5_000,
                code: ErrorCode::Status,
            },
        );
    }

    #[test]
    fn a_waiting_caller_gets_the_first_answer_whatever_it_is() {
        use ErrorCode::*;
        let progress = Progress {
            attempts: 1,
            first_attempt_at: 0,
            next_at: 0,
        };
        let check = |result, deadline, expected| {
            let judged = judge_respond(&policy(), result, progress, 1_000, 0.0, deadline);
            assert_eq!(judged, expected, "{result:?} by {deadline}");
        };
        for ok in [200, 204] {
            check(status(ok), 0, Verdict::Delivered);
        }
        for other in [302, 404, 410, 429, 500, 503] {
            check(status(other), 9_000, Verdict::Dead { code: Status });
        }
        for code in [Dns, Connect, Tls, Proxy, Auth] {
            let (failed, after_ms) = (AttemptResult::Failed(code), 5_000);
            check(failed, 6_000, Verdict::Retry { after_ms, code });
            check(failed, 5_999, Verdict::Dead { code });
        }
        for code in [Timeout, Body, AddressRefused, Render] {
            check(AttemptResult::Failed(code), 9_000, Verdict::Dead { code });
        }
    }
}
