//! One provider endpoint ready for use, and what is sent to it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, header};
use llmgw_core::answer::context::{AnswerContext, AnswerMode};
use llmgw_core::api::Api;
use llmgw_core::secret::Secret;

use crate::config::{self, ConfigError, UpstreamConfig};
use crate::http1::{Client, RequestHead};

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("llmgw/", env!("CARGO_PKG_VERSION")));

/// A checked config with its client, and what all requests to it have in common.
pub(crate) struct Endpoint {
    pub(crate) client: Client,
    /// By [`Api`].
    heads: Vec<RequestHead>,
    pub(crate) secret: Secret,
    pub(crate) config: UpstreamConfig,
}

impl Endpoint {
    /// # Errors
    /// Where the config can't work: see [`ConfigError`].
    pub(crate) fn new(config: UpstreamConfig) -> Result<Self, ConfigError> {
        config.timeouts.check()?;
        let mut headers = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::ACCEPT_ENCODING, HeaderValue::from_static("identity")),
            (header::USER_AGENT, USER_AGENT),
        ];
        if let Some(api_key) = &config.api_key {
            headers.push((header::AUTHORIZATION, config::authorization(api_key)?));
        }
        let heads = Api::ALL.into_iter().map(|api| Ok(RequestHead::post(&config.url(api)?, &headers)));
        let heads = heads.collect::<Result<_, ConfigError>>()?;
        let client = Client::new(&config.url(Api::default())?, &config.timeouts)?;
        let secret = Secret::new(config.api_key.as_deref());
        Ok(Self { client, heads, secret, config })
    }

    /// What all requests of this API have in common.
    pub(crate) fn head(&self, api: Api) -> &RequestHead {
        &self.heads[api as usize]
    }
}

/// How a heartbeat is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Heartbeat {
    /// With a blank line behind it: readers that split a stream at blank lines would lose a frame without it.
    #[default]
    Block,
    /// Without one, for readers of lines that take each blank line for the end of an event.
    Line,
    /// An event, where the client's API has one for this.
    Ping,
}

impl Heartbeat {
    /// That of a request: where its API has none of its own, the comment that was `asked` for.
    pub(crate) const fn of(context: &AnswerContext, asked: Self) -> Self {
        if context.reply.has_pings() { Self::Ping } else { asked }
    }

    pub(crate) const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Block => b": keep-alive\n\n",
            Self::Line => b": keep-alive\n",
            Self::Ping => b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
        }
    }
}

/// What is to be sent, and in what form the answer is wanted.
pub struct ExchangeRequest {
    /// The rewritten request body, in pieces; not copied again on its way to the socket.
    pub body: Vec<Bytes>,
    /// The client's API, which says where the upstream has it and what becomes of the answer.
    pub api: Api,
    /// Stream, merged or plain.
    pub mode: AnswerMode,
    /// `request_id` is sent as `x-request-id` too, where it can stand in a header.
    pub context: AnswerContext,
    /// A stream's client gets a comment whenever nothing has come for this long. The first one commits the stream: what
    /// fails afterwards is told in-band.
    pub heartbeat: Duration,
    /// The form of that comment, where the client's API has no event of its own for it.
    pub heartbeat_form: Heartbeat,
    /// Lowers the upstream's own total timeout: what is left of it after earlier attempts.
    pub total: Option<Duration>,
}
