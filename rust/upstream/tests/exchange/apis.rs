//! Where the request of each API goes, and what its answers go through.

use llmgw_core::answer::context::AnswerMode;
use llmgw_core::api::Api;
use llmgw_upstream::{ErrorKind, Exchange, ExchangeRequest, Upstream};
use tokio::runtime::Handle;

use crate::support::{DONE, STREAM, Server, block, error_frame, failure, request, response, rest};

const TEXT: &str = concat!(
    r#"data: {"id":"c","object":"text_completion","created":1,"model":"m","choices":"#,
    r#"[{"index":0,"text":"one","finish_reason":null}]}"#,
    "\n\n"
);

fn start(server: &Server, api: Api, mode: AnswerMode) -> Exchange {
    let upstream = Upstream::new(server.config()).unwrap();
    upstream.start(&Handle::current(), ExchangeRequest { api, ..request(mode) })
}

#[tokio::test]
async fn each_api_has_its_path() {
    for (api, line) in [
        (Api::Chat, "POST /v1/chat/completions HTTP/1.1"),
        (Api::Completions, "POST /v1/completions HTTP/1.1"),
    ] {
        for mode in [STREAM, AnswerMode::Plain] {
            let server = Server::start();
            let _exchange = start(&server, api, mode);
            let (_peer, request) = server.request().await;
            assert_eq!(request.line, line);
        }
    }
}

#[tokio::test]
async fn a_text_completion_streamed() {
    let server = Server::start();
    let exchange = start(&server, Api::Completions, STREAM);
    let (mut peer, _) = server.request().await;
    peer.begin(TEXT).await;
    assert_eq!(block(&exchange).await, TEXT);
    let last = TEXT.replace("one", "").replace("null", "\"eos\"");
    peer.finish(&last).await;
    assert_eq!(rest(&exchange).await, last.replace("eos", "stop") + DONE);
    let report = exchange.report();
    assert_eq!((report.summary.finish_reason.as_deref(), report.error_kind()), (Some("stop"), None));
}

#[tokio::test]
async fn a_text_completion_that_breaks_off() {
    let server = Server::start();
    let exchange = start(&server, Api::Completions, STREAM);
    let (mut peer, _) = server.request().await;
    peer.begin(TEXT).await;
    assert_eq!(block(&exchange).await, TEXT);
    peer.finish("").await;
    let message = "The answer ended without a finish reason. Try again later.";
    assert_eq!(rest(&exchange).await, error_frame(message, "upstream_error"));
    assert_eq!(exchange.report().error_kind(), Some(ErrorKind::Truncated));

    let server = Server::start();
    let exchange = start(&server, Api::Completions, STREAM);
    let (mut peer, _) = server.request().await;
    peer.begin("data: {\"error\":{\"message\":\"no more\",\"code\":503}}\n\n").await;
    let error = failure(&exchange).await;
    assert_eq!((error.kind, error.status), (ErrorKind::ErrorEvent, Some(503)));
}

#[tokio::test]
async fn a_text_completion_whole() {
    let said = TEXT.trim().replacen("data: ", "", 1).replace("null", "\"length\"");
    let headers = "content-type: application/json\r\n";
    let server = Server::start();
    let exchange = start(&server, Api::Completions, AnswerMode::Plain);
    let (mut peer, _) = server.request().await;
    peer.send(response("200 OK", headers, &said.replace(r#""index":0,"#, ""))).await;
    let expected = said.replace(r#""index":0,"#, "").replace(r#""length""#, r#""length","index":0"#);
    assert_eq!(block(&exchange).await, expected);
    assert_eq!(exchange.report().summary.finish_reason.as_deref(), Some("length"));

    let server = Server::start();
    let exchange = start(&server, Api::Completions, AnswerMode::Plain);
    let (mut peer, _) = server.request().await;
    peer.send(response("200 OK", headers, &said.replace("text\":", "message\":"))).await;
    assert_eq!(failure(&exchange).await.kind, ErrorKind::InvalidEvent);
}
