//! What the pump and the reader of one exchange share: the answer as it grows, and the slot for finished frames.
//!
//! The slot is not a channel: the pump appends whole frames, the reader takes all of them at once. So everything that is
//! ready comes in one block, the first frame waits for nothing, and one hop between threads carries many frames.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use llmgw_core::answer::stream::StreamState;
use llmgw_core::answer::summary::Summary;
use llmgw_core::api::Machine;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::aside::aside_if;
use crate::endpoint::Heartbeat;
use crate::error::{ErrorKind, ExchangeError};
use crate::lock::lock;
use crate::report::Report;

/// With this many bytes not yet taken, the pump stops reading. What is in the slot may exceed this by one read's frames.
pub(crate) const HIGH_WATER_BYTES: usize = 24 * 1024;

/// The answer is locked for as long as it takes to feed one read; only the pump and its end wait for it. The slot is locked
/// for a moment. Where both are needed, the answer is locked first.
pub(crate) struct Shared {
    answer: Mutex<Answer>,
    slot: Mutex<Slot>,
    taken: Notify,
    started: Instant,
}

/// The bytes' side: which machine the upstream's events go through.
struct Answer {
    machine: Machine,
    /// Frames that are not in the slot yet: until the first good event, or the first heartbeat.
    output: Vec<u8>,
}

/// The reader's side.
#[derive(Default)]
struct Slot {
    ready: Vec<u8>,
    /// There has been something to hand out: from now on, failures are in-band.
    committed: bool,
    /// The reader has had its first block.
    taken: bool,
    first_event: Option<Instant>,
    ended: bool,
    /// The account as of the last read, so that asking for it never waits for the next one to be fed.
    summary: Arc<Summary>,
    /// Why it failed.
    error: Option<ExchangeError>,
    /// The same, until it has been raised.
    failure: Option<ExchangeError>,
    waker: Option<Waker>,
}

/// What feeding one read came to.
pub(crate) struct Progress {
    pub(crate) state: StreamState,
    /// There has been a good event, now or earlier.
    pub(crate) began: bool,
    /// Something went to the slot.
    pub(crate) sent: bool,
    /// The reader is slow: see [`Shared::room`].
    pub(crate) full: bool,
}

impl Shared {
    pub(crate) fn new(machine: Machine) -> Self {
        Self {
            answer: Mutex::new(Answer { machine, output: Vec::new() }),
            slot: Mutex::new(Slot::default()),
            taken: Notify::new(),
            started: Instant::now(),
        }
    }

    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// A piece of an event stream; at `None`, its end.
    pub(crate) fn feed(&self, input: Option<&[u8]>) -> Progress {
        let mut answer = lock(&self.answer);
        let Answer { machine, output } = &mut *answer;
        // A piece in the middle of a line only adds to what waits, however much that is.
        let ends_a_line = input.is_none_or(|input| memchr::memchr2(b'\n', b'\r', input).is_some());
        let backlog = if ends_a_line { machine.backlog_bytes() } else { 0 };
        let at_once = backlog + input.map_or(0, <[u8]>::len);
        let state = aside_if(at_once, || machine.feed(input, output));
        let began = machine.summary().frames > 0;
        let mut slot = self.slot();
        slot.account(machine.summary());
        if began {
            slot.begin();
        }
        // Nothing has been handed out, nor is there anything that can be.
        let is_raised = state == StreamState::Failed && !slot.committed && !(began && machine.is_stream());
        if let Some(error) = machine.error().filter(|_| is_raised) {
            slot.end(Err(error.into()));
            return Progress { state, began, sent: false, full: false };
        }
        let sent = (began || slot.committed) && slot.push(output);
        if state != StreamState::Open {
            slot.close(machine.error().map(ExchangeError::from));
        }
        Progress { state, began, sent, full: slot.ready.len() >= HIGH_WATER_BYTES }
    }

    /// A whole plain answer.
    pub(crate) fn whole(&self, body: Vec<u8>, summary: Summary) {
        let mut answer = lock(&self.answer);
        let mut slot = self.slot();
        slot.account(&summary);
        answer.machine = Machine::Whole(Box::new(summary), None);
        slot.end(Ok(body));
    }

    /// The exchange failed: as an error to be raised, or in-band once something has been handed out.
    pub(crate) fn fail(&self, error: ExchangeError) {
        let mut answer = lock(&self.answer);
        let Answer { machine, output } = &mut *answer;
        let mut slot = self.slot();
        if machine.is_stream() && slot.committed && !slot.ended {
            machine.fail(error.in_band(), output);
            slot.account(machine.summary());
            slot.push(output);
            slot.close(Some(error));
        } else {
            slot.end(Err(error));
        }
    }

    /// End without another word: there is no reader any more.
    pub(crate) fn abandon(&self, kind: ErrorKind) {
        let mut slot = self.slot();
        if !slot.ended {
            slot.ready = Vec::new();
            if slot.taken {
                slot.close(Some(kind.into()));
            } else {
                slot.end(Err(ExchangeError::new(kind)));
            }
        }
    }

    /// A comment for the client, where the reader is not behind anyway. Only between frames, as all of the slot is.
    pub(crate) fn heartbeat(&self, form: Heartbeat) {
        let mut slot = self.slot();
        if slot.ready.is_empty() {
            slot.push(&mut form.bytes().to_vec());
        }
    }

    /// Waits until the reader has taken what is there.
    pub(crate) async fn room(&self) {
        while self.slot().ready.len() >= HIGH_WATER_BYTES {
            self.taken.notified().await;
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.slot().ended
    }

    /// True once the last block has been taken: nothing is added after the end.
    pub(crate) fn is_finished(&self) -> bool {
        let slot = self.slot();
        slot.ended && slot.ready.is_empty()
    }

    pub(crate) fn poll_block(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ExchangeError>> {
        let mut slot = self.slot();
        if !slot.ready.is_empty() {
            let block = std::mem::take(&mut slot.ready);
            slot.taken = true;
            drop(slot);
            if block.len() >= HIGH_WATER_BYTES {
                self.taken.notify_one();
            }
            return Poll::Ready(Ok(Some(block.into())));
        }
        if slot.ended {
            return Poll::Ready(slot.failure.take().map_or(Ok(None), Err));
        }
        match &mut slot.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    pub(crate) fn report(&self) -> Report {
        let slot = self.slot();
        Report {
            summary: Arc::clone(&slot.summary),
            first_event: slot.first_event.map(|instant| instant.duration_since(self.started)),
            error: slot.error.clone(),
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        lock(&self.slot)
    }
}

impl Slot {
    fn account(&mut self, summary: &Summary) {
        match Arc::get_mut(&mut self.summary) {
            Some(own) => own.clone_from(summary),
            // Somebody still looks at the last one.
            None => self.summary = Arc::new(summary.clone()),
        }
    }

    fn begin(&mut self) {
        if self.first_event.is_none() {
            self.first_event = Some(Instant::now());
        }
    }

    /// Moves the frames over. After the end nothing is added: an abort may come between a read and its frames.
    fn push(&mut self, frames: &mut Vec<u8>) -> bool {
        if frames.is_empty() || self.ended {
            return false;
        }
        if self.ready.is_empty() {
            std::mem::swap(&mut self.ready, frames);
        } else {
            self.ready.append(frames);
        }
        self.committed = true;
        self.wake();
        true
    }

    fn close(&mut self, error: Option<ExchangeError>) {
        if !self.ended {
            self.ended = true;
            self.error = error;
            self.wake();
        }
    }

    /// The end of what comes in one piece: the body, or the failure.
    fn end(&mut self, outcome: Result<Vec<u8>, ExchangeError>) {
        match outcome {
            Ok(mut body) => {
                self.push(&mut body);
                self.close(None);
            }
            Err(error) if !self.ended => {
                self.failure = Some(error.clone());
                self.close(Some(error));
            }
            Err(_) => {}
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use llmgw_core::answer::context::{AnswerContext, AnswerMode};
    use llmgw_core::api::Api;
    use llmgw_core::sse::SseLimits;

    use super::*;

    #[test]
    fn nobody_waits_for_what_is_being_fed() {
        let mode = AnswerMode::Stream { include_usage: false };
        let machine = Api::Chat.machine(mode, AnswerContext::default(), SseLimits::default());
        let shared = Shared::new(machine);
        shared.feed(Some(b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n"));
        let feeding = lock(&shared.answer);
        let report = shared.report();
        assert_eq!((report.summary.frames, report.error), (1, None));
        assert!(shared.poll_block(&mut Context::from_waker(Waker::noop())).is_ready());
        shared.abandon(ErrorKind::Aborted);
        drop(feeding);
        shared.feed(Some(b"data: {\"choices\":[{\"delta\":{\"content\":\"y\"}}]}\n\n"));
        assert_eq!(report.summary.frames, 1, "what was told stays");
        assert_eq!(shared.report().summary.frames, 2);
    }
}
