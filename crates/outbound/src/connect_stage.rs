//! Where a request's connection stands, so that a time-out can say what it waited for.
//!
//! The connector is called inside of the request's own task, with nothing but a URL; the stage goes there
//! beside it, as a value of the task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hookrail_domain::delivery::ErrorCode;

use crate::attempt::AttemptError;
use crate::failure::timed_out;

tokio::task_local! {
    static CURRENT: Arc<ConnectStage>;
}

/// Whether a proxy is being waited for.
#[derive(Debug, Default)]
pub(crate) struct ConnectStage {
    at_proxy: AtomicBool,
}

impl ConnectStage {
    /// The stage of the running request; one that nobody looks at where there is none.
    pub(crate) fn current() -> Arc<Self> {
        CURRENT.try_with(Arc::clone).unwrap_or_default()
    }

    /// Runs a request with a stage of its own.
    pub(crate) async fn scope<T>(self: Arc<Self>, request: impl Future<Output = T>) -> T {
        CURRENT.scope(self, request).await
    }

    /// The proxy's part begins, or is over.
    pub(crate) fn set_at_proxy(&self, at_proxy: bool) {
        self.at_proxy.store(at_proxy, Ordering::Release);
    }

    /// The error of waiting longer than `limit_ms` for `what`.
    pub(crate) fn timed_out(&self, limit_ms: u64, what: &str) -> AttemptError {
        if self.at_proxy.load(Ordering::Acquire) {
            let detail = format!("no connection through the proxy within {limit_ms} ms");
            return AttemptError::new(ErrorCode::Proxy, detail);
        }
        timed_out(limit_ms, what)
    }
}
