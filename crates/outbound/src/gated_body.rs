//! A request body that holds the whole request back while its check says no.
//!
//! Setting up a connection takes time, and a request may wait for one: a check made before that says
//! nothing about the moment when bytes go out. The HTTP stack asks a body whether it has ended, or for
//! its first part, after a connection is there and before the buffered head is flushed (HTTP/1.1) or
//! the stream is ended (HTTP/2). So the check is made there. A "no" fails the body: over HTTP/1.1
//! nothing is written, over HTTP/2 the receiver sees a reset stream and never a complete request.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Method;
use http_body::{Body, Frame, SizeHint};

use crate::attempt::Withheld;
use crate::outbound_request::SendCheck;

/// The check with its memory: once it said no, it is closed for good.
#[derive(Clone)]
pub(crate) struct Gate {
    check: SendCheck,
    closed: Arc<AtomicBool>,
}

impl Gate {
    pub(crate) fn new(check: SendCheck) -> Self {
        Self {
            check,
            closed: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Asks the check, unless it has said no before.
    pub(crate) fn is_open(&self) -> bool {
        if self.was_closed() {
            return false;
        }
        let open = (self.check)();
        if !open {
            self.closed.store(true, Ordering::Release);
        }
        open
    }

    /// Whether the check has said no.
    pub(crate) fn was_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// The body: one part, given out only through the gate.
pub(crate) struct GatedBody {
    gate: Gate,
    part: Option<Bytes>,
    /// An empty body has no part that could be held back; its end is.
    empty: bool,
    /// Whether an empty body is announced as `content-length: 0`.
    announces_length: bool,
}

impl GatedBody {
    /// RFC 9110, 8.6: methods that expect content say that it is empty, the others say nothing.
    pub(crate) fn new(gate: Gate, body: Bytes, method: &Method) -> Self {
        let empty = body.is_empty();
        let announces_length = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
        Self {
            gate,
            part: (!empty).then_some(body),
            empty,
            announces_length,
        }
    }
}

impl Body for GatedBody {
    type Data = Bytes;
    type Error = Withheld;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Withheld>>> {
        if self.part.is_none() && !self.empty {
            return Poll::Ready(None);
        }
        if !self.gate.is_open() {
            return Poll::Ready(Some(Err(Withheld)));
        }
        Poll::Ready(self.part.take().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        match (&self.part, self.empty) {
            (Some(_), _) => false,
            (None, false) => true,
            (None, true) => !self.announces_length && self.gate.is_open(),
        }
    }

    /// The stack doesn't poll a body of length 0 before it writes the head. So an empty body asks the
    /// gate here, and where that is closed claims a byte, to be polled and to fail. The length must
    /// not be set as a header: it would stand above this claim.
    fn size_hint(&self) -> SizeHint {
        let bytes = match &self.part {
            Some(part) => part.len() as u64,
            None => u64::from(self.empty && !self.gate.is_open()),
        };
        SizeHint::with_exact(bytes)
    }
}
