//! Reads a partition's deliveries in a task of their own.
//!
//! The reader notices and mends lost connections inside its `next`, and acknowledgements wait for that;
//! so it is kept waiting in, also while the loop is busy or waits for a definition.

use hookrail_broker::{DeliveryMessage, DeliveryReader, ReaderError};
use tokio::{sync::mpsc, task::JoinHandle};

/// Deliveries that are read and not taken yet.
const AHEAD: usize = 64;

/// What was read.
pub(crate) enum Read {
    /// A delivery.
    Message(DeliveryMessage),
    /// All that the owner before may have had was given by now.
    CaughtUp,
}

/// A partition's deliveries, in order.
pub(crate) struct ReadAhead {
    read: mpsc::Receiver<Result<Read, ReaderError>>,
    task: JoinHandle<()>,
}

impl ReadAhead {
    /// Starts reading.
    pub(crate) fn start(reader: DeliveryReader) -> Self {
        let (sender, read) = mpsc::channel(AHEAD);
        let task = tokio::spawn(forward(reader, sender));
        Self { read, task }
    }

    /// What comes next; may be dropped while it waits. `None` after an error was given.
    pub(crate) async fn next(&mut self) -> Option<Result<Read, ReaderError>> {
        self.read.recv().await
    }
}

/// Reads until an error, or until nobody listens.
async fn forward(mut reader: DeliveryReader, sender: mpsc::Sender<Result<Read, ReaderError>>) {
    let mut told = false;
    loop {
        if !told && reader.caught_up() {
            told = true;
            if sender.send(Ok(Read::CaughtUp)).await.is_err() {
                return;
            }
        }
        let message = reader.next().await;
        let ended = message.is_err();
        if sender.send(message.map(Read::Message)).await.is_err() || ended {
            return;
        }
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.task.abort();
    }
}
