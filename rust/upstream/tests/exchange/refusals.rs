//! Answers that are none: what the caller learns, before anything has been shown to a client.

use llmgw_core::answer::context::AnswerMode;
use llmgw_core::sse::SseLimits;
use llmgw_upstream::{Cause, ErrorKind, ExchangeError, Upstream};

use crate::support::{
    API_KEY, COMPLETION, DONE, FIRST, LAST, STREAM, STREAM_HEAD, Server, chunk, failure, response, rest,
    start,
};

const JSON: &str = "content-type: application/json\r\n";
const EVENTS: &str = "content-type: text/event-stream\r\n";
const HTML: &str = "<html><h1>no</h1> see your administrator</html>";
const PLAIN: AnswerMode = AnswerMode::Plain;

fn error(kind: ErrorKind, status: Option<u16>, message: Option<&str>) -> ExchangeError {
    ExchangeError { status, message: message.map(str::to_owned), ..ExchangeError::new(kind) }
}

/// What comes of a server that says this.
async fn refused(mode: AnswerMode, said: impl AsRef<[u8]>) -> ExchangeError {
    let server = Server::start();
    let exchange = server.start_exchange(mode);
    let (mut peer, _) = server.request().await;
    peer.send(said).await;
    let error = failure(&exchange).await;
    peer.closed().await;
    assert!(server.is_untouched(), "one exchange is one request");
    error
}

#[tokio::test]
async fn statuses() {
    let rows = [
        ("no words", "500 Internal Server Error", String::new(), "", 500, None),
        ("HTML is not echoed", "502 Bad Gateway", "content-type: text/html\r\n".into(), HTML, 502, None),
        (
            "a message",
            "400 Bad Request",
            JSON.to_owned(),
            r#"{"error":{"message":"bad \"x\"","code":null}}"#,
            400,
            Some("bad \"x\""),
        ),
        (
            "the key is blanked out",
            "401 Unauthorized",
            JSON.to_owned(),
            r#"{"error":{"message":"invalid key sk-test-0123456789."}}"#,
            401,
            Some("invalid key [redacted]."),
        ),
        (
            "JSON of any content type",
            "404 Not Found",
            "content-type: text/plain\r\n".to_owned(),
            r#"{"message":"no such model"}"#,
            404,
            Some("no such model"),
        ),
        (
            "a compressed message is not read",
            "400 Bad Request",
            format!("{JSON}content-encoding: gzip\r\n"),
            r#"{"error":{"message":"never"}}"#,
            400,
            None,
        ),
        ("a status is a status", "418 I'm a teapot", EVENTS.to_owned(), FIRST, 418, None),
    ];
    for (name, status, headers, body, code, message) in rows {
        for mode in [STREAM, PLAIN, AnswerMode::Merged] {
            let found =
                refused(mode, response(status, &format!("connection: close\r\n{headers}"), body)).await;
            assert_eq!(found, error(ErrorKind::Status, Some(code), message), "{name}, {mode:?}");
        }
    }
    assert!(API_KEY.ends_with("sk-test-0123456789"), "the row above holds the key");
}

#[tokio::test]
async fn when_to_come_back() {
    let rows = [
        ("retry-after: 7", Some(7.0)),
        ("retry-after: 0.5", Some(0.5)),
        ("retry-after-ms: 250", Some(0.25)),
        ("retry-after: 7\r\nretry-after-ms: 1500", Some(1.5)),
        ("retry-after: Sun, 06 Nov 1994 08:49:37 GMT", Some(0.0)),
        ("retry-after: soon", None),
        ("x-other: 7", None),
    ];
    for (header, expected) in rows {
        let headers = format!("connection: close\r\n{header}\r\n");
        let found = refused(STREAM, response("429 Too Many Requests", &headers, "")).await;
        assert_eq!((found.kind, found.status), (ErrorKind::Status, Some(429)));
        assert_eq!(found.retry_after_s, expected, "{header}");
    }
    let in_a_minute = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let headers = format!("connection: close\r\nretry-after: {}\r\n", httpdate::fmt_http_date(in_a_minute));
    let seconds = refused(STREAM, response("503 Unavailable", &headers, "")).await.retry_after_s.unwrap();
    assert!((50.0..=60.0).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start();
    for status in [301, 302, 303, 307, 308, 304] {
        for mode in [STREAM, PLAIN] {
            let headers = format!(
                "connection: close\r\nlocation: http://{}/v1/chat/completions\r\n",
                elsewhere.address()
            );
            let found = refused(mode, response(&format!("{status} Elsewhere"), &headers, "")).await;
            assert_eq!(found, error(ErrorKind::Redirect, Some(status), None));
        }
    }
    assert!(elsewhere.is_untouched());
}

#[tokio::test]
async fn answers_of_another_kind() {
    let (encoding, kind) = (ErrorKind::ContentEncoding, ErrorKind::ContentType);
    let rows = [
        (STREAM, format!("{EVENTS}content-encoding: gzip\r\n"), FIRST, encoding),
        (STREAM, format!("{EVENTS}content-encoding: identity, br\r\n"), FIRST, encoding),
        (
            STREAM,
            format!("{EVENTS}content-encoding: identity\r\ncontent-encoding: zstd\r\n"),
            FIRST,
            encoding,
        ),
        (PLAIN, format!("{JSON}content-encoding: gzip\r\n"), COMPLETION, encoding),
        (STREAM, "content-type: text/html\r\n".to_owned(), HTML, kind),
        (AnswerMode::Merged, String::new(), "", kind),
        (PLAIN, "content-type: text/html\r\n".to_owned(), HTML, kind),
        (PLAIN, String::new(), "no JSON", kind),
    ];
    for (mode, headers, body, expected) in rows {
        let found = refused(mode, response("200 OK", &format!("connection: close\r\n{headers}"), body)).await;
        assert_eq!(found, error(expected, Some(200), None), "{mode:?} {headers}");
    }
}

/// Events and JSON are known by their first bytes, under a wrong label and under none.
#[tokio::test]
async fn a_wrong_label() {
    let events = [FIRST, LAST, DONE].concat();
    let pretty = COMPLETION.replacen(',', ",\n", 1);
    let labels = [EVENTS, JSON, "content-type: text/plain\r\n", ""];
    for (label, mode) in labels.iter().flat_map(|label| [STREAM, PLAIN].map(|mode| (label, mode))) {
        for body in [&*events, COMPLETION, &pretty] {
            let server = Server::start();
            let exchange = server.start_exchange(mode);
            let (mut peer, _) = server.request().await;
            peer.send(response("200 OK", &format!("connection: close\r\n{label}"), body)).await;
            let answer = rest(&exchange).await;
            assert!(answer.contains(r#""content":"one""#), "{label} {mode:?} {answer}");
            assert_eq!(answer.ends_with(DONE), mode == STREAM, "{label} {answer}");
            assert_eq!(answer.contains("chat.completion.chunk"), mode == STREAM, "{label} {answer}");
            assert_eq!(exchange.report().summary.finish_reason.as_deref(), Some("stop"));
        }
    }
}

#[tokio::test]
async fn errors_with_a_good_status() {
    let first_event = |data: &str| format!("{STREAM_HEAD}{}", String::from_utf8(chunk(data)).unwrap());
    let close = format!("connection: close\r\n{JSON}");
    let slow = r#"{"error":{"message":"slow down","code":429}}"#;
    let kind = ErrorKind::ErrorEvent;
    let said = |status, message| error(kind, status, Some(message));
    let rows = [
        (STREAM, first_event(&format!("data: {slow}\n\n")), said(Some(429), "slow down")),
        (STREAM, first_event(&format!("event: error\ndata: {slow}\n\n")), said(Some(429), "slow down")),
        (
            STREAM,
            first_event("data: {\"error\":{\"message\":\"key sk-test-0123456789\"}}\n\n"),
            said(None, "key [redacted]"),
        ),
        (STREAM, response("200 OK", &close, slow), said(Some(429), "slow down")),
        (AnswerMode::Merged, first_event(&format!("data: {slow}\n\n")), said(Some(429), "slow down")),
        (AnswerMode::Merged, response("200 OK", &close, slow), said(Some(429), "slow down")),
        (PLAIN, response("200 OK", &close, slow), said(Some(429), "slow down")),
        (
            PLAIN,
            response("200 OK", &close, r#"{"error":{"message":"key sk-test-0123456789"}}"#),
            said(None, "key [redacted]"),
        ),
        (STREAM, first_event("data: {\"choices\":\n\n"), error(ErrorKind::InvalidEvent, None, None)),
        (STREAM, first_event(DONE_ALONE), error(ErrorKind::Truncated, None, None)),
        (STREAM, response("200 OK", &format!("connection: close\r\n{EVENTS}"), ""), TRUNCATED),
        (STREAM, response("200 OK", &format!("connection: close\r\n{EVENTS}"), ": ping\n\n"), TRUNCATED),
        (AnswerMode::Merged, response("200 OK", &format!("connection: close\r\n{EVENTS}"), ""), TRUNCATED),
        (PLAIN, response("200 OK", &close, "{\"choices\":"), error(ErrorKind::InvalidEvent, None, None)),
        (PLAIN, response("200 OK", &close, ""), error(ErrorKind::InvalidEvent, None, None)),
    ];
    for (mode, answer, expected) in rows {
        assert_eq!(refused(mode, &answer).await, expected, "{mode:?} {answer}");
    }
}

const DONE_ALONE: &str = "data: [DONE]\n\n";
const TRUNCATED: ExchangeError = ExchangeError::new(ErrorKind::Truncated);

/// What a provider says ⇒ status, code, message, as an error of a stream's first event and of an answer that is JSON.
#[tokio::test]
async fn what_it_says_of_itself() {
    let rows = [
        (
            r#"{"object":"error","message":"long","type":"BadRequestError","code":400}"#,
            Some(400),
            Some("BadRequestError"),
            "long",
        ),
        (r#"{"error":{"message":"long","type":"None","code":"400"}}"#, Some(400), None, "long"),
        (
            r#"{"code":"Throttling.RateQuota","message":"slow","request_id":"r"}"#,
            Some(429),
            Some("Throttling.RateQuota"),
            "slow",
        ),
        (
            r#"{"choices":null,"base_resp":{"status_code":1002,"status_msg":"slow"}}"#,
            Some(429),
            Some("1002"),
            "slow",
        ),
        (r#"{"detail":"top_p"}"#, None, None, "top_p"),
        (r#"[{"error":{"code":429,"message":"slow"}}]"#, Some(429), None, "slow"),
    ];
    for (said, status, code, message) in rows {
        let expected = ExchangeError {
            code: code.map(str::to_owned),
            ..error(ErrorKind::ErrorEvent, status, Some(message))
        };
        let events =
            format!("{STREAM_HEAD}{}", String::from_utf8(chunk(format!("data: {said}\n\n"))).unwrap());
        let json = response("200 OK", &format!("connection: close\r\n{JSON}"), said);
        for (mode, answer) in
            [(STREAM, &events), (AnswerMode::Merged, &events), (STREAM, &json), (PLAIN, &json)]
        {
            assert_eq!(refused(mode, answer).await, expected, "{mode:?} {answer}");
        }
        let json = response("418 Odd", &format!("connection: close\r\n{JSON}"), said);
        let refused = refused(STREAM, json).await;
        let found = (refused.kind, refused.status, refused.code.as_deref(), refused.message.as_deref());
        assert_eq!(found, (ErrorKind::Status, Some(418), code, Some(message)), "{said}");
    }
}

#[tokio::test]
async fn a_status_in_a_comment() {
    let said = "id:1\nevent:error\n:HTTP_STATUS/429\ndata:{\"code\":\"odd\",\"message\":\"slow\"}\n\n";
    let found = refused(STREAM, format!("{STREAM_HEAD}{}", String::from_utf8(chunk(said)).unwrap())).await;
    let expected = error(ErrorKind::ErrorEvent, Some(429), Some("slow"));
    assert_eq!(found, ExchangeError { code: Some("odd".into()), ..expected });
}

#[tokio::test]
async fn a_long_message_is_cut() {
    let body = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(10_000));
    for status in ["400 Bad Request", "200 OK"] {
        let found = refused(STREAM, response(status, &format!("connection: close\r\n{JSON}"), &body)).await;
        assert_eq!(found.message.map(|message| message.len()), Some(2048), "{status}");
    }
}

#[tokio::test]
async fn a_long_error_body_is_not_read() {
    let headers = format!("connection: close\r\n{JSON}");
    let body = |padding| format!(r#"{{"padding":"{}","error":{{"message":"no"}}}}"#, "x".repeat(padding));
    for (padding, message) in [(60_000, Some("no")), (70_000, None)] {
        let found = refused(STREAM, response("400 Bad Request", &headers, &body(padding))).await;
        assert_eq!(found, error(ErrorKind::Status, Some(400), message), "{padding}");
    }
}

#[tokio::test]
async fn an_error_body_without_end() {
    let server = Server::start();
    let exchange = server.start_exchange(STREAM);
    let (mut peer, _) = server.request().await;
    peer.send(format!("HTTP/1.1 500 No\r\n{JSON}content-length: 1000000\r\n\r\n")).await;
    // Within the length that is read, so that only the limit ends it.
    peer.send("x".repeat(100_000)).await;
    assert_eq!(failure(&exchange).await, error(ErrorKind::Status, Some(500), None));
    peer.closed().await;
}

#[tokio::test]
async fn no_http() {
    let long_header = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(200_000));
    let rows = [
        ("something else", "SSH-2.0-OpenSSH\r\n\r\n", ErrorKind::Protocol),
        ("no status", "HTTP/1.1 \r\n\r\n", ErrorKind::Protocol),
        ("a bad chunk size", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", ErrorKind::Protocol),
        ("headers without end", &long_header, ErrorKind::Protocol),
    ];
    for (name, said, expected) in rows {
        for mode in [STREAM, PLAIN] {
            let server = Server::start();
            let exchange = server.start_exchange(mode);
            let (mut peer, _) = server.request().await;
            // Whether all of it could be written does not matter.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut peer.socket, said.as_bytes()).await;
            assert_eq!(failure(&exchange).await, error(expected, None, None), "{name}, {mode:?}");
            peer.closed().await;
        }
    }
}

#[tokio::test]
async fn a_connection_that_dies_before_the_answer() {
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    for (mode, said) in [(STREAM, ""), (STREAM, "HTTP/1.1 200"), (STREAM, STREAM_HEAD), (PLAIN, half)] {
        for reset in [false, true] {
            let server = Server::start();
            let exchange = server.start_exchange(mode);
            let (mut peer, _) = server.request().await;
            peer.send(said).await;
            if reset {
                peer.reset();
            } else {
                drop(peer);
            }
            assert_eq!(failure(&exchange).await, error(ErrorKind::Reset, None, None), "{said:?}, {reset}");
            assert!(server.is_untouched(), "it was sent once, and is not sent again");
        }
    }
}

#[tokio::test]
async fn nobody_listens() {
    let server = Server::start();
    let config = server.config();
    drop(server);
    for mode in [STREAM, PLAIN, AnswerMode::Merged] {
        let exchange = start(&Upstream::new(config.clone()).unwrap(), mode);
        assert_eq!(failure(&exchange).await, unreachable(Cause::Refused));
    }
}

#[tokio::test]
async fn no_such_name() {
    let mut config = Server::start().config();
    config.base_url = "http://nowhere.invalid/v1".into();
    let exchange = start(&Upstream::new(config).unwrap(), STREAM);
    assert_eq!(failure(&exchange).await, unreachable(Cause::Dns));
}

fn unreachable(cause: Cause) -> ExchangeError {
    ExchangeError { cause: Some(cause), ..ExchangeError::new(ErrorKind::Unreachable) }
}

#[tokio::test]
async fn no_tls_there() {
    let server = Server::start();
    let mut config = server.config();
    config.base_url = config.base_url.replace("http:", "https:");
    let exchange = start(&Upstream::new(config).unwrap(), STREAM);
    let mut peer = server.accept().await;
    peer.send("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert_eq!(failure(&exchange).await, unreachable(Cause::TlsNotSpoken));
    peer.closed().await;
}

#[tokio::test]
async fn beyond_the_caps() {
    let long_event = format!("data: \"{}\"\n\n", "x".repeat(2000));
    let many_lines = format!("{}\n", "data: 1\n".repeat(600));
    let endless_line = "x".repeat(2000);
    for (name, said) in [
        ("an event", &long_event),
        ("an event of many lines", &many_lines),
        ("a line without end", &endless_line),
    ] {
        for mode in [STREAM, AnswerMode::Merged] {
            let server = Server::start();
            let mut config = server.config();
            config.limits = SseLimits { max_line_bytes: 1024, max_event_bytes: 1024 };
            let exchange = start(&Upstream::new(config).unwrap(), mode);
            let (mut peer, _) = server.request().await;
            peer.begin(said).await;
            assert_eq!(
                failure(&exchange).await,
                error(ErrorKind::EventTooLarge, None, None),
                "{name}, {mode:?}"
            );
            peer.closed().await;
        }
    }
}
