//! The server's side of a test, what is said on it, and bounded waits for everything.

use std::io::ErrorKind as IoErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use llmgw_core::answer::context::{AnswerContext, AnswerMode};
use llmgw_core::api::Api;
use llmgw_core::api::native::Native;
use llmgw_core::sse::SseLimits;
use llmgw_upstream::{
    Exchange, ExchangeError, ExchangeRequest, Heartbeat, Timeouts, Upstream, UpstreamConfig,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

/// Who waits longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How soon a server must see that nobody wants its answer any more.
pub(crate) const PROMPTLY: Duration = Duration::from_secs(1);
/// A timeout that is meant to pass.
pub(crate) const SHORT: Duration = Duration::from_millis(80);
/// One that is not.
pub(crate) const NEVER: Duration = Duration::from_secs(60);

pub(crate) const API_KEY: &str = "sk-test-0123456789";
pub(crate) const BODY: &[u8] = br#"{"model":"m","messages":[]}"#;
pub(crate) const STREAM: AnswerMode = AnswerMode::Stream { include_usage: false };

pub(crate) const STREAM_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// Three events that come out as they are, whole and in order. The gateway closes the stream with `[DONE]`.
pub(crate) const FIRST: &str = concat!(
    r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":"#,
    r#"[{"index":0,"delta":{"role":"assistant","content":"one"},"finish_reason":null}]}"#,
    "\n\n"
);
pub(crate) const SECOND: &str = concat!(
    r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":"#,
    r#"[{"index":0,"delta":{"content":" two"},"finish_reason":null}]}"#,
    "\n\n"
);
pub(crate) const LAST: &str = concat!(
    r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":"#,
    r#"[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    "\n\n"
);
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// A completion that comes out as it is.
pub(crate) const COMPLETION: &str = concat!(
    r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"#,
    r#""message":{"role":"assistant","content":"one"},"finish_reason":"stop"}],"#,
    r#""usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#
);

/// A frame like [`SECOND`] with this content, which must need no escapes.
pub(crate) fn event(content: &str) -> String {
    SECOND.replace(" two", content)
}

/// One whole response.
pub(crate) fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

/// One piece in the chunked coding.
pub(crate) fn chunk(data: impl AsRef<[u8]>) -> Vec<u8> {
    let data = data.as_ref();
    let mut coded = format!("{:x}\r\n", data.len()).into_bytes();
    coded.extend_from_slice(data);
    coded.extend_from_slice(b"\r\n");
    coded
}

/// What `future` gives, in time.
pub(crate) async fn within<F: Future>(limit: Duration, what: &str, future: F) -> F::Output {
    tokio::time::timeout(limit, future).await.unwrap_or_else(|_| panic!("{what}: not within {limit:?}"))
}

/// Wait for something that only becomes visible.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    within(PATIENCE, what, async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A listening socket on loopback.
pub(crate) struct Server {
    listener: TcpListener,
    /// The same socket, to look at its queue without waiting.
    queue: std::net::TcpListener,
}

impl Server {
    pub(crate) fn start() -> Self {
        let queue = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        queue.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(queue.try_clone().unwrap()).unwrap();
        Self { listener, queue }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> Peer {
        let (socket, _) = within(PATIENCE, "a connection", self.listener.accept()).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Peer { socket, read: Vec::new() }
    }

    /// The next connection and the request on it.
    pub(crate) async fn request(&self) -> (Peer, Request) {
        let mut peer = self.accept().await;
        let request = peer.request().await;
        (peer, request)
    }

    /// Nobody has connected and not been accepted.
    pub(crate) fn is_untouched(&self) -> bool {
        matches!(self.queue.accept(), Err(error) if error.kind() == IoErrorKind::WouldBlock)
    }

    pub(crate) fn config(&self) -> UpstreamConfig {
        UpstreamConfig {
            api_urls: vec![
                (Api::Native(Native::Messages), format!("http://{}/anthropic/v1/messages", self.address())),
                (Api::Native(Native::Responses), format!("http://{}/v1/responses", self.address())),
            ],
            base_url: format!("http://{}/v1", self.address()),
            api_key: Some(API_KEY.to_owned()),
            timeouts: Timeouts { connect: NEVER, first_event: NEVER, idle: NEVER, total: NEVER },
            limits: SseLimits::default(),
            max_answer_bytes: 1 << 20,
        }
    }

    /// An exchange with this server, alone on its client.
    pub(crate) fn start_exchange(&self, mode: AnswerMode) -> Exchange {
        start(&Upstream::new(self.config()).unwrap(), mode)
    }

    /// The same with other timeouts.
    pub(crate) fn start_timed(&self, mode: AnswerMode, set: impl FnOnce(&mut Timeouts)) -> Exchange {
        let mut config = self.config();
        set(&mut config.timeouts);
        start(&Upstream::new(config).unwrap(), mode)
    }
}

/// A request as it came in.
pub(crate) struct Request {
    pub(crate) line: String,
    /// Sorted, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    fn parse(head: &str) -> Self {
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let mut headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        headers.sort();
        Self { line, headers, body: Vec::new() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The server's end of one connection.
pub(crate) struct Peer {
    pub(crate) socket: TcpStream,
    read: Vec<u8>,
}

impl Peer {
    async fn read_more(&mut self) {
        let read = within(PATIENCE, "more of a request", self.socket.read_buf(&mut self.read)).await.unwrap();
        assert_ne!(read, 0, "the request broke off");
    }

    /// The head of the next request; its body is left where it is.
    pub(crate) async fn head(&mut self) -> Request {
        loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = self.read.split_off(end + 4);
                let head = std::mem::replace(&mut self.read, rest);
                return Request::parse(std::str::from_utf8(&head).unwrap());
            }
            self.read_more().await;
        }
    }

    /// The next request, whole.
    pub(crate) async fn request(&mut self) -> Request {
        let mut request = self.head().await;
        let length = request.header("content-length").unwrap().parse().unwrap();
        while self.read.len() < length {
            self.read_more().await;
        }
        let rest = self.read.split_off(length);
        request.body = std::mem::replace(&mut self.read, rest);
        request
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(PATIENCE, "a write", self.socket.write_all(bytes.as_ref())).await.unwrap();
    }

    /// The head of an event stream, and its first piece.
    pub(crate) async fn begin(&mut self, data: &str) {
        self.send([STREAM_HEAD.as_bytes(), &chunk(data)].concat()).await;
    }

    /// Another piece of a chunked body.
    pub(crate) async fn chunk(&mut self, data: impl AsRef<[u8]>) {
        self.send(chunk(data)).await;
    }

    /// The last piece of a chunked body, and its end.
    pub(crate) async fn finish(&mut self, data: &str) {
        self.send([&chunk(data)[..], b"0\r\n\r\n"].concat()).await;
    }

    /// The other side closes this connection, promptly. Returns how many bytes came before that.
    pub(crate) async fn closed(&mut self) -> usize {
        let mut bytes = std::mem::take(&mut self.read).len();
        let mut rest = vec![0; 64 * 1024];
        within(PROMPTLY, "the connection is closed", async {
            loop {
                match self.socket.read(&mut rest).await {
                    Ok(read) if read > 0 => bytes += read,
                    // An end or a reset: gone is gone.
                    Ok(_) | Err(_) => return bytes,
                }
            }
        })
        .await
    }

    /// End the connection with a TCP reset.
    pub(crate) fn reset(self) {
        self.socket.set_zero_linger().unwrap();
    }
}

pub(crate) fn request(mode: AnswerMode) -> ExchangeRequest {
    let context = AnswerContext {
        request_id: "req-1".into(),
        model: "m".into(),
        created_s: 7,
        ..AnswerContext::default()
    };
    let body = vec![Bytes::from_static(BODY)];
    let heartbeat_form = Heartbeat::default();
    let headers = Vec::new();
    ExchangeRequest {
        body,
        api: Api::Chat,
        headers,
        mode,
        context,
        heartbeat: NEVER,
        heartbeat_form,
        total: None,
    }
}

pub(crate) fn start(upstream: &Upstream, mode: AnswerMode) -> Exchange {
    upstream.start(&Handle::current(), request(mode))
}

async fn next(exchange: &Exchange) -> Result<Option<String>, ExchangeError> {
    let block = within(PATIENCE, "a block", std::future::poll_fn(|cx| exchange.poll_block(cx))).await?;
    Ok(block.map(|block| String::from_utf8(block.into()).unwrap()))
}

/// The next block, of which there must be one.
pub(crate) async fn block(exchange: &Exchange) -> String {
    next(exchange).await.unwrap().expect("a block, not the end")
}

/// Everything that is still to come.
pub(crate) async fn rest(exchange: &Exchange) -> String {
    let mut all = String::new();
    while let Some(block) = next(exchange).await.unwrap() {
        all.push_str(&block);
    }
    all
}

/// The error that stands in place of the first block; behind it there is nothing.
pub(crate) async fn failure(exchange: &Exchange) -> ExchangeError {
    let error = next(exchange).await.expect_err("an error, not a block");
    assert_eq!(next(exchange).await, Ok(None), "an error is raised once");
    assert_eq!(exchange.report().error_kind(), Some(error.kind));
    error
}

/// The frame that tells of a failure mid-stream.
pub(crate) fn error_frame(message: &str, code: &str) -> String {
    format!(
        "data: {{\"error\":{{\"message\":\"{message}\",\"type\":\"upstream_error\",\"param\":null,\"code\":\"{code}\"}}}}\n\n"
    )
}
