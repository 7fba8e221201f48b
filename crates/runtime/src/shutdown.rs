//! One cancellation token for the whole process: SIGTERM or SIGINT cancels it, a second signal ends the process at once.
//! What to finish before the end is each service's own.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that a second signal ended, or whose grace period was over: as after SIGTERM.
pub const EXIT_CUT_SHORT: i32 = 143;

/// Cancels `token` at the first SIGTERM or SIGINT; exits with [`EXIT_CUT_SHORT`] at the second.
///
/// # Errors
/// When the operating system refuses a signal listener.
pub fn cancel_on_signals(token: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        next_of(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping: a second signal ends it at once");
        token.cancel();
        next_of(&mut terminate, &mut interrupt).await;
        tracing::warn!("ended at once by a second signal");
        std::process::exit(EXIT_CUT_SHORT);
    });
    Ok(())
}

async fn next_of(first: &mut tokio::signal::unix::Signal, second: &mut tokio::signal::unix::Signal) {
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
}

/// Waits until `grace` has passed since `token` was cancelled.
pub async fn grace_is_over(token: &CancellationToken, grace: Duration) {
    token.cancelled().await;
    tokio::time::sleep(grace).await;
}
