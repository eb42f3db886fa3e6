//! One provider endpoint, and one exchange with it as its reader sees it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, header};
use llmgw_core::answer::summary::Summary;
use llmgw_core::request::{AnswerContext, AnswerMode};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::config::{self, ConfigError, UpstreamConfig};
use crate::error::{ErrorKind, ExchangeError};
use crate::http1::{Client, RequestHead};
use crate::pump;
use crate::refusal::ApiKey;
use crate::shared::Shared;

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("llmgw/", env!("CARGO_PKG_VERSION")));

/// One provider endpoint with its pooled client. Cheap to clone; clones share the pool.
///
/// The pool's connections live on the runtime that [`Upstream::start`] was given: use one runtime per upstream.
#[derive(Clone)]
pub struct Upstream {
    endpoint: Arc<Endpoint>,
}

pub(crate) struct Endpoint {
    pub(crate) client: Client,
    pub(crate) head: RequestHead,
    pub(crate) api_key: ApiKey,
    pub(crate) config: UpstreamConfig,
}

/// What is to be sent, and in what form the answer is wanted.
pub struct ExchangeRequest {
    /// The rewritten request body, in pieces; not copied again on its way to the socket.
    pub body: Vec<Bytes>,
    /// Stream, merged or plain.
    pub mode: AnswerMode,
    /// `request_id` is sent as `x-request-id` too, where it can stand in a header.
    pub context: AnswerContext,
    /// A stream's client gets a comment whenever nothing has come for so long. The first one commits the stream: what
    /// fails afterwards is told in-band.
    pub heartbeat: Duration,
    /// Lowers the upstream's own total timeout: what is left of it after earlier attempts.
    pub total: Option<Duration>,
}

/// What is known of an exchange: so far, or at its end.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the answer's bytes say.
    pub summary: Summary,
    /// From the start to the first good event; never set for a plain answer.
    pub first_event: Option<Duration>,
    /// From the start to the end, or to now.
    pub total: Duration,
    /// Why it failed, in-band failures included.
    pub error_kind: Option<ErrorKind>,
}

impl Upstream {
    /// An endpoint and its client. Nothing is sent yet.
    ///
    /// # Errors
    /// Where the config can't work: see [`ConfigError`].
    pub fn new(config: UpstreamConfig) -> Result<Self, ConfigError> {
        config.timeouts.check()?;
        let url = config::chat_completions_url(&config.base_url)?;
        let mut headers = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::ACCEPT_ENCODING, HeaderValue::from_static("identity")),
            (header::USER_AGENT, USER_AGENT),
        ];
        if let Some(api_key) = &config.api_key {
            headers.push((header::AUTHORIZATION, config::authorization(api_key)?));
        }
        let head = RequestHead::post(&url, &headers);
        let client = Client::new(&url, &config.timeouts)?;
        let api_key = ApiKey::new(config.api_key.as_deref());
        Ok(Self { endpoint: Arc::new(Endpoint { client, head, api_key, config }) })
    }

    /// Send the request, as a task on `runtime`. Returns at once.
    #[must_use = "dropping an exchange aborts it"]
    pub fn start(&self, runtime: &Handle, request: ExchangeRequest) -> Exchange {
        let limits = self.endpoint.config.limits;
        let api_key = self.endpoint.api_key.clone();
        let shared = Arc::new(Shared::new(request.mode, request.context.clone(), limits, api_key));
        let task = runtime.spawn(pump::supervise(Arc::clone(&self.endpoint), request, Arc::clone(&shared)));
        Exchange { shared, task: task.abort_handle() }
    }
}

/// A running exchange. Dropped = aborted.
pub struct Exchange {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Exchange {
    /// The next block: whole frames of a stream, as many as are ready; or the one body of an answer that is not
    /// streamed. `None` at the end. One reader at a time: the last waker wins.
    ///
    /// # Errors
    /// Once, and only in place of the first block: later failures are in the last block, as an error frame.
    pub fn poll_block(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ExchangeError>> {
        self.shared.poll_block(cx)
    }

    /// [`Exchange::poll_block`] as a future.
    ///
    /// # Errors
    /// The same.
    pub async fn next_block(&self) -> Result<Option<Bytes>, ExchangeError> {
        std::future::poll_fn(|cx| self.poll_block(cx)).await
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
