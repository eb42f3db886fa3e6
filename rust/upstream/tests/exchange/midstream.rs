//! Answers that break off after they began: what came stays, an error frame is last, and there is no `[DONE]`.

use llmgw_core::answer::error::{StreamError, StreamErrorKind};
use llmgw_core::sse::SseLimits;
use llmgw_upstream::{ErrorKind, Upstream};

use crate::support::{
    DONE, FIRST, LAST, Peer, STREAM, STREAM_HEAD, Server, block, chunk, error_frame, event, rest, start,
};

/// How the server ends it.
enum End {
    /// It waits to be closed.
    Open,
    /// A proper end of the body.
    Body,
    /// The connection's end, in the middle of the body.
    Connection,
    /// A TCP reset.
    Reset,
}

async fn end(mut peer: Peer, how: End) {
    match how {
        End::Open => {
            peer.closed().await;
        }
        End::Body => peer.send("0\r\n\r\n").await,
        End::Connection => drop(peer),
        End::Reset => peer.reset(),
    }
}

/// Everything after the first frame, and the report's error.
async fn broken(said: &[u8], how: End) -> (String, Option<ErrorKind>) {
    let server = Server::start();
    let mut config = server.config();
    config.limits = SseLimits { max_line_bytes: 1024, max_event_bytes: 1024 };
    let exchange = start(&Upstream::new(config).unwrap(), STREAM);
    let (mut peer, _) = server.request().await;
    peer.begin(FIRST).await;
    assert_eq!(block(&exchange).await, FIRST);
    peer.send(said).await;
    let (all, ()) = tokio::join!(rest(&exchange), end(peer, how));
    (all, exchange.report().error_kind())
}

#[tokio::test]
async fn ends_that_are_none() {
    let error = |message| format!("data: {{\"error\":{{\"message\":\"{message}\"}}}}\n\n");
    let rows = [
        ("an error event", chunk(error("no more")), End::Open, StreamErrorKind::ErrorEvent, Some("no more")),
        (
            "an error event with the key",
            chunk(error("key sk-test-0123456789")),
            End::Open,
            StreamErrorKind::ErrorEvent,
            Some("key [redacted]"),
        ),
        (
            "an event cut short",
            chunk("data: {\"choices\":[\n\n"),
            End::Open,
            StreamErrorKind::InvalidEvent,
            None,
        ),
        ("a clean end", Vec::new(), End::Body, StreamErrorKind::Truncated, None),
        ("[DONE] too early", chunk(DONE), End::Open, StreamErrorKind::Truncated, None),
        (
            "an end within an event",
            chunk("data: {\"choices\":["),
            End::Body,
            StreamErrorKind::Truncated,
            None,
        ),
        ("the connection closes", Vec::new(), End::Connection, StreamErrorKind::Reset, None),
        ("the connection is reset", Vec::new(), End::Reset, StreamErrorKind::Reset, None),
        (
            "an event too large",
            chunk(event(&"x".repeat(2000))),
            End::Open,
            StreamErrorKind::EventTooLarge,
            None,
        ),
        ("a line without end", chunk("x".repeat(2000)), End::Open, StreamErrorKind::EventTooLarge, None),
    ];
    for (name, said, how, kind, message) in rows {
        let mut expected = StreamError::new(kind);
        expected.message = message.map_or(expected.message, str::to_owned);
        let frame = error_frame(&expected.message, "upstream_error");
        assert_eq!(broken(&said, how).await, (frame, Some(kind.into())), "{name}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_body_any_more() {
    let frame = error_frame(&StreamError::new(StreamErrorKind::Reset).message, "upstream_error");
    assert_eq!(broken(b"not a size\r\n", End::Open).await, (frame, Some(ErrorKind::Protocol)));
}

#[tokio::test]
async fn frames_before_the_fault_in_the_same_read() {
    let second = event(" and two");
    let said = chunk([second.as_str(), "data: nonsense\n\n"].concat());
    let (all, kind) = broken(&said, End::Open).await;
    let frame = error_frame(&StreamError::new(StreamErrorKind::InvalidEvent).message, "upstream_error");
    assert_eq!(all, second + &frame);
    assert_eq!(kind, Some(ErrorKind::InvalidEvent));
}

#[tokio::test]
async fn a_good_event_and_an_error_in_the_first_read() {
    let server = Server::start();
    let exchange = server.start_exchange(STREAM);
    let (mut peer, _) = server.request().await;
    peer.begin(&[FIRST, "data: {\"error\":{\"message\":\"no more\"}}\n\n"].concat()).await;
    assert_eq!(block(&exchange).await, FIRST.to_owned() + &error_frame("no more", "upstream_error"));
    assert_eq!(rest(&exchange).await, "");
    peer.closed().await;
}

#[tokio::test]
async fn usage_that_came_before_the_break_is_kept() {
    let usage = r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    let server = Server::start();
    let exchange = server.start_exchange(STREAM);
    let (mut peer, _) = server.request().await;
    peer.begin(&format!("{FIRST}{usage}\n\n")).await;
    assert_eq!(block(&exchange).await, FIRST);
    peer.reset();
    rest(&exchange).await;
    let report = exchange.report();
    assert_eq!(report.summary.usage.and_then(|usage| usage.completion_tokens), Some(2));
    assert_eq!(report.summary.usage_source().as_str(), "partial");
    assert_eq!(report.error_kind(), Some(ErrorKind::Reset));
}

#[tokio::test]
async fn an_end_without_done_and_an_end_without_end_are_fine_after_a_finish() {
    let rows = [
        ("no [DONE]", format!("{STREAM_HEAD}{}0\r\n\r\n", text(&[FIRST, LAST].concat()))),
        ("no end of the body", format!("{STREAM_HEAD}{}", text(&[FIRST, LAST, DONE].concat()))),
        (
            "to the connection's end",
            format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{FIRST}{LAST}"),
        ),
    ];
    for (name, said) in rows {
        let server = Server::start();
        let exchange = server.start_exchange(STREAM);
        let (mut peer, _) = server.request().await;
        peer.send(said).await;
        drop(peer);
        assert_eq!(rest(&exchange).await, [FIRST, LAST, DONE].concat(), "{name}");
        assert_eq!(exchange.report().error_kind(), None, "{name}");
    }
}

fn text(data: &str) -> String {
    String::from_utf8(chunk(data)).unwrap()
}
