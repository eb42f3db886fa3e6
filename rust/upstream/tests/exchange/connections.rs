//! What goes to the upstream, and over which connection.

use std::time::Duration;

use bytes::Bytes;
use llmgw_core::answer::context::AnswerMode;
use llmgw_upstream::{ErrorKind, Exchange, Upstream};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::support::{
    API_KEY, BODY, COMPLETION, DONE, FIRST, LAST, Peer, SHORT, STREAM, STREAM_HEAD, Server, block, chunk,
    failure, request, response, rest, start,
};

const JSON: &str = "content-type: application/json\r\n";
/// Behind a stream, a connection rests before it is used again; not for so long.
const SETTLED: Duration = Duration::from_millis(200);

async fn answer_stream(peer: &mut Peer, exchange: &Exchange) {
    peer.begin(FIRST).await;
    peer.finish(&[LAST, DONE].concat()).await;
    assert_eq!(rest(exchange).await, [FIRST, LAST, DONE].concat());
}

#[tokio::test]
async fn the_request() {
    for (mode, accept) in [
        (STREAM, "text/event-stream"),
        (AnswerMode::Merged, "text/event-stream"),
        (AnswerMode::Plain, "application/json"),
    ] {
        let server = Server::start();
        let _exchange = server.start_exchange(mode);
        let (_peer, request) = server.request().await;
        assert_eq!(request.line, "POST /v1/chat/completions HTTP/1.1");
        assert_eq!(request.body, BODY);
        let expected = [
            ("accept", accept.to_owned()),
            ("accept-encoding", "identity".to_owned()),
            ("authorization", format!("Bearer {API_KEY}")),
            ("content-length", BODY.len().to_string()),
            ("content-type", "application/json".to_owned()),
            ("host", server.address().to_string()),
            ("user-agent", concat!("llmgw/", env!("CARGO_PKG_VERSION")).to_owned()),
            ("x-request-id", "req-1".to_owned()),
        ];
        assert_eq!(request.headers, expected.map(|(name, value)| (name.to_owned(), value)), "{mode:?}");
    }
}

#[tokio::test]
async fn headers_that_can_not_be_sent_are_left_out() {
    let server = Server::start();
    let mut config = server.config();
    config.api_key = None;
    let mut asked = request(STREAM);
    asked.context.request_id = "a\r\nx-evil: 1".to_owned();
    let _exchange = Upstream::new(config).unwrap().start(&Handle::current(), asked);
    let (_peer, sent) = server.request().await;
    for absent in ["authorization", "x-request-id", "x-evil"] {
        assert_eq!(sent.header(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::start();
    let upstream = Upstream::new(server.config()).unwrap();
    let mut peer = None;
    for n in 0..10 {
        let mode = if n % 2 == 0 { STREAM } else { AnswerMode::Plain };
        let exchange = start(&upstream, mode);
        let peer: &mut Peer = match &mut peer {
            Some(peer) => peer,
            none => none.insert(server.accept().await),
        };
        peer.request().await;
        if mode == STREAM {
            answer_stream(peer, &exchange).await;
            sleep(SETTLED).await;
        } else {
            peer.send(response("200 OK", JSON, COMPLETION)).await;
            assert_eq!(rest(&exchange).await, COMPLETION);
        }
    }
    assert!(server.is_untouched());
}

#[tokio::test]
async fn a_refusal_that_was_read_whole_leaves_a_good_connection() {
    let server = Server::start();
    let upstream = Upstream::new(server.config()).unwrap();
    let refused = start(&upstream, STREAM);
    let (mut peer, _) = server.request().await;
    peer.send(response("429 Too Many Requests", JSON, r#"{"error":{"message":"slow down"}}"#)).await;
    assert_eq!(failure(&refused).await.kind, ErrorKind::Status);
    let exchange = start(&upstream, STREAM);
    peer.request().await;
    answer_stream(&mut peer, &exchange).await;
    assert!(server.is_untouched());
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_meanwhile_is_not_used() {
    let server = Server::start();
    let upstream = Upstream::new(server.config()).unwrap();
    for _ in 0..3 {
        let exchange = start(&upstream, STREAM);
        let (mut peer, _) = server.request().await;
        answer_stream(&mut peer, &exchange).await;
        peer.socket.shutdown().await.unwrap();
        peer.closed().await;
    }
}

/// A balancer's word on a connection that rested for too long may cross with the next request.
#[tokio::test]
async fn a_rest_that_was_too_long_is_no_answer() {
    let server = Server::start();
    let upstream = Upstream::new(server.config()).unwrap();
    let exchange = start(&upstream, AnswerMode::Plain);
    let (mut rested, _) = server.request().await;
    rested.send(response("200 OK", JSON, COMPLETION)).await;
    assert_eq!(rest(&exchange).await, COMPLETION);

    let exchange = start(&upstream, AnswerMode::Plain);
    rested.request().await;
    rested.send(response("408 Request Timeout", "connection: close\r\n", "")).await;
    let (mut other, again) = server.request().await;
    assert_eq!(again.body, BODY);
    other.send(response("200 OK", JSON, COMPLETION)).await;
    assert_eq!(rest(&exchange).await, COMPLETION);
}

/// On a new connection, or where the connection goes on, it is about this request.
#[tokio::test]
async fn another_408_is_an_answer() {
    for (rested, headers) in [(false, "connection: close\r\n"), (true, JSON)] {
        let server = Server::start();
        let upstream = Upstream::new(server.config()).unwrap();
        let mut exchange = start(&upstream, AnswerMode::Plain);
        let (mut peer, _) = server.request().await;
        if rested {
            peer.send(response("200 OK", JSON, COMPLETION)).await;
            assert_eq!(rest(&exchange).await, COMPLETION);
            exchange = start(&upstream, AnswerMode::Plain);
            peer.request().await;
        }
        peer.send(response("408 Request Timeout", headers, "")).await;
        let error = failure(&exchange).await;
        assert_eq!((error.kind, error.status), (ErrorKind::Status, Some(408)), "{rested}");
        assert!(server.is_untouched());
    }
}

/// As llama.cpp's server does: keep-alive is promised, and the connection ends a moment behind the stream.
#[tokio::test]
async fn a_connection_that_is_closed_behind_a_stream_is_not_used() {
    let server = Server::start();
    let upstream = Upstream::new(server.config()).unwrap();
    let mut closing: Option<Peer> = None;
    for _ in 0..20 {
        let exchange = start(&upstream, STREAM);
        if let Some(peer) = closing.take() {
            sleep(Duration::from_millis(2)).await;
            drop(peer);
        }
        let (mut peer, _) = server.request().await;
        answer_stream(&mut peer, &exchange).await;
        closing = Some(peer);
    }
}

#[tokio::test]
async fn a_pooled_connection_that_is_closed_just_now() {
    let server = Server::start();
    let upstream = Upstream::new(server.config()).unwrap();
    for _ in 0..20 {
        let exchange = start(&upstream, AnswerMode::Plain);
        let accepted = tokio::select! {
            (peer, _) = server.request() => Some(peer),
            error = failure(&exchange) => {
                // The request was on its way already: whether the upstream saw it, nobody can say.
                assert_eq!(error.kind, ErrorKind::Reset);
                None
            }
        };
        if let Some(mut peer) = accepted {
            peer.send(response("200 OK", JSON, COMPLETION)).await;
            assert_eq!(rest(&exchange).await, COMPLETION);
        }
    }
}

#[tokio::test]
async fn a_body_that_goes_on_behind_done_is_not_read() {
    let more = [chunk("x".repeat(100_000)), chunk("")].concat();
    for (name, more) in [("without end", Vec::new()), ("for long", more)] {
        let server = Server::start();
        let upstream = Upstream::new(server.config()).unwrap();
        let exchange = start(&upstream, STREAM);
        let (mut peer, _) = server.request().await;
        peer.begin(&[FIRST, LAST, DONE].concat()).await;
        assert_eq!(rest(&exchange).await, [FIRST, LAST, DONE].concat(), "{name}");
        // Whether all of it can be written does not matter.
        let _ = peer.socket.write_all(&more).await;
        peer.closed().await;
    }
}

/// More than sockets hold.
fn large_body() -> Bytes {
    Bytes::from(vec![b' '; 64 << 20])
}

#[tokio::test]
async fn an_answer_before_the_body_was_read() {
    let rows = [
        (
            "refused",
            AnswerMode::Plain,
            response("413 Too Large", JSON, r#"{"error":{"message":"no"}}"#),
            Err("no"),
        ),
        ("answered", AnswerMode::Plain, response("200 OK", JSON, COMPLETION), Ok(COMPLETION)),
        ("streamed", STREAM, format!("{STREAM_HEAD}ffff\r\n{FIRST}"), Ok(FIRST)),
    ];
    for (name, mode, said, expected) in rows {
        let server = Server::start();
        let mut asked = request(mode);
        asked.body = vec![large_body()];
        let exchange = Upstream::new(server.config()).unwrap().start(&Handle::current(), asked);
        let mut peer = server.accept().await;
        peer.head().await;
        peer.send(said).await;
        match expected {
            Ok(answer) => assert_eq!(block(&exchange).await, answer, "{name}"),
            Err(message) => assert_eq!(failure(&exchange).await.message.as_deref(), Some(message), "{name}"),
        }
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_read_is_cut_off() {
    for said in [String::new(), format!("{STREAM_HEAD}ffff\r\n{FIRST}")] {
        let server = Server::start();
        let mut config = server.config();
        config.timeouts.idle = SHORT;
        let mut asked = request(STREAM);
        asked.body = vec![large_body()];
        let length = large_body().len();
        let exchange = Upstream::new(config).unwrap().start(&Handle::current(), asked);
        let mut peer = server.accept().await;
        peer.head().await;
        if !said.is_empty() {
            peer.send(&said).await;
            assert_eq!(block(&exchange).await, FIRST);
        }
        drop(exchange);
        // To look is to read, which would let the rest of the body come.
        sleep(4 * SHORT).await;
        let received = peer.closed().await;
        assert!(received < length, "all of the request went out, after {said:?}");
    }
}
