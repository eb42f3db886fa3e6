//! The task of one exchange, from the request to the end of the answer.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderValue;
use http::header::{self, HeaderName};
use llmgw_core::answer::completion::Cleaned;
use llmgw_core::answer::context::{AnswerContext, AnswerMode};
use llmgw_core::answer::error::StreamError;
use llmgw_core::answer::form::{Form, as_events, is_whole};
use llmgw_core::answer::stream::StreamState;
use llmgw_core::api::Api;
use llmgw_core::refusal::Refusal;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

use crate::aside::aside_if;
use crate::config::MAX_TIMEOUT;
use crate::deadlines::{Deadlines, Due};
use crate::endpoint::{Endpoint, ExchangeRequest, Heartbeat, Way};
use crate::error::{ErrorKind, ExchangeError};
use crate::http1::{Connection, Outgoing, ResponseHead};
use crate::label::{EVENT_STREAM, JSON, Label};
use crate::refusal::{error_body, retry_after_s};
use crate::shared::Shared;

const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// Anthropic refuses a request without one, and all SDKs send this one.
const DEFAULT_ANTHROPIC_VERSION: &str = "2023-06-01";
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// So much white space may stand before a body's first sign; what is longer is what its label says.
const MAX_OPENING_BYTES: usize = 4096;

/// After `[DONE]` the body should end at once, and its connection can be used again. No longer than this, no more
/// bytes than this: else the connection is dropped.
const END_OF_BODY_TIMEOUT: Duration = Duration::from_millis(100);
const END_OF_BODY_BYTES: usize = 4096;

/// After this much of an event stream that comes without a pause, the other exchanges of the thread have their turn.
const TURN_BYTES: usize = 256 * 1024;

/// Run an exchange to its end, whatever that is: the reader is always told.
pub(crate) async fn supervise(endpoint: Arc<Endpoint>, request: ExchangeRequest, shared: Arc<Shared>) {
    let outcome = match endpoint.way(request.api) {
        Some(way) => caught(Pump::new(&endpoint, way, &request, &shared).run(request)).await,
        // There is nowhere to ask.
        None => Ok(Err(ErrorKind::Unreachable.into())),
    };
    let failure = match outcome {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(_panic) => ExchangeError::new(ErrorKind::Panic),
    };
    // Where the panic came out of the transformer, its error frame may bring another one.
    if catch_unwind(AssertUnwindSafe(|| shared.fail(failure))).is_err() {
        shared.abandon(ErrorKind::Panic);
    }
}

/// A future whose panics are values.
async fn caught<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

struct Pump<'task> {
    endpoint: &'task Endpoint,
    way: &'task Way,
    shared: &'task Shared,
    deadlines: Deadlines,
    heartbeat: Duration,
    heartbeat_form: Heartbeat,
}

impl<'task> Pump<'task> {
    fn new(
        endpoint: &'task Endpoint,
        way: &'task Way,
        request: &ExchangeRequest,
        shared: &'task Shared,
    ) -> Self {
        let timeouts = &endpoint.config.timeouts;
        let started = shared.started();
        let heartbeat = request.heartbeat.min(MAX_TIMEOUT);
        let total = request.total.map_or(timeouts.total, |left| left.min(timeouts.total));
        let mut deadlines = Deadlines::new(started, total);
        if request.mode != AnswerMode::Plain {
            deadlines.first_event = Some(started + timeouts.first_event);
        }
        if matches!(request.mode, AnswerMode::Stream { .. }) {
            deadlines.heartbeat = Some(started + heartbeat);
        }
        let heartbeat_form = Heartbeat::of(request.api, &request.context, request.heartbeat_form);
        Self { endpoint, way, shared, deadlines, heartbeat, heartbeat_form }
    }

    async fn run(mut self, request: ExchangeRequest) -> Result<(), ExchangeError> {
        let ExchangeRequest { body, api, headers: passed, mode, context, .. } = request;
        let accept = if mode == AnswerMode::Plain { JSON } else { EVENT_STREAM };
        let mut headers = passed;
        headers.push((header::ACCEPT, HeaderValue::from_static(accept)));
        if api.is_anthropics() && headers.iter().all(|(name, _)| *name != ANTHROPIC_VERSION) {
            headers.push((ANTHROPIC_VERSION, HeaderValue::from_static(DEFAULT_ANTHROPIC_VERSION)));
        }
        if let Ok(request_id) = HeaderValue::from_str(&context.request_id) {
            headers.push((X_REQUEST_ID, request_id));
        }
        let body_length = body.iter().map(Bytes::len).sum();
        let head = self.way.head.with(&headers, body_length);
        drop(headers);
        // In boxes of their own: each phase needs room that a stream should not hold for minutes.
        let request = Outgoing::new(head, body);
        let answered = self.wait(Box::pin(self.way.client.request(request)).as_mut()).await??;
        let (mut connection, label) = Box::pin(self.accepted(answered)).await?;
        if mode == AnswerMode::Plain {
            self.announced(&connection)?;
        }
        let opening = Box::pin(self.opening(&mut connection, label)).await?;
        match (mode, opening.form) {
            (AnswerMode::Plain, _) => Box::pin(self.plain(connection, opening, api, &context)).await,
            (_, Form::Json) => Box::pin(self.json(connection, opening, mode, api, &context)).await,
            _ => self.events(connection, opening.head, mode).await,
        }
    }

    /// What `future` gives, with heartbeats meanwhile; or the timeout that passes first.
    async fn wait<F: Future>(&mut self, mut future: Pin<&mut F>) -> Result<F::Output, ExchangeError> {
        loop {
            match self.deadlines.race(future.as_mut()).await {
                Ok(output) => return Ok(output),
                Err(Due::Heartbeat) => {
                    self.shared.heartbeat(self.heartbeat_form);
                    self.deadlines.heartbeat = Some(Instant::now() + self.heartbeat);
                }
                Err(due) => return Err(due.into()),
            }
        }
    }

    /// The connection of an answer that is what was asked for.
    async fn accepted(
        &self,
        (mut connection, head): (Connection, ResponseHead),
    ) -> Result<(Connection, Label), ExchangeError> {
        let refused = self.refused(&mut connection, &head).await;
        match refused {
            None => Ok((connection, Label::of(&head))),
            Some(error) => {
                self.way.client.keep(connection);
                Err(error)
            }
        }
    }

    /// Why an answer is not what was asked for.
    async fn refused(&self, connection: &mut Connection, head: &ResponseHead) -> Option<ExchangeError> {
        let status = head.status.as_u16();
        if head.status.is_redirection() {
            return Some(ExchangeError::with_status(ErrorKind::Redirect, status));
        }
        let is_identity = head
            .headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .all(|value| value.is_empty() || value.as_bytes().eq_ignore_ascii_case(b"identity"));
        if !head.status.is_success() {
            let retry_after_s = retry_after_s(&head.headers, SystemTime::now());
            let body = if is_identity { error_body(connection).await } else { Vec::new() };
            let refusal = Refusal::read(&body).without(&self.endpoint.secret);
            return Some(ExchangeError::refused(status, retry_after_s, refusal));
        }
        (!is_identity).then(|| ExchangeError::with_status(ErrorKind::ContentEncoding, status))
    }

    /// The beginning of a body, which says what it is; where it does not, its label does.
    async fn opening(&mut self, connection: &mut Connection, label: Label) -> Result<Opening, ExchangeError> {
        let mut head = Vec::new();
        loop {
            if let Some(form) = Form::of(&head) {
                return Opening::of(head, form, label);
            }
            if self.deadlines.first_event.is_none() {
                self.deadlines.idle = Some(Instant::now() + self.endpoint.config.timeouts.idle);
            }
            let take = |read: &[u8]| head.extend_from_slice(read);
            let has_ended = self.wait(pin!(connection.read_body(take))).await??.is_none();
            if has_ended || head.len() > MAX_OPENING_BYTES {
                return Opening::of(head, label.form, label);
            }
        }
    }

    /// An event stream, into the slot or into one merged answer. `head` has been read of it.
    async fn events(
        &mut self,
        mut connection: Connection,
        head: Vec<u8>,
        mode: AnswerMode,
    ) -> Result<(), ExchangeError> {
        let mut budget =
            if mode == AnswerMode::Merged { self.endpoint.config.max_answer_bytes } else { usize::MAX };
        let shared = self.shared;
        let mut turn = 0;
        let mut head = Some(head);
        loop {
            let mut feed = |read: &[u8]| {
                turn += read.len();
                budget = budget.checked_sub(read.len())?;
                Some(shared.feed(Some(read)))
            };
            let taken = match head.take() {
                Some(head) => Some(feed(&head)),
                None => self.wait(pin!(connection.read_body(feed))).await??,
            };
            let progress = match taken {
                Some(progress) => progress.ok_or(ErrorKind::TooLarge)?,
                None => shared.feed(None),
            };
            match progress.state {
                StreamState::Open => {}
                StreamState::Done => {
                    Box::pin(self.settle(connection)).await;
                    return Ok(());
                }
                StreamState::Failed => return Ok(()),
            }
            if progress.full {
                // Waiting for the reader is not a fault of the upstream.
                self.deadlines.idle = None;
                self.wait(pin!(shared.room())).await?;
            }
            if turn >= TURN_BYTES {
                turn = 0;
                yield_now().await;
            }
            let now = Instant::now();
            if progress.sent {
                self.deadlines.heartbeat = Some(now + self.heartbeat);
            }
            if progress.began {
                self.deadlines.first_event = None;
                self.deadlines.idle = Some(now + self.endpoint.config.timeouts.idle);
            }
        }
    }

    /// A stream has ended: its connection can be used again.
    async fn settle(&self, mut connection: Connection) {
        finish_reading(&mut connection).await;
        self.way.client.keep_settled(connection).await;
    }

    /// The answer to a request that wanted no stream.
    async fn plain(
        &mut self,
        mut connection: Connection,
        opening: Opening,
        api: Api,
        context: &AnswerContext,
    ) -> Result<(), ExchangeError> {
        let answer = self.whole(&mut connection, opening.head, |_| false).await?;
        let limits = self.endpoint.config.limits;
        let cleaned = aside_if(answer.len(), || api.whole(&answer, context, limits));
        self.complete(connection, answer, cleaned)
    }

    /// JSON where events were wanted: an error, or the answer in one piece.
    async fn json(
        &mut self,
        mut connection: Connection,
        opening: Opening,
        mode: AnswerMode,
        api: Api,
        context: &AnswerContext,
    ) -> Result<(), ExchangeError> {
        // Among events there may be an error as a bare line, and no end behind it.
        let answer = self.whole(&mut connection, opening.head, is_whole).await?;
        if mode == AnswerMode::Merged {
            let limits = self.endpoint.config.limits;
            let cleaned = aside_if(answer.len(), || api.whole(&answer, context, limits));
            return self.complete(connection, answer, cleaned);
        }
        let events = aside_if(answer.len(), || as_events(&answer));
        self.way.client.keep(connection);
        self.shared.feed(Some(&events));
        Ok(())
    }

    /// A whole answer is ready, or is none.
    fn complete(
        &self,
        connection: Connection,
        answer: Vec<u8>,
        cleaned: Result<Cleaned, StreamError>,
    ) -> Result<(), ExchangeError> {
        let cleaned = cleaned.map_err(|error| ExchangeError::from(&error))?;
        self.way.client.keep(connection);
        self.shared.whole(cleaned.body.unwrap_or(answer), cleaned.summary);
        Ok(())
    }

    /// How much is still to come of a body, where that was said; too much is refused unread.
    fn announced(&self, connection: &Connection) -> Result<usize, ExchangeError> {
        let announced =
            connection.announced().map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        if announced > self.endpoint.config.max_answer_bytes {
            return Err(ErrorKind::TooLarge.into());
        }
        Ok(announced)
    }

    /// A body, of which `answer` has been read, to its end; or until `is_enough`, which is asked each time that it has
    /// doubled.
    async fn whole(
        &mut self,
        connection: &mut Connection,
        mut answer: Vec<u8>,
        is_enough: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<u8>, ExchangeError> {
        let limit = self.endpoint.config.max_answer_bytes;
        if answer.len() > limit {
            return Err(ErrorKind::TooLarge.into());
        }
        answer.reserve_exact(self.announced(connection)?);
        let mut asked_at = 0;
        loop {
            if answer.len() >= 2 * asked_at {
                asked_at = answer.len();
                if is_enough(&answer) {
                    return Ok(answer);
                }
            }
            self.deadlines.idle = Some(Instant::now() + self.endpoint.config.timeouts.idle);
            let take = |read: &[u8]| {
                answer.extend_from_slice(read);
                answer.len() <= limit
            };
            let fits = self.wait(pin!(connection.read_body(take))).await??;
            match fits {
                Some(true) => {}
                Some(false) => return Err(ErrorKind::TooLarge.into()),
                None => return Ok(answer),
            }
        }
    }
}

/// The beginning of a body.
struct Opening {
    head: Vec<u8>,
    form: Form,
}

impl Opening {
    /// What is neither events nor JSON is only read where its label says that it is one of them.
    fn of(head: Vec<u8>, form: Form, label: Label) -> Result<Self, ExchangeError> {
        let form = if form == Form::Other { label.form } else { form };
        if form == Form::Other {
            return Err(ExchangeError::with_status(ErrorKind::ContentType, label.status));
        }
        Ok(Self { head, form })
    }
}

/// Read a finished stream's body to its end, so that the connection can be used again.
async fn finish_reading(connection: &mut Connection) {
    let mut budget = END_OF_BODY_BYTES;
    let reading = async {
        while budget > 0 {
            let take = |read: &[u8]| budget = budget.saturating_sub(read.len());
            let Ok(Some(())) = connection.read_body(take).await else { return };
        }
    };
    // In time or not: the answer is complete.
    let _ = timeout(END_OF_BODY_TIMEOUT, reading).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_value() {
        let outcome = caught(async { panic!("on purpose") }).await;
        let outcome: Result<(), _> = outcome;
        assert!(outcome.is_err());
        assert!(matches!(caught(async { 7 }).await, Ok(7)));
    }
}
