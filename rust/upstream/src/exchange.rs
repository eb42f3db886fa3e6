//! A running exchange, as its reader sees it.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::task::AbortHandle;

use crate::error::{ErrorKind, ExchangeError};
use crate::report::Report;
use crate::shared::Shared;

/// A running exchange. Dropped = aborted.
pub struct Exchange {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Exchange {
    pub(crate) const fn new(shared: Arc<Shared>, task: AbortHandle) -> Self {
        Self { shared, task }
    }

    /// The next block: whole frames of a stream, as many as are ready; or the one body of an answer that is not
    /// streamed. `None` at the end. One reader at a time: the last waker wins.
    ///
    /// # Errors
    /// Once, and only in place of the first block: later failures are in the last block, as an error frame.
    pub fn poll_block(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ExchangeError>> {
        self.shared.poll_block(cx)
    }

    /// True once the last block has been given, or the failure: the report is final.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.shared.is_finished()
    }

    /// Close the connection now, unless the answer has ended. A pending read ends with `None`, or with
    /// [`ErrorKind::Aborted`] where nothing had been handed out.
    pub fn abort(&self) {
        self.stop(|| self.shared.abandon(ErrorKind::Aborted));
    }

    /// The gateway is shutting down: end the answer now, with an error frame where it is a stream that has begun.
    pub fn drain(&self) {
        self.stop(|| self.shared.fail(ExchangeError::new(ErrorKind::Draining)));
    }

    /// An exchange that has ended may still be returning its connection to the pool; that needs no stopping.
    fn stop(&self, end: impl FnOnce()) {
        if !self.shared.has_ended() {
            end();
            self.task.abort();
        }
    }

    /// What is known so far.
    #[must_use]
    pub fn report(&self) -> Report {
        self.shared.report()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.abort();
    }
}
