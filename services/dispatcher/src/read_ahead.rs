//! Reads a partition's deliveries in a task of their own.
//!
//! The reader mends lost connections inside its `next`, over several round trips; a loop that drops
//! that future at every other event would begin the mending again and again. So it runs here, and the
//! loop takes from a channel, which may be dropped at any point.

use hookrail_broker::{DeliveryMessage, DeliveryReader, ReaderError};
use tokio::{sync::mpsc, task::JoinHandle};

/// Deliveries that are read and not taken yet.
const AHEAD: usize = 64;

/// A partition's deliveries, in order.
pub(crate) struct ReadAhead {
    messages: mpsc::Receiver<Result<DeliveryMessage, ReaderError>>,
    task: JoinHandle<()>,
}

impl ReadAhead {
    /// Starts reading.
    pub(crate) fn start(mut reader: DeliveryReader) -> Self {
        let (sender, messages) = mpsc::channel(AHEAD);
        let task = tokio::spawn(async move {
            loop {
                let message = reader.next().await;
                let ended = message.is_err();
                if sender.send(message).await.is_err() || ended {
                    return;
                }
            }
        });
        Self { messages, task }
    }

    /// The next delivery; may be dropped while it waits. `None` after an error was given.
    pub(crate) async fn next(&mut self) -> Option<Result<DeliveryMessage, ReaderError>> {
        self.messages.recv().await
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.task.abort();
    }
}
