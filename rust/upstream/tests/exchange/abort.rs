//! An answer that nobody wants any more: its connection is closed at once, wherever it stands.

use llmgw_core::answer::context::AnswerMode;
use llmgw_upstream::{ErrorKind, Exchange, Upstream};

use crate::support::{
    DONE, FIRST, LAST, PATIENCE, Peer, SECOND, STREAM, STREAM_HEAD, Server, block, error_frame, eventually,
    failure, rest, start, within,
};

const HALF_OF_A_BODY: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
const RESTARTING: &str =
    "Connection lost: the gateway is restarting, the answer is incomplete. Try again later.";

/// An exchange whose server has said so much.
async fn started(mode: AnswerMode, said: &str) -> (Peer, Exchange) {
    let server = Server::start();
    let exchange = server.start_exchange(mode);
    let (mut peer, _) = server.request().await;
    peer.send(said).await;
    (peer, exchange)
}

fn first_event() -> String {
    format!("{STREAM_HEAD}ffff\r\n{FIRST}")
}

#[tokio::test]
async fn the_upstream_sees_it() {
    type Stop = fn(Exchange) -> Option<Exchange>;
    let stops: [(&str, Stop); 3] = [
        ("dropped", |exchange| {
            drop(exchange);
            None
        }),
        ("aborted", |exchange| {
            exchange.abort();
            Some(exchange)
        }),
        ("drained", |exchange| {
            exchange.drain();
            Some(exchange)
        }),
    ];
    let first_event = first_event();
    let stages = [
        ("before the headers", STREAM, ""),
        ("before the first event", STREAM, STREAM_HEAD),
        ("mid-stream", STREAM, &first_event),
        ("plain, before the headers", AnswerMode::Plain, ""),
        ("plain, in the body", AnswerMode::Plain, HALF_OF_A_BODY),
        ("merged, before the headers", AnswerMode::Merged, ""),
        ("merged, mid-stream", AnswerMode::Merged, &first_event),
    ];
    for (stop, stopped) in stops {
        for (stage, mode, said) in stages {
            let (mut peer, exchange) = started(mode, said).await;
            if stage == "mid-stream" {
                assert_eq!(block(&exchange).await, FIRST);
            }
            let held = stopped(exchange);
            within(PATIENCE, &format!("{stop} {stage}"), peer.closed()).await;
            drop(held);
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_not_there_yet() {
    let server = Server::start();
    let mut config = server.config();
    config.base_url = config.base_url.replace("http:", "https:");
    let exchange = start(&Upstream::new(config).unwrap(), STREAM);
    let mut peer = server.accept().await;
    drop(exchange);
    peer.closed().await;
}

#[tokio::test]
async fn what_the_reader_is_told() {
    let (_peer, exchange) = started(STREAM, "").await;
    exchange.abort();
    assert_eq!(failure(&exchange).await.kind, ErrorKind::Aborted);

    let (_peer, exchange) = started(STREAM, "").await;
    exchange.drain();
    assert_eq!(failure(&exchange).await.kind, ErrorKind::Draining);

    let (_peer, exchange) = started(STREAM, &first_event()).await;
    block(&exchange).await;
    exchange.abort();
    assert_eq!(rest(&exchange).await, "");
    assert_eq!(exchange.report().error_kind(), Some(ErrorKind::Aborted));

    let (_peer, exchange) = started(STREAM, &first_event()).await;
    block(&exchange).await;
    exchange.drain();
    assert_eq!(rest(&exchange).await, error_frame(RESTARTING, "overloaded"));
    assert_eq!(exchange.report().error_kind(), Some(ErrorKind::Draining));
}

#[tokio::test]
async fn frames_that_were_ready() {
    type Stop = fn(&Exchange);
    let stops: [(&str, Stop, String); 2] = [
        ("an abort throws them away", Exchange::abort, String::new()),
        ("a drain does not", Exchange::drain, SECOND.to_owned() + &error_frame(RESTARTING, "overloaded")),
    ];
    for (name, stop, expected) in stops {
        let (mut peer, exchange) = started(STREAM, STREAM_HEAD).await;
        peer.chunk(FIRST).await;
        assert_eq!(block(&exchange).await, FIRST);
        peer.chunk(SECOND).await;
        eventually("the second event is read", || exchange.report().summary.frames == 2).await;
        stop(&exchange);
        assert_eq!(rest(&exchange).await, expected, "{name}");
        peer.closed().await;
    }
}

#[tokio::test]
async fn aborted_when_nothing_was_taken_yet() {
    let (mut peer, exchange) = started(STREAM, &first_event()).await;
    eventually("the first event is read", || exchange.report().summary.frames == 1).await;
    exchange.abort();
    // An exchange's first read is a block or an error, never the end.
    assert_eq!(failure(&exchange).await.kind, ErrorKind::Aborted);
    peer.closed().await;
}

#[tokio::test]
async fn a_pending_read_wakes_up() {
    for (said, mode) in [("", STREAM), (STREAM_HEAD, STREAM), (HALF_OF_A_BODY, AnswerMode::Plain)] {
        let (mut peer, exchange) = started(mode, said).await;
        let aborting = async {
            // Polled second: by now the read is pending.
            exchange.abort();
        };
        let (error, ()) = tokio::join!(biased; failure(&exchange), aborting);
        assert_eq!(error.kind, ErrorKind::Aborted);
        peer.closed().await;
    }
}

#[tokio::test]
async fn the_reader_that_a_full_slot_waits_for_goes() {
    let (mut peer, exchange) = started(STREAM, STREAM_HEAD).await;
    peer.chunk(FIRST).await;
    peer.chunk(SECOND.replace(" two", &"x".repeat(300 * 1024))).await;
    eventually("the slot is full", || exchange.report().summary.frames == 2).await;
    drop(exchange);
    peer.closed().await;
}

#[tokio::test]
async fn an_abort_after_the_end_changes_nothing() {
    let (mut peer, exchange) = started(STREAM, STREAM_HEAD).await;
    peer.finish(&[FIRST, LAST].concat()).await;
    eventually("the answer is whole", || exchange.report().summary.complete).await;
    exchange.abort();
    exchange.drain();
    assert_eq!(rest(&exchange).await, [FIRST, LAST, DONE].concat());
    assert_eq!(exchange.report().error_kind(), None);
}
