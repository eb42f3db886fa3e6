//! Comments for a client that would otherwise hear nothing.

use std::time::Instant;

use llmgw_core::answer::context::AnswerMode;
use llmgw_core::api::messages;
use llmgw_upstream::{ErrorKind, Exchange, Heartbeat, Upstream};
use tokio::runtime::Handle;

use crate::support::{
    DONE, FIRST, LAST, SECOND, SHORT, STREAM, Server, block, error_frame, eventually, failure, request,
    response, rest,
};

const HEARTBEAT: &str = ": keep-alive\n\n";

fn start_beating(server: &Server, mode: AnswerMode) -> Exchange {
    let mut request = request(mode);
    request.heartbeat = SHORT / 4;
    Upstream::new(server.config()).unwrap().start(&Handle::current(), request)
}

/// Blocks until one is no heartbeat.
async fn word(exchange: &Exchange) -> String {
    let mut words = HEARTBEAT.to_owned();
    while words.ends_with(HEARTBEAT) {
        words = block(exchange).await;
    }
    words.trim_start_matches(HEARTBEAT).to_owned()
}

#[tokio::test]
async fn silence_is_filled_before_the_first_event_and_after_it() {
    let server = Server::start();
    let exchange = start_beating(&server, STREAM);
    let (mut peer, _) = server.request().await;
    assert_eq!(block(&exchange).await, HEARTBEAT, "before the headers");
    peer.begin(": ping\n\n").await;
    assert_eq!(block(&exchange).await, HEARTBEAT, "before the first event");
    assert_eq!(exchange.report().first_event, None, "a heartbeat is no event");
    peer.chunk(FIRST).await;
    assert_eq!(word(&exchange).await, FIRST);
    assert_eq!(block(&exchange).await, HEARTBEAT, "mid-stream");
    peer.chunk(&SECOND[..20]).await;
    assert_eq!(block(&exchange).await, HEARTBEAT, "within an event");
    peer.finish(&[&SECOND[20..], LAST].concat()).await;
    assert_eq!(word(&exchange).await, [SECOND, LAST, DONE].concat());
    assert_eq!(rest(&exchange).await, "");
}

#[tokio::test]
async fn a_messages_client_hears_its_api_s_own_event() {
    const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
    let asked = br#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"Hi"}]}"#;
    for form in [Heartbeat::Block, Heartbeat::Line] {
        let server = Server::start();
        let mut request = request(STREAM);
        request.heartbeat = SHORT / 4;
        request.heartbeat_form = form;
        request.context.reply = messages::convert(asked, messages::Options::default()).unwrap().reply;
        let exchange = Upstream::new(server.config()).unwrap().start(&Handle::current(), request);
        let (mut peer, _) = server.request().await;
        assert_eq!(block(&exchange).await, PING, "before the headers");
        peer.begin(": comment\n\n").await;
        assert_eq!(block(&exchange).await, PING, "before the first event");
    }
}

/// A comment without its blank line belongs to the frame that follows it, so it must never come within one.
#[tokio::test]
async fn a_bare_line_stands_before_whole_frames_only() {
    const LINE: &str = ": keep-alive\n";
    let server = Server::start();
    let mut request = request(STREAM);
    request.heartbeat = SHORT / 4;
    request.heartbeat_form = Heartbeat::Line;
    let exchange = Upstream::new(server.config()).unwrap().start(&Handle::current(), request);
    let (mut peer, _) = server.request().await;
    assert_eq!(block(&exchange).await, LINE, "before the headers");
    peer.begin(&FIRST[..20]).await;
    assert_eq!(block(&exchange).await, LINE, "within the first event");
    peer.chunk(&FIRST[20..]).await;
    let mut all = LINE.to_owned();
    while !all.ends_with(FIRST) {
        all.push_str(&block(&exchange).await);
    }
    assert_eq!(block(&exchange).await, LINE, "mid-stream");
    peer.finish(&[SECOND, LAST].concat()).await;
    all.push_str(&rest(&exchange).await);
    assert_eq!(all.replace(LINE, ""), [FIRST, SECOND, LAST, DONE].concat());
    for frame in all.split_inclusive("\n\n") {
        let frame = frame.trim_start_matches(LINE);
        assert!(frame.starts_with("data: ") && frame.matches('\n').count() == 2, "{frame:?}");
    }
}

#[tokio::test]
async fn after_a_heartbeat_a_refusal_is_told_in_band() {
    let said = r#"{"error":{"message":"no such thing"}}"#;
    let rows = [
        ("about the request", "400 Bad Request", "no such thing"),
        ("about the gateway's account", "402 Payment Required", "The upstream reported an error."),
        ("about the upstream", "503 Unavailable", "The upstream reported an error."),
    ];
    for (name, status, message) in rows {
        let server = Server::start();
        let exchange = start_beating(&server, STREAM);
        let (mut peer, _) = server.request().await;
        assert_eq!(block(&exchange).await, HEARTBEAT);
        peer.send(response(status, "content-type: application/json\r\n", said)).await;
        assert_eq!(word(&exchange).await, error_frame(message, "upstream_error"), "{name}");
        assert_eq!(rest(&exchange).await, "");
        assert_eq!(exchange.report().error_kind(), Some(ErrorKind::Status), "{name}");
    }
}

#[tokio::test]
async fn heartbeats_do_not_pile_up() {
    let server = Server::start();
    let exchange = start_beating(&server, STREAM);
    let (mut peer, _) = server.request().await;
    let started = Instant::now();
    eventually("time for three heartbeats", || started.elapsed() > SHORT).await;
    assert_eq!(block(&exchange).await, HEARTBEAT);
    peer.begin(FIRST).await;
    assert_eq!(word(&exchange).await, FIRST);
}

#[tokio::test]
async fn no_heartbeats_in_an_answer_that_is_not_streamed() {
    for mode in [AnswerMode::Plain, AnswerMode::Merged] {
        let server = Server::start();
        let mut config = server.config();
        config.timeouts.total = SHORT;
        let mut request = request(mode);
        request.heartbeat = SHORT / 4;
        let exchange = Upstream::new(config).unwrap().start(&Handle::current(), request);
        let _silent = server.request().await;
        assert_eq!(failure(&exchange).await.kind, ErrorKind::TotalTimeout, "{mode:?}");
    }
}
