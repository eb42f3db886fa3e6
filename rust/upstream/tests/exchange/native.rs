//! Upstreams that speak the client's API themselves: where they are asked, and what becomes of their answers.

use http::header::{HeaderName, HeaderValue};
use llmgw_core::answer::context::AnswerMode;
use llmgw_core::api::Api;
use llmgw_core::api::native::Native;
use llmgw_upstream::{ErrorKind, Exchange, ExchangeRequest, Upstream, UpstreamConfig};
use tokio::runtime::Handle;

use crate::support::{API_KEY, SHORT, STREAM, Server, block, failure, request, response, rest};

const MESSAGES: Api = Api::Native(Native::Messages);
const RESPONSES: Api = Api::Native(Native::Responses);

const OPENING: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\n";
const DELTA: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n";
const LAST: &str = concat!(
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":1}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
);
const OVERLOADED: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n";

fn start(server: &Server, request: ExchangeRequest) -> Exchange {
    Upstream::new(server.config()).unwrap().start(&Handle::current(), request)
}

fn of(api: Api, mode: AnswerMode) -> ExchangeRequest {
    ExchangeRequest { api, ..request(mode) }
}

#[tokio::test]
async fn each_has_its_url_and_its_headers() {
    let rows = [
        (MESSAGES, "POST /anthropic/v1/messages HTTP/1.1", Some(API_KEY), Some("2023-06-01")),
        (
            Api::CountTokens,
            "POST /anthropic/v1/messages/count_tokens HTTP/1.1",
            Some(API_KEY),
            Some("2023-06-01"),
        ),
        (RESPONSES, "POST /v1/responses HTTP/1.1", None, None),
        (Api::Chat, "POST /v1/chat/completions HTTP/1.1", None, None),
    ];
    for (api, line, key, version) in rows {
        let server = Server::start();
        let _exchange = start(&server, of(api, STREAM));
        let (_peer, request) = server.request().await;
        assert_eq!(request.line, line);
        assert_eq!(request.header("authorization"), Some(&*format!("Bearer {API_KEY}")));
        assert_eq!(request.header("x-api-key"), key);
        assert_eq!(request.header("anthropic-version"), version);
    }
}

#[tokio::test]
async fn what_the_client_says_of_versions_is_passed_on() {
    let server = Server::start();
    let header = |name: &'static str, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
    let headers = vec![header("anthropic-version", "2099-01-01"), header("anthropic-beta", "a-1,b-2")];
    let _exchange = start(&server, ExchangeRequest { headers, ..of(MESSAGES, STREAM) });
    let (_peer, request) = server.request().await;
    assert_eq!(request.header("anthropic-version"), Some("2099-01-01"));
    assert_eq!(request.header("anthropic-beta"), Some("a-1,b-2"));
}

#[tokio::test]
async fn another_server_for_it() {
    let (chat, native) = (Server::start(), Server::start());
    let config = UpstreamConfig { api_urls: native.config().api_urls, ..chat.config() };
    let upstream = Upstream::new(config).unwrap();
    let _one = upstream.start(&Handle::current(), of(MESSAGES, STREAM));
    assert_eq!(native.request().await.1.line, "POST /anthropic/v1/messages HTTP/1.1");
    let _other = upstream.start(&Handle::current(), of(Api::Chat, STREAM));
    assert_eq!(chat.request().await.1.line, "POST /v1/chat/completions HTTP/1.1");
}

#[tokio::test]
async fn no_url_for_it() {
    let server = Server::start();
    let upstream =
        Upstream::new(UpstreamConfig { api_urls: server.config().api_urls.split_off(1), ..server.config() })
            .unwrap();
    assert!(upstream.speaks(RESPONSES) && !upstream.speaks(MESSAGES));
    let exchange = upstream.start(&Handle::current(), of(MESSAGES, STREAM));
    assert_eq!(failure(&exchange).await.kind, ErrorKind::Unreachable);
}

#[tokio::test]
async fn urls_that_can_not_work() {
    let server = Server::start();
    for url in ["", "host/v1/messages", "ftp://host/", "https://user@host/", "https://host/?x=1"] {
        let api_urls = vec![(MESSAGES, url.to_owned())];
        let config = UpstreamConfig { api_urls, ..server.config() };
        let error = Upstream::new(config).err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.starts_with("messages_url must be http(s)://")), "{url}");
    }
}

#[tokio::test]
async fn bytes_go_out_as_they_come() {
    let server = Server::start();
    let exchange = start(&server, of(MESSAGES, STREAM));
    let (mut peer, _) = server.request().await;
    peer.begin(OPENING).await;
    peer.chunk(": comment\n\n").await;
    peer.chunk(DELTA).await;
    assert_eq!(block(&exchange).await, format!("{OPENING}{DELTA}"));
    peer.finish(LAST).await;
    assert_eq!(rest(&exchange).await, LAST);
    let report = exchange.report();
    assert_eq!((report.summary.finish_reason.as_deref(), report.error_kind()), (Some("stop"), None));
    assert_eq!(report.summary.usage.unwrap().prompt_tokens, Some(3));
    assert!(report.summary.complete && report.first_event.is_some());
}

#[tokio::test]
async fn an_error_behind_the_opening_is_raised_and_later_it_is_told() {
    let server = Server::start();
    let exchange = start(&server, of(MESSAGES, STREAM));
    let (mut peer, _) = server.request().await;
    peer.begin(&format!("{OPENING}{OVERLOADED}")).await;
    let error = failure(&exchange).await;
    assert_eq!((error.kind, error.status), (ErrorKind::ErrorEvent, Some(503)));

    let server = Server::start();
    let exchange = start(&server, of(MESSAGES, STREAM));
    let (mut peer, _) = server.request().await;
    peer.begin(&format!("{OPENING}{DELTA}")).await;
    block(&exchange).await;
    peer.chunk(OVERLOADED).await;
    let told = rest(&exchange).await;
    assert!(told.starts_with("event: error\ndata: {\"type\":\"error\""), "{told}");
    assert!(told.contains("overloaded_error") && told.contains("busy"), "{told}");
    assert_eq!(exchange.report().error_kind(), Some(ErrorKind::ErrorEvent));
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_in_the_apis_words() {
    let server = Server::start();
    let exchange = start(&server, of(RESPONSES, STREAM));
    let (mut peer, _) = server.request().await;
    let delta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"delta\":\"x\"}\n\n";
    peer.begin(delta).await;
    assert_eq!(block(&exchange).await, delta);
    peer.reset();
    let told = rest(&exchange).await;
    assert!(told.starts_with("event: response.failed\n") && told.contains("\"sequence_number\":5"), "{told}");
    assert_eq!(exchange.report().error_kind(), Some(ErrorKind::Reset));
}

#[tokio::test]
async fn heartbeats_are_pings_where_the_api_has_them() {
    for (api, expected) in
        [(MESSAGES, "event: ping\ndata: {\"type\": \"ping\"}\n\n"), (RESPONSES, ": keep-alive\n\n")]
    {
        let server = Server::start();
        let exchange = start(&server, ExchangeRequest { heartbeat: SHORT, ..of(api, STREAM) });
        let (_peer, _) = server.request().await;
        assert_eq!(block(&exchange).await, expected);
    }
}

#[tokio::test]
async fn a_whole_answer_passes_untouched() {
    let message = r#"{ "type":"message", "content":[ {"type":"text","text":"\u0068i"} ],"stop_reason":"max_tokens","usage":{"input_tokens":3,"output_tokens":1}}"#;
    let headers = "content-type: application/json\r\n";
    let server = Server::start();
    let exchange = start(&server, of(MESSAGES, AnswerMode::Plain));
    let (mut peer, _) = server.request().await;
    peer.send(response("200 OK", headers, message)).await;
    assert_eq!(block(&exchange).await, message);
    assert_eq!(exchange.report().summary.finish_reason.as_deref(), Some("length"));

    let server = Server::start();
    let exchange = start(&server, of(MESSAGES, AnswerMode::Plain));
    let (mut peer, _) = server.request().await;
    let refusal = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    peer.send(response("529 Overloaded", headers, refusal)).await;
    let error = failure(&exchange).await;
    assert_eq!((error.kind, error.status), (ErrorKind::Status, Some(529)));
    assert_eq!(error.message.as_deref(), Some("busy"));
}
