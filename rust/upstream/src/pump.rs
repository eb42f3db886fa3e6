//! The task of one exchange, from the request to the end of the answer.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};
use llmgw_core::answer::context::{AnswerContext, AnswerMode};
use llmgw_core::answer::error::StreamError;
use llmgw_core::answer::stream::StreamState;
use llmgw_core::api::Api;
use llmgw_core::refusal::Refusal;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

use crate::aside::aside_if;
use crate::config::MAX_TIMEOUT;
use crate::deadlines::{Deadlines, Due};
use crate::endpoint::{Endpoint, ExchangeRequest, Heartbeat};
use crate::error::{ErrorKind, ExchangeError};
use crate::http1::{Connection, Outgoing, ResponseHead};
use crate::refusal::{error_body, retry_after_s};
use crate::shared::Shared;

const EVENT_STREAM: &str = "text/event-stream";
const JSON: &str = "application/json";
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// After `[DONE]` the body should end at once, and its connection can be used again. No longer than this, no more
/// bytes than this: else the connection is dropped.
const END_OF_BODY_TIMEOUT: Duration = Duration::from_millis(100);
const END_OF_BODY_BYTES: usize = 4096;

/// After this much of an event stream that comes without a pause, the other exchanges of the thread have their turn.
const TURN_BYTES: usize = 256 * 1024;

/// Run an exchange to its end, whatever that is: the reader is always told.
pub(crate) async fn supervise(endpoint: Arc<Endpoint>, request: ExchangeRequest, shared: Arc<Shared>) {
    let pump = Pump::new(&endpoint, &request, &shared);
    let outcome = caught(pump.run(request)).await;
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
    shared: &'task Shared,
    deadlines: Deadlines,
    heartbeat: Duration,
    heartbeat_form: Heartbeat,
}

impl<'task> Pump<'task> {
    fn new(endpoint: &'task Endpoint, request: &ExchangeRequest, shared: &'task Shared) -> Self {
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
        Self { endpoint, shared, deadlines, heartbeat, heartbeat_form: request.heartbeat_form }
    }

    async fn run(mut self, request: ExchangeRequest) -> Result<(), ExchangeError> {
        let ExchangeRequest { body, api, mode, context, .. } = request;
        let accept = if mode == AnswerMode::Plain { JSON } else { EVENT_STREAM };
        let mut headers = vec![(header::ACCEPT, HeaderValue::from_static(accept))];
        if let Ok(request_id) = HeaderValue::from_str(&context.request_id) {
            headers.push((X_REQUEST_ID, request_id));
        }
        let body_length = body.iter().map(Bytes::len).sum();
        let head = self.endpoint.head(api).with(&headers, body_length);
        drop(headers);
        // In boxes of their own: each phase needs room that a stream should not hold for minutes.
        let request = Outgoing::new(head, body);
        let answered = self.wait(Box::pin(self.endpoint.client.request(request)).as_mut()).await??;
        let connection = Box::pin(self.accepted(answered, mode)).await?;
        if mode == AnswerMode::Plain {
            Box::pin(self.whole(connection, api, &context)).await
        } else {
            self.events(connection, mode).await
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
        mode: AnswerMode,
    ) -> Result<Connection, ExchangeError> {
        let refused = self.refused(&mut connection, &head, mode).await;
        match refused {
            None => Ok(connection),
            Some(error) => {
                self.endpoint.client.keep(connection);
                Err(error)
            }
        }
    }

    /// Why an answer is not what was asked for.
    async fn refused(
        &self,
        connection: &mut Connection,
        head: &ResponseHead,
        mode: AnswerMode,
    ) -> Option<ExchangeError> {
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
        if !is_identity {
            return Some(ExchangeError::with_status(ErrorKind::ContentEncoding, status));
        }
        let is_json = is_json(&head.headers);
        let is_wanted = if mode == AnswerMode::Plain { is_json } else { is_event_stream(&head.headers) };
        if is_wanted {
            return None;
        }
        if is_json && let Some(refusal) = Refusal::find(&error_body(connection).await) {
            let error = StreamError::told(refusal, &self.endpoint.secret);
            return Some(ExchangeError::from(&error));
        }
        Some(ExchangeError::with_status(ErrorKind::ContentType, status))
    }

    /// An event stream, into the slot or into one merged answer.
    async fn events(&mut self, mut connection: Connection, mode: AnswerMode) -> Result<(), ExchangeError> {
        let mut budget =
            if mode == AnswerMode::Merged { self.endpoint.config.max_answer_bytes } else { usize::MAX };
        let shared = self.shared;
        let mut turn = 0;
        loop {
            let feed = |read: &[u8]| {
                turn += read.len();
                budget = budget.checked_sub(read.len())?;
                Some(shared.feed(Some(read)))
            };
            let progress = match self.wait(pin!(connection.read_body(feed))).await?? {
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
        self.endpoint.client.keep_settled(connection).await;
    }

    /// A plain answer, whole.
    async fn whole(
        &mut self,
        mut connection: Connection,
        api: Api,
        context: &AnswerContext,
    ) -> Result<(), ExchangeError> {
        let limit = self.endpoint.config.max_answer_bytes;
        let announced =
            connection.announced().map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        if announced > limit {
            return Err(ErrorKind::TooLarge.into());
        }
        let mut answer = Vec::with_capacity(announced);
        loop {
            self.deadlines.idle = Some(Instant::now() + self.endpoint.config.timeouts.idle);
            let take = |read: &[u8]| {
                answer.extend_from_slice(read);
                answer.len() <= limit
            };
            match self.wait(pin!(connection.read_body(take))).await?? {
                Some(true) => {}
                Some(false) => return Err(ErrorKind::TooLarge.into()),
                None => break,
            }
        }
        let cleaned = aside_if(answer.len(), || api.clean(&answer, context));
        let cleaned = cleaned.map_err(|error| ExchangeError::from(&error))?;
        self.endpoint.client.keep(connection);
        self.shared.whole(cleaned.body.unwrap_or(answer), cleaned.summary);
        Ok(())
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

fn is_event_stream(headers: &HeaderMap) -> bool {
    media_type(headers).as_deref() == Some(EVENT_STREAM)
}

/// The content type without parameters, in lower case.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(|media_type| media_type.trim().to_ascii_lowercase())
}

/// `application/json`, `text/json` or `…+json`.
fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|media_type| {
        media_type == JSON || media_type == "text/json" || media_type.ends_with("+json")
    })
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

    #[test]
    fn media_types() {
        let rows = [
            ("application/json", Some("application/json"), true),
            ("Application/JSON; charset=utf-8", Some("application/json"), true),
            ("application/problem+json", Some("application/problem+json"), true),
            ("text/event-stream;charset=UTF-8", Some(EVENT_STREAM), false),
            ("text/html", Some("text/html"), false),
        ];
        for (value, expected, json) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            assert_eq!((media_type(&headers).as_deref(), is_json(&headers)), (expected, json), "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
