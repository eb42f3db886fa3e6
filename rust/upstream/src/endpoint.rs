//! One provider endpoint ready for use, and what is sent to it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderValue, Uri};
use llmgw_core::answer::context::{AnswerContext, AnswerMode};
use llmgw_core::api::Api;
use llmgw_core::secret::Secret;

use crate::config::{self, ConfigError, UpstreamConfig};
use crate::http1::{Client, RequestHead};

/// Anthropic's own header for the key. Providers with its API take this one or `authorization`, and all take both.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("llmgw/", env!("CARGO_PKG_VERSION")));

/// A checked config with its clients, and what all requests to it have in common.
pub(crate) struct Endpoint {
    ways: Vec<Way>,
    pub(crate) secret: Secret,
    pub(crate) config: UpstreamConfig,
}

/// Where requests of one API go.
pub(crate) struct Way {
    api: Api,
    /// Shared by all ways to one server.
    pub(crate) client: Arc<Client>,
    pub(crate) head: RequestHead,
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
        let mut clients: Vec<(Uri, Arc<Client>)> = Vec::new();
        let mut ways = Vec::new();
        for api in Api::ALL {
            let Some(url) = config.url(api)? else { continue };
            let known = clients.iter().find(|(other, _)| is_same_server(other, &url));
            let client = match known {
                Some((_, client)) => Arc::clone(client),
                None => Arc::new(Client::new(&url, &config.timeouts)?),
            };
            clients.push((url.clone(), Arc::clone(&client)));
            let mut headers = headers.clone();
            if let Some(api_key) = config.api_key.as_ref().filter(|_| api.is_anthropics()) {
                headers.push((X_API_KEY, config::secret_value(api_key)?));
            }
            ways.push(Way { api, client, head: RequestHead::post(&url, &headers) });
        }
        let secret = Secret::new(config.api_key.as_deref());
        Ok(Self { ways, secret, config })
    }

    /// Where requests of this API go; none where this endpoint has no URL for it.
    pub(crate) fn way(&self, api: Api) -> Option<&Way> {
        self.ways.iter().find(|way| way.api == api)
    }
}

fn is_same_server(one: &Uri, other: &Uri) -> bool {
    one.scheme() == other.scheme() && one.authority() == other.authority()
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
    pub(crate) const fn of(api: Api, context: &AnswerContext, asked: Self) -> Self {
        if api.has_pings(&context.reply) { Self::Ping } else { asked }
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
    /// What of the client's own headers is passed on.
    pub headers: Vec<(HeaderName, HeaderValue)>,
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
