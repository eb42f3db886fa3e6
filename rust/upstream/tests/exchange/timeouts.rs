//! Each timeout, where it bites, and what it leaves alone.

use std::time::Duration;

use llmgw_core::answer::context::AnswerMode;
use llmgw_upstream::{ErrorKind, ExchangeRequest, Upstream};
use tokio::runtime::Handle;

use crate::support::{
    DONE, FIRST, LAST, NEVER, SECOND, SHORT, STREAM, STREAM_HEAD, Server, block, error_frame, event, failure,
    request, rest, start,
};

const FELL_SILENT: &str =
    "The upstream timed out: it fell silent before the answer was complete. Try again later.";
const TOO_LONG: &str = "The answer took longer than the time allowed for this upstream.";

#[tokio::test]
async fn no_tls_in_time_is_a_connect_timeout() {
    let server = Server::start();
    let mut config = server.config();
    config.base_url = config.base_url.replace("http:", "https:");
    config.timeouts.connect = SHORT;
    let exchange = start(&Upstream::new(config).unwrap(), STREAM);
    let mut peer = server.accept().await;
    assert_eq!(failure(&exchange).await.kind, ErrorKind::ConnectTimeout);
    peer.closed().await;
}

#[tokio::test]
async fn no_event_in_time() {
    let rows = [
        ("no headers", STREAM, String::new()),
        ("headers, then silence", STREAM, STREAM_HEAD.to_owned()),
        ("a comment is no event", STREAM, format!("{STREAM_HEAD}8\r\n: ping\n\n\r\n")),
        ("half an event", STREAM, format!("{STREAM_HEAD}7\r\ndata: {{\r\n")),
        ("merged: no headers", AnswerMode::Merged, String::new()),
        ("merged: headers, then silence", AnswerMode::Merged, STREAM_HEAD.to_owned()),
    ];
    for (name, mode, said) in rows {
        let server = Server::start();
        let exchange = server.start_timed(mode, |timeouts| timeouts.first_event = SHORT);
        let (mut peer, _) = server.request().await;
        peer.send(said).await;
        assert_eq!(failure(&exchange).await.kind, ErrorKind::FirstEventTimeout, "{name}");
        assert_eq!(exchange.report().first_event, None, "{name}");
        peer.closed().await;
    }
}

#[tokio::test]
async fn silence_mid_stream_is_told_in_band() {
    let server = Server::start();
    let exchange = server.start_timed(STREAM, |timeouts| timeouts.idle = SHORT);
    let (mut peer, _) = server.request().await;
    peer.begin(FIRST).await;
    assert_eq!(block(&exchange).await, FIRST);
    assert_eq!(rest(&exchange).await, error_frame(FELL_SILENT, "upstream_timeout"));
    assert_eq!(exchange.report().error_kind(), Some(ErrorKind::IdleTimeout));
    peer.closed().await;
}

#[tokio::test]
async fn silence_before_the_first_event_is_not_idle() {
    let server = Server::start();
    let exchange = server.start_timed(STREAM, |timeouts| {
        timeouts.idle = SHORT / 8;
        timeouts.first_event = SHORT;
    });
    let (mut peer, _) = server.request().await;
    peer.send(STREAM_HEAD).await;
    assert_eq!(failure(&exchange).await.kind, ErrorKind::FirstEventTimeout);
}

#[tokio::test]
async fn the_first_event_is_waited_for_once() {
    let server = Server::start();
    let exchange = server.start_timed(STREAM, |timeouts| timeouts.first_event = SHORT);
    let (mut peer, _) = server.request().await;
    peer.begin(FIRST).await;
    assert_eq!(block(&exchange).await, FIRST);
    // Nothing can be seen of a timeout that does not pass.
    tokio::time::sleep(2 * SHORT).await;
    peer.finish(LAST).await;
    assert_eq!(rest(&exchange).await, [LAST, DONE].concat());
}

#[tokio::test]
async fn a_slow_reader_is_no_silence() {
    let server = Server::start();
    let exchange = server.start_timed(STREAM, |timeouts| timeouts.idle = SHORT);
    let (mut peer, _) = server.request().await;
    let large = event(&"x".repeat(300 * 1024));
    peer.begin(FIRST).await;
    peer.chunk(&large).await;
    peer.finish(LAST).await;
    // Nothing can be seen of a timeout that does not pass; it had four times the time to.
    tokio::time::sleep(4 * SHORT).await;
    assert_eq!(rest(&exchange).await, format!("{FIRST}{large}{LAST}{DONE}"));
    assert_eq!(exchange.report().error_kind(), None);
}

#[tokio::test]
async fn the_total_ends_a_stream_that_goes_on_and_on() {
    let server = Server::start();
    let exchange = server.start_timed(STREAM, |timeouts| timeouts.total = SHORT);
    let (mut peer, _) = server.request().await;
    peer.begin(FIRST).await;
    let mut last = block(&exchange).await;
    while !last.contains("error") {
        peer.chunk(SECOND).await;
        last = block(&exchange).await;
    }
    assert!(last.ends_with(&error_frame(TOO_LONG, "upstream_timeout")), "{last}");
    assert_eq!(rest(&exchange).await, "");
    assert_eq!(exchange.report().error_kind(), Some(ErrorKind::TotalTimeout));
    peer.closed().await;
}

#[tokio::test]
async fn the_total_bounds_a_reader_too() {
    let server = Server::start();
    let exchange = server.start_timed(STREAM, |timeouts| timeouts.total = SHORT);
    let (mut peer, _) = server.request().await;
    let large = event(&"x".repeat(300 * 1024));
    peer.begin(FIRST).await;
    peer.chunk(&large).await;
    peer.closed().await;
    let all = rest(&exchange).await;
    assert_eq!(all, format!("{FIRST}{large}{}", error_frame(TOO_LONG, "upstream_timeout")));
}

#[tokio::test]
async fn a_request_may_lower_the_total_and_never_raise_it() {
    for (own, of_the_request) in [(NEVER, SHORT), (SHORT, NEVER)] {
        let server = Server::start();
        let mut config = server.config();
        config.timeouts.total = own;
        let sent = ExchangeRequest { total: Some(of_the_request), ..request(STREAM) };
        let exchange = Upstream::new(config).unwrap().start(&Handle::current(), sent);
        assert_eq!(failure(&exchange).await.kind, ErrorKind::TotalTimeout);
    }
}

#[tokio::test]
async fn timeouts_of_a_plain_answer() {
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    let (soon, later) = (SHORT / 4, Duration::from_secs(30));
    let rows = [
        // name, said, first event, idle, total, expected
        ("only the total bounds the wait", "", soon, soon, SHORT, ErrorKind::TotalTimeout),
        ("silence in the body", half, soon, SHORT, later, ErrorKind::IdleTimeout),
        ("the total in the body", half, soon, later, SHORT, ErrorKind::TotalTimeout),
    ];
    for (name, said, first_event, idle, total, expected) in rows {
        let server = Server::start();
        let exchange = server.start_timed(AnswerMode::Plain, |timeouts| {
            (timeouts.first_event, timeouts.idle, timeouts.total) = (first_event, idle, total);
        });
        let (mut peer, _) = server.request().await;
        peer.send(said).await;
        assert_eq!(failure(&exchange).await.kind, expected, "{name}");
        peer.closed().await;
    }
}

#[tokio::test]
async fn silence_in_a_stream_to_be_merged() {
    let server = Server::start();
    let exchange = server.start_timed(AnswerMode::Merged, |timeouts| timeouts.idle = SHORT);
    let (mut peer, _) = server.request().await;
    peer.begin(FIRST).await;
    assert_eq!(failure(&exchange).await.kind, ErrorKind::IdleTimeout);
    assert!(exchange.report().first_event.is_some());
    peer.closed().await;
}
